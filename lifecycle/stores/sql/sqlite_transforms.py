"""SQLite: when a column is anonymised, and what takes its value's place; decided by our own functions inside it."""

from __future__ import annotations

import re
import sqlite3
from typing import Any, assert_never

import sqlalchemy as sa

from lifecycle.core.transform import (
    TOKEN_PREFIX,
    CoarseDate,
    CoarseNumber,
    Constant,
    SetNull,
    Token,
    Transform,
    coarse_date,
    coarse_number,
)
from lifecycle.stores.sql.dialects import Expression, Truth, Typed

_NUMERIC = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*", re.ASCII)


def register(connection: sqlite3.Connection) -> None:
    """Make our functions known to a connection."""
    connection.create_function("lifecycle_coarse_date", 2, coarse_date, deterministic=True)
    connection.create_function("lifecycle_coarse_number", 2, coarse_number, deterministic=True)
    connection.create_function("lifecycle_token", 3, _is_token, deterministic=True)


def _is_token(value: object, digits: int, suffix: str) -> bool:
    shape = f"{TOKEN_PREFIX}[0-9a-f]{{{digits}}}{re.escape(suffix)}"
    return isinstance(value, str) and re.fullmatch(shape, value) is not None


def misfit(affinity: str, word: str, transform: Transform) -> str | None:
    """Tell why a column of this affinity cannot be so transformed: SQLite would store another value."""
    room = re.search(r"CHAR\w*\s*\(\s*([0-9]+)\s*\)", word.upper())
    if room is not None and _length(transform) > int(room[1]):
        return f"{_length(transform)} characters are more than {word} declares"
    match transform:
        case SetNull():
            return None
        case Constant():
            text = isinstance(transform.value, str)
            converted = text and affinity != "text" and _NUMERIC.fullmatch(str(transform.value)) is not None
            fits = affinity in ({"text", "any"} if text else {"integer", "any"}) and not converted
        case CoarseDate() | Token():
            fits = affinity in {"text", "any"}
        case CoarseNumber():
            fits = affinity != "text"
        case _:
            assert_never(transform)
    return None if fits else f"the type {word or '(none)'} does not take it"


def _length(transform: Transform) -> int:
    """Return how many characters will stand there, where that is known."""
    if isinstance(transform, Token):
        return transform.length
    return len(transform.value) if isinstance(transform, Constant) and isinstance(transform.value, str) else 0


def done(column: Typed, transform: Transform, constant: Truth) -> Truth:
    """Decide by the value alone, never NULL; `constant` is its equality with a constant."""
    value = column.expression
    match transform:
        case SetNull():
            return value.is_(None)
        case Constant():
            same: Any = constant
        case CoarseDate() | CoarseNumber():
            made = transformed(column, transform)
            same = sa.and_(sa.func.typeof(made) == sa.func.typeof(value), _bare(made) == _bare(value))
        case Token():
            same = sa.func.lifecycle_token(value, transform.digits, transform.suffix) == 1
        case _:
            assert_never(transform)
    return sa.or_(value.is_(None), sa.func.coalesce(same, sa.literal(False)))


def _bare(expression: Expression) -> Expression:
    return sa.type_coerce(expression, sa.types.NullType()).collate("BINARY")


def transformed(column: Typed, transform: Transform) -> Expression:
    """What takes the value's place. `randomblob` is drawn anew for each row."""
    match transform:
        case SetNull():
            return sa.null()
        case Constant():
            value = transform.value
            return sa.literal(value if isinstance(value, str) else int(value))
        case CoarseDate():
            return sa.func.lifecycle_coarse_date(column.expression, transform.to)
        case CoarseNumber():
            return sa.func.lifecycle_coarse_number(column.expression, transform.step)
        case Token():
            text = sa.func.lower(sa.func.hex(sa.func.randomblob(16)))
            drawn = sa.func.substr(text, 1, transform.digits, type_=sa.Text())
            return sa.literal(TOKEN_PREFIX, sa.Text()) + drawn + sa.literal(transform.suffix, sa.Text())
        case _:
            assert_never(transform)

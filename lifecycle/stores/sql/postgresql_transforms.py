"""PostgreSQL: when a column is anonymised, and what takes its value's place; by the server, in the column's type."""

from __future__ import annotations

import re
from typing import assert_never

import sqlalchemy as sa

from lifecycle.core.transform import (
    TOKEN_PREFIX,
    TOKEN_UUID,
    CoarseDate,
    CoarseNumber,
    Constant,
    SetNull,
    Token,
    Transform,
)
from lifecycle.stores.sql.dialects import Expression, Truth, Typed
from lifecycle.stores.sql.postgresql_types import PostgresqlTypes, Server, kind_of

_TEXTS = {"text", "character varying", "character", "citext"}
_INTEGERS = {"smallint", "integer", "bigint"}
_INSTANTS = {"timestamp with time zone", "timestamp without time zone"}
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_DATED = "^[12][0-9]{3}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"
_CLOCK = r"([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_OFFSET = "(Z|[+-][0-9]{2}:?[0-9]{2})"


class PostgresqlTransforms(PostgresqlTypes):
    """Anonymising in PostgreSQL's types."""

    def misfit(self, word: str, transform: Transform) -> str | None:
        """Tell why a column of this type cannot be so transformed."""
        kind, room = kind_of(word), _room(word)
        match transform:
            case SetNull():
                fits = True
            case Constant():
                fits = kind in _kinds_of(transform.value)
                if fits and isinstance(transform.value, str) and room is not None and len(transform.value) > room:
                    return f"the constant is longer than {word}"
            case CoarseDate():
                fits = kind in {"date", *_INSTANTS} or (kind in _TEXTS and (room is None or room >= len("2000-01-01")))
            case CoarseNumber():
                fits = kind in {*_INTEGERS, "numeric"}
            case Token():
                if kind in _TEXTS and room is not None and room < transform.length:
                    return f"a token has {transform.length} characters, which {word} does not hold"
                fits = kind in {*_TEXTS, "uuid"} and not (kind == "uuid" and transform.suffix)
            case _:
                assert_never(transform)
        return None if fits else f"the type {word} does not take it"

    def done(self, column: Typed, transform: Transform) -> Truth:
        """Decide by the value alone; never NULL."""
        value = column.expression
        match transform:
            case SetNull():
                return value.is_(None)
            case Constant():
                same = self.equals(column, transform.value)
            case CoarseDate() | CoarseNumber():
                same = value == self.transformed(column, transform)
                if isinstance(transform, CoarseNumber) and kind_of(column.word) == "numeric":
                    same = sa.or_(same, sa.cast(value, sa.Text()).in_(_NO_NUMBERS))
            case Token():
                same = _plain(column).op("~", is_comparison=True)(sa.literal(_shape(column, transform), sa.Text()))
            case _:
                assert_never(transform)
        return sa.or_(value.is_(None), sa.func.coalesce(same, sa.literal(False)))

    def transformed(self, column: Typed, transform: Transform) -> Expression:
        """What takes the value's place. A token's random parts are drawn anew for each row."""
        kind, value = kind_of(column.word), column.expression
        match transform:
            case SetNull():
                return sa.null()
            case Constant():
                return _constant(transform, kind)
            case CoarseDate():
                return _text_date(column, transform.to) if kind in _TEXTS else _date(value, kind, transform.to)
            case CoarseNumber():
                step = sa.cast(sa.literal(str(transform.step), sa.Text()), Server("numeric"))
                return value - sa.func.mod(sa.cast(value, Server("numeric")), step)
            case Token():
                return _uuid() if kind == "uuid" else _token(transform)
            case _:
                assert_never(transform)


def _kinds_of(value: str | int | bool) -> set[str]:  # noqa: FBT001 - a document's value
    if isinstance(value, bool):
        return {"boolean"}
    return {*_INTEGERS, "numeric"} if isinstance(value, int) else _TEXTS


def _room(word: str) -> int | None:
    found = re.match(r"character(?: varying)?\(([0-9]+)\)", word)
    return int(found[1]) if found else 1 if re.match(r"character(?! varying)", word) else None


def _plain(column: Typed) -> Expression:
    return sa.cast(column.expression, sa.Text()).collate("C")


def _constant(transform: Constant, kind: str) -> Expression:
    value = transform.value
    if isinstance(value, bool):
        return sa.literal(value, sa.Boolean())
    if isinstance(value, int):
        return sa.cast(sa.literal(str(value), sa.Text()), Server(kind))
    return sa.literal(value, sa.Text())


def _date(value: Expression, kind: str, to: str) -> Expression:
    """The first day; NULL for infinity and for years that no calendar of four digits has."""
    first, end = (sa.cast(sa.literal(day, sa.Text()), Server(kind)) for day in ("0001-01-01", "10000-01-01"))
    return sa.case((sa.and_(value >= first, value < end), _truncated(value, kind, to)))


def _truncated(value: Expression, kind: str, to: str) -> Expression:
    if kind == "date":
        return sa.cast(sa.func.date_trunc(to, sa.cast(value, Server("timestamp without time zone"))), Server("date"))
    if kind == "timestamp without time zone":
        return sa.func.date_trunc(to, value)
    return sa.func.timezone("UTC", sa.func.date_trunc(to, sa.func.timezone("UTC", value)))


def _text_date(column: Typed, to: str) -> Expression:
    text = _plain(column)
    day = _part(text, 1, 4) + "-01-01" if to == "year" else _part(text, 1, 7) + "-01"
    midnight = day + _part(text, 11, 1) + "00:00:00"
    return sa.case(
        (_matches(text, f"{_DATED}$"), day),
        (_matches(text, f"{_DATED}{_CLOCK})$"), midnight),
        (_matches(text, f"{_DATED}{_CLOCK}){_OFFSET}$"), midnight + "Z"),
    )


def _part(text: Expression, first: int, length: int) -> Expression:
    return sa.func.substr(text, first, length, type_=sa.Text())


def _matches(text: Expression, pattern: str) -> Truth:
    return text.op("~", is_comparison=True)(sa.literal(pattern, sa.Text()))


def _shape(column: Typed, transform: Token) -> str:
    if kind_of(column.word) == "uuid":
        return f"^{TOKEN_UUID}[0-9a-f]{{4}}-8[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}$"
    suffix = "".join(f"[{letter}]" for letter in transform.suffix)
    return f"^{TOKEN_PREFIX}[0-9a-f]{{{transform.digits}}}{suffix}$"


def _drawn() -> Expression:
    return sa.cast(sa.func.gen_random_uuid(), sa.Text())


def _token(transform: Token) -> Expression:
    digits = _part(sa.func.replace(_drawn(), "-", ""), 1, transform.digits)
    return sa.literal(TOKEN_PREFIX, sa.Text()) + digits + sa.literal(transform.suffix, sa.Text())


def _uuid() -> Expression:
    # Two draws, one for each part: no part of the value depends on the other.
    text = sa.literal(TOKEN_UUID, sa.Text()) + _part(_drawn(), 10, 5) + "8" + _part(_drawn(), 16, 21)
    return sa.cast(text, Server("uuid"))

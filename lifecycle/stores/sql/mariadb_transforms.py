"""MariaDB: when a column is anonymised, and what takes its value's place; by the server, in the column's type.

The server's own random numbers are no secrets before 10.10, and its uuids tell a time: a token is a hash over a uuid
and a number that is drawn here for each statement. Nothing of the row is in it.
"""

from __future__ import annotations

import re
import secrets
from typing import assert_never

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

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
from lifecycle.stores.sql.mariadb_types import (
    CALENDAR,
    COLLATED,
    INTEGERS,
    TEXTS,
    MariadbTypes,
    as_text,
    exists,
    fits_integer,
    kind_of,
)

_ROOM = {"tinytext": 255}
_DATED = "^[12][0-9]{3}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])"
_CLOCK = "([ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_OFFSET = "(Z|[+-][0-9]{2}:?[0-9]{2})"
_END = r"\z"


class MariadbTransforms(MariadbTypes):
    """Anonymising in MariaDB's types."""

    def misfit(self, word: str, transform: Transform) -> str | None:
        """Tell why a column of this type cannot be so transformed."""
        kind, room = kind_of(word), _room(word)
        match transform:
            case SetNull():
                fits = True
            case Constant():
                return _misfit_constant(word, transform.value)
            case CoarseDate():
                fits = kind in CALENDAR or (kind in TEXTS and (room is None or room >= len("2000-01-01")))
            case CoarseNumber():
                fits = kind in {*INTEGERS, "decimal"}
            case Token():
                if kind in TEXTS and room is not None and room < transform.length:
                    return f"a token has {transform.length} characters, which {_plain(word)} does not hold"
                fits = kind in TEXTS or (kind == "uuid" and not transform.suffix)
            case _:
                assert_never(transform)
        return None if fits else _refusal(word)

    def done(self, column: Typed, transform: Transform) -> Truth:
        """Decide by the value alone; never NULL."""
        value = column.expression
        match transform:
            case SetNull():
                return value.is_(None)
            case Constant():
                same = self.equals(column, transform.value)
            case CoarseDate():
                shown = as_text(value) if kind_of(column.word) in TEXTS else value
                same = shown == self.transformed(column, transform)
            case CoarseNumber():
                same = value == self.transformed(column, transform)
            case Token():
                same = _matches(as_text(value), _shape(column, transform))
            case _:
                assert_never(transform)
        return sa.or_(value.is_(None), sa.func.coalesce(same, sa.literal_column("0")))

    def transformed(self, column: Typed, transform: Transform) -> Expression:
        """What takes the value's place. A token's random parts are drawn anew for each row."""
        kind, value = kind_of(column.word), column.expression
        match transform:
            case SetNull():
                return sa.null()
            case Constant():
                plain = transform.value
                return sa.literal(plain, sa.String()) if isinstance(plain, str) else sa.literal(int(plain))
            case CoarseDate():
                return _text_date(value, transform.to) if kind in TEXTS else _date(column, transform.to)
            case CoarseNumber():
                return value - sa.func.mod(value, sa.literal_column(str(int(transform.step))))
            case Token():
                return _uuid() if kind == "uuid" else _token(transform)
            case _:
                assert_never(transform)


def _refusal(word: str) -> str:
    return f"the type {_plain(word)} does not take it"


def _plain(word: str) -> str:
    return word.partition(COLLATED)[0]


def _room(word: str) -> int | None:
    found = re.match(r"(?:var)?char\(([0-9]+)\)", word)
    return int(found[1]) if found else _ROOM.get(kind_of(word))


def _misfit_constant(word: str, value: str | int | bool) -> str | None:  # noqa: FBT001 - a document's value
    kind, room = kind_of(word), _room(word)
    if isinstance(value, bool):
        return None if word.startswith("tinyint(1)") else _refusal(word)
    if isinstance(value, int):
        decimal = re.match(r"decimal\(([0-9]+),([0-9]+)\)", word)
        if decimal is not None:
            fits = len(str(abs(value))) <= int(decimal[1]) - int(decimal[2]) and (value >= 0 or "unsigned" not in word)
        else:
            fits = kind in INTEGERS and fits_integer(str(value), word)
        return None if fits else _refusal(word)
    if kind not in TEXTS:
        return _refusal(word)
    if room is not None and (len(value.encode()) if kind in _ROOM else len(value)) > room:
        return f"the constant is longer than {_plain(word)}"
    if not value.isascii() and not word.rpartition(COLLATED)[2].startswith("utf8"):
        return f"{_plain(word)} may not have every character of the constant"
    return "a CHAR column loses blanks at the end" if kind == "char" and value.endswith(" ") else None


def _date(column: Typed, to: str) -> Expression:
    """The first day; NULL for dates that no calendar has, and where a TIMESTAMP cannot hold it."""
    value = column.expression
    passed = sa.func.dayofyear(value) if to == "year" else sa.func.dayofmonth(value)
    first = sa.func.subdate(sa.func.date(value), passed - sa.literal_column("1"))
    believed = sa.and_(exists(value), sa.func.year(value) > sa.literal_column("0"))
    if kind_of(column.word) == "timestamp":
        believed = sa.and_(believed, first > sa.cast(sa.literal("1970-01-01", sa.String()), sa.Date()))
    return sa.case((believed, first))


def _text_date(value: Expression, to: str) -> Expression:
    text = as_text(value)
    start, rest = (4, "-01-01") if to == "year" else (7, "-01")
    day = sa.func.concat(sa.func.left(text, start), rest)
    midnight = sa.func.concat(day, sa.func.substr(text, 11, 1), "00:00:00")
    return sa.case(
        (_matches(text, _DATED + _END), day),
        (_matches(text, f"{_DATED}{_CLOCK}){_END}"), midnight),
        (_matches(text, f"{_DATED}{_CLOCK}){_OFFSET}{_END}"), sa.func.concat(midnight, "Z")),
    )


def _matches(text: Expression, pattern: str) -> Truth:
    return text.op("REGEXP", is_comparison=True)(sa.literal(pattern, sa.String()))


def _shape(column: Typed, transform: Token) -> str:
    if kind_of(column.word) == "uuid":
        return f"^{TOKEN_UUID}[0-9a-f]{{4}}-8[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}{_END}"
    suffix = "".join(f"[{letter}]" for letter in transform.suffix)
    return f"^{TOKEN_PREFIX}[0-9a-f]{{{transform.digits}}}{suffix}{_END}"


def _drawn(digits: int) -> Expression:
    fresh = sa.func.concat(sa.literal(secrets.token_hex(32), sa.String()), sa.func.uuid())
    return sa.func.left(sa.func.sha2(fresh, sa.literal_column("256")), digits)


def _token(transform: Token) -> Expression:
    return sa.func.concat(TOKEN_PREFIX, _drawn(transform.digits), transform.suffix)


def _uuid() -> Expression:
    text = sa.func.concat(TOKEN_UUID, _drawn(4), "-8", _drawn(3), "-a", _drawn(3), "-", _drawn(12))
    return sa.cast(text, mysql.CHAR(36))

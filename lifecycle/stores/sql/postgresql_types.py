"""PostgreSQL's types in expressions: bounds have the column's type, whatever the session's zone or locale (I14)."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import TimeColumn
from lifecycle.stores.sql.dialects import Expression, Truth, Typed
from lifecycle.stores.sql.times import epoch_interval, interval, wall_interval

LOOSE = " with a nondeterministic collation"
"""What the catalogue adds to the type of a column whose equality is not byte-exact."""

_INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}
_TEXTS = {"text", "character varying", "character", "citext"}
_NUMBERS = {*_INTEGERS, "numeric"}
_TIMES = {
    "date": {"date"},
    "utc": {"timestamp with time zone", "timestamp without time zone"},
    "local": {"timestamp without time zone"},
    "epoch-s": _NUMBERS,
    "epoch-ms": _NUMBERS,
    "iso-text": {"text", "character varying", "character"},
}
_YEAR = "[12][0-9]{3}"
_LEAP = "([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)"
_DAY = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP}-02-29)"
)
_CLOCK = "[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_OFFSET = "(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
_DATED, _NAIVE, _AWARE = f"^{_DAY}$", f"^{_DAY}{_CLOCK}$", f"^{_DAY}{_CLOCK}{_OFFSET}$"


class Server(UserDefinedType[Any]):
    """A type by the server's own word, as `format_type` spelled it."""

    cache_ok = True

    def __init__(self, word: str) -> None:
        self.word = word

    def get_col_spec(self, **_: object) -> str:
        """Return the word."""
        return self.word


def kind_of(word: str) -> str:
    """Return the type without length, precision or collation: `timestamp(3) with time zone` → without `(3)`."""
    return re.sub(r"\([0-9, ]+\)", "", word.removesuffix(LOOSE))


def _as(text: str, word: str) -> Expression:
    return sa.cast(sa.literal(text, sa.Text()), Server(word))


class PostgresqlTypes:
    """Which columns fit, and how they are compared."""

    def fits_time(self, word: str, time: TimeColumn) -> bool:
        """Tell whether the type is one of those the encoding allows."""
        return kind_of(word) in _TIMES[time.encoding]

    def fits_tenant(self, word: str) -> bool:
        """Integers, uuid and texts."""
        return kind_of(word) in {*_INTEGERS, *_TEXTS, "uuid"}

    def within(self, column: Typed, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
        """Bounds of the column's own type around the bare column: an index on it serves."""
        if not self.fits_time(column.word, time):
            raise Refused("a time column's type does not fit its declared encoding", guard="time-type")
        kind, value = kind_of(column.word), column.expression
        if time.encoding == "date":
            low, high = _as(first.isoformat(), "date"), _as(last.isoformat(), "date")
            return self._sure(column, sa.and_(value >= low, value <= high))
        if time.encoding in {"epoch-s", "epoch-ms"}:
            start, end = epoch_interval(first, last, zone, 1000 if time.encoding == "epoch-ms" else 1)
            word = "numeric" if kind == "numeric" else "bigint"
            return self._sure(column, sa.and_(value >= _as(str(start), word), value < _as(str(end), word)))
        if time.encoding == "iso-text":
            return self._within_text(value, time, zone, first, last)
        return self._sure(column, _between(value, *self._instants(time, zone, first, last, kind), kind))

    @staticmethod
    def _sure(column: Typed, truth: Truth) -> Truth:
        # Not coalesce(): the planner must see bare comparisons.
        return sa.and_(column.expression.is_not(None), truth)

    @staticmethod
    def _instants(time: TimeColumn, zone: str, first: date, last: date, kind: str) -> tuple[datetime, datetime]:
        if time.encoding == "local":
            return wall_interval(first, last, zone, time.zone or zone)
        start, end = interval(first, last, zone)
        if kind == "timestamp without time zone":
            return start.replace(tzinfo=None), end.replace(tzinfo=None)
        return start, end

    @staticmethod
    def _within_text(value: Expression, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
        start, end = interval(first, last, zone)
        naive = wall_interval(first, last, zone, time.zone) if time.zone else (_bare(start), _bare(end))
        low, high = _as(first.isoformat(), "date"), _as(last.isoformat(), "date")
        dated = sa.cast(value, Server("date"))
        # CASE evaluates in order: a cast never sees a text that its pattern has not passed.
        return sa.case(
            (_matches(value, _DATED), sa.and_(dated >= low, dated <= high)),
            (_matches(value, _NAIVE), _between_cast(value, *naive, "timestamp without time zone")),
            (_matches(value, _AWARE), _between_cast(value, start, end, "timestamp with time zone")),
            else_=sa.false(),
        )

    def oldest(self, column: Typed, time: TimeColumn, zone: str) -> Expression:
        """The day of the least value; for texts the least of the days."""
        value, kind = column.expression, kind_of(column.word)
        if time.encoding == "date":
            return sa.func.min(value)
        if time.encoding in {"epoch-s", "epoch-ms"}:
            scale = 1000 if time.encoding == "epoch-ms" else 1
            return _day(sa.func.to_timestamp(sa.func.min(value) / sa.literal_column(str(scale))), zone)
        if time.encoding == "iso-text":
            return sa.func.min(self._text_day(value, time, zone))
        least: Expression = sa.func.min(value)
        if kind == "timestamp without time zone":
            least = sa.func.timezone(time.zone if time.encoding == "local" else "UTC", least)
        return _day(least, zone)

    @staticmethod
    def _text_day(value: Expression, time: TimeColumn, zone: str) -> Expression:
        naive = sa.func.timezone(time.zone or "UTC", sa.cast(value, Server("timestamp without time zone")))
        return sa.case(
            (_matches(value, _DATED), sa.cast(value, Server("date"))),
            (_matches(value, _NAIVE), _day(naive, zone)),
            (_matches(value, _AWARE), _day(sa.cast(value, Server("timestamp with time zone")), zone)),
        )

    def tenant_is(self, column: Typed, tenant: str) -> Truth:
        """The id in the column's type; a text column also byte by byte where its own equality is looser."""
        kind, value = kind_of(column.word), column.expression
        if kind in _INTEGERS:
            if not _canonical_int(tenant, _INTEGERS[kind]):
                raise Refused("the tenant's id is no value of the tenant column's type", guard="tenant-type")
            return value == _as(tenant, "bigint")
        if kind == "uuid":
            if not _canonical_uuid(tenant):
                raise Refused("the tenant's id is no value of the tenant column's type", guard="tenant-type")
            return value == _as(tenant, "uuid")
        return self.tenant_text(column) == sa.literal(tenant, sa.Text())

    def tenant_text(self, column: Typed) -> Expression:
        """Text under the collation C where the column's own equality would fold case, blanks or accents."""
        kind, value = kind_of(column.word), column.expression
        if kind in {"text", "character varying"} and not column.word.endswith(LOOSE):
            return sa.type_coerce(value, sa.Text())
        if not self.fits_tenant(column.word):
            raise Refused("the tenant column's type is none that is compared byte by byte", guard="tenant-type")
        return sa.cast(value, sa.Text()).collate("C")

    def tenant_matches(self, column: Typed, id: Expression, number: Expression) -> Truth:
        """Numbers where the column has numbers: a cast of each row's would cost a fifth of the rate."""
        if kind_of(column.word) in _INTEGERS:
            return number == column.expression
        return id == self.tenant_text(column)

    def equals(self, column: Typed, value: str | int | bool) -> Truth:  # noqa: FBT001
        """The value in the column's type, never the other way round."""
        kind, expression = kind_of(column.word), column.expression
        refused = Refused("a condition's value is no value of its column's type", guard="value-type")
        if isinstance(value, bool):
            if kind != "boolean":
                raise refused
            return self._sure(column, expression == sa.literal(value, sa.Boolean()))
        if isinstance(value, int):
            if kind not in _NUMBERS or not _canonical_int(str(value), 63):
                raise refused
            return self._sure(column, expression == _as(str(value), "bigint"))
        if kind in {*_NUMBERS, "boolean"} or (kind == "uuid" and not _canonical_uuid(value)):
            raise refused
        return self._sure(column, sa.cast(expression, sa.Text()).collate("C") == sa.literal(value, sa.Text()))

    def as_cursor(self, column: Typed) -> Expression:
        """PostgreSQL's text form, which its types read back without loss under our session's settings."""
        return sa.cast(column.expression, sa.Text())

    def from_cursor(self, column: Typed, value: str) -> Expression:
        """The text form in the column's type; never one with a length, which would cut the value."""
        kind = kind_of(column.word)
        if kind in {"text", "character varying"}:
            return sa.literal(value, sa.Text())
        return _as(value, "bpchar" if kind == "character" else kind)

    def walks_by_time(self, word: str) -> bool:
        """Every type but texts."""
        return kind_of(word) not in _TEXTS


def _bare(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _between(value: Expression, start: datetime, end: datetime, word: str) -> Truth:
    return sa.and_(value >= _as(start.isoformat(sep=" "), word), value < _as(end.isoformat(sep=" "), word))


def _between_cast(value: Expression, start: datetime, end: datetime, word: str) -> Truth:
    return _between(sa.cast(value, Server(word)), start, end, word)


def _matches(value: Expression, pattern: str) -> Truth:
    # Under the collation C a digit is one of ten, whatever the database's locale.
    return sa.cast(value, sa.Text()).collate("C").op("~", is_comparison=True)(sa.literal(pattern, sa.Text()))


def _day(instant: Expression, zone: str) -> Expression:
    return sa.cast(sa.func.timezone(zone, instant), Server("date"))


def _canonical_int(text: str, bits: int) -> bool:
    plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20
    return plain and str(int(text)) == text and -(2**bits) <= int(text) < 2**bits


def _canonical_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False

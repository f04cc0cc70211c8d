"""MariaDB's types in expressions: bounds have the column's type, texts are compared byte by byte, odd dates never fit.

A text is first compared as the column compares, so that an index serves, and then under a collation that knows neither
case nor accents nor padding. A DATE may hold 0000-00-00, 2025-00-10 or 2025-02-31: such a value has no day.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import TimeColumn
from lifecycle.stores.sql import mariadb_text
from lifecycle.stores.sql.dialects import Expression, Truth, Typed
from lifecycle.stores.sql.mariadb_days import LocalDay
from lifecycle.stores.sql.times import epoch_interval, interval, wall_interval

EXACT = "utf8mb4_nopad_bin"
"""The collation that tells apart what differs in any byte: utf8mb4_bin still ignores blanks at the end."""
COLLATED = " collate "

INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_BINARIES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
CALENDAR = {"date", "datetime", "timestamp"}
_COUNTED = {"enum", "set", "bit"}
"""Types that are in the order of a number behind their value."""
_NUMBERS = {*INTEGERS, "decimal"}
_INEXACT = {"float", "double"}
_TIMES = {
    "date": {"date"},
    "utc": {"datetime", "timestamp"},
    "local": {"datetime"},
    "epoch-s": _NUMBERS,
    "epoch-ms": _NUMBERS,
    "iso-text": TEXTS,
}
_ASCII_CHARSETS = ("latin1", "latin2", "ascii", "cp1250", "cp1252")


def kind_of(word: str) -> str:
    """Return the type's name alone: `bigint(20) unsigned` is a `bigint`."""
    found = re.match(r"[a-z0-9]+", word)
    return found[0] if found is not None else word


def as_moment(text: str) -> Expression:
    """A bound instant or wall time."""
    return sa.cast(sa.literal(text, sa.String()), mysql.DATETIME(fsp=6))


def as_date(day: date) -> Expression:
    """A bound day."""
    return sa.cast(sa.literal(day.isoformat(), sa.String()), sa.Date())


def as_text(value: Expression) -> Expression:
    """Any value as text that is compared byte by byte."""
    return sa.cast(value, mysql.CHAR(charset="utf8mb4")).collate(EXACT)


class MariadbTypes:
    """Which columns fit, and how they are compared."""

    def fits_time(self, word: str, time: TimeColumn) -> bool:
        """Tell whether the type is one of those the encoding allows."""
        return kind_of(word) in _TIMES[time.encoding]

    def fits_tenant(self, word: str) -> bool:
        """Integers, uuid and texts."""
        return kind_of(word) in {*INTEGERS, *TEXTS, "uuid"}

    # ---- times ----

    def within(self, column: Typed, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
        """Bounds of the column's own type around the bare column: an index on it serves."""
        if not self.fits_time(column.word, time):
            raise Refused("a time column's type does not fit its declared encoding", guard="time-type")
        value = column.expression
        if time.encoding == "date":
            return self._sure(column, sa.and_(value >= as_date(first), value <= as_date(last), exists(value)))
        if time.encoding in {"epoch-s", "epoch-ms"}:
            start, end = epoch_interval(first, last, zone, 1000 if time.encoding == "epoch-ms" else 1)
            return self._sure(column, sa.and_(value >= _number(start), value < _number(end)))
        if time.encoding == "iso-text":
            return mariadb_text.within(as_text(value), time, zone, first, last)
        low, high = (
            wall_interval(first, last, zone, time.zone or zone)
            if time.encoding == "local"
            else _bare(*interval(first, last, zone))
        )
        return self._sure(column, sa.and_(between(value, low, high), exists(value)))

    @staticmethod
    def _sure(column: Typed, truth: Truth) -> Truth:
        # Bare comparisons for the index; a NULL anywhere is false.
        return sa.and_(column.expression.is_not(None), truth)

    def oldest(self, column: Typed, time: TimeColumn, zone: str) -> Expression:
        """The least value; its local day is told where it comes out, because the server may know no zones."""
        least: Expression = sa.func.min(column.expression)
        if time.encoding == "iso-text":
            least = mariadb_text.least(as_text(column.expression))
        return sa.type_coerce(least, LocalDay(time.encoding, time.zone, zone))

    def walks_by_time(self, word: str) -> bool:
        """Every type but texts."""
        return kind_of(word) not in TEXTS

    # ---- tenants and values ----

    def tenant_is(self, column: Typed, tenant: str) -> Truth:
        """The id in the column's type; a text as the column compares it, and byte by byte."""
        kind, value = kind_of(column.word), column.expression
        if kind in INTEGERS:
            if not fits_integer(tenant, column.word):
                raise Refused("the tenant's id is no value of the tenant column's type", guard="tenant-type")
            return value == _number(int(tenant))
        if kind == "uuid":
            if not _canonical_uuid(tenant):
                raise Refused("the tenant's id is no value of the tenant column's type", guard="tenant-type")
            return value == sa.literal(tenant, sa.String())
        if kind not in TEXTS:
            raise Refused("the tenant column's type is none that is compared byte by byte", guard="tenant-type")
        return self._same_text(column, tenant)

    def tenant_text(self, column: Typed) -> Expression:
        """Text under the exact collation; a number without the zeros that ZEROFILL would show."""
        kind, value = kind_of(column.word), column.expression
        if not self.fits_tenant(column.word):
            raise Refused("the tenant column's type is none that is compared byte by byte", guard="tenant-type")
        if kind in INTEGERS:
            return as_text(value + sa.literal_column("0"))
        return exactly(column)

    def tenant_matches(self, column: Typed, id: Expression, number: Expression) -> Truth:
        """Numbers where the column has numbers; else the mirror's own collation, which is exact and indexed."""
        if kind_of(column.word) in INTEGERS:
            return number == column.expression
        return id == self.tenant_text(column)

    def equals(self, column: Typed, value: str | int | bool) -> Truth:  # noqa: FBT001
        """The value in the column's type, never the other way round: a text is not 0, whatever MariaDB says."""
        kind, expression = kind_of(column.word), column.expression
        refused = Refused("a condition's value is no value of its column's type", guard="value-type")
        if isinstance(value, bool):
            if not column.word.startswith("tinyint(1)"):
                raise refused
            return self._sure(column, expression == _number(int(value)))
        if isinstance(value, int):
            if kind not in _NUMBERS or not -(2**63) <= value < 2**64:
                raise refused
            return self._sure(column, expression == _number(value))
        if kind in {*_NUMBERS, *_INEXACT, *_BINARIES, "bit"} or (kind == "uuid" and not _canonical_uuid(value)):
            raise refused
        if kind in TEXTS:
            return self._sure(column, self._same_text(column, value))
        return self._sure(column, as_text(expression) == sa.literal(value, sa.String()))

    @staticmethod
    def _same_text(column: Typed, value: str) -> Truth:
        literal = sa.literal(value, sa.String())
        same = exactly(column) == literal
        # A charset that has no such character would be an error of the statement, not a difference.
        charset = column.word.rpartition(COLLATED)[2]
        known = charset.startswith("utf8") or (value.isascii() and charset.startswith(_ASCII_CHARSETS))
        return sa.and_(column.expression == literal, same) if known else same

    # ---- cursors ----

    def as_cursor(self, column: Typed) -> Expression:
        """Text that reads back without loss; NULL for a date that no calendar has."""
        kind, value = kind_of(column.word), column.expression
        if kind in _BINARIES:
            return sa.func.hex(value)
        if kind in {*INTEGERS, *_COUNTED}:
            return as_text(value + sa.literal_column("0"))
        if kind in CALENDAR:
            return sa.case((exists(value), as_text(value)))
        return as_text(value)

    def from_cursor(self, column: Typed, value: str) -> Expression:
        """The text in the column's type."""
        kind = kind_of(column.word)
        if kind in _BINARIES:
            return sa.func.unhex(sa.literal(value, sa.String()))
        if kind in {*INTEGERS, *_COUNTED}:
            return _number(int(value))
        if kind == "decimal":
            return sa.cast(sa.literal(value, sa.String()), sa.DECIMAL(65, 30))
        if kind == "date":
            return as_date(date.fromisoformat(value))
        if kind in {"datetime", "timestamp"}:
            return as_moment(value)
        return sa.literal(value, sa.String())

    @staticmethod
    def key(column: Typed) -> Expression:
        """A key's value as a sealed list keeps it: a number, a text or bytes."""
        raw = {*INTEGERS, *TEXTS, *_BINARIES}
        return column.expression if kind_of(column.word) in raw else as_text(column.expression)


def exactly(column: Typed) -> Expression:
    """A text column under the exact collation, converted only where its characters are others."""
    collation = column.word.rpartition(COLLATED)[2]
    if collation == EXACT:
        return column.expression
    if collation.startswith("utf8mb4") and kind_of(column.word) in TEXTS:
        return sa.type_coerce(column.expression, sa.String()).collate(EXACT)
    return as_text(column.expression)


def between(value: Expression, start: datetime, end: datetime) -> Truth:
    """A moment lies in [start, end)."""
    return sa.and_(value >= as_moment(start.isoformat(sep=" ")), value < as_moment(end.isoformat(sep=" ")))


def _bare(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    return start.replace(tzinfo=None), end.replace(tzinfo=None)


def exists(value: Expression) -> Truth:
    """The date is one of the calendar's: its month has such a day."""
    day: Any = sa.func.dayofmonth(value)
    last = sa.func.dayofmonth(sa.func.last_day(value))
    return sa.func.coalesce(sa.and_(day >= sa.literal_column("1"), day <= last), sa.literal_column("0"))


def _number(value: int) -> Expression:
    return sa.literal(value, sa.BigInteger())


def fits_integer(text: str, word: str) -> bool:
    """Tell whether a text spells an integer of this type as the type does."""
    bits, unsigned = INTEGERS[kind_of(word)], "unsigned" in word
    plain = text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20
    low, high = (0, 2**bits) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return plain and str(int(text)) == text and low <= int(text) < high


def _canonical_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False

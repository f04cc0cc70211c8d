"""Texts as times in MariaDB: strictly what `isotext` describes, decided by patterns before anything is converted.

In a DELETE a text that does not convert is an error of the whole statement: no conversion sees what no pattern passed.
"""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from lifecycle.core.inventory import TimeColumn
from lifecycle.stores.sql.dialects import Expression, Truth
from lifecycle.stores.sql.mariadb_days import SEPARATOR
from lifecycle.stores.sql.times import interval, wall_interval

_YEAR = "[12][0-9]{3}"
_LEAP = "([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)"
_DAY = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP}-02-29)"
)
_CLOCK = "[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"
_OFFSET = "(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])"
# \z, not $: a newline at the end is no part of a time.
_DATED, _NAIVE, _AWARE = rf"^{_DAY}\z", rf"^{_DAY}{_CLOCK}\z", rf"^{_DAY}{_CLOCK}{_OFFSET}\z"


def within(text: Expression, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
    """The text is a time whose local day lies between."""
    start, end = interval(first, last, zone)
    naive = wall_interval(first, last, zone, time.zone) if time.zone else (start, end)
    day = _day(text)
    return sa.case(
        (_matches(text, _DATED), sa.and_(day >= _bound_day(first), day <= _bound_day(last))),
        (_matches(text, _NAIVE), _between(_wall(text), *naive)),
        (_matches(text, _AWARE), _between(_instant(text), start, end)),
        else_=sa.literal_column("0"),
    )


def least(text: Expression) -> Expression:
    """An aggregate: the least date, wall time and instant among the texts, parted by `SEPARATOR`."""
    forms = ((_DATED, _day(text)), (_NAIVE, _wall(text)), (_AWARE, _instant(text)))
    found = [sa.func.min(sa.case((_matches(text, pattern), value))) for pattern, value in forms]
    return sa.func.concat_ws(SEPARATOR, *(sa.func.coalesce(sa.cast(value, mysql.CHAR()), "") for value in found))


def _matches(text: Expression, pattern: str) -> Truth:
    return text.op("REGEXP", is_comparison=True)(sa.literal(pattern, sa.String()))


def _day(text: Expression) -> Expression:
    return sa.cast(text, sa.Date())


def _wall(text: Expression) -> Expression:
    parts = sa.func.concat(sa.func.substr(text, 1, 10), " ", sa.func.substr(text, 12))
    return sa.cast(parts, mysql.DATETIME(fsp=6))


def _instant(text: Expression) -> Expression:
    """The wall time without its offset, and then the offset taken off."""
    width = sa.func.char_length(text)
    ends = sa.func.right(text, 1) == "Z"
    length = sa.case((ends, 1), (sa.func.substr(text, -3, 1) == ":", 6), else_=5)
    wall = _wall(sa.func.left(text, width - length))
    offset = sa.func.right(text, length)
    hours, minutes = sa.cast(sa.func.substr(offset, 2, 2), sa.Integer()), sa.cast(sa.func.right(text, 2), sa.Integer())
    sign = sa.case((sa.func.left(offset, 1) == "-", 1), else_=-1)
    shift = sa.case((ends, 0), else_=sign * (hours * 60 + minutes))
    return sa.func.timestampadd(sa.literal_column("MINUTE"), shift, wall)


def _bound_day(day: date) -> Expression:
    return sa.cast(sa.literal(day.isoformat(), sa.String()), sa.Date())


def _between(value: Expression, start: datetime, end: datetime) -> Truth:
    low, high = (
        sa.cast(sa.literal(bound.replace(tzinfo=None).isoformat(sep=" "), sa.String()), mysql.DATETIME(fsp=6))
        for bound in (start, end)
    )
    return sa.and_(value >= low, value < high)

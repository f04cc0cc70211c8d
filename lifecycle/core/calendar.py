"""Days as a zone has them, and cutoffs: which start dates are due on a day (architecture.md "Time", I14).

A cutoff is the greatest date D such that *every* date on or before D is due: adding a period to a date never changes
the order of two dates, so the due dates are a range. Sources: §§ 187, 188 BGB; § 147(4) AO for the year's end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.period import ONE_DAY, Period, year_end

Periods = tuple[Period, ...]
"""Periods that are added one after the other: a parameter, then the operator's reading."""

_NOT_PLACES = frozenset({"localtime", "posixrules", "Factory"})
_SUNDAY = 6


@lru_cache(maxsize=256)
def zone_known(name: str) -> bool:
    """Tell whether the name is a zone of the IANA database; names that depend on the machine are none."""
    return name not in _NOT_PLACES and name in available_timezones()


def start_of_day(day: date, zone: str) -> datetime:
    """Return the UTC instant at which `day` begins in `zone`: the earliest whose local date is `day`.

    Where midnight is skipped the day begins at the change; a date that the zone skipped whole begins where the next
    one does.
    """
    place = ZoneInfo(zone)
    midnight = datetime.combine(day, time.min, tzinfo=place)
    late = midnight.astimezone(UTC)
    if late.astimezone(place).replace(tzinfo=None, fold=0) == midnight.replace(tzinfo=None):
        return late
    # Midnight lies in a gap: the change comes after the reading by the new offset, at the latest at the one by the old.
    early = midnight.replace(fold=1).astimezone(UTC)
    seconds = _first(
        0, int((late - early).total_seconds()), lambda s: _reached(early + timedelta(seconds=s), place, day)
    )
    return early + timedelta(seconds=seconds)


def local_date(instant: datetime, zone: str) -> date:
    """Return the date that the instant has in `zone`. Raises InvalidDocument for a naive time."""
    if instant.tzinfo is None:
        raise InvalidDocument("a time without its offset names no instant", advice="Pass an aware time (UTC).")
    return instant.astimezone(ZoneInfo(zone)).date()


def day_in(today: date, zone: str) -> date:
    """Return the local date of an aware instant; a plain date is every zone's date."""
    return local_date(today, zone) if isinstance(today, datetime) else today


def add(start: date, periods: Periods) -> date:
    """Return the day all periods later, one after the other."""
    for period in periods:
        start = period.after(start)
    return start


def ceiling_cutoff(today: date, period: Period | Periods, margin_days: int) -> date | None:
    """Return the greatest start date with `start + period <= today + margin`; None where the calendar has none."""
    periods = (period,) if isinstance(period, Period) else period
    target = today + timedelta(days=margin_days)
    # Due at the lower bound, not due at the upper: no period is shorter or longer than its own bounds say.
    lower = max(0, target.toordinal() - sum(part.most_days() for part in periods))
    upper = target.toordinal() - sum(part.least_days() for part in periods) + 1
    if upper <= 1:
        return None
    first_not_due = _first(lower, upper, lambda number: number > 0 and add(date.fromordinal(number), periods) > target)
    return date.fromordinal(first_not_due - 1) if first_not_due > 1 else None


def floor_cutoff(today: date, period: Period | Periods) -> date | None:
    """Return the greatest start date whose floor is over: its last day, `start + period`, lies before today."""
    return ceiling_cutoff(today - ONE_DAY, period, 0)


def year_end_floor_cutoff(today: date, period: Period | Periods) -> date | None:
    """Return the greatest start date whose floor, counted from 31 December of its year, is over."""
    latest = floor_cutoff(today, period)
    if latest is None or latest == year_end(latest):
        return latest
    return date(latest.year - 1, 12, 31) if latest.year > 1 else None


def is_werktag(day: date, holidays: Collection[date]) -> bool:
    """Tell whether the day is a Werktag: Monday to Saturday, no public holiday (§ 3(2) BUrlG's sense)."""
    return day.weekday() != _SUNDAY and day not in holidays


def werktage_before(day: date, n: int, holidays: Collection[date]) -> date:
    """Return the last day on which a notice of at least `n` Werktage for `day` may arrive.

    `n` whole Werktage lie between the two; neither end counts (§§ 187(1), 188 BGB, counted back; § 193 does not apply).
    """
    if n < 1:
        raise InvalidDocument("a notice period has at least one Werktag", advice="Write a number from 1.")
    left = n
    while left:
        day -= ONE_DAY
        left -= is_werktag(day, holidays)
    return day - ONE_DAY


def _first(lower: int, upper: int, holds: Callable[[int], bool]) -> int:
    """Return the least number in (lower, upper] for which the monotone condition holds; it holds at `upper`."""
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if holds(middle):
            upper = middle
        else:
            lower = middle
    return upper


def _reached(instant: datetime, place: ZoneInfo, day: date) -> bool:
    return instant.astimezone(place).date() >= day

"""Local days as bounds: pure calendar arithmetic that every dialect's compiler shares.

A day begins at local midnight. Where midnight does not exist (clocks go forward over it) it begins with the first
instant after the gap; where it exists twice, with the first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from lifecycle.core.errors import Refused

_LONGEST_OVERLAP = 24 * 60


@cache
def zone_info(name: str) -> ZoneInfo:
    """Return the zone. Refused (guard `zone`) when the machine does not know it."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Refused(f"the time zone {name!r} is not known here", guard="zone") from None


def begins(day: date, zone: str) -> datetime:
    """Return the instant at which the local day begins, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone_info(zone)).astimezone(UTC)


def latest(wall: datetime, zone: str) -> datetime:
    """Return the last instant (UTC) that a clock in the zone may have shown as `wall`: ambiguous times count late."""
    info = zone_info(zone)
    return max(wall.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1))


def wall_bound(instant: datetime, zone: str) -> datetime:
    """Return the naive local time before which every `latest` lies before the instant."""
    wall = instant.astimezone(zone_info(zone)).replace(tzinfo=None)
    step = timedelta(minutes=1)
    for _ in range(_LONGEST_OVERLAP):
        if latest(wall - timedelta(microseconds=1), zone) < instant:
            return wall
        wall -= step
    raise Refused(f"no local time of {zone!r} lies before the bound", guard="zone")


def interval(first: date, last: date, zone: str) -> tuple[datetime, datetime]:
    """Return [from, to) in UTC: the instants whose local day in the zone is first, last, or between."""
    return begins(first, zone), begins(last + timedelta(days=1), zone)


def wall_interval(first: date, last: date, zone: str, column_zone: str) -> tuple[datetime, datetime]:
    """Return [from, to) as naive times of the column's zone, for days of `zone`."""
    if zone == column_zone:
        return datetime.combine(first, time()), datetime.combine(last + timedelta(days=1), time())
    start, end = interval(first, last, zone)
    return start.astimezone(zone_info(column_zone)).replace(tzinfo=None), wall_bound(end, column_zone)


def epoch_interval(first: date, last: date, zone: str, scale: int) -> tuple[int, int]:
    """Return [from, to) as counts since 1970: scale 1 for seconds, 1000 for milliseconds."""
    start, end = interval(first, last, zone)
    # Local days begin on whole seconds in every zone since 1972: nothing is lost.
    return int(start.timestamp()) * scale, int(end.timestamp()) * scale

"""Which texts are times, strictly: what the databases' patterns and SQLite's own function agree on.

A date is `YYYY-MM-DD`; a time adds `T` or a blank, `HH:MM`, seconds with up to six decimals, and an offset. Nothing
else is: no week dates, no `24:00`, no blanks around, no other digits, no words like `now`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from lifecycle.stores.sql.times import latest, zone_info

_TEXT = re.compile(
    r"([12][0-9]{3}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T]((?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?)"
    r"(Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])?)?"
)


def local_day(value: object, encoding: str, column_zone: str | None, zone: str) -> date | None:
    """Return the local day in `zone` of a stored value, or None when the value is no time of that encoding."""
    if isinstance(value, int | float) and encoding in {"epoch-s", "epoch-ms"}:
        return _of_epoch(value, 1000 if encoding == "epoch-ms" else 1, zone)
    if not isinstance(value, str) or (match := _TEXT.fullmatch(value)) is None:
        return None
    day, clock, offset = match.groups()
    fits = {
        "date": clock is None,
        "utc": clock is not None,
        "local": clock is not None and offset is None,
        "iso-text": True,
    }
    if not fits.get(encoding, False):
        return None
    try:
        if clock is None:
            return date.fromisoformat(day)
        moment = datetime.fromisoformat(f"{day}T{clock}{offset or ''}")
        return _instant(moment, encoding, column_zone).astimezone(zone_info(zone)).date()
    except (ValueError, OverflowError):
        return None


def _instant(moment: datetime, encoding: str, column_zone: str | None) -> datetime:
    if moment.tzinfo is not None:
        return moment
    if encoding == "utc" or column_zone is None:
        return moment.replace(tzinfo=UTC)
    return latest(moment, column_zone)


def _of_epoch(value: float, scale: int, zone: str) -> date | None:
    try:
        return datetime.fromtimestamp(value // scale, UTC).astimezone(zone_info(zone)).date()
    except (ValueError, OverflowError, OSError):
        return None

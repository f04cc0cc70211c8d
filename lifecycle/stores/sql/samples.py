"""What stored values look like, read as a start time: one word for each value, so that only counts go on.

Pure: a value is the text that the database makes of it. No value leaves this module.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from lifecycle.core.inventory import TimeColumn
from lifecycle.stores.sql.isotext import local_day

Looks = Literal[
    "null", "sentinel", "unreadable", "number", "seconds", "milliseconds", "finer", "future", "early", "naive", "aware",
    "plain",
]  # fmt: skip
SENTINELS = frozenset(
    {"0000-00-00", "0001-01-01", "1753-01-01", "1899-12-30", "1900-01-01", "1970-01-01", "9999-12-31"}
)
"""Days that applications write for "none" and "never"."""

_NUMBER = re.compile(r"(-?[0-9]{1,19})(?:\.[0-9]*)?")
_DAY = re.compile(r"[0-9]{4,6}-[0-9]{2}-[0-9]{2}")
_OFFSET = re.compile(r".*[0-9](?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)")
_SCALES: tuple[tuple[int, Looks], ...] = ((10**11, "seconds"), (10**14, "milliseconds"))
_LEAST_SECONDS = 10**8
"""1973: smaller numbers are counts, or days, or years."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many sampled values there are, and how many look like what; sentinels also by their day."""

    sampled: int
    looks: Mapping[Looks, int]
    sentinels: tuple[str, ...]

    def of(self, *kinds: Looks) -> int:
        """Return how many values look like one of these."""
        return sum(self.looks.get(kind, 0) for kind in kinds)


def tally(values: Iterable[str | None], time: TimeColumn, today: date, *, native: bool) -> Tally:
    """Read each value as the declared time. `native`: the column's type holds times by nature."""
    looks: Counter[Looks] = Counter()
    sentinels: set[str] = set()
    for value in values:
        kind, sentinel = _look(value, time, today, native=native)
        looks[kind] += 1
        if sentinel is not None:
            sentinels.add(sentinel)
    return Tally(looks.total(), dict(looks), tuple(sorted(sentinels)))


def _look(value: str | None, time: TimeColumn, today: date, *, native: bool) -> tuple[Looks, str | None]:
    if value is None:
        return "null", None
    if value.endswith("infinity"):
        return "sentinel", value
    if (number := _NUMBER.fullmatch(value)) is not None and not native:
        return _of_number(int(number[1]), time, today)
    day = _DAY.match(value)
    if day is not None and day[0] in SENTINELS and not value.endswith(" BC"):
        return "sentinel", day[0]
    if not native and (read := local_day(value, time.encoding, time.zone, "UTC")) is None:
        return "unreadable", None
    found = read if not native else _native(value, today)
    if found is None or found < time.not_before:
        return "early", None
    if found > today + timedelta(days=1):
        return "future", None
    if native or time.encoding == "date" or len(value) == len("2026-01-01"):
        return "plain", None
    return "aware" if _OFFSET.fullmatch(value) else "naive", None


def _of_number(number: int, time: TimeColumn, today: date) -> tuple[Looks, str | None]:
    if number in {0, -1}:
        return "sentinel", str(number)
    scale: Looks = next((kind for most, kind in _SCALES if abs(number) < most), "finer")
    if time.encoding not in {"epoch-s", "epoch-ms"}:
        return scale if number >= _LEAST_SECONDS else "number", None
    wanted: Looks = "milliseconds" if time.encoding == "epoch-ms" else "seconds"
    if number >= _LEAST_SECONDS and scale != wanted:
        return scale, None
    found = local_day(number, time.encoding, None, "UTC")
    if found is None or found < time.not_before:
        return "early", None
    return "future" if found > today + timedelta(days=1) else "plain", None


def _native(value: str, today: date) -> date | None:
    """Return the day of a value of a date's or timestamp's own type; None for what lies before our era."""
    if value.endswith(" BC"):
        return None
    day = _DAY.match(value)
    year = day[0].split("-")[0] if day else ""
    # Five digits are a year that Python has no date for: far ahead.
    return today + timedelta(days=2) if day is None or len(year) > 4 else date.fromisoformat(day[0])

"""Patterns over names and lines: literal text with placeholders. No regular expression comes from a document.

Placeholders: {year} {month} {day} {mon} (Jan to Dec) {hour} {minute} {second} {offset} (+01:00, +0100, Z) {number}
(digits) {any} (anything, the shortest that fits).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lifecycle.core.value import Fault

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MOST_ANY = 3
"""How many {any} a pattern may hold: more would make a hostile name slow to compare."""

LONGEST = 4_096
"""How many characters of a line or name are compared."""

_FORMS = {
    "year": r"[0-9]{4}",
    "month": r"[0-9]{2}",
    "day": r"[0-9]{2}",
    "mon": "|".join(MONTHS),
    "hour": r"[0-9]{2}",
    "minute": r"[0-9]{2}",
    "second": r"[0-9]{2}",
    "offset": r"Z|[+-][0-9]{2}:?[0-9]{2}",
    "number": r"[0-9]{1,18}",
}
_ANY = "any"
_HOLDER = re.compile(r"\{([^{}]*)\}")


def pattern_faults(pattern: str, *, dated: bool = False) -> list[Fault]:
    """Return what is wrong with a pattern; `dated`: it must name a day."""
    names = _HOLDER.findall(pattern)
    known = [name for name in names if name != _ANY]
    faults: list[Fault] = []
    if unknown := sorted({name for name in known if name not in _FORMS}):
        fix = f"write one of {', '.join(f'{{{name}}}' for name in (*_FORMS, _ANY))}"
        faults.append(Fault((), f"a placeholder that does not exist: {', '.join(unknown)}", fix))
    if re.search(r"[{}]", _HOLDER.sub("", pattern)):
        faults.append(Fault((), "a brace without its placeholder", "close each placeholder: {year}"))
    if len(set(known)) != len(known) or names.count(_ANY) > MOST_ANY:
        fix = f"name each placeholder once, and {{any}} {MOST_ANY} times at most"
        faults.append(Fault((), "a placeholder stands too often", fix))
    month = len({"month", "mon"} & set(known))
    if dated and (month != 1 or not {"year", "day"} <= set(known)):
        fix = "write {year}, {day}, and one of {month} and {mon}"
        faults.append(Fault((), "the pattern names no day", fix))
    return faults


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    made, place = "", 0
    for holder in _HOLDER.finditer(pattern):
        name = holder.group(1)
        made += re.escape(pattern[place : holder.start()])
        made += "(?:.*?)" if name == _ANY else f"(?P<{name}>{_FORMS[name]})"
        place = holder.end()
    return re.compile(made + re.escape(pattern[place:]), re.ASCII | re.DOTALL)


def fits(pattern: str, name: str) -> bool:
    """Tell whether the whole name fits."""
    return _compiled(pattern).fullmatch(name[:LONGEST]) is not None


def day_of(pattern: str, name: str) -> date | None:
    """Return the day that a whole name carries; None is undatable."""
    found = _compiled(pattern).fullmatch(name[:LONGEST])
    return None if found is None else _day(found)


def moment_of(pattern: str, line: str, zone: str | None = None) -> datetime | None:
    """Return the aware UTC instant at a line's beginning that fits; None is undatable.

    Without {offset} the reading is one of `zone` (UTC without it); an ambiguous one counts as the later instant.
    """
    found = _compiled(pattern).match(line[:LONGEST])
    day = None if found is None else _day(found)
    if found is None or day is None:
        return None
    parts = found.groupdict()
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    try:
        # Naive only until its place is known.
        return _placed(datetime.combine(day, time(hour, minute, second)), parts.get("offset"), zone)
    except (ValueError, OverflowError):
        return None


def _placed(naive: datetime, offset: str | None, zone: str | None) -> datetime:
    if offset is not None:
        if offset == "Z":
            return naive.replace(tzinfo=UTC)
        away = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
        return (naive - away if offset[0] == "+" else naive + away).replace(tzinfo=UTC)
    place = UTC if zone is None else ZoneInfo(zone)
    return max(naive.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))


def _day(found: re.Match[str]) -> date | None:
    parts = found.groupdict()
    month = MONTHS.index(parts["mon"]) + 1 if parts.get("mon") else int(parts["month"])
    try:
        return date(int(parts["year"]), month, int(parts["day"]))
    except ValueError:
        return None

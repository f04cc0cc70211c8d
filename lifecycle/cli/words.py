"""Words for figures: periods, days, hashes, and the labels that say where a figure comes from."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

UNITS = (("Y", "year"), ("M", "month"), ("W", "week"), ("D", "day"))
LABELS = {
    "clause": "clause",
    "controller": "set by the controller",
    "statute": "statute",
    "reading": "operator's own reading",
    "hold": "hold",
}
SHORT = 8


def period(text: str) -> str:
    """Return `P90D` as `90 days (P90D)`, several joined by plus signs."""
    words = " + ".join(_period(part) for part in text.split(" + "))
    return f"{words} ({text})"


def _period(text: str) -> str:
    parts = [(re.search(rf"([0-9]+){unit}", text), word) for unit, word in UNITS]
    return " ".join(f"{m[1]} {word}{'' if m[1] == '1' else 's'}" for m, word in parts if m) or text


def moment(value: datetime) -> str:
    """Return an instant, to the minute, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def ago(span: timedelta) -> str:
    """Return a length of time as somebody would say it: `12 min`, `5 h`, `3 days`."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def short(plan_hash: str) -> str:
    """Return the digits that a person types to confirm."""
    return plan_hash.removeprefix("sha256:")[:SHORT]


def count(number: int, noun: str) -> str:
    """Return `1 row`, `1,200 rows`, `2 log entries`, `3 batches`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def day(value: date | None, otherwise: str = "not known") -> str:
    """Return a day, or words."""
    return otherwise if value is None else value.isoformat()


def label(name: str) -> str:
    """Return where a figure comes from."""
    return LABELS.get(name, name)

"""How the store in memory reads a row: its days, its conditions, its sealed keys."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from lifecycle.core.inventory import TimeColumn
from lifecycle.core.selection import AllOf, AnyOf, Condition, IsNull, Not, OneOf
from lifecycle.evidence.seal import open_sealed

Row = dict[str, Any]
_ISO = re.compile(
    r"[12]\d{3}-\d\d-\d\d([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def open_keys(sealed: bytes, key: bytes, batch_id: str) -> list[tuple[object, ...]]:
    """Open a receipt's list of keys (spelled as text where JSON has no such type)."""
    return [tuple(row) for row in json.loads(open_sealed(key, sealed, batch_id.encode()))]


def local_day(value: Any, time: TimeColumn, zone: str) -> date | None:
    """Read a value's local day; None is undatable."""
    try:
        if time.encoding in {"epoch-s", "epoch-ms"}:
            scale = 1000 if time.encoding == "epoch-ms" else 1
            return datetime.fromtimestamp(value / scale, UTC).astimezone(ZoneInfo(zone)).date()
        if time.encoding == "iso-text":
            if not _ISO.fullmatch(value):
                return None
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            return value if isinstance(value, date) and time.encoding in {"date", "iso-text"} else None
        if time.encoding == "date":
            return None
        home = UTC if time.encoding == "utc" or time.zone is None else ZoneInfo(time.zone)
        folds = [value.replace(tzinfo=value.tzinfo or home, fold=fold).astimezone(UTC) for fold in (0, 1)]
        return max(folds).astimezone(ZoneInfo(zone)).date()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def true_of(condition: Condition, row: Row) -> bool:
    """Decide a condition; two-valued."""
    match condition:
        case OneOf():
            value = row[condition.column]
            return any(type(value) is type(wanted) and value == wanted for wanted in condition.values)
        case IsNull():
            return row[condition.column] is None
        case Not():
            return not true_of(condition.inner, row)
        case AllOf():
            return all(true_of(inner, row) for inner in condition.inner)
        case AnyOf():
            return any(true_of(inner, row) for inner in condition.inner)
        case _:
            assert_never(condition)

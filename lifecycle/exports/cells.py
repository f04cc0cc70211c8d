"""How a driver's value is written: as JSON with its type kept, and as a CSV cell that no spreadsheet executes.

JSON: integers and booleans as such, finite floats as numbers, decimals as text in plain digits, bytes as base64, dates
and times in ISO 8601, intervals as `PT<seconds>S`, documents (JSON columns) as they are, everything else as the text
that the driver shows. Which of these a column holds stands in the manifest, so that the text can be turned back.

CSV: the same forms; NULL is an empty cell; text that begins like a formula gets a leading apostrophe.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Beginnings that spreadsheets take for a formula, or skip on the way to one."""

APOSTROPHE: Final = "'"

_NAMES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "base64",
    bytearray: "base64",
    memoryview: "base64",
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "duration",
    dict: "json",
    list: "json",
    tuple: "json",
}


def form_of(kind: type) -> str:
    """Return the manifest's word for how values of this Python type are written."""
    return _NAMES.get(kind, "as-text")


def line(columns: Sequence[str], row: Sequence[object]) -> bytes:
    """Return the row as one line of JSON: UTF-8, no spaces, columns in the given order, a line feed at the end."""
    members = dict(zip(columns, row, strict=True))
    try:
        text = _ENCODER.encode(members)
    except ValueError:
        # NaN or an infinity: JSON has no number for them.
        text = _ENCODER.encode({name: _finite(value) for name, value in members.items()})
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; as an escape it is still JSON.
        return json.dumps(json.loads(text), separators=(",", ":")).encode() + b"\n"


def cell(value: object) -> str:
    """Return the value as the text of a CSV cell, harmless to a spreadsheet."""
    if isinstance(value, str):
        return APOSTROPHE + value if value.startswith(FORMULA) else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        # A number is a number: a leading minus is none of a formula's.
        return _plain(value) if isinstance(value, Decimal) else repr(value)
    if isinstance(value, (dict, list, tuple)):
        return _ENCODER.encode(_finite(value))
    return cell(_text(value))


def _text(value: object) -> str:
    """Return the text form of what JSON has no type for."""
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = Decimal(value // timedelta(microseconds=1)) / 1_000_000
        return f"PT{_plain(seconds)}S"
    return str(value)


def _plain(value: Decimal) -> str:
    # 1E+3 is a number to few readers.
    return format(value, "f") if value.is_finite() else str(value)


def _finite(value: Any) -> Any:
    """Return the value with NaN and infinities as text, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_text)

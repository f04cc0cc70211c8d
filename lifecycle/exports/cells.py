"""How a driver's value is written: as JSON with its type kept, and as a CSV cell that no spreadsheet executes.

JSON: integers and booleans as such, finite floats as numbers, decimals as text in plain digits, bytes as base64, dates
and times in ISO 8601, intervals as `PT<seconds>S`, documents (JSON columns) as they are, everything else as the text
that the driver shows. Which of these a column holds stands in the manifest, so that the text can be turned back.

CSV: the same forms; NULL is an empty cell; text that begins like a formula gets a leading apostrophe.
"""

from __future__ import annotations

import base64
import json
import json.encoder
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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


def lines(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bytes]:
    """Return each row as a line of JSON: UTF-8, no spaces, columns in the given order, a line feed at the end."""
    names = ",".join(f"{_quoted(name)}:\0" for name in columns).replace("%", "%%").replace("\0", "%s")
    template = f"{{{names}}}\n"
    # A lone surrogate has no UTF-8; its backslash form is the escape that JSON has for it.
    return [(template % row).encode("utf-8", "backslashreplace") for row in _columnwise(rows, _JSON, _json)]


def table(rows: Sequence[Sequence[object]]) -> bytes:
    """Return the rows as CSV: RFC 4180, every cell quoted, harmless to a spreadsheet."""
    if not rows:
        return b""
    template = ",".join(['"%s"'] * len(rows[0])) + "\r\n"
    text = "".join([template % row for row in _columnwise(rows, _CSV, _escaped)])
    return text.encode("utf-8", "backslashreplace")


def cell(value: object) -> str:
    """Return the value as the text of a CSV cell, harmless to a spreadsheet, not yet quoted."""
    if isinstance(value, str):
        return APOSTROPHE + value if value.startswith(FORMULA) else value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        # A number is a number: a leading minus is none of a formula's.
        return repr(value)
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, (dict, list, tuple)):
        return _ENCODER.encode(_finite(value))
    return cell(_text(value))


def _columnwise(
    rows: Sequence[Sequence[object]],
    writers: Mapping[type, Callable[[Any], str]],
    writer: Callable[[object], str],
) -> Iterator[tuple[str, ...]]:
    """Yield the rows as texts. Column by column: a column of one type, as most are, needs one look-up for all rows."""
    made: list[Iterable[str]] = []
    for column in zip(*rows, strict=True):
        kinds = set(map(type, column))
        if len(kinds) == 1:
            made.append(map(writers.get(kinds.pop(), writer), column))
        else:
            made.append([writers.get(type(value), writer)(value) for value in column])
    return zip(*made, strict=True)


def _json(value: object) -> str:
    """Return the JSON text of any value."""
    if value is None or isinstance(value, (bool, int, float, dict, list, tuple)):
        return _ENCODER.encode(_finite(value))
    return _quoted(value if isinstance(value, str) else _text(value))


def _escaped(value: object) -> str:
    """Return the text of a CSV cell between its quotes."""
    return cell(value).replace('"', '""')


def _escaped_text(value: str) -> str:
    return (APOSTROPHE + value if value.startswith(FORMULA) else value).replace('"', '""')


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
_quoted: Final[Callable[[str], str]] = json.encoder.encode_basestring

# Exact types on the straight way; subclasses and the rest take the general functions.
_JSON: Final[Mapping[type, Callable[[Any], str]]] = {str: _quoted, int: str, type(None): lambda _none: "null"}
_CSV: Final[Mapping[type, Callable[[Any], str]]] = {str: _escaped_text, int: str, type(None): lambda _none: ""}

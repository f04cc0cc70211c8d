"""Canonical JSON: one value, one sequence of bytes (RFC 8785), without floating-point numbers.

What is hashed or signed here is always bytes. ``decode`` therefore takes only the bytes that ``encode`` would have
written; nothing that was read is ever serialised again to be hashed.
"""

import json
from typing import Any, Final, NoReturn

import rfc8785

from lifecycle.evidence.errors import Malformed

MAX_DEPTH: Final = 24
MAX_INTEGER: Final = 2**53 - 1
MAX_BYTES: Final = 64 * 1024 * 1024

_INTEGER_DIGITS: Final = 17


def encode(value: object) -> bytes:
    """The canonical bytes of a value made of objects, arrays, strings, integers, booleans and null.

    Raises:
        Malformed: a float, an integer beyond 2**53 - 1, a lone surrogate, a key that is not text, or depth over 24.
    """
    _measure(value, MAX_DEPTH)
    return _serialise(value)


def decode(data: bytes, *, at_most: int = MAX_BYTES) -> Any:
    """The value of canonical bytes: ``encode(decode(data)) == data``, or an error.

    Args:
        data: UTF-8 JSON without a byte-order mark.
        at_most: size limit in bytes.

    Raises:
        Malformed: anything but the canonical bytes of a value: duplicate keys, other spacing, order or escapes,
            floats, NaN, huge integers, deep nesting, invalid UTF-8.
    """
    value, form = _read(data, at_most)
    if form != data:
        raise Malformed("not canonical JSON (RFC 8785)")
    return value


def parse(data: bytes, *, at_most: int = MAX_BYTES) -> Any:
    """The value of JSON in any layout, for files that people edit: otherwise as strict as ``decode``.

    Raises:
        Malformed: as ``decode`` does, except for spacing, order and escapes.
    """
    return _read(data, at_most)[0]


def _read(data: bytes, at_most: int) -> tuple[Any, bytes]:
    """The value of JSON, and its canonical bytes: what has none is no value."""
    if len(data) > at_most:
        raise Malformed(f"larger than {at_most} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_constant=_no_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError:
        raise Malformed("not JSON") from None
    except RecursionError:
        raise Malformed(f"nested deeper than {MAX_DEPTH}") from None
    return value, encode(value)


def _serialise(value: object) -> bytes:
    """RFC 8785 over a measured value; log entries are ASCII, where the standard library writes the same, in C."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if text.isascii():
        return text.encode("ascii")
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # _measure has proved the shape
    except (rfc8785.CanonicalizationError, UnicodeError):
        # The cause may quote the text: it is left behind.
        raise Malformed("not Unicode text: a lone surrogate") from None


def _measure(value: object, depth: int) -> None:
    """Only the seven shapes, and no deeper than allowed."""
    if value is None or isinstance(value, str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise Malformed("an integer beyond 2**53 - 1")
        return
    if depth == 0:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        for member in value:
            _measure(member, depth - 1)
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise Malformed("a key that is not text")
            _measure(member, depth - 1)
    else:
        raise Malformed("neither object, array, text, integer, boolean nor null")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a key that appears twice")
    return members


def _no_float(_text: str) -> NoReturn:
    raise Malformed("a number that is not an integer")


def _integer(text: str) -> int:
    # Before int(): thousands of digits take quadratic time and have a limit of their own.
    if len(text) > _INTEGER_DIGITS:
        raise Malformed("an integer beyond 2**53 - 1")
    return int(text)

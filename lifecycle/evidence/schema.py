"""Closed schemas: small checks that are put together to tables.

A check gets a value and the name of its place, and returns nothing or raises. Messages name places of our own schemas,
never what was read: neither values nor names of unknown fields.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Final

from lifecycle.evidence.canonical import MAX_INTEGER
from lifecycle.evidence.errors import Malformed
from lifecycle.evidence.keys import SIGNATURE_BYTES, VerifyKey, from_base64

Check = Callable[[object, str], None]

# Years from 2000 (instants) and 1900 (dates) to 2999: arithmetic on them never leaves the calendar.
_INSTANT: Final = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DAY: Final = re.compile(r"(?:19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}")
# Controls, bidirectional marks and overrides, and the separators that end a line in some viewers.
_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]",
)


def pattern(expression: str, what: str) -> Check:
    """Text that matches as a whole."""
    compiled = re.compile(expression)

    def check(value: object, at: str) -> None:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise Malformed(f"{at}: not {what}")

    return check


identifier: Final = pattern(r"[a-z0-9][a-z0-9._-]{0,79}", "an identifier (a-z 0-9 . _ -, at most 80)")
version: Final = pattern(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}", "a version (letters, digits . _ + -, at most 80)")
alias: Final = pattern(r"t-[a-z2-7]{16}", "a tenant alias")
key_id: Final = pattern(r"k-[a-z2-7]{16}", "a key id")
sha256: Final = pattern(r"sha256:[0-9a-f]{64}", "a SHA-256 digest")
keyed: Final = pattern(r"hmac-sha256:[0-9a-f]{64}", "a keyed digest")


def count(value: object, at: str) -> None:
    """An integer of at least 0; a boolean is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise Malformed(f"{at}: not a whole number of at least 0")


def boolean(value: object, at: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise Malformed(f"{at}: neither true nor false")


def day(value: object, at: str) -> None:
    """A calendar date ``YYYY-MM-DD`` that exists."""
    try:
        valid = isinstance(value, str) and _DAY.fullmatch(value) is not None and bool(dt.date.fromisoformat(value))
    except ValueError:
        valid = False
    if not valid:
        raise Malformed(f"{at}: not a date YYYY-MM-DD")


def instant(value: object, at: str) -> None:
    """A UTC instant ``YYYY-MM-DDTHH:MM:SSZ`` that exists; such texts sort as the instants do."""
    if not isinstance(value, str):
        raise Malformed(f"{at}: not a UTC instant YYYY-MM-DDTHH:MM:SSZ")
    try:
        parse_instant(value)
    except Malformed as error:
        raise Malformed(f"{at}: {error}") from None


def parse_instant(text: str) -> dt.datetime:
    """The aware UTC instant of its text form.

    Raises:
        Malformed: another form, or an instant that does not exist (a leap second included).
    """
    try:
        if _INSTANT.fullmatch(text):
            return dt.datetime.fromisoformat(text)
    except ValueError:
        # The cause quotes the text.
        raise Malformed("an instant that does not exist") from None
    raise Malformed("not a UTC instant YYYY-MM-DDTHH:MM:SSZ")


def format_instant(moment: dt.datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ`` of an aware instant, in UTC, fractions of a second cut off.

    Raises:
        Malformed: a naive moment.
    """
    if moment.tzinfo is None:
        raise Malformed("a moment without a zone")
    utc = moment.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
    return utc.isoformat() + "Z"


def public_key(value: object, at: str) -> None:
    """Base64 of a 32-byte public key."""
    if not isinstance(value, str):
        raise Malformed(f"{at}: not a public key")
    try:
        VerifyKey.parse(value)
    except Malformed:
        raise Malformed(f"{at}: not a public key") from None


def signature(value: object, at: str) -> None:
    """Base64 of a 64-byte signature."""
    try:
        valid = isinstance(value, str) and len(from_base64(value)) == SIGNATURE_BYTES
    except Malformed:
        valid = False
    if not valid:
        raise Malformed(f"{at}: not a signature")


def text(at_most: int) -> Check:
    """One line of printable text, 1 to ``at_most`` characters, without control, bidi or invisible characters."""

    def check(value: object, at: str) -> None:
        if not isinstance(value, str) or not 0 < len(value) <= at_most or _HIDDEN.search(value):
            raise Malformed(f"{at}: not a line of 1 to {at_most} visible characters")

    return check


def one_of(*words: str) -> Check:
    """One of the words."""
    allowed = frozenset(words)

    def check(value: object, at: str) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise Malformed(f"{at}: none of {', '.join(words)}")

    return check


def nullable(inner: Check) -> Check:
    """Null, or what ``inner`` takes."""

    def check(value: object, at: str) -> None:
        if value is not None:
            inner(value, at)

    return check


def listing(inner: Check, *, at_least: int = 0, at_most: int = 10_000) -> Check:
    """An array, each member of which ``inner`` takes."""

    def check(value: object, at: str) -> None:
        if not isinstance(value, list) or not at_least <= len(value) <= at_most:
            raise Malformed(f"{at}: not a list of {at_least} to {at_most} members")
        for number, member in enumerate(value):
            inner(member, f"{at}[{number}]")

    return check


def record(fields: Mapping[str, Check]) -> Check:
    """An object with exactly these fields."""

    def check(value: object, at: str) -> None:
        check_fields(value, fields, at)

    return check


def check_fields(value: object, fields: Mapping[str, Check], at: str) -> None:
    """Refuse a missing, unknown or ill-formed field.

    Raises:
        Malformed: with the place of the first fault.
    """
    if not isinstance(value, dict):
        raise Malformed(f"{at}: not an object")
    for name, check in fields.items():
        if name not in value:
            raise Malformed(f"{at}.{name}: is missing")
        check(value[name], f"{at}.{name}")
    if len(value) != len(fields):
        raise Malformed(f"{at}: has a field that the schema does not know")

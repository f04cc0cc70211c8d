"""What a scalar means: text, a whole number, true or false. What two readers could read differently is refused.

YAML 1.1 reads 030 as 24, 1:30 as 90 and NO as false; YAML 1.2 reads 1.10 as 1.1. None of them is guessed here.
"""

from __future__ import annotations

import re
import unicodedata

from lifecycle.core.value import Fault
from lifecycle.documents.text import is_unseen, name_of

Scalar = str | int | bool

_MOST = 2**53
_WHOLE = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_SWITCHES = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false"})
_PERIOD_LIKE = re.compile(r"[Pp][0-9TYMWDHS.]+", re.ASCII)
_DATE_LIKE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", re.ASCII)
_QUOTE = "write it in quotes if it is a clause, a version or a name; otherwise write a plain whole number"
_ODD = (
    (re.compile(r"[-+]?0[0-9_]+", re.ASCII), "a number with a leading zero is octal to some readers"),
    (re.compile(r"[-+]?0[xXoObB][0-9a-fA-F_]+", re.ASCII), "a hexadecimal, octal or binary number"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]{1,2})+(\.[0-9]*)?", re.ASCII),
        "a number with a colon is minutes to some readers",
    ),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII), "infinity and not-a-number are no figures"),
    (re.compile(r"[-+]?[0-9]+_[0-9_]*|[-+]?[0-9][0-9_]*_", re.ASCII), "a number with an underscore"),
    (re.compile(r"\+[0-9]+|-0+", re.ASCII), "a number with a needless sign"),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?", re.ASCII), "a fraction or an exponent"),
)


def plain(text: str) -> Scalar | Fault:
    """Return what an unquoted scalar means, or the fault of one that could mean two things."""
    if text in _NOTHING:
        word = f'; if you mean the word, write it in quotes: "{text}"' if text else ""
        return Fault((), "the value is empty", f"write the value, or remove the key{word}")
    if text in {"true", "false"}:
        return text == "true"
    if text.lower() in _SWITCHES:
        fix = f'write true or false; if you mean the text, write it in quotes: "{text}"'
        return Fault((), f"{text} is a switch to some readers and a word to others", fix)
    if _WHOLE.fullmatch(text):
        return _whole(text)
    for shape, what in _ODD:
        if shape.fullmatch(text):
            return Fault((), what, _QUOTE)
    return quoted(text)


def _whole(text: str) -> int | Fault:
    """Return the number, or the fault of one that other readers would round."""
    if len(text) > len(str(_MOST)) or abs(int(text)) > _MOST:
        return Fault((), "the number is larger than every reader keeps exact", "write a smaller number, or quote an id")
    return int(text)


def quoted(text: str) -> str | Fault:
    """Return the text of a quoted or block scalar, or the fault of characters that mislead a reader."""
    for character in text:
        if character != "\t" and is_unseen(character):
            return Fault((), f"the text holds {name_of(character)}, which is not seen by a reader", "remove it")
    if not text.isascii():
        latin = "".join(_latin(character) for character in text)
        if latin != text and (_WHOLE.fullmatch(latin) or _PERIOD_LIKE.fullmatch(latin) or _DATE_LIKE.fullmatch(latin)):
            return Fault((), "the figure is written with digits of another script", "write the digits 0 to 9")
    return text


def _latin(character: str) -> str:
    """Return the digit 0 to 9 for a decimal digit of any script, and any other character as it is."""
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)

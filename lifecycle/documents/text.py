"""From bytes to text: size, encoding and characters, before anything is parsed."""

from __future__ import annotations

import re
import unicodedata

from lifecycle.core.errors import Problem

MOST_BYTES = 256 * 1024
_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_LEADING_TAB = re.compile(r"^ *\t", re.MULTILINE)
_SAVE_PLAIN = "save it as UTF-8 without a byte order mark"


def is_unseen(character: str) -> bool:
    """Tell whether a character is a control, bidi, zero-width, surrogate or unassigned-by-design one.

    Blank and line feed are ordinary. Two texts that look the same to a reviewer must be the same.
    """
    if character in " \n":
        return False
    category = unicodedata.category(character)
    return category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} or (
        category == "Cn" and (ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF)
    )


def name_of(character: str) -> str:
    """Return the character's code point and name: the character itself is never shown."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'control character')}"


def read_text(content: bytes, file: str) -> tuple[str, list[Problem]]:
    """Return the document's text, with line feeds only, and what is wrong with its bytes and characters."""
    if len(content) > MOST_BYTES:
        what = f"the document has {len(content)} bytes, more than {MOST_BYTES}"
        return "", [Problem(file, 1, 1, what, "split it; large tenant registers are read from JSONL or CSV")]
    if content.startswith(_MARKS):
        return "", [Problem(file, 1, 1, "the document begins with a byte order mark", _SAVE_PLAIN)]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        line, column = _position(before)
        return "", [Problem(file, line, column, "this byte is not UTF-8", _SAVE_PLAIN)]
    text = text.replace("\r\n", "\n")
    return text, _characters(text, file)


def _position(before: str) -> tuple[int, int]:
    """Return line and column of the character after `before`."""
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _characters(text: str, file: str) -> list[Problem]:
    """Return a problem for each unseen character, and for each line indented with a tab."""
    problems: list[Problem] = []
    if not text.isprintable():
        for line, content in enumerate(text.split("\n"), start=1):
            problems += [
                Problem(file, line, column, f"the character {name_of(character)} is not seen by a reader", "remove it")
                for column, character in enumerate(content, start=1)
                if character != "\t" and is_unseen(character)
            ]
    for match in _LEADING_TAB.finditer(text):
        line, column = _position(text[: match.end() - 1])
        problems.append(Problem(file, line, column, "a tab stands in the indentation", "indent with blanks"))
    return problems

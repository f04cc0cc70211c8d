"""What names of tables and columns suggest. They rank and hint; they never decide."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

Holds = Literal["email", "id", "phone", "name", "other"]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TENANT_WORDS = _set(
    "tenant tenants account accounts organisation organization organisations organizations org customer customers "
    "company companies client clients workspace workspaces queue queues site shop firm mandant kunde "
    "entity entities project projects team teams"
)
_EMAIL = _set("email emails mail cc bcc recipient recipients")
_PHONE = _set("phone telephone tel mobile fax telefon handy")
_NAME = _set("firstname lastname surname username fullname nickname nachname vorname")
_WHOSE = _set(
    "first last full given family sur user display contact customer person guest vendor supplier buyer payer sender "
    "author owner patient employee member"
)
_PEOPLE = _WHOSE | _set(
    "people persons users contacts customers guests vendors suppliers authors owners patients employees members "
    "speaker speakers attendee attendees participant participants"
)
_OTHER = _set(
    "ip address street city zip postcode birthday birthdate dob iban bic passport ssn signature avatar latitude "
    "longitude password"
)
_OTHER_PAIRS = frozenset(
    {
        ("zip", "code"),
        ("postal", "code"),
        ("account", "number"),
        ("routing", "number"),
        ("tax", "id"),
        ("card", "number"),
    }
)
_HISTORIES = ("_version", "_versions", "_history", "_audit", "_archive", "_revision", "_revisions", "_log")
_HISTORY_OF = "historical"
_EARLY = _set("created creation create inserted added joined collected registered logged opened received")
_LATE = _set("modified updated changed last closed finished completed applied")
_AHEAD = _set("due expire expires expiry expiration until valid scheduled deadline birth end ends next")
_TIME = _set("time date at on timestamp ts day datetime when") | _EARLY | _LATE | _AHEAD


def words_of(name: str) -> list[str]:
    """Return the words of an identifier: `submitterEmail` and `submitter_email` alike."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def person_kind(column: str, table: str = "") -> Holds | None:
    """Guess from a column's name, and its table's, what of a person it holds; None for most columns."""
    words = words_of(column)
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return None
    if words[-1] in _EMAIL or words[-2:] in (["email", "address"], ["e", "mail"]):
        return "email"
    if _PHONE & set(words):
        return "phone"
    if words[-1] in _NAME or (words[-1] == "name" and len(words) > 1 and words[-2] in _WHOSE):
        return "name"
    if words == ["name"] and _last_word(table) in _PEOPLE:
        return "name"
    other = words[-1] in _OTHER or tuple(words[-2:]) in _OTHER_PAIRS or words[:2] == ["remote", "addr"]
    return "other" if other else None


def looks_like_time(column: str) -> bool:
    """Tell whether a name suggests a time: reason enough to sample a column of texts or numbers."""
    words = words_of(column)
    return bool(words) and bool(_TIME & {words[0], words[-1]})


def names_tenant(table: str) -> bool:
    """Tell whether a table's name suggests that its rows are tenants."""
    words = words_of(table)
    return bool(words) and words[-1].removesuffix("model") in _TENANT_WORDS


def copied_table(table: str, others: Collection[str]) -> str | None:
    """Return the table of which this one is a history by its name: `person_version` of `person`; None for most."""
    return next((name for name in _copied(table) if name in others), None)


def _copied(table: str) -> list[str]:
    found = [table.removesuffix(end) for end in _HISTORIES if table.endswith(end)]
    return found + ([table.replace(_HISTORY_OF, "", 1)] if _HISTORY_OF in table else [])


def _last_word(table: str) -> str:
    """Return what a table's name says its rows are: neither a history's ending nor a framework's `model` does."""
    words = words_of(next(iter(_copied(table)), table))
    return words[-1].removesuffix("model") if words else ""


def nature(column: str) -> int:
    """Rank a time's name: 0 a beginning, 1 no hint, 2 a later change, 3 something that lies ahead."""
    words = set(words_of(column))
    return 3 if words & _AHEAD else 2 if words & _LATE else 0 if words & _EARLY else 1

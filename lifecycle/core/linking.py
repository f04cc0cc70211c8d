"""From a row's value to the object that it references, and back: `key_template` is the only way between them."""

from __future__ import annotations

from lifecycle.core.inventory import PLACE_OF_VALUE, Reference


def key_of(reference: Reference, value: str) -> str | None:
    """Return the object's key; None for a value that names no object: an empty one, or a way out of the dataset."""
    head, _, tail = reference.key_template.partition(PLACE_OF_VALUE)
    key = head + value + tail
    return key if value and not any(_strays(part) for part in key.split("/")) else None


def value_of(reference: Reference, key: str) -> str | None:
    """Return the value with which a row references the object of that key; None where no value does."""
    head, _, tail = reference.key_template.partition(PLACE_OF_VALUE)
    if len(key) <= len(head) + len(tail) or not key.startswith(head) or not key.endswith(tail):
        return None
    return key[len(head) : len(key) - len(tail)]


def _strays(part: str) -> bool:
    return part in {"", ".", ".."} or "\0" in part

"""Reading listed entries again, before each change and where an answer was unclear: what is there, as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lifecycle.stores.s3 import listing, select
from lifecycle.stores.s3.listing import Entry
from lifecycle.stores.s3.width import Width
from lifecycle.stores.s3.wire import Wire

_SPARE_PAGES: Final = 3
"""How many pages more than the entries would fill are listed before the rest is asked for key by key."""

Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Where:
    """Where the entries of one batch lie."""

    bucket: str
    prefix: str
    after: str | None


@dataclass(slots=True)
class Seen:
    """What was found: each entry by its name, and which keys were seen whole."""

    there: dict[Name, Entry] = field(default_factory=dict, repr=False)
    whole: set[str] = field(default_factory=set, repr=False)

    def with_versions(self, gone: set[Name]) -> set[str]:
        """Return the keys of which a version stays, if these are gone: one that a delete marker hides."""
        return {e.key for name, e in self.there.items() if e.kind == "version" and name not in gone}


def again(wire: Wire, where: Where, entries: Sequence[Entry], width: Width) -> Seen:
    """Read these entries' keys again. Raises Transient (or Refused) when one of them cannot be read."""
    seen = Seen()
    keys = list(dict.fromkeys(entry.key for entry in entries if entry.kind != "upload"))
    if where.after in keys or len(keys) < 4:
        first = keys if len(keys) < 4 else [str(where.after)]
        _by_key(wire, where, first, seen, width)
    if unread := [key for key in keys if key not in seen.whole]:
        _by_range(wire, where, set(unread), seen, len(entries) // listing.PAGE + _SPARE_PAGES)
    if unread := [key for key in keys if key not in seen.whole]:
        _by_key(wire, where, unread, seen, width)
    for key in dict.fromkeys(entry.key for entry in entries if entry.kind == "upload"):
        for entry in listing.uploads(wire, where.bucket, key):
            seen.there[entry.name] = entry
    return seen


def _by_key(wire: Wire, where: Where, keys: Sequence[str], seen: Seen, width: Width) -> None:
    versioned = listing.versioned(wire, where.bucket)

    def read(key: str) -> list[Entry]:
        return list(select.of_key(wire, where.bucket, key, versioned=versioned))

    for key, entries in zip(keys, width.each(read, keys), strict=True):
        seen.there.update((entry.name, entry) for entry in entries)
        seen.whole.add(key)


def _by_range(wire: Wire, where: Where, wanted: set[str], seen: Seen, pages: int) -> None:
    """Read a stretch of the listing; a key is whole once another one follows it."""
    last: str | None = None
    missing = set(wanted)
    for number, entry in enumerate(select.objects_or_versions(wire, where.bucket, where.prefix, after=where.after)):
        if entry.key != last:
            if last in missing:
                seen.whole.add(last)
                missing.discard(last)
            if not missing or number >= pages * listing.PAGE:
                return
            last = entry.key
        if entry.key in wanted:
            seen.there[entry.name] = entry
    # The listing has ended: what was not in it is not there.
    seen.whole |= wanted

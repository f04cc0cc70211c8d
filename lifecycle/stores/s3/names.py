"""Entries by a name that a person can read and type: the key, percent-encoded, and which version, marker or upload."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from urllib.parse import quote, unquote

from lifecycle.core.selection import Before
from lifecycle.ports.store import Found, Json, Starts
from lifecycle.stores.s3 import listing, select
from lifecycle.stores.s3.listing import Entry
from lifecycle.stores.s3.select import Judge
from lifecycle.stores.s3.wire import Wire


def shown(entry: Entry) -> str:
    """Return an entry's name."""
    return f"{quote(entry.key, safe='/')}?{entry.kind}={quote(entry.id)}"


def find(wire: Wire, judge: Judge, after: Json, limit: int) -> list[Found]:
    """Return names in the order of the walk, after one of them."""
    cursor: Json = None
    if isinstance(after, list) and after:
        cursor = _cursor(wire, judge, str(after[0]))
    found = []
    for entry, _ in select.due(wire, judge, cursor, limit):
        days = judge.days(entry)
        found.append(Found((shown(entry),), days[0] if days else None))
    return found


def _cursor(wire: Wire, judge: Judge, name: str) -> Json:
    key, kind, version = _parts(name)
    if kind == "upload":
        return ["u", key, 0, 0, version]
    entry = _looked_up(wire, judge, name)
    # One that has gone since is behind everything of its key.
    return ["v", key, *((9, 0, "") if entry is None else select.place_of(entry))]


def starts(wire: Wire, judge: Judge, name: str, zone: str, today: date) -> Starts | None:
    """Return one entry's start days; None when the scope has no such entry. Without a version, the latest is meant."""
    entry = _looked_up(wire, judge, name)
    if entry is None:
        return None
    befores = {
        time: Before(time=time, day=today, zone=zone, not_before=column.not_before, not_after=today)
        for time, column in judge.layout.dataset.times.items()
    }
    return Starts({time: judge.layout.day(before, entry) for time, before in befores.items()})


def _looked_up(wire: Wire, judge: Judge, name: str) -> Entry | None:
    key, kind, version = _parts(name)
    if not key or not judge.in_scope(key):
        return None
    bucket = judge.layout.bucket
    if kind == "upload":
        entries: Iterator[Entry] = (entry for entry in listing.uploads(wire, bucket, key) if entry.key == key)
    else:
        entries = select.of_key(wire, bucket, key, versioned=listing.versioned(wire, bucket))
    return next((e for e in entries if (e.latest if not kind else (e.kind, e.id) == (kind, version))), None)


def _parts(name: str) -> tuple[str, str, str]:
    key, mark, told = name.partition("?")
    kind, _, version = told.partition("=")
    return unquote(key), kind if mark else "", unquote(version)

"""Lists of objects: what a batch may touch, and what it took. Both are plain JSON before they are sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.evidence.digest import keyed_digest
from lifecycle.evidence.errors import SealBroken
from lifecycle.evidence.seal import open_sealed, seal
from lifecycle.stores.s3.listing import Entry

MOST_ITEMS: Final = 5_000
"""How many entries one batch lists at most: five requests of a thousand, about a megabyte in our state."""

_FORM = "s3/v1"


@dataclass(frozen=True, slots=True)
class Item:
    """One listed entry, and whose it is."""

    entry: Entry
    tenant: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of a batch, and where they lie, behind which key: it can be read when nothing is declared any more."""

    dataset: str
    bucket: str
    prefix: str
    after: str | None
    items: Sequence[Item]


def write(one: Listing) -> bytes:
    """Return the list that a cut gives."""
    rows = [[*_row(item.entry), item.tenant] for item in one.items]
    return _dumped([_FORM, one.dataset, one.bucket, one.prefix, one.after, rows])


def read(listed: bytes | None) -> Listing:
    """Return what such a list holds. Raises Refused for none, Corrupt for another form."""
    if listed is None:
        raise Refused("a batch of objects is bound by its list", guard="bounds")
    form, dataset, bucket, prefix, after, rows = json.loads(listed)
    if form != _FORM:
        raise Corrupt("a list of objects in a form of another version")
    return Listing(dataset, bucket, prefix, after, [Item(_entry(row), row[7]) for row in rows])


def _row(entry: Entry) -> list[Any]:
    modified = entry.modified.isoformat()
    return [entry.key, entry.kind, entry.id, modified, entry.size, entry.etag, entry.latest]


def _entry(row: list[Any]) -> Entry:
    return Entry(row[0], row[1], row[2], datetime.fromisoformat(row[3]), row[4], row[5], row[6])


@dataclass(frozen=True, slots=True)
class Sealed:
    """What went, sealed, and the keyed digest over the same bytes."""

    body: bytes
    digest: str


def close(gone: Sequence[Item], keys: tuple[bytes, bytes], batch: str) -> Sealed:
    """Seal what went; `keys` are for sealing and for the digest."""
    plain = _dumped([_FORM, [list(item.entry.name) for item in gone], tenants(gone)])
    return Sealed(seal(keys[0], plain, batch.encode()), keyed_digest(keys[1], plain))


def tenants(gone: Sequence[Item]) -> dict[str, int]:
    """Count what went for each tenant."""
    counts: dict[str, int] = {}
    for item in gone:
        if item.tenant is not None:
            counts[item.tenant] = counts.get(item.tenant, 0) + 1
    return counts


def open_keys(sealed: bytes, key: bytes, batch: str) -> list[tuple[str, str, str]]:
    """Return key, kind and id of everything that a batch deleted. SealBroken on a wrong key."""
    return [(name, kind, version) for name, kind, version in _opened(sealed, key, batch)[1]]


def open_tenants(sealed: bytes, key: bytes, batch: str) -> Mapping[str, int]:
    """Return the counts per tenant. Raises Corrupt when the key does not open it."""
    try:
        counts: dict[str, int] = _opened(sealed, key, batch)[2]
    except SealBroken as error:
        raise Corrupt(f"a sealed list does not open: {error}") from None
    return counts


def _opened(sealed: bytes, key: bytes, batch: str) -> tuple[str, list[list[str]], dict[str, int]]:
    form, names, counts = json.loads(open_sealed(key, sealed, batch.encode()))
    if form != _FORM:
        raise Corrupt("a sealed list in a form of another version")
    return form, names, counts


def _dumped(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()

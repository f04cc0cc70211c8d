"""Lists of files: what a batch may touch, and what it took. Both are packed JSON before they are sealed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.evidence.digest import keyed_digest
from lifecycle.evidence.errors import SealBroken
from lifecycle.evidence.seal import open_sealed, seal
from lifecycle.stores.files.places import Identity, Path, quoted, unquoted

MOST_ITEMS = 5_000
"""How many files one batch lists at most: some hundred kilobytes in our state."""

_FORM = "files/v1"


@dataclass(frozen=True, slots=True)
class Item:
    """One listed file: its path below the dataset's folder, what it was, and whose."""

    path: Path
    identity: Identity
    tenant: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of a batch, with the dataset and its folder: a list can be read when neither is declared any more."""

    dataset: str
    folder: Path
    items: Sequence[Item]


def write(listing: Listing) -> bytes:
    """Return the list that a cut gives."""
    rows = [
        [quoted(i.path), i.identity.device, i.identity.inode, i.identity.size, i.identity.modified_ns, i.tenant]
        for i in listing.items
    ]
    return _packed([_FORM, listing.dataset, quoted(listing.folder), rows])


def read(listed: bytes | None) -> Listing:
    """Return what such a list holds. Raises Refused for none, Corrupt for another form."""
    if listed is None:
        raise Refused("a batch of files is bound by its list", guard="bounds")
    form, dataset, folder, rows = _unpacked(listed)
    if form != _FORM:
        raise Corrupt("a list of files in a form of another version")
    items = [Item(unquoted(row[0]), Identity(*row[1:5]), row[5]) for row in rows]
    return Listing(dataset, unquoted(folder) if folder else (), items)


@dataclass(frozen=True, slots=True)
class Sealed:
    """What went, sealed, and the keyed digest over the same bytes."""

    body: bytes
    digest: str


def close(gone: Sequence[Item], keys: tuple[bytes, bytes], batch: str) -> Sealed:
    """Seal what went; `keys` are for sealing and for the digest."""
    plain = _packed([_FORM, [quoted(item.path) for item in gone], tenants(gone)])
    return Sealed(seal(keys[0], plain, batch.encode()), keyed_digest(keys[1], plain))


def tenants(gone: Sequence[Item]) -> dict[str, int]:
    """Count what went for each tenant."""
    counts: dict[str, int] = {}
    for item in gone:
        if item.tenant is not None:
            counts[item.tenant] = counts.get(item.tenant, 0) + 1
    return counts


def open_keys(sealed: bytes, key: bytes, batch: str) -> list[tuple[str]]:
    """Return the paths (percent-encoded, below the folder) that a batch deleted. SealBroken on a wrong key."""
    return [(path,) for path in _opened(sealed, key, batch)[1]]


def open_tenants(sealed: bytes, key: bytes, batch: str) -> Mapping[str, int]:
    """Return the counts per tenant. Raises Corrupt when the key does not open it."""
    try:
        counts: dict[str, int] = _opened(sealed, key, batch)[2]
    except SealBroken as error:
        raise Corrupt(f"a sealed list does not open: {error}") from None
    return counts


def _opened(sealed: bytes, key: bytes, batch: str) -> tuple[str, list[str], dict[str, int]]:
    form, paths, counts = _unpacked(open_sealed(key, sealed, batch.encode()))
    if form != _FORM:
        raise Corrupt("a sealed list in a form of another version")
    return form, paths, counts


def _packed(value: object) -> bytes:
    """Return a list's bytes: paths have much in common, and are kept for years."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)


def _unpacked(data: bytes) -> Any:
    return json.loads(zlib.decompress(data))

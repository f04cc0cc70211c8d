"""The sealed list of keys in a receipt: what it holds and how an auditor opens it.

The plaintext is a frame: `LCK1`, the dialect's name, the block of keys as the database gave it, and the tenants' counts
as JSON; each part with its length. The digest of a receipt is made over exactly these bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.evidence.digest import keyed_digest
from lifecycle.evidence.seal import open_sealed, seal
from lifecycle.stores.sql.dialects import Changed, Dialect
from lifecycle.stores.sql.postgresql import PostgresqlDialect
from lifecycle.stores.sql.sqlite import SqliteDialect

_MAGIC = b"LCK1"
_OPENERS: dict[str, Callable[[], Dialect]] = {"postgresql": PostgresqlDialect, "sqlite": SqliteDialect}


def frame(dialect: str, changed: Changed) -> bytes:
    """Return the plaintext."""
    if None in changed.tenants:
        raise Refused("a row without a tenant was selected for a group", guard="null-tenant")
    tenants = json.dumps(dict(sorted(changed.tenants.items())), ensure_ascii=False, separators=(",", ":"))
    parts = (dialect.encode(), changed.keys, tenants.encode())
    return _MAGIC + b"".join(struct.pack("!Q", len(part)) + part for part in parts)


def purpose(batch_id: str) -> bytes:
    """Return the AAD: a sealed list opens for its own batch only."""
    return batch_id.encode()


def close_keys(plaintext: bytes, sealing_key: bytes, commitment_key: bytes, batch_id: str) -> tuple[bytes, str]:
    """Return the sealed list and the keyed digest over its plaintext."""
    return seal(sealing_key, plaintext, purpose(batch_id)), keyed_digest(commitment_key, plaintext)


def open_keys(sealed: bytes, key: bytes, batch_id: str, dataset: str | None = None) -> list[tuple[object, ...]]:
    """Return the keys that a batch changed, each in the order of the dataset's key columns.

    `dataset` is for the caller's orientation only. SealBroken on a wrong key or batch; Corrupt on another format.
    """
    del dataset
    dialect, block, _ = _parts(open_sealed(key, sealed, purpose(batch_id)))
    if dialect.decode() not in _OPENERS:
        raise Corrupt("a sealed list of an unknown kind")
    return _OPENERS[dialect.decode()]().open_keys(block)


def open_tenants(sealed: bytes, key: bytes, batch_id: str) -> Mapping[str, int]:
    """Return the counts per tenant of a batch over groups; empty for other scopes. Errors as `open_keys`."""
    tenants: dict[str, int] = json.loads(_parts(open_sealed(key, sealed, purpose(batch_id)))[2])
    return tenants


def _parts(plaintext: bytes) -> tuple[bytes, bytes, bytes]:
    if plaintext[:4] != _MAGIC:
        raise Corrupt("a sealed list of an unknown kind")
    parts, place = [], 4
    for _ in range(3):
        (length,) = struct.unpack_from("!Q", plaintext, place)
        parts.append(plaintext[place + 8 : place + 8 + length])
        place += 8 + length
    return parts[0], parts[1], parts[2]

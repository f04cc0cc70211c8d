"""The sealed list of keys in a receipt: what it holds and how an auditor opens it.

The plaintext is a frame: `LCK1`, the dialect's name, the block of keys as the database gave it, and the tenants' counts
as JSON; each part with its length. In a family the frame is `LCK2` and ends with the member's schema and table as JSON.
The digest of a receipt is made over exactly these bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.core.family import Name
from lifecycle.evidence.digest import keyed_digest
from lifecycle.evidence.seal import open_sealed, seal
from lifecycle.stores.sql.dialects import Changed, Dialect
from lifecycle.stores.sql.mariadb import MariadbDialect
from lifecycle.stores.sql.postgresql import PostgresqlDialect
from lifecycle.stores.sql.sqlite import SqliteDialect

_PARTS = {b"LCK1": 3, b"LCK2": 4}
_OPENERS: dict[str, Callable[[], Dialect]] = {
    "mariadb": MariadbDialect,
    "postgresql": PostgresqlDialect,
    "sqlite": SqliteDialect,
}


def frame(dialect: str, changed: Changed, member: Name | None = None) -> bytes:
    """Return the plaintext. `member`: of a family, the table that was changed."""
    if None in changed.tenants:
        raise Refused("a row without a tenant was selected for a group", guard="null-tenant")
    tenants = json.dumps(dict(sorted(changed.tenants.items())), ensure_ascii=False, separators=(",", ":"))
    parts = [dialect.encode(), changed.keys, tenants.encode()]
    if member is not None:
        parts.append(json.dumps(member, ensure_ascii=False, separators=(",", ":")).encode())
    magic = b"LCK1" if member is None else b"LCK2"
    return magic + b"".join(struct.pack("!Q", len(part)) + part for part in parts)


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
    dialect, block, *_ = _parts(open_sealed(key, sealed, purpose(batch_id)))
    if dialect.decode() not in _OPENERS:
        raise Corrupt("a sealed list of an unknown kind")
    return _OPENERS[dialect.decode()]().open_keys(block)


def open_tenants(sealed: bytes, key: bytes, batch_id: str) -> Mapping[str, int]:
    """Return the counts per tenant of a batch over groups; empty for other scopes. Errors as `open_keys`."""
    tenants: dict[str, int] = json.loads(_parts(open_sealed(key, sealed, purpose(batch_id)))[2])
    return tenants


def open_member(sealed: bytes, key: bytes, batch_id: str) -> Name | None:
    """Return schema and table that a batch of a family changed; None for any other dataset. Errors as `open_keys`."""
    parts = _parts(open_sealed(key, sealed, purpose(batch_id)))
    if len(parts) < _PARTS[b"LCK2"]:
        return None
    schema, table = json.loads(parts[3])
    return schema, table


def _parts(plaintext: bytes) -> list[bytes]:
    if plaintext[:4] not in _PARTS:
        raise Corrupt("a sealed list of an unknown kind")
    parts, place = list[bytes](), 4
    for _ in range(_PARTS[plaintext[:4]]):
        (length,) = struct.unpack_from("!Q", plaintext, place)
        parts.append(plaintext[place + 8 : place + 8 + length])
        place += 8 + length
    return parts

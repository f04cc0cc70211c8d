"""Receipts after their batch: read, void, acknowledge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.ports.store import Receipt
from lifecycle.stores.sql.tables import OurTables, insert_receipt

_PART = 500


def read(connection: Connection, ours: OurTables, batch_id: str) -> Receipt | None:
    """Return a receipt, or None."""
    row = connection.execute(sa.select(ours.receipt).where(ours.receipt.c.batch_id == batch_id)).one_or_none()
    return None if row is None else _receipt(row)


def void(connection: Connection, ours: OurTables, batch_id: str) -> Receipt:
    """Insert a void receipt, or return the one that is there."""
    if not batch_id:
        raise Refused("a batch has an id", guard="batch")
    if insert_receipt(connection, ours, batch_id, "void"):
        return Receipt(batch_id, "void")
    found = read(connection, ours, batch_id)
    if found is None:
        raise Corrupt("a receipt's key is taken and its row cannot be read")
    return found


def unacknowledged(connection: Connection, ours: OurTables, after: str | None, limit: int) -> list[Receipt]:
    """Return receipts without a checkpoint, by batch id; their sealed lists stay where they are: a page is small."""
    columns = [sa.null().label(c.name) if c.name == "sealed" else c for c in ours.receipt.c]
    query = sa.select(*columns).where(ours.receipt.c.checkpoint.is_(None))
    if after is not None:
        query = query.where(ours.receipt.c.batch_id > after)
    return [_receipt(row) for row in connection.execute(query.order_by(ours.receipt.c.batch_id).limit(limit))]


def acknowledge(connection: Connection, ours: OurTables, batch_ids: Sequence[str], checkpoint: str) -> None:
    """Mark receipts as covered by a checkpoint, and remember it in the fence."""
    if not batch_ids:
        return
    for start in range(0, len(batch_ids), _PART):
        part = list(batch_ids[start : start + _PART])
        mark = sa.update(ours.receipt).where(ours.receipt.c.batch_id.in_(part)).values(checkpoint=checkpoint)
        connection.execute(mark)
    connection.execute(sa.update(ours.fence).where(ours.fence.c.id == 1).values(checkpoint=checkpoint))


def _receipt(row: Any) -> Receipt:
    if row.state not in {"done", "void"}:
        raise Corrupt("a receipt was committed while it was open")
    sealed = None if row.sealed is None else bytes(row.sealed)
    cascaded = json.loads(row.cascaded)
    return Receipt(row.batch_id, row.state, row.deleted, digest=row.digest, sealed=sealed, cascaded=cascaded)

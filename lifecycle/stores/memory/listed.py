"""The fake of a store without transactions: items go one by one, and no receipt stands beside them.

What an object store or a folder promises, in memory: the cut lists its items, a batch touches nothing else, and after
a crash each listed item is read again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lifecycle.core.errors import Refused
from lifecycle.core.plan import Delete
from lifecycle.core.selection import Bound
from lifecycle.evidence.digest import digest
from lifecycle.ports.store import Batch, Closing, Cut, Finding, Json, Receipt
from lifecycle.stores.memory.reading import Row
from lifecycle.stores.memory.store import MemoryStore

Item = tuple[list[Any], str, str | None]
"""Key as JSON has it, identity, and the tenant's id."""


class ListedMemoryStore(MemoryStore):
    """Tables in memory that change row by row. Failpoint `item.gone` after each."""

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the next piece with its items."""
        piece = super().cut(bound, after, size)
        if piece is None:
            return None
        dataset = self._dataset(bound.selection.dataset)
        rows = [(row, tenant) for row, tenant in self._selected(bound) if self._beyond(dataset, row, after)]
        items = [(_plain(self._key(dataset, row)), _identity(row), tenant) for row, tenant in rows[: piece.items]]
        return replace(piece, listed=json.dumps([dataset.id, items]).encode())

    def apply(self, batch: Batch) -> Receipt:
        """Take the listed rows that are still what the cut saw and are selected still, one after the other."""
        _, items = _read(self._listed(batch))
        if len(items) > batch.remaining:
            raise Refused("more items are listed than the plan has left", guard="limit")
        self._failpoint("batch.begun")
        self._check_fence(batch)
        self._failpoint("batch.fenced")
        gone: list[tuple[Sequence[Any], str | None]] = []
        kept: Counter[str] = Counter()
        for item in items:
            with self._lock:
                reason = self._take(batch, item)
            if reason is None:
                gone.append((item[0], item[2]))
                self._failpoint("item.gone")
            else:
                kept[reason] += 1
        self._failpoint("batch.changed")
        return self._receipt(batch.id, (batch.sealing_key, batch.commitment_key), gone, kept)

    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Refuse anonymising beside what else is found: items are deleted or kept."""
        what, fix = "items of this store are deleted or kept, not anonymised", "Let the rule delete."
        refused = [Finding("anonymise-not-served", self.id, name, what, fix, True) for name in anonymised]
        return super().inspect(datasets) + refused

    def _listed(self, batch: Batch) -> bytes:
        if batch.deployment != self._deployment:
            raise Refused("the batch is one of another deployment", guard="deployment")
        if not isinstance(batch.upto, list | tuple) or not batch.upto or batch.listed is None:
            raise Refused("a batch without an upper bound and a list is not a batch", guard="bounds")
        if not isinstance(batch.action, Delete):
            raise Refused("items of this store are deleted or kept, nothing else", guard="detach")
        self._must_respect_holds(batch.bound)
        return batch.listed

    def _take(self, batch: Batch, item: Item) -> str | None:
        """Remove one row; or say why it stays."""
        try:
            self._check_fence(batch)
        except Refused as refusal:
            return refusal.guard
        dataset = self._dataset(batch.bound.selection.dataset)
        row = self._found(dataset.table, dataset.key, item[0])
        if row is None:
            return "vanished"
        if _identity(row) != item[1]:
            return "changed"
        if not any(row is selected for selected, _ in self._selected(batch.bound)):
            return "not-selected"
        self.tables[dataset.table][:] = [other for other in self.tables[dataset.table] if other is not row]
        return None

    def _found(self, table: str, key: Sequence[str], wanted: list[Any]) -> Row | None:
        return next((row for row in self.tables[table] if _plain(tuple(row[name] for name in key)) == wanted), None)

    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Read every listed row again; from here on the batch's own process is a stale one."""
        if not batch_id or closing is None:
            raise Refused("a batch of this store is closed by its list", guard="batch")
        with self._lock:
            self.advance_epoch(closing.deployment, closing.epoch)
            name, items = _read(closing.listed)
            dataset = self._dataset(name)
            gone = [(key, tenant) for key, _, tenant in items if self._found(dataset.table, dataset.key, key) is None]
        if not gone:
            return Receipt(batch_id, "void")
        kept = {"interrupted": len(items) - len(gone)} if len(gone) < len(items) else {}
        return self._receipt(batch_id, (closing.sealing_key, closing.commitment_key), gone, kept)

    def receipt(self, batch_id: str) -> Receipt | None:
        """Return None: nothing stands here, whatever the batch."""
        beside: dict[str, Receipt] = {}
        return beside.get(batch_id)

    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return nothing."""
        del after, limit
        return []

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Return the counts per tenant of a receipt that was just made."""
        del key
        return receipt.by_tenant


def _plain(key: Sequence[Any]) -> list[Any]:
    plain: list[Any] = json.loads(json.dumps(list(key), default=str))
    return plain


def _identity(row: Row) -> str:
    return digest(repr(sorted(row.items())).encode())


def _read(listed: bytes) -> tuple[str, list[Item]]:
    dataset, items = json.loads(listed)
    return dataset, [(key, identity, tenant) for key, identity, tenant in items]

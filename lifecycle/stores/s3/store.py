"""An object store as a store: the seam's methods, over one signed connection pool and one of boto3's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from functools import cached_property
from typing import Any

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Bound, Selection
from lifecycle.core.throttle import Brake, Pressure
from lifecycle.core.transform import Transform
from lifecycle.evidence.canonical import encode
from lifecycle.evidence.digest import digest
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.store import (
    NOTHING_GOES,
    Ask,
    Batch,
    Catalogue,
    Closing,
    Counted,
    Cut,
    Examined,
    Fence,
    Finding,
    Found,
    Going,
    HoldRow,
    Json,
    Likeness,
    Oddities,
    Probe,
    Receipt,
    Register,
    Residue,
    Rows,
    Starts,
    TenantRow,
)
from lifecycle.stores.s3 import address, apply, clients, export, inspect, lists, names, residue, select
from lifecycle.stores.s3.deleting import Bucket
from lifecycle.stores.s3.layout import Layout
from lifecycle.stores.s3.lists import Item, Listing
from lifecycle.stores.s3.own import Own
from lifecycle.stores.s3.width import Width
from lifecycle.stores.s3.wire import Wire


class ObjectStore:
    """Buckets of one account at one endpoint. Thread-safe: only connections are kept."""

    def __init__(
        self,
        id: str,
        url: str,
        datasets: Sequence[Dataset],
        *,
        deployment: str,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        """Describe the store by its address; nothing is asked yet. Raises InvalidDocument when it is none."""
        self.id = id
        self._address = address.parse(url)
        self._datasets = {dataset.id: dataset for dataset in datasets}
        self._deployment = deployment
        self._failpoint = failpoint
        self._width = Width()

    @cached_property
    def _wire(self) -> Wire:
        return Wire(self._address)

    @cached_property
    def _own(self) -> Own:
        return Own(self._wire)

    @cached_property
    def _fresh(self) -> Any:
        return clients.client(self._address)

    @cached_property
    def _guarded(self) -> bool:
        return self._own.honours()["delete"]

    # ---- what is there ----

    def probe(self) -> Probe:
        """Return facts read now; the clock is the server's. Whether it accepts changes, only a change would tell."""
        clock, prepared = self._wire.clock(), self._own.prepared()
        owner = ["", ""]
        if prepared:
            kept = self._own.kept()
            owner = [kept.deployment, kept.identity]
        told = "\n".join([*owner, self._address.place])
        fingerprint = "sha256:" + hashlib.sha256(told.encode()).hexdigest()
        return Probe("s3", "1", fingerprint, clock, False, prepared)

    def catalogue(self) -> Catalogue:
        """Return the buckets and what lies undeclared in them, read now."""
        return Catalogue(tuple(inspect.tables(self._wire, tuple(self._datasets.values()))))

    def one_look(self) -> AbstractContextManager[None]:
        """Change nothing: buckets are listed anew each time."""
        return nullcontext()

    def used_schema(self, datasets: Sequence[str]) -> str:
        """Return the hash over what the inventory says of these datasets: objects have no other schema."""
        shapes = [self._dataset(name).model_dump(mode="json", by_alias=True) for name in sorted(datasets)]
        return digest(encode([{k: v for k, v in shape.items() if k != "note"} for shape in shapes]))

    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Return findings, asked for now; the server's conditions are tried in our own bucket. None is anonymised."""
        found = inspect.findings(self.id, self._wire, self._own, [self._dataset(name) for name in datasets])
        fix = "Let the rule delete these objects."
        return list(found) + [
            Finding("anonymise-objects", self.id, name, "objects cannot be anonymised", fix, fatal=True)
            for name in anonymised
        ]

    def examine(self, datasets: Sequence[str]) -> Examined:
        """Return which conditions the server honours; `inspect` has looked at the buckets already."""
        for name in datasets:
            self._dataset(name)
        honoured = self._own.honours()
        said = {name: "honoured" if good else "ignored" for name, good in honoured.items()}
        return Examined((), {"conditional-writes": said["put"], "conditional-deletions": said["delete"]})

    def likeness(self, tables: Sequence[tuple[str | None, str]]) -> list[Likeness]:
        """Return nothing: objects have no columns, and their contents are not read."""
        del tables
        return []

    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Look one version, marker or upload up by its name, as `find` shows it."""
        if len(key) != 1:
            raise Refused("the key of an object is one name", guard="bounds")
        free = Bound(Selection(dataset=bound.selection.dataset, scope=bound.selection.scope), bound.tenant)
        return names.starts(self._wire, self._judge(free), key[0], zone, today)

    def pressure(self, datasets: Sequence[str]) -> Pressure:
        """Return nothing: an object store says SlowDown when it is asked, not before."""
        del datasets
        return Pressure(None, None, None)

    def held_back(self) -> Brake | None:
        """Return nothing: whoever throttles wraps this store."""
        return None

    def levels(self, datasets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return one level: objects reference nothing."""
        for name in datasets:
            self._dataset(name)
        return [tuple(datasets)] if datasets else []

    # ---- our bucket ----

    def prepare_statements(self, deployment: str) -> list[str]:
        """Return what `prepare` does, as an administrator would."""
        del deployment
        own = self._address.own
        return [f"put s3://{own}/fence.json and s3://{own}/tenants.json (the bucket must be there, ours alone)"]

    def prepare(self, deployment: str) -> None:
        """Write fence and mirrors, if they are not there."""
        self._own.prepare(deployment)

    def fence(self) -> Fence:
        """Read the fence."""
        return self._own.kept().fence()

    def advance_epoch(self, deployment: str, epoch: int) -> None:
        """Raise the epoch. A batch that is under way notices before its next request."""
        self._own.change(lambda kept: kept.raised(deployment, epoch))

    def set_stop(self, *, stopped: bool) -> None:
        """Write the stop."""
        self._own.change(lambda kept: replace(kept, stopped=stopped))

    def mirror_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Make the mirror equal to the rows."""
        if not rows:
            raise Refused("an empty register would make every tenant unknown", guard="empty-register")
        groups = {row.id: row.group for row in rows}
        if len(groups) != len(rows) or not all(groups):
            raise Refused("a tenant is twice in the register, or has no id", guard="register")
        if self._own.tenants() != groups:
            self._own.keep_tenants(groups)

    def mirror_holds(self, rows: Sequence[HoldRow]) -> int:
        """Make the mirror equal to the rows."""
        if not all(row.tenant for row in rows):
            raise Refused("a hold names a tenant", guard="register")
        return self._own.change(lambda kept: kept.with_holds(tuple(rows))).hold_version

    def mirrored(self) -> Register:
        """Return what the mirrors hold."""
        tenants, holds = self._own.tenants(), self._own.kept().holds
        return Register([TenantRow(name, group) for name, group in sorted(tenants.items())], holds)

    # ---- what is selected ----

    def _dataset(self, name: str) -> Dataset:
        if name not in self._datasets:
            raise Refused(f"the dataset {name!r} is not declared in this store", guard="dataset")
        return self._datasets[name]

    def _judge(self, bound: Bound) -> select.Judge:
        layout = Layout(self._dataset(bound.selection.dataset))
        register = self.mirrored()
        return select.Judge(layout, bound, {row.id: row.group for row in register.tenants}, register.holds)

    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count what is selected now; nothing here waits for anything else to go."""
        del going
        return select.counted(self._wire, self._judge(bound))

    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count what no rule may touch."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        return select.oddities(self._wire, self._judge(bound))

    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return keys with kind and version, in the order of the walk."""
        return names.find(self._wire, self._judge(bound), after, limit)

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the next versions, markers and uploads, each with its identity."""
        if size < 1:
            raise Refused("a batch has at least one item", guard="limit")
        select.refuse_without_holds(bound)
        judge = self._judge(bound)
        found = select.due(self._wire, judge, after, min(size, lists.MOST_ITEMS))
        if not found:
            return None
        items = [Item(entry, judge.layout.tenant_of(entry.key)) for entry, _ in found]
        behind = str(after[1]) if isinstance(after, list) and after and after[0] == "v" else None
        listed = lists.write(Listing(judge.layout.dataset.id, judge.layout.bucket, judge.prefix, behind, items))
        return Cut(after, found[-1][1], len(items), listed)

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Look again, by boto3's pages."""
        return self._ask(bound, register)

    @contextmanager
    def looking(self) -> Iterator[Ask]:
        """Look again and again; each question lists anew."""
        yield self._ask

    def _ask(self, bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
        known = self.mirrored() if register is None else register
        tenants = {row.id: row.group for row in known.tenants}
        dataset = self._dataset(bound.selection.dataset)
        eyes = residue.Eyes(self._fresh, self._address.owner, dataset, bound, tenants, known.holds)
        return eyes.look(narrow=narrow)

    def population(self, dataset: str, undone: Sequence[Transform] = ()) -> int:
        """Count every version, marker and upload below the dataset's prefix."""
        if undone:
            raise Refused("objects are deleted or kept, nothing else", guard="anonymise")
        return residue.population(self._fresh, self._dataset(dataset), self._address.owner)

    def export(self, dataset: str, bound: Bound) -> AbstractContextManager[Rows]:
        """Stream the latest objects of the scope; held ones too."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        return export.objects(self._wire, Layout(self._dataset(dataset)), bound)

    # ---- batches ----

    def apply(self, batch: Batch) -> Receipt:
        """Carry a batch out, item by item."""
        if batch.deployment != self._deployment:
            raise Refused("the batch is one of another deployment", guard="deployment")
        layout = Layout(self._dataset(batch.bound.selection.dataset))
        self._failpoint("batch.begun")
        listing, judge = apply.begin(self._own, layout, batch)
        self._failpoint("batch.fenced")
        if (there := self._own.receipt(batch.id)) is not None:
            return there
        self._failpoint("batch.receipt-open")
        bucket = Bucket(self._wire, layout.bucket, self._guarded)
        receipt = apply.carry_out(apply.Work(self._own, bucket, batch, listing, judge, self._width, self._failpoint))
        self._failpoint("batch.committed")
        return receipt

    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Close an intent: from here on its own process is a stale one, and each listed item is read again."""
        if closing is not None:
            self.advance_epoch(closing.deployment, closing.epoch)
        there = self._own.receipt(batch_id)
        if there is not None:
            return there
        receipt = Receipt(batch_id, "void")
        if closing is not None:
            bucket = Bucket(self._wire, lists.read(closing.listed).bucket, guarded=False)
            receipt = apply.closed(bucket, batch_id, closing, self._width)
        return receipt if self._own.keep_receipt(receipt) else self._own.receipt(batch_id) or receipt

    def receipt(self, batch_id: str) -> Receipt | None:
        """Read a receipt."""
        return self._own.receipt(batch_id)

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Return the counts per tenant out of a sealed list."""
        return {} if receipt.sealed is None else lists.open_tenants(receipt.sealed, key, receipt.batch)

    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return receipts that no checkpoint covers yet."""
        names = [name for name in self._own.uncovered() if after is None or name > after][:limit]
        found = [self._own.receipt(name) for name in names]
        return [replace(receipt, sealed=None) for receipt in found if receipt is not None]

    def acknowledge(self, batch_ids: Sequence[str], checkpoint: str) -> None:
        """Mark receipts as covered, and remember the checkpoint in the fence."""
        if not batch_ids:
            return
        for batch in batch_ids:
            self._own.cover(batch)
        self._own.change(lambda kept: replace(kept, checkpoint=checkpoint))

    def close(self) -> None:
        """Close connections."""
        if "_wire" in self.__dict__:
            self._wire.close()
        if "_fresh" in self.__dict__:
            self._fresh.close()

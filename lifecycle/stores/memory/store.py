"""A store in memory with the promises of a real one: for tests of flow, and as the plainest reading of a selection.

Tables are lists of dictionaries that the caller keeps; rows hold dates, aware or naive datetimes, numbers and texts.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any, assert_never

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.plan import Anonymise, Delete, Detach
from lifecycle.core.selection import Before, Bound, GroupScope, Selection, TenantScope, WholeScope
from lifecycle.core.throttle import Brake, Pressure
from lifecycle.core.transform import Transform, is_done, transformed
from lifecycle.evidence.canonical import encode
from lifecycle.evidence.digest import digest, keyed_digest
from lifecycle.evidence.seal import seal
from lifecycle.ports.clock import Clock, SystemClock
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.store import (
    NOTHING_GOES,
    Ask,
    Batch,
    Catalogue,
    Closing,
    Column,
    Counted,
    Cut,
    Examined,
    Fence,
    Finding,
    ForeignKey,
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
    Table,
    TenantRow,
)
from lifecycle.stores.memory.reading import Row, local_day, true_of


@dataclass(slots=True)
class _Own:
    """What `prepare` puts into a target."""

    fence: Fence
    tenants: dict[str, str] = field(default_factory=dict)
    holds: tuple[HoldRow, ...] = ()
    receipts: dict[str, Receipt] = field(default_factory=dict)
    covered: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Target:
    """What handles on one target share."""

    own: _Own | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryStore:
    """Tables in memory behind the store seam. `references` are foreign keys, for the order of deletion."""

    def __init__(
        self,
        id: str,
        tables: dict[str, list[Row]],
        datasets: Sequence[Dataset],
        *,
        deployment: str,
        failpoint: Failpoint = no_failpoint,
        clock: Clock | None = None,
        references: Sequence[ForeignKey] = (),
        beside: MemoryStore | None = None,
    ) -> None:
        """Take the tables as they are; changes show in them. `beside`: another handle on the same target."""
        self.id = id
        self.tables = tables
        self._datasets = {dataset.id: dataset for dataset in datasets}
        self._deployment = deployment
        self._failpoint = failpoint
        self._clock: Clock = clock or SystemClock()
        self._references = tuple(references)
        self._target: _Target = _Target() if beside is None else beside._target  # noqa: SLF001 - our own kind
        self._lock = self._target.lock

    # ---- what is there ----

    def probe(self) -> Probe:
        """Return facts."""
        owner = "" if self._target.own is None else self._target.own.fence.deployment
        fingerprint = digest(encode([owner, self.id]))
        return Probe("memory", "1", fingerprint, self._clock.now(), False, self._target.own is not None)

    def catalogue(self) -> Catalogue:
        """Return the tables with the columns of their first rows and datasets."""
        return Catalogue(tuple(self._table(name) for name in sorted(self.tables)))

    def one_look(self) -> AbstractContextManager[None]:
        """Change nothing: our catalogue is always at hand."""
        return nullcontext()

    def _table(self, name: str) -> Table:
        declared = [d for d in self._datasets.values() if d.table == name]
        names = dict.fromkeys([c for d in declared for c in d.key] + [c for row in self.tables[name][:1] for c in row])
        columns = tuple(Column(column, "any", column not in {k for d in declared for k in d.key}) for column in names)
        key = declared[0].key if declared else ()
        foreign = tuple(ref for ref in self._references if ref.table == name)
        return Table(
            None, name, "table", columns, key, foreign, (), "none", len(self.tables[name]), (key,) if key else ()
        )

    def used_schema(self, datasets: Sequence[str]) -> str:
        """Hash the declared shape: rows have no other."""
        return digest(encode([[n, self._dataset(n).table, list(self._dataset(n).key)] for n in sorted(datasets)]))

    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Report datasets without a table, and columns that nobody decided about; nothing else can be wrong here."""
        fix = "Correct the inventory."
        missing = [name for name in datasets if self._dataset(name).table not in self.tables]
        found = [Finding("missing-table", self.id, name, "the table does not exist", fix, True) for name in missing]
        return found + [finding for name in anonymised for finding in self._unaccounted(name)]

    def _unaccounted(self, name: str) -> Iterator[Finding]:
        dataset = self._dataset(name)
        treated = {treatment.column for treatment in dataset.anonymise}
        for column in self._table(dataset.table).columns if dataset.table in self.tables else ():
            if column.name not in treated:
                what = f"the column {column.name!r} is not accounted for: it would stay as it is"
                fix = "Say under `anonymise` what becomes of it, or why it stays."
                yield Finding("unaccounted-column", self.id, name, what, fix, True)

    def levels(self, datasets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return children first, by references and tenant paths."""
        edges = {(ref.table, ref.to_table) for ref in self._references}
        for dataset in self._datasets.values():
            tables = [dataset.table, *(hop.table for hop in dataset.tenant.path)]
            edges |= set(pairwise(tables))
        waiting, found = list(datasets), list[tuple[str, ...]]()
        while waiting:
            places = {self._dataset(name).table for name in waiting}
            blocked = {to for child, to in edges if child in places and child != to}
            ready = tuple(name for name in waiting if self._dataset(name).table not in blocked)
            if not ready:
                raise Refused("these datasets reference each other in a cycle", guard="cycle")
            found.append(ready)
            waiting = [name for name in waiting if name not in ready]
        return found

    # ---- our tables ----

    def prepare_statements(self, deployment: str) -> list[str]:
        """Return nothing: memory has no administrator."""
        del deployment
        return []

    def prepare(self, deployment: str) -> None:
        """Make the fence."""
        if self._target.own is not None and self._target.own.fence.deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")
        self._target.own = self._target.own or _Own(Fence(deployment, 0, 0, False, None))

    @property
    def _ours(self) -> _Own:
        if self._target.own is None:
            raise Refused("the target is not prepared", guard="not-prepared")
        return self._target.own

    def fence(self) -> Fence:
        """Return the fence."""
        return self._ours.fence

    def advance_epoch(self, deployment: str, epoch: int) -> None:
        """Raise the epoch."""
        fence = self._ours.fence
        if fence.deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")
        if fence.epoch > epoch:
            raise Refused("a later leader has been here", guard="stale-epoch")
        self._ours.fence = replace(fence, epoch=epoch)

    def set_stop(self, *, stopped: bool) -> None:
        """Write the stop bit."""
        self._ours.fence = replace(self._ours.fence, stopped=stopped)

    def mirror_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Replace the mirror."""
        if not rows:
            raise Refused("an empty register would make every tenant unknown", guard="empty-register")
        if len({row.id for row in rows}) != len(rows) or not all(row.id for row in rows):
            raise Refused("a tenant is twice in the register, or has no id", guard="register")
        self._ours.tenants = {row.id: row.group for row in rows}

    def mirror_holds(self, rows: Sequence[HoldRow]) -> int:
        """Replace the mirror."""
        if not all(row.tenant for row in rows):
            raise Refused("a hold names a tenant", guard="register")
        with self._lock:
            if set(rows) != set(self._ours.holds):
                self._ours.holds = tuple(rows)
                self._ours.fence = replace(self._ours.fence, hold_version=self._ours.fence.hold_version + 1)
            return self._ours.fence.hold_version

    # ---- what is selected ----

    def _dataset(self, name: str) -> Dataset:
        if name not in self._datasets:
            raise Refused(f"the dataset {name!r} is not declared in this store", guard="dataset")
        return self._datasets[name]

    def _tenant(self, dataset: Dataset, row: Row) -> str | None:
        here: Row | None = row
        for hop in dataset.tenant.path:
            value = here[hop.column] if here is not None else None
            here = next((p for p in self.tables[hop.table] if value is not None and p[hop.key] == value), None)
        found = here[dataset.tenant.column] if here is not None and dataset.tenant.column else None
        return None if found is None else str(found)

    def _scoped(self, bound: Bound) -> Iterator[tuple[Row, str | None]]:
        dataset, scope = self._dataset(bound.selection.dataset), bound.selection.scope
        if (dataset.tenant.by == "none") != isinstance(scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        if isinstance(scope, TenantScope) and not bound.tenant:
            raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
        for row in self.tables[dataset.table]:
            tenant = self._tenant(dataset, row)
            in_group = isinstance(scope, GroupScope) and self._ours.tenants.get(tenant or "") in scope.groups
            wanted = isinstance(scope, WholeScope) or in_group or (tenant is not None and tenant == bound.tenant)
            if wanted and all(true_of(condition, row) for condition in dataset.only):
                yield row, tenant

    def _held(self, dataset: Dataset, tenant: str | None) -> bool:
        names = {dataset.id, *(cascade.dataset for cascade in dataset.cascades)}
        untenanted = dataset.tenant.by == "none"
        return any(
            hold.dataset in names if untenanted else hold.tenant == tenant and (hold.dataset in {None, *names})
            for hold in self._ours.holds
        )

    def _day(self, dataset: Dataset, before: Before, row: Row) -> date | None:
        if before.time not in dataset.times:
            raise Refused(f"the dataset {dataset.id!r} has no time {before.time!r}", guard="time")
        time = dataset.times[before.time]
        day = local_day(row[time.column], time, before.zone)
        return day if day is not None and before.not_before <= day <= before.not_after else None

    def _referenced(self, dataset: Dataset, row: Row, name: str, going: Going) -> bool:
        child = self._dataset(name)
        rest = {other: bounds for other, bounds in going.items() if other != name}
        gone = {id(r) for bound in going.get(name, ()) for r, _ in self._selected(bound, going=rest)}
        links = [
            (r.columns, r.to_columns) for r in self._references if (r.table, r.to_table) == (child.table, dataset.table)
        ]
        links += [((hop.column,), (hop.key,)) for hop in child.tenant.path[:1] if hop.table == dataset.table]
        if not links:
            raise Refused(f"nothing in {name!r} references {dataset.id!r}", guard="unreferenced-by")
        return any(
            [c[a] for a in ours] == [row[b] for b in theirs] and id(c) not in gone
            for ours, theirs in links
            for c in self.tables[child.table]
        )

    def _selected(
        self, bound: Bound, *, hold: bool = True, going: Going = NOTHING_GOES
    ) -> list[tuple[Row, str | None]]:
        selection, dataset = bound.selection, self._dataset(bound.selection.dataset)
        found = []
        for row, tenant in self._scoped(bound):
            days = [(self._day(dataset, before, row), before.day) for before in selection.due]
            due = all(day is not None and day <= cutoff for day, cutoff in days)
            if (
                due
                and all(true_of(condition, row) for condition in selection.only)
                and not any(self._referenced(dataset, row, name, going) for name in selection.unreferenced_by)
                and not (selection.undone and _done(row, selection.undone))
                and not (hold and self._held(dataset, tenant))
            ):
                found.append((row, tenant))
        return sorted(found, key=lambda item: self._key(dataset, item[0]))

    @staticmethod
    def _key(dataset: Dataset, row: Row) -> tuple[Any, ...]:
        return tuple(row[column] for column in dataset.key)

    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count what is selected now, or will be once what is going has gone."""
        rows = self._selected(bound, hold=bound.selection.respect_holds, going=going)
        return Counted(len(rows), self._oldest(bound, rows))

    def _oldest(self, bound: Bound, rows: Sequence[tuple[Row, str | None]]) -> date | None:
        dataset = self._dataset(bound.selection.dataset)
        days = [self._day(dataset, before, row) for before in bound.selection.due[:1] for row, _ in rows]
        return min((day for day in days if day is not None), default=None)

    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count what no rule may touch."""
        declared = self._dataset(dataset)
        due = bound.selection.due
        undatable = sum(any(self._day(declared, b, row) is None for b in due) for row, _ in self._scoped(bound))
        if isinstance(bound.selection.scope, WholeScope):
            return Oddities(undatable)
        mine = [row for row in self.tables[declared.table] if all(true_of(c, row) for c in declared.only)]
        tenants = [self._tenant(declared, row) for row in mine]
        unknown = sum(tenant is not None and tenant not in self._ours.tenants for tenant in tenants)
        return Oddities(undatable, unknown, 0, tenants.count(None) if declared.tenant.nulls == "refuse" else 0)

    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return keys in key order."""
        dataset, due = self._dataset(bound.selection.dataset), bound.selection.due
        rows = [row for row, _ in self._selected(bound) if self._beyond(dataset, row, after)]
        return [
            Found(self._key(dataset, row), self._day(dataset, due[0], row) if due else None) for row in rows[:limit]
        ]

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the next piece; cursors are keys."""
        if size < 1:
            raise Refused("a batch has at least one item", guard="limit")
        self._must_respect_holds(bound)
        dataset = self._dataset(bound.selection.dataset)
        rows = [row for row, _ in self._selected(bound) if self._beyond(dataset, row, after)][:size]
        return Cut(after, list(self._key(dataset, rows[-1])), len(rows)) if rows else None

    def _beyond(self, dataset: Dataset, row: Row, after: Json) -> bool:
        return after is None or (isinstance(after, list | tuple) and self._key(dataset, row) > tuple(after))

    @staticmethod
    def _must_respect_holds(bound: Bound) -> None:
        if not bound.selection.respect_holds:
            raise Refused("only a count may look past holds", guard="holds")

    # ---- batches ----

    def apply(self, batch: Batch) -> Receipt:
        """Carry a batch out; nothing shows before all of it does."""
        if batch.deployment != self._deployment:
            raise Refused("the batch is one of another deployment", guard="deployment")
        if not isinstance(batch.upto, list | tuple) or not batch.upto:
            raise Refused("a batch without an upper bound is not a batch", guard="bounds")
        self._must_respect_holds(batch.bound)
        with self._lock:
            self._failpoint("batch.begun")
            if batch.id in self._ours.receipts:
                return self._ours.receipts[batch.id]
            self._check_fence(batch)
            self._failpoint("batch.fenced")
            self._failpoint("batch.receipt-open")
            receipt, change = self._prepare_change(batch)
            self._failpoint("batch.changed")
            self._failpoint("batch.receipt-sealed")
            change()
            self._ours.receipts[batch.id] = receipt
        self._failpoint("batch.committed")
        return receipt

    def _check_fence(self, batch: Batch) -> None:
        fence = self._ours.fence
        wrong = {
            "deployment": fence.deployment != batch.deployment,
            "stopped": fence.stopped,
            "stale-epoch": fence.epoch != batch.epoch,
            "holds-changed": fence.hold_version != batch.hold_version,
            "unknown-tenant": batch.bound.tenant is not None and batch.bound.tenant not in self._ours.tenants,
        }
        for guard, refused in wrong.items():
            if refused:
                raise Refused("the fence refuses this batch", guard=guard)

    def _prepare_change(self, batch: Batch) -> tuple[Receipt, Callable[[], None]]:
        dataset, upto = self._dataset(batch.bound.selection.dataset), tuple(batch.upto)  # type: ignore[arg-type]
        rows = [
            (row, tenant)
            for row, tenant in self._selected(batch.bound)
            if self._beyond(dataset, row, batch.after) and self._key(dataset, row) <= upto
        ]
        if isinstance(batch.action, Detach):
            if not set(batch.action.columns) <= set(dataset.detach):
                raise Refused("only columns that the inventory declares are detached", guard="detach")
            columns = batch.action.columns
            rows = [(row, tenant) for row, tenant in rows if any(row[column] is not None for column in columns)]
        if isinstance(batch.action, Anonymise) and not (
            batch.action.transforms == batch.bound.selection.undone == dataset.transforms
        ):
            raise Refused("only what the inventory declares is anonymised, and all of it", guard="anonymise")
        if len(rows) > batch.remaining:
            raise Refused("more items match than the plan has left", guard="limit")
        gone = [(self._key(dataset, row), tenant) for row, tenant in rows]
        receipt = self._receipt(batch.id, (batch.sealing_key, batch.commitment_key), gone)
        return receipt, lambda: self._change(dataset, batch, [row for row, _ in rows])

    @staticmethod
    def _receipt(
        batch_id: str,
        keys: tuple[bytes, bytes],
        gone: Sequence[tuple[Sequence[Any], str | None]],
        kept: Mapping[str, int] | None = None,
    ) -> Receipt:
        plaintext = json.dumps([key for key, _ in gone], separators=(",", ":"), default=str).encode()
        sealing, commitment = keys
        return Receipt(
            batch_id,
            "done",
            len(gone),
            kept or {},
            digest=keyed_digest(commitment, plaintext),
            sealed=seal(sealing, plaintext, batch_id.encode()),
            by_tenant=Counter(tenant for _, tenant in gone if tenant is not None),
        )

    def _change(self, dataset: Dataset, batch: Batch, rows: Sequence[Row]) -> None:
        match batch.action:
            case Delete():
                gone = {id(row) for row in rows}
                self.tables[dataset.table][:] = [row for row in self.tables[dataset.table] if id(row) not in gone]
            case Detach():
                for row in rows:
                    row.update(dict.fromkeys(batch.action.columns))
            case Anonymise():
                for row in rows:
                    row.update(_anonymised(row, batch.action.transforms))
            case _:
                assert_never(batch.action)

    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Close an intent."""
        del closing
        if not batch_id:
            raise Refused("a batch has an id", guard="batch")
        with self._lock:
            return self._ours.receipts.setdefault(batch_id, Receipt(batch_id, "void"))

    def receipt(self, batch_id: str) -> Receipt | None:
        """Read a receipt."""
        found = self._ours.receipts.get(batch_id)
        return None if found is None else replace(found, by_tenant={})

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Return the counts per tenant."""
        del key
        return self._ours.receipts[receipt.batch].by_tenant

    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return receipts that no checkpoint covers yet."""
        names = [n for n in sorted(self._ours.receipts) if n not in self._ours.covered and (after is None or n > after)]
        return [replace(self._ours.receipts[name], by_tenant={}) for name in names[:limit]]

    def acknowledge(self, batch_ids: Sequence[str], checkpoint: str) -> None:
        """Mark receipts as covered."""
        if batch_ids:
            self._ours.covered |= dict.fromkeys(batch_ids, checkpoint)
            self._ours.fence = replace(self._ours.fence, checkpoint=checkpoint)

    # ---- afterwards ----

    def examine(self, datasets: Sequence[str]) -> Examined:
        """Return nothing: there is no server to look at."""
        for name in datasets:
            self._dataset(name)
        return Examined()

    def likeness(self, tables: Sequence[tuple[str | None, str]]) -> list[Likeness]:
        """Count values with an @ in them: the plainest reading of a shape."""
        found: list[Likeness] = []
        for _, table in tables:
            for name in sorted({name for row in self.tables[table] for name in row}):
                values = [row[name] for row in self.tables[table] if isinstance(row.get(name), str)]
                found.append(Likeness(None, table, name, len(values), sum("@" in value for value in values), 0, 0))
        return found

    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Look one row up by its key."""
        dataset = self._dataset(bound.selection.dataset)
        if len(key) != len(dataset.key):
            raise Refused("a key of another width", guard="bounds")
        free = Bound(Selection(dataset=dataset.id, scope=bound.selection.scope), bound.tenant)
        for row, _ in self._selected(free, hold=False):
            if [str(row[name]) for name in dataset.key] == list(key):
                days = {name: local_day(row[time.column], time, zone) for name, time in dataset.times.items()}
                least = {name: time.not_before for name, time in dataset.times.items()}
                return Starts({n: d if d and least[n] <= d <= today else None for n, d in days.items()})
        return None

    def pressure(self, datasets: Sequence[str]) -> Pressure:
        """Return a server at rest."""
        del datasets
        return Pressure(0.0, (), 0)

    def held_back(self) -> Brake | None:
        """Return nothing: whoever throttles wraps this store."""
        return None

    def mirrored(self) -> Register:
        """Return the mirrors."""
        return Register(
            [TenantRow(name, group) for name, group in sorted(self._ours.tenants.items())], self._ours.holds
        )

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Look again, at every row, and for rows whose way to a tenant is broken."""
        if register is not None:
            return self._with(register).residue(bound)
        self._must_respect_holds(bound)
        rows = self._selected(bound)
        dataset = self._dataset(bound.selection.dataset)
        orphans = sum(self._orphans(d, dataset) for d in self._datasets.values() if d.tenant.path)
        return Residue(len(rows), orphans, self._oldest(bound, rows), self.oddities(dataset.id, bound))

    @contextmanager
    def looking(self) -> Iterator[Ask]:
        """Look again and again."""
        yield self._ask

    def _ask(self, bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
        found = self.residue(bound, register)
        return replace(found, orphans=0, oddities=Oddities(found.oddities.undatable)) if narrow else found

    def _with(self, register: Register) -> MemoryStore:
        """Return a handle on the same tables whose mirrors are this register."""
        other = MemoryStore(
            self.id, self.tables, tuple(self._datasets.values()), deployment=self._deployment, clock=self._clock,
            references=self._references,
        )  # fmt: skip
        fence = Fence(self._deployment, 0, 0, False, None)
        tenants = {row.id: row.group for row in register.tenants}
        other._target.own = _Own(fence, tenants, tuple(register.holds))
        return other

    def population(self, dataset: str, undone: Sequence[Transform] = ()) -> int:
        """Count every row of the dataset, or every one that is not anonymised."""
        declared = self._dataset(dataset)
        mine = [row for row in self.tables[declared.table] if all(true_of(c, row) for c in declared.only)]
        return sum(not (undone and _done(row, undone)) for row in mine)

    def _orphans(self, child: Dataset, dataset: Dataset) -> int:
        hops = child.tenant.path
        if child.id != dataset.id and dataset.table not in {hop.table for hop in hops}:
            return 0
        rows, found = list(self.tables[child.table]), 0
        for hop in hops:
            parents = {row[hop.key]: row for row in self.tables[hop.table]}
            values = [row[hop.column] for row in rows if row[hop.column] is not None]
            if child.id == dataset.id or hop.table == dataset.table:
                found += sum(value not in parents for value in values)
            rows = [parents[value] for value in values if value in parents]
        return found

    @contextmanager
    def export(self, dataset: str, bound: Bound) -> Iterator[Rows]:
        """Stream the rows of the scope, held rows too."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        declared = self._dataset(dataset)
        names = list(declared.columns or (column.name for column in self._table(declared.table).columns))
        found, index = self._selected(bound, hold=False), None
        if declared.tenant.by != "none":
            own = not declared.tenant.path and declared.tenant.column in names
            index = names.index(declared.tenant.column or "") if own else len(names)
        appended = index == len(names)
        rows = ([*(row[name] for name in names), *([tenant] if appended else [])] for row, tenant in found)
        yield Rows((*names, *(["lifecycle_tenant"] if appended else [])), index, rows)

    def close(self) -> None:
        """Nothing is open."""


def _done(row: Row, transforms: Sequence[Transform]) -> bool:
    return all(is_done(row[transform.column], transform) for transform in transforms)


def _anonymised(row: Row, transforms: Sequence[Transform]) -> Row:
    return {
        transform.column: transformed(row[transform.column], transform, secrets.token_hex(16))
        for transform in transforms
        if not is_done(row[transform.column], transform)
    }

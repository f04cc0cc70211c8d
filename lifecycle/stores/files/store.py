"""A folder as a store: the seam's methods, each over descriptors of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import date
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Bound, Selection
from lifecycle.core.throttle import Brake, Pressure
from lifecycle.core.transform import Transform
from lifecycle.evidence.canonical import encode
from lifecycle.evidence.digest import digest
from lifecycle.ports.clock import Clock, SystemClock
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.links import Object
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
from lifecycle.stores.files import apply, aside, export, inspect, lists, objects, private, residue, select
from lifecycle.stores.files.layout import Layout
from lifecycle.stores.files.lists import Item, Listing
from lifecycle.stores.files.mounts import mounts
from lifecycle.stores.files.places import Identity, Path, Root, quoted, translated, unquoted
from lifecycle.stores.files.private import Private, kept_of, tenants_of

P = ParamSpec("P")
T = TypeVar("T")


def ours(method: Callable[Concatenate[FilesStore, P], T]) -> Callable[Concatenate[FilesStore, P], T]:
    """Let only our own errors out: what the file system says, and the path it names, is left behind (I23)."""

    @wraps(method)
    def inner(store: FilesStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        problem: LifecycleError
        try:
            return method(store, *args, **kwargs)
        except OSError as error:
            problem = translated(error)
        raise problem

    return inner


class FilesStore:
    """One folder on a local file system. Thread-safe: nothing is kept open between calls."""

    def __init__(
        self,
        id: str,
        path: str,
        datasets: Sequence[Dataset],
        *,
        deployment: str,
        failpoint: Failpoint = no_failpoint,
        clock: Clock | None = None,
    ) -> None:
        """Describe the store by an absolute path; nothing is opened yet."""
        self.id = id
        self._root = Root(path)
        self._datasets = {dataset.id: dataset for dataset in datasets}
        self._deployment = deployment
        self._failpoint = failpoint
        self._clock: Clock = clock or SystemClock()
        self._private = Private(self._root)

    # ---- what is there ----

    @ours
    def probe(self) -> Probe:
        """Return facts read now; the clock is this host's, which dates what is written here."""
        with self._root.opened() as root:
            system, status = os.fstatvfs(root), os.fstat(root)
            writable = os.access(b".", os.W_OK | os.X_OK, dir_fd=root)
        prepared = self._private.prepared()
        owner = ["", ""]
        if prepared:
            with self._private.opened() as own:
                kept = kept_of(own)
            owner = [kept.deployment, kept.identity]
        told = [*owner, os.fsdecode(self._root.path), str(system.f_fsid), str(status.st_ino)]
        fingerprint = "sha256:" + hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()
        read_only = bool(system.f_flag & os.ST_RDONLY) or not writable
        facts = {"free_bytes": str(system.f_bavail * system.f_frsize), "free_files": str(system.f_favail)}
        return Probe("files", "1", fingerprint, self._clock.now(), read_only, prepared, facts)

    @ours
    def catalogue(self) -> Catalogue:
        """Return the folders, read now."""
        return Catalogue(tuple(inspect.tables(self._root, tuple(self._datasets.values()))))

    def one_look(self) -> AbstractContextManager[None]:
        """Change nothing: folders are cheap to list."""
        return nullcontext()

    def used_schema(self, datasets: Sequence[str]) -> str:
        """Return the hash over what the inventory says of these datasets: files have no other schema."""
        shapes = [self._dataset(name).model_dump(mode="json", by_alias=True) for name in sorted(datasets)]
        return digest(encode([{k: v for k, v in shape.items() if k != "note"} for shape in shapes]))

    @ours
    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Return findings, over a walk made now. Files are deleted or kept: none is anonymised."""
        found = inspect.findings(self.id, self._root, [self._dataset(name) for name in datasets])
        fix = "Let the rule delete these files."
        return found + [
            Finding("anonymise-files", self.id, name, "files cannot be anonymised", fix, fatal=True)
            for name in anonymised
        ]

    @ours
    def examine(self, datasets: Sequence[str]) -> Examined:
        """Return what the system tells about the folder; `inspect` has walked it already."""
        for name in datasets:
            self._dataset(name)
        around = mounts(self._root.path)
        return Examined((), {"file-system": around.kind, **self.probe().facts})

    def likeness(self, tables: Sequence[tuple[str | None, str]]) -> list[Likeness]:
        """Return nothing: files have no columns, and their contents are not read."""
        del tables
        return []

    @ours
    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Look one file up by its path, as `find` shows it."""
        if len(key) != 1:
            raise Refused("the key of a file is its name", guard="bounds")
        free = Bound(Selection(dataset=bound.selection.dataset, scope=bound.selection.scope), bound.tenant)
        return select.starts(self._root, self._judge(free), unquoted(key[0]), zone, today)

    def pressure(self, datasets: Sequence[str]) -> Pressure:
        """Return nothing: a file system does not tell its load."""
        del datasets
        return Pressure(None, None, None)

    def held_back(self) -> Brake | None:
        """Return nothing: whoever throttles wraps this store."""
        return None

    def levels(self, datasets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return one level: files reference nothing."""
        for name in datasets:
            self._dataset(name)
        return [tuple(datasets)] if datasets else []

    # ---- our folder ----

    def prepare_statements(self, deployment: str) -> list[str]:
        """Return what `prepare` does, as an administrator would."""
        del deployment
        return ["mkdir -m 0700 .lifecycle (below the store's root, by the service's user)"]

    @ours
    def prepare(self, deployment: str) -> None:
        """Make our folder."""
        self._private.prepare(deployment)

    @ours
    def fence(self) -> Fence:
        """Read the fence."""
        with self._private.opened() as own:
            return kept_of(own).fence()

    @ours
    def advance_epoch(self, deployment: str, epoch: int) -> None:
        """Raise the epoch; waits for a batch that is under way."""
        with self._private.locked(alone=True) as own:
            self._raise_epoch(own, deployment, epoch)

    @staticmethod
    def _raise_epoch(own: int, deployment: str, epoch: int) -> None:
        kept = kept_of(own)
        if kept.deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")
        if kept.epoch > epoch:
            raise Refused("a later leader has been here", guard="stale-epoch")
        if kept.epoch < epoch:
            private.keep(own, replace(kept, epoch=epoch))

    @ours
    def set_stop(self, *, stopped: bool) -> None:
        """Write the stop; a batch that is under way ends first."""
        with self._private.locked(alone=True) as own:
            private.keep(own, replace(kept_of(own), stopped=stopped))

    @ours
    def mirror_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Make the mirror equal to the rows."""
        if not rows:
            raise Refused("an empty register would make every tenant unknown", guard="empty-register")
        groups = {row.id: row.group for row in rows}
        if len(groups) != len(rows) or not all(groups):
            raise Refused("a tenant is twice in the register, or has no id", guard="register")
        with self._private.locked(alone=True) as own:
            if tenants_of(own) != groups:
                private.keep_tenants(own, groups)

    @ours
    def mirror_holds(self, rows: Sequence[HoldRow]) -> int:
        """Make the mirror equal to the rows; waits for a batch that is under way."""
        if not all(row.tenant for row in rows):
            raise Refused("a hold names a tenant", guard="register")
        with self._private.locked(alone=True) as own:
            kept = kept_of(own)
            now = private.with_holds(kept, rows)
            if now is not kept:
                private.keep(own, now)
            return now.hold_version

    @ours
    def mirrored(self) -> Register:
        """Return what the mirrors hold."""
        with self._private.locked(alone=False) as own:
            tenants, holds = tenants_of(own), kept_of(own).holds
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

    @ours
    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count what is selected now; nothing here waits for anything else to go."""
        del going
        return select.counted(self._root, self._judge(bound))

    @ours
    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count what no rule may touch."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        return select.oddities(self._root, self._judge(bound))

    @ours
    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return paths, percent-encoded, in order."""
        return select.find(self._root, self._judge(bound), _cursor(after), limit)

    @ours
    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the next files with their identities; those that cannot be deleted stay due and are passed by."""
        if size < 1:
            raise Refused("a batch has at least one item", guard="limit")
        select.refuse_without_holds(bound)
        judge = self._judge(bound)
        items: list[Item] = []
        for seen in select.seen(self._root, judge, after=_cursor(after), ordered=True):
            if judge.obstacle(seen) is None:
                items.append(Item(seen.path, Identity.of(seen.status), judge.layout.tenant_of(seen.path)))
                if len(items) >= min(size, lists.MOST_ITEMS):
                    break
        if not items:
            return None
        listed = lists.write(Listing(judge.layout.dataset.id, judge.layout.folder, items))
        return Cut(after, [quoted(items[-1].path)], len(items), listed)

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Look again, by another walk."""
        return self._ask(bound, register)

    @contextmanager
    def looking(self) -> Iterator[Ask]:
        """Look again and again; each question walks anew."""
        yield self._ask

    @ours
    def _ask(self, bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
        known = self.mirrored() if register is None else register
        tenants = {row.id: row.group for row in known.tenants}
        eyes = residue.Eyes(self._root.path, self._dataset(bound.selection.dataset), bound, tenants, known.holds)
        return eyes.look(narrow=narrow)

    @ours
    def population(self, dataset: str, undone: Sequence[Transform] = ()) -> int:
        """Count everything below the dataset's folder."""
        if undone:
            raise Refused("files are deleted or kept, nothing else", guard="anonymise")
        return residue.population(self._root.path, self._dataset(dataset).table)

    def export(self, dataset: str, bound: Bound) -> AbstractContextManager[Rows]:
        """Stream the files of the scope; held ones too."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        return export.files(self._root, Layout(self._dataset(dataset)), bound)

    # ---- files that rows reference ----

    def _prepared(self, dataset: str) -> Layout:
        """Return the layout, once our own folder shows that this is the root: an empty mount point has no files."""
        with self._private.opened():
            return Layout(self._dataset(dataset))

    @ours
    def pick(self, bound: Bound, keys: Sequence[str]) -> Cut | None:
        """List the files of these keys."""
        select.refuse_without_holds(bound)
        self._prepared(bound.selection.dataset)
        return objects.pick(self._root, self._judge(bound), keys)

    @ours
    def there(self, dataset: str, keys: Collection[str]) -> frozenset[str]:
        """Return the keys under which anything lies."""
        return objects.there(self._root, self._prepared(dataset), keys)

    @ours
    def there_anew(self, dataset: str, keys: Collection[str]) -> frozenset[str]:
        """Return the same, by other code."""
        self._prepared(dataset)
        return residue.there(self._root.path, self._dataset(dataset).table, keys)

    def objects(self, dataset: str) -> Iterator[Object]:
        """Yield every file."""
        problem: LifecycleError | None = None
        try:
            yield from objects.objects(self._root, self._prepared(dataset))
        except OSError as error:
            problem = translated(error)
        if problem is not None:
            raise problem

    def export_keys(self, dataset: str, keys: Iterable[str], tenant: str) -> AbstractContextManager[Rows]:
        """Stream these files with their contents."""
        return objects.export_keys(self._root, self._prepared(dataset), keys, tenant)

    # ---- batches ----

    @ours
    def apply(self, batch: Batch) -> Receipt:
        """Carry a batch out, as a whole; Unknown when it was decided and could not be finished."""
        if batch.deployment != self._deployment:
            raise Refused("the batch is one of another deployment", guard="deployment")
        layout = Layout(self._dataset(batch.bound.selection.dataset))
        with self._private.locked(alone=False, timeout_ms=batch.lock_timeout_ms) as own:
            self._failpoint("batch.begun")
            return apply.carry_out(self._root, layout, batch, own, self._failpoint)

    @ours
    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Close an intent: finish what was decided, or give every file its name back. Waits for its process to end."""
        with self._private.locked(alone=True) as own:
            if closing is not None:
                self._raise_epoch(own, closing.deployment, closing.epoch)
            there = aside.finished(own, batch_id)
            if there is not None:
                return there
            if closing is not None:
                aside.give_back(self._root, own, batch_id, lists.read(closing.listed))
            elif aside.left_over(own, batch_id):
                raise Refused("a batch of files is closed by its list", guard="batch")
            receipt = Receipt(batch_id, "void")
            private.keep_receipt(own, receipt)
            return receipt

    @ours
    def receipt(self, batch_id: str) -> Receipt | None:
        """Read a receipt."""
        with self._private.opened() as own:
            return private.receipt_of(own, batch_id)

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Return the counts per tenant out of a sealed list."""
        return {} if receipt.sealed is None else lists.open_tenants(receipt.sealed, key, receipt.batch)

    @ours
    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return receipts that no checkpoint covers yet."""
        with self._private.opened() as own:
            names = [name for name in private.uncovered(own) if after is None or name > after][:limit]
            found = [private.receipt_of(own, name) for name in names]
        return [replace(receipt, sealed=None) for receipt in found if receipt is not None]

    @ours
    def acknowledge(self, batch_ids: Sequence[str], checkpoint: str) -> None:
        """Mark receipts as covered, and remember the checkpoint in the fence."""
        if not batch_ids:
            return
        with self._private.locked(alone=True) as own:
            for batch in batch_ids:
                private.cover(own, batch)
            private.keep(own, replace(kept_of(own), checkpoint=checkpoint))

    def close(self) -> None:
        """Nothing is open."""


def _cursor(after: Json) -> Path | None:
    return unquoted(str(after[0])) if isinstance(after, list) and after else None

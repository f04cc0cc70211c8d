"""A store around a store of objects: it knows whose rows reference them, and selects objects by rows.

What a selection `linked_by` a dataset means is decided here, for counts, batches and fresh looks alike: the objects
that its selected rows reference and that no other row of any dataset does. Everything else is the inner store's, which
needs not know that there are rows; the stores of rows need not know that there are objects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Any, TypeVar, cast

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, Reference
from lifecycle.core.linking import key_of, value_of
from lifecycle.core.selection import Bound, Selection, WholeScope
from lifecycle.ports.links import LinkedRows, Objects, Value
from lifecycle.ports.store import (
    NOTHING_GOES,
    Ask,
    Batch,
    Counted,
    Cut,
    Examined,
    Finding,
    Found,
    Going,
    Json,
    Oddities,
    Receipt,
    Register,
    Residue,
    Rows,
    Starts,
    Store,
)

T = TypeVar("T")

AT_ONCE = 500
"""How many values are asked for at once."""


@dataclass(frozen=True, slots=True)
class Link:
    """A dataset of rows, how it references the store's objects, and where it lies (None: not opened here)."""

    dataset: Dataset
    reference: Reference
    rows: LinkedRows | None


class LinkedStore:
    """The inner store, whose objects are referenced by rows elsewhere. Thread-safe as the stores are."""

    def __init__(self, store: Store, dataset: str, links: Sequence[Link]) -> None:
        """Take the store, its one dataset of objects, and every dataset that references it."""
        self._store = store
        self._objects = cast("Objects", store)
        self._dataset = dataset
        self._links = {link.dataset.id: link for link in links}

    def __getattr__(self, name: str) -> Any:
        """Be the inner store in everything else."""
        return getattr(self._store, name)

    # ---- whose objects ----

    def _link(self, name: str) -> Link:
        if name not in self._links:
            raise Refused(f"the rows of {name!r} reference no object here", guard="dataset")
        return self._links[name]

    def _rows(self, link: Link) -> LinkedRows:
        if link.rows is None:
            raise Refused(
                f"rows of {link.dataset.id} reference objects, and their store is not opened by this process",
                guard="store-missing",
                advice="Open all stores of the inventory: only then is it known which objects have other rows.",
            )
        return link.rows

    def _of_rows(self, bound: Bound) -> Bound:
        """Return the selection of the rows."""
        update = {"dataset": bound.selection.linked_by, "linked_by": None}
        return replace(bound, selection=bound.selection.model_copy(update=update))

    def _plain(self) -> Bound:
        return Bound(Selection(dataset=self._dataset, scope=WholeScope()))

    def _tables(self) -> Iterable[Link]:
        """Return one link for each table and way: two datasets may share a table, and its rows count once."""
        ways = {
            (link.dataset.store, link.dataset.schema_, link.dataset.table, link.reference): link
            for link in self._links.values()
        }
        return ways.values()

    def _all(self, keys: Collection[str], *, anew: bool) -> dict[str, int]:
        """Count for each key the rows that reference it, of every dataset and tenant."""
        found = dict.fromkeys(keys, 0)
        for link in self._tables():
            by_value = {value: key for key in keys if (value := value_of(link.reference, key)) is not None}
            if not by_value:
                continue
            rows, column = self._rows(link), link.reference.column
            ask = rows.linking_anew if anew else rows.linking
            for value, number in ask(link.dataset.id, column, list(by_value)).items():
                found[by_value[value]] += number
        return found

    def _leaving(self, own: Link, keys: Mapping[str, int], bound: Bound, going: Going) -> dict[str, int]:
        """Count for each key the rows that leave: those of the selection, and what earlier steps select."""
        found = dict(keys)
        for name, bounds in going.items():
            link = self._links.get(name)
            for other in bounds if link is not None else ():
                if link is None or (link is own and other == bound):
                    continue
                by_value = {value: key for key in keys if (value := value_of(link.reference, key)) is not None}
                if by_value:
                    seen = self._rows(link).linking(name, link.reference.column, list(by_value), other)
                    for value, number in seen.items():
                        found[by_value[value]] += number
        return found

    def _pages(
        self, bound: Bound, after: str | None, size: int, going: Going = NOTHING_GOES
    ) -> Iterator[tuple[str, list[str]]]:
        """Yield page by page the last value, and the keys of objects that are there and lose their last row."""
        link, rows = self._link(bound.selection.linked_by or ""), self._of_rows(bound)
        while page := self._rows(link).linked(rows, link.reference.column, after, size):
            after = page[-1].value
            keys = _keys(link.reference, page)
            leaving, everybody = self._leaving(link, keys, rows, going), self._all(keys, anew=False)
            last = [key for key in keys if everybody[key] <= leaving[key]]
            present = self._objects.there(self._dataset, last)
            yield after, [key for key in last if key in present]

    def _held(self, register: Register | None = None) -> bool:
        holds = (self._store.mirrored() if register is None else register).holds
        return any(hold.dataset == self._dataset for hold in holds)

    # ---- what is selected ----

    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count the objects that go with the selected rows."""
        if bound.selection.linked_by is None:
            return self._store.count(bound, going)
        if bound.selection.respect_holds and self._held():
            return Counted(0)
        return Counted(sum(len(keys) for _, keys in self._pages(bound, None, AT_ONCE, going)))

    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count what no rule may touch: rows are counted where they lie."""
        return Oddities() if bound.selection.linked_by is not None else self._store.oddities(dataset, bound)

    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Return nothing of an object that goes with rows: its times are theirs."""
        return None if bound.selection.linked_by is not None else self._store.starts(bound, key, zone, today)

    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return keys, in the order of the values that reference them."""
        if bound.selection.linked_by is None:
            return self._store.find(bound, after, limit)
        if self._held():
            return []
        link = self._link(bound.selection.linked_by)
        start = None if after is None else value_of(link.reference, _text(after))
        keys = (key for _, page in self._pages(bound, start, min(limit, AT_ONCE)) for key in page)
        return [Found((key,), None) for key in islice(keys, limit)]

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """List the next objects; after a value, by which their rows reference them."""
        if bound.selection.linked_by is None:
            return self._store.cut(bound, after, size)
        start = None if after is None else _value(after)
        for last, keys in self._pages(bound, start, min(size, AT_ONCE)):
            found = self._objects.pick(self._plain(), keys) if keys else None
            if found is not None:
                return replace(found, after=after, upto={"value": last, "piece": found.upto})
        return None

    def apply(self, batch: Batch) -> Receipt:
        """Carry a batch out: what it lists was selected by rows, and is checked by its identity and holds."""
        if batch.bound.selection.linked_by is None:
            return self._store.apply(batch)
        piece = batch.upto["piece"] if isinstance(batch.upto, dict) else None
        return self._store.apply(replace(batch, bound=self._plain(), after=None, upto=piece))

    # ---- before rows go ----

    def released(self, dataset: str, bound: Bound, values: Collection[str]) -> frozenset[str]:
        """Return the values whose rows may go: their object is gone, or never was, or other rows reference it.

        By fresh eyes; `bound`: the selection of the rows.
        """
        link = self._link(dataset)
        found: set[str] = set()
        for some in _some(sorted(values)):
            keys = {value: key_of(link.reference, value) for value in some}
            named = {key for key in keys.values() if key is not None}
            present = self._objects.there_anew(self._dataset, named)
            everybody = self._all(present, anew=True)
            back = {value_of(link.reference, key) or "": key for key in present}
            mine = self._rows(link).linking(dataset, link.reference.column, list(back), bound) if back else {}
            kept = {key for value, key in back.items() if everybody[key] > mine.get(value, 0)}
            found |= {value for value, key in keys.items() if key not in present or key in kept}
        return frozenset(found)

    # ---- fresh eyes ----

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Look again: rows and objects by the verifiers of their stores."""
        if bound.selection.linked_by is None:
            return self._store.residue(bound, register)
        return self._look(bound, register)

    @contextmanager
    def looking(self) -> Iterator[Ask]:
        """Look again and again."""
        with self._store.looking() as inner:

            def ask(bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
                if bound.selection.linked_by is None:
                    return inner(bound, register, narrow=narrow)
                return self._look(bound, register)

            yield ask

    def _look(self, bound: Bound, register: Register | None) -> Residue:
        nothing = Residue(0, 0, None, Oddities())
        if self._held(register):
            return nothing
        link = self._link(bound.selection.linked_by or "")
        seen = self._rows(link).linked_anew(self._of_rows(bound), link.reference.column, register)
        left = 0
        for some in _some(seen.items()):
            keys = _keys(link.reference, [Value(value, rows) for value, rows in some])
            present = self._objects.there_anew(self._dataset, list(keys))
            everybody = self._all(present, anew=True)
            left += sum(everybody[key] <= keys[key] for key in present)
        return replace(nothing, items=left)

    def referenced(self, bound: Bound) -> int:
        """Count the objects that are there and that selected rows reference, by fresh eyes."""
        link = self._link(bound.selection.linked_by or "")
        seen = self._rows(link).linked_anew(self._of_rows(bound), link.reference.column)
        named = (_keys(link.reference, [Value(value, 1) for value in some]) for some in _some(seen))
        return sum(len(self._objects.there_anew(self._dataset, list(keys))) for keys in named)

    def examine(self, datasets: Sequence[str]) -> Examined:
        """Look at the store, and for objects that no row references."""
        examined = self._store.examine(datasets)
        if self._dataset not in datasets:
            return examined
        number, oldest = 0, None
        for some in _some(self._objects.objects(self._dataset)):
            everybody = self._all([one.key for one in some], anew=True)
            for one in some:
                if not everybody[one.key]:
                    number += 1
                    oldest = one.modified if oldest is None else min(oldest, one.modified)
        if oldest is None:
            return examined
        what = f"{number} objects are referenced by no row of the inventory, the oldest of {oldest.date()}"
        fix = "Find out whose they are and delete them in the application: no run does."
        finding = Finding("orphaned-objects", self._store.id, self._dataset, what, fix, fatal=False)
        return replace(examined, findings=(*examined.findings, finding))

    def export(self, dataset: str, bound: Bound) -> AbstractContextManager[Rows]:
        """Stream what the tenant's rows reference, due or held or not, whoever else references it too; each once."""
        if dataset != self._dataset or not bound.tenant:
            return self._store.export(dataset, bound)
        return self._objects.export_keys(dataset, self._exported(bound), bound.tenant)

    def _exported(self, bound: Bound) -> Iterator[str]:
        before: list[tuple[Link, Bound]] = []
        for link in self._links.values():
            if link.dataset.tenant.by == "none":
                continue
            selection = bound.selection.model_copy(update={"dataset": link.dataset.id})
            theirs, after = replace(bound, selection=selection), None
            while page := self._rows(link).linked(theirs, link.reference.column, after, AT_ONCE):
                after = page[-1].value
                keys = _keys(link.reference, page)
                told = {key for other, mine in before for key in self._named(other, mine, keys)}
                yield from (key for key in keys if key not in told)
            before.append((link, theirs))

    def _named(self, link: Link, bound: Bound, keys: Collection[str]) -> set[str]:
        """Return those keys that selected rows reference."""
        by_value = {value: key for key in keys if (value := value_of(link.reference, key)) is not None}
        if not by_value:
            return set()
        seen = self._rows(link).linking(link.dataset.id, link.reference.column, list(by_value), bound)
        return {by_value[value] for value in seen}


def _some(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield the items in pieces."""
    left = iter(items)
    while piece := list(islice(left, AT_ONCE)):
        yield piece


def _keys(reference: Reference, page: Iterable[Value]) -> dict[str, int]:
    """Return the rows of each key that a page of values names."""
    return {key: one.rows for one in page if (key := key_of(reference, one.value)) is not None}


def _text(cursor: Json) -> str:
    if isinstance(cursor, list) and len(cursor) == 1 and isinstance(cursor[0], str):
        return cursor[0]
    raise Refused("a cursor of another walk", guard="bounds")


def _value(cursor: Json) -> str:
    """Return the value where a walk stands; beside it lies the inner store's bound of the piece."""
    if isinstance(cursor, dict) and cursor.keys() == {"value", "piece"} and isinstance(cursor["value"], str):
        return cursor["value"]
    raise Refused("a cursor of another walk", guard="bounds")

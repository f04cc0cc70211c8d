"""What is selected: one walk over a dataset's folder, and one judgement for counts, cuts and changes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Before, Bound, GroupScope, TenantScope, WholeScope
from lifecycle.ports.store import Counted, Found, HoldRow, Oddities, Starts
from lifecycle.stores.files.layout import Layout, Seen, local_day, modified
from lifecycle.stores.files.logs import Oldest, open_files
from lifecycle.stores.files.places import (
    OWN,
    VANISHED,
    ElsewhereError,
    Path,
    Root,
    is_file,
    is_folder,
    names_in_order,
    names_of,
    open_below,
    quoted,
    status_of,
)

DEEPEST = 100
"""How deep below a dataset's folder files may lie: each level costs a descriptor while it is walked."""


@dataclass(slots=True)
class Judge:
    """Decides about files under one selection, with the mirrors of one moment."""

    layout: Layout
    bound: Bound
    tenants: Mapping[str, str] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)
    _oldest: Oldest = field(init=False, repr=False)
    _open: frozenset[tuple[int, int]] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse scopes and conditions that mean nothing here."""
        self._oldest = Oldest(self.layout)
        selection = self.bound.selection
        if self.layout.tenanted == isinstance(selection.scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        if isinstance(selection.scope, TenantScope):
            if not self.bound.tenant:
                raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
            self.layout.prefix(self.bound.tenant)
        if selection.only or selection.unreferenced_by or selection.undone:
            raise Refused("files have no columns, and nothing references them here", guard="conditions")
        for before in selection.due:
            if before.time not in self.layout.dataset.times:
                raise Refused(f"the dataset {self.layout.dataset.id!r} has no time {before.time!r}", guard="time")

    def in_scope(self, path: Path) -> bool:
        """Tell whether a file is the scope's."""
        scope, tenant = self.bound.selection.scope, self.layout.tenant_of(path)
        if isinstance(scope, WholeScope):
            return True
        if isinstance(scope, GroupScope):
            return tenant is not None and self.tenants.get(tenant) in scope.groups
        return tenant is not None and tenant == self.bound.tenant

    def held(self, path: Path) -> bool:
        """Tell whether a hold keeps it."""
        name, tenant = self.layout.dataset.id, self.layout.tenant_of(path)
        if not self.layout.tenanted:
            return any(hold.dataset == name for hold in self.holds)
        return any(hold.tenant == tenant and hold.dataset in {None, name} for hold in self.holds)

    def days(self, seen: Seen) -> list[date | None]:
        """Return the local day of each start time that the selection asks for."""
        return [self.day(before, seen) for before in self.bound.selection.due]

    def day(self, before: Before, seen: Seen) -> date | None:
        """Return the local day of one start time; None is undatable."""
        return self.layout.day(before, seen, self._oldest)

    def undatable(self, seen: Seen) -> bool:
        """Tell whether no rule may touch it: no regular file, no log by its name, or without a believable time."""
        return not self._ours(seen) or (bool(self.bound.selection.due) and None in self.days(seen))

    def due(self, seen: Seen) -> bool:
        """Tell whether it is a file of which every start time is on or before its day."""
        if not self._ours(seen):
            return False
        befores = self.bound.selection.due
        return all(day is not None and day <= b.day for day, b in zip(self.days(seen), befores, strict=True))

    def _ours(self, seen: Seen) -> bool:
        return is_file(seen.status) and (self.layout.rotated(seen.name) or self.layout.active(seen.name))

    def selected(self, seen: Seen) -> bool:
        """Tell whether the selection takes it, now."""
        unheld = not self.bound.selection.respect_holds or not self.held(seen.path)
        return unheld and self.in_scope(seen.path) and self.due(seen)

    def obstacle(self, seen: Seen) -> str | None:
        """Say what keeps a selected file from being deleted: it stays due, and somebody has to look."""
        if seen.status.st_nlink > 1:
            return "linked"
        if not self.layout.rotated(seen.name):
            return "active"
        if self.layout.files.kind == "logs":
            self._open = open_files() if self._open is None else self._open
            if (seen.status.st_dev, seen.status.st_ino) in self._open:
                return "open"
            return "fresh" if self._written_today(seen) else None
        return None

    def _written_today(self, seen: Seen) -> bool:
        """Tell whether a log was written today: a process that we may not see can have it open after its rotation."""
        for before in self.bound.selection.due:
            day = local_day(modified(seen.status), before.zone)
            return day is None or day >= before.not_after
        return False


def refuse_without_holds(bound: Bound) -> None:
    """Raise Refused where holds are not respected: only a count may look past them (I7)."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds", guard="holds")


def walk(
    root: Root, layout: Layout, start: Path, *, after: Path | None = None, ordered: bool = False
) -> Iterator[Seen]:
    """Yield every entry below a folder of the dataset that is no folder; `ordered`: by path, after one of them.

    A start that is not there yields nothing; the dataset's own folder must be there. What vanishes meanwhile, or lies
    on another file system, is passed by.
    """
    with root.folder(layout.folder) as top:
        device = os.fstat(top).st_dev
        descriptor = os.dup(top)
        try:
            for name in start:
                below = open_below(descriptor, name, device)
                os.close(descriptor)
                descriptor = below
        except OSError as error:
            os.close(descriptor)
            if error.errno in VANISHED or isinstance(error, ElsewhereError):
                return
            raise
        try:
            yield from _below(descriptor, device, start, after if ordered else None, layout.folder, ordered=ordered)
        finally:
            os.close(descriptor)


def _below(
    descriptor: int, device: int, path: Path, after: Path | None, folder: Path, *, ordered: bool
) -> Iterator[Seen]:
    """Walk one folder, and those below it."""
    if len(path) > DEEPEST:
        raise Refused("a folder lies deeper than any that is walked", guard="schema")
    first: bytes | None = None
    if after is not None and after[: len(path)] == path and len(after) > len(path):
        first = after[len(path)]
    names = names_in_order(descriptor, first) if ordered else names_of(descriptor)
    for name in names:
        if not folder and not path and name == OWN:
            continue
        here = (*path, name)
        status = status_of(descriptor, name)
        if status is None:
            continue
        if is_folder(status):
            yield from _deeper(descriptor, device, here, after if name == first else None, folder, ordered=ordered)
        elif after is None or here > after:
            yield Seen(here, status, descriptor)


def _deeper(parent: int, device: int, path: Path, after: Path | None, folder: Path, *, ordered: bool) -> Iterator[Seen]:
    try:
        descriptor = open_below(parent, path[-1], device)
    except OSError as error:
        if error.errno in VANISHED or isinstance(error, ElsewhereError):
            return
        raise
    try:
        yield from _below(descriptor, device, path, after, folder, ordered=ordered)
    finally:
        os.close(descriptor)


def beginning(judge: Judge) -> Path:
    """Return the folder where a selection's walk may begin."""
    if isinstance(judge.bound.selection.scope, TenantScope):
        return judge.layout.prefix(judge.bound.tenant or "")
    return ()


def seen(root: Root, judge: Judge, *, after: Path | None = None, ordered: bool = False) -> Iterator[Seen]:
    """Yield what is selected."""
    for entry in walk(root, judge.layout, beginning(judge), after=after, ordered=ordered):
        if judge.selected(entry):
            yield entry


def counted(root: Root, judge: Judge) -> Counted:
    """Count what is selected, and find its oldest day."""
    items, oldest = 0, None
    for entry in seen(root, judge):
        items += 1
        if judge.bound.selection.due:
            day = judge.days(entry)[0]
            oldest = day if oldest is None or (day is not None and day < oldest) else oldest
    return Counted(items, oldest)


def oddities(root: Root, judge: Judge) -> Oddities:
    """Count what no rule may touch: in scope without a believable time, of unknown tenants, of none."""
    tenanted = not isinstance(judge.bound.selection.scope, WholeScope)
    undatable = unattributed = nobody = 0
    for entry in walk(root, judge.layout, ()):
        if judge.in_scope(entry.path):
            undatable += judge.undatable(entry)
        elif tenanted:
            tenant = judge.layout.tenant_of(entry.path)
            unattributed += tenant is not None and tenant not in judge.tenants
            nobody += tenant is None and judge.layout.dataset.tenant.nulls == "refuse"
    return Oddities(undatable, unattributed, 0, nobody)


def find(root: Root, judge: Judge, after: Path | None, limit: int) -> list[Found]:
    """Return keys in order."""
    found: list[Found] = []
    for entry in seen(root, judge, after=after, ordered=True):
        days = judge.days(entry)
        found.append(Found((quoted(entry.path),), days[0] if days else None))
        if len(found) >= limit:
            break
    return found


def starts(root: Root, judge: Judge, path: Path, zone: str, today: date) -> Starts | None:
    """Return one file's start days; None when the scope has no such file."""
    if not judge.in_scope(path):
        return None
    with parent_of(root, judge.layout.folder, path) as parent:
        status = None if parent is None else status_of(parent, path[-1])
        if parent is None or status is None or not is_file(status):
            return None
        times = judge.layout.dataset.times
        befores = {
            name: Before(time=name, day=today, zone=zone, not_before=time.not_before, not_after=today)
            for name, time in times.items()
        }
        return Starts({name: judge.day(before, Seen(path, status, parent)) for name, before in befores.items()})


@contextmanager
def parent_of(root: Root, folder: Path, path: Path) -> Iterator[int | None]:
    """Open the folder of a file below a dataset's folder; None where it has gone, or is something else by now."""
    with ExitStack() as stack:
        descriptor: int | None = None
        try:
            descriptor = stack.enter_context(root.folder(folder + path[:-1]))
        except OSError as error:
            if error.errno not in VANISHED and not isinstance(error, ElsewhereError):
                raise
        yield descriptor

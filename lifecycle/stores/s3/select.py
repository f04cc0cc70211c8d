"""What is selected: one judgement for counts, cuts and changes, over versions, delete markers and uploads alike.

In a versioned bucket each version of a key is a copy of its own, with a start time of its own. A delete marker hides
the versions below it: it goes last, and stays as long as one of them does.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, groupby
from typing import Final

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound, GroupScope, TenantScope, WholeScope
from lifecycle.ports.store import Counted, HoldRow, Json, Oddities
from lifecycle.stores.s3 import listing
from lifecycle.stores.s3.layout import Layout
from lifecycle.stores.s3.listing import Entry
from lifecycle.stores.s3.wire import Wire

MOST_OF_KEY: Final = 50_000
"""How many versions of one key are put in order at once; of a key with more, the older ones wait for a later batch."""

Place = tuple[int, int, str]
"""Where an entry stands among those of its key: older versions, the latest, the markers."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides about entries under one selection, with the mirrors of one moment."""

    layout: Layout
    bound: Bound
    tenants: Mapping[str, str] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse scopes and conditions that mean nothing here."""
        selection = self.bound.selection
        if self.layout.tenanted == isinstance(selection.scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        if isinstance(selection.scope, TenantScope):
            if not self.bound.tenant:
                raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
            self.layout.prefix(self.bound.tenant)
        if selection.only or selection.unreferenced_by or selection.undone:
            raise Refused("objects have no columns, and nothing references them here", guard="conditions")
        for before in selection.due:
            if before.time not in self.layout.dataset.times:
                raise Refused(f"the dataset {self.layout.dataset.id!r} has no time {before.time!r}", guard="time")

    @property
    def prefix(self) -> str:
        """Return the prefix that holds everything in scope."""
        if isinstance(self.bound.selection.scope, TenantScope):
            return self.layout.prefix(self.bound.tenant or "")
        return self.layout.objects.prefix

    def in_scope(self, key: str) -> bool:
        """Tell whether an object is the scope's."""
        if not key.startswith(self.layout.objects.prefix):
            return False
        scope, tenant = self.bound.selection.scope, self.layout.tenant_of(key)
        if isinstance(scope, WholeScope):
            return True
        if isinstance(scope, GroupScope):
            return tenant is not None and self.tenants.get(tenant) in scope.groups
        return tenant is not None and tenant == self.bound.tenant

    def held(self, key: str) -> bool:
        """Tell whether a hold keeps it."""
        name, tenant = self.layout.dataset.id, self.layout.tenant_of(key)
        if not self.layout.tenanted:
            return any(hold.dataset == name for hold in self.holds)
        return any(hold.tenant == tenant and hold.dataset in {None, name} for hold in self.holds)

    def days(self, entry: Entry) -> list[date | None]:
        """Return the local day of each start time that the selection asks for."""
        return [self.layout.day(before, entry) for before in self.bound.selection.due]

    def selected(self, entry: Entry) -> bool:
        """Tell whether the selection takes it, now."""
        if not self.in_scope(entry.key) or (self.bound.selection.respect_holds and self.held(entry.key)):
            return False
        befores = self.bound.selection.due
        return all(day is not None and day <= b.day for day, b in zip(self.days(entry), befores, strict=True))


def refuse_without_holds(bound: Bound) -> None:
    """Raise Refused where holds are not respected: only a count may look past them (I7)."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds", guard="holds")


def objects_or_versions(
    wire: Wire, bucket: str, prefix: str, *, after: str | None = None, page: int = listing.PAGE
) -> Iterator[Entry]:
    """Yield every version and marker under a prefix, by the quickest way that shows all of them."""
    how = listing.versions if listing.versioned(wire, bucket) else listing.objects
    return how(wire, bucket, prefix, after, page)


def of_key(wire: Wire, bucket: str, key: str, *, versioned: bool) -> Iterator[Entry]:
    """Yield the versions and markers of one key; keys that go on behind it are left out."""
    pages = listing.versions(wire, bucket, key) if versioned else listing.objects(wire, bucket, key, page=2)
    for entry in pages:
        if entry.key != key:
            return
        yield entry


def everything(wire: Wire, judge: Judge, prefix: str) -> Iterator[Entry]:
    """Yield every entry under a prefix."""
    bucket = judge.layout.bucket
    yield from objects_or_versions(wire, bucket, prefix)
    yield from listing.uploads(wire, bucket, prefix)


def counted(wire: Wire, judge: Judge) -> Counted:
    """Count what is selected, and find its oldest day."""
    items, oldest = 0, None
    for entry in everything(wire, judge, judge.prefix):
        if judge.selected(entry):
            items += 1
            day = judge.days(entry)[0] if judge.bound.selection.due else None
            oldest = day if oldest is None or (day is not None and day < oldest) else oldest
    return Counted(items, oldest)


def oddities(wire: Wire, judge: Judge) -> Oddities:
    """Count what no rule may touch: in scope without a believable time, of unknown tenants, of none.

    What is nobody's may be a leaver's: it is counted for one tenant as for a group (I21).
    """
    tenanted = not isinstance(judge.bound.selection.scope, WholeScope)
    undatable = unattributed = nobody = 0
    for entry in everything(wire, judge, judge.layout.objects.prefix):
        if judge.in_scope(entry.key):
            undatable += None in judge.days(entry)
        elif tenanted:
            tenant = judge.layout.tenant_of(entry.key)
            unattributed += tenant is not None and tenant not in judge.tenants
            nobody += tenant is None and judge.layout.dataset.tenant.nulls == "refuse"
    return Oddities(undatable, unattributed, 0, nobody)


# ---- in order ----


def due(wire: Wire, judge: Judge, after: Json, most: int) -> list[tuple[Entry, Json]]:
    """Return the next entries of the walk, at most so many, each with its cursor.

    First versions and markers in the server's order of keys, then uploads. What the server cannot name stays due.
    """
    found: list[tuple[Entry, Json]] = []
    stage, key, place = _cursor(after)
    if stage == "v":
        for entry in _ordered(wire, judge, key, place):
            found.append((entry, ["v", entry.key, *place_of(entry)]))
            if len(found) >= most:
                return found
        key, place = "", (0, 0, "")
    bucket = judge.layout.bucket
    beyond = (e for e in listing.uploads(wire, bucket, judge.prefix) if stage == "v" or (e.key, e.id) > (key, place[2]))
    mine = (entry for entry in beyond if judge.selected(entry) and not entry.garbled)
    rest = heapq.nsmallest(most - len(found), mine, key=lambda entry: (entry.key, entry.id))
    cursors: list[Json] = [["u", entry.key, 0, 0, entry.id] for entry in rest]
    return found + list(zip(rest, cursors, strict=True))


def _cursor(after: Json) -> tuple[str, str | None, Place]:
    if not isinstance(after, list) or len(after) != 5:
        return "v", None, (-1, 0, "")
    stage, key, phase, moment, name = after
    return str(stage), str(key), (int(str(phase)), int(str(moment)), str(name))


def _ordered(wire: Wire, judge: Judge, key: str | None, place: Place) -> Iterator[Entry]:
    bucket = judge.layout.bucket
    first: Iterator[Entry] = iter(())
    if key is not None:
        first = of_key(wire, bucket, key, versioned=listing.versioned(wire, bucket))
    rest = objects_or_versions(wire, bucket, judge.prefix, after=key)
    for name, group in groupby(chain(first, rest), key=lambda entry: entry.key):
        if judge.in_scope(name):
            taken = in_order(judge, group)
            yield from (entry for entry in taken if name != key or place_of(entry) > place)


def in_order(judge: Judge, group: Iterator[Entry]) -> list[Entry]:
    """Return what may go of one key, in order: old versions, the latest one, and the markers if nothing stays."""
    entries: list[Entry] = []
    more = False
    for entry in group:
        if len(entries) >= MOST_OF_KEY:
            more = True
            break
        entries.append(entry)
    chosen: list[Entry] = []
    stays = more
    for entry in entries:
        if not entry.garbled and judge.selected(entry):
            chosen.append(entry)
        else:
            stays = stays or entry.kind == "version"
    if stays:
        chosen = [entry for entry in chosen if entry.kind == "version" and not (more and entry.latest)]
    return sorted(chosen, key=place_of)


def place_of(entry: Entry) -> Place:
    """Return where an entry stands in its key."""
    phase = 2 if entry.kind == "marker" else int(entry.latest)
    return phase, -round(entry.modified.timestamp() * 1_000_000), entry.id

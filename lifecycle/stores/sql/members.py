"""A family's questions: whose tables count, then many tables in one round trip, and a walk from member to member.

Whether a table counts is a question about its tenant, asked once; the rows of the tables that do are counted in parts
of so many tables (UNION ALL), so that neither round trips nor memory grow with the number of tenants as rows would.
A batch touches one member, with everything repeated in its transaction (`apply`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound, GroupScope, TenantScope
from lifecycle.ports.store import NOTHING_GOES, Counted, Cut, Found, Going, Json, Oddities, Starts
from lifecycle.stores.sql import contested, select, walk
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect
from lifecycle.stores.sql.families import Family, Member
from lifecycle.stores.sql.select import Selected
from lifecycle.stores.sql.standin import quoted, rows_of, spoken, stand_in

Make = Callable[[Selected], sa.Select[Any]]
Kind = tuple[frozenset[str], tuple[tuple[bool, ...], ...]]

PART = 200
"""Tables in one statement: a UNION of more gains nothing, and SQLite takes at most 500."""
_FIRST = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """One question about a family."""

    connection: Connection
    dialect: Dialect
    world: World
    bound: Bound
    family: Family
    seen: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)
    """What this question has read of the mirrors."""

    def ids(self, *groups: str) -> frozenset[str]:
        """Return the tenants that the mirror has, in these groups or at all."""
        mirror = self.dialect.ours.tenant
        query = sa.select(mirror.c.id)
        return self._read(("tenants", *groups), query.where(mirror.c.grp.in_(groups)) if groups else query)

    def held(self) -> frozenset[str]:
        """Return the tenants that are held whole, in this dataset or in one that a deletion would take along."""
        hold, dataset = self.dialect.ours.hold, self.family.dataset
        names = [dataset.id, *(cascade.dataset for cascade in dataset.cascades)]
        kept = sa.or_(hold.c.dataset.is_(None), hold.c.dataset.in_(names))
        return self._read(("held", *names), sa.select(hold.c.tenant).where(kept))

    def _read(self, name: tuple[str, ...], query: sa.Select[str]) -> frozenset[str]:
        if name not in self.seen:
            self.seen[name] = frozenset(self.connection.scalars(query))
        return self.seen[name]

    def scope(self) -> list[str]:
        """Return the tenants of the scope that have a table, in order.

        Refused (guards `scope`, `empty-tenant`) on a scope that does not fit (I5), or (`family-shape`) where the one
        tenant's table has another shape: nothing there would be found, and that must not read as nothing due.
        """
        scope = self.bound.selection.scope
        if isinstance(scope, GroupScope):
            return self._plain(sorted(self.family.members.keys() & self.ids(*scope.groups)))
        if not isinstance(scope, TenantScope):
            raise Refused("a dataset that has tenants is never selected as a whole", guard="scope")
        tenant = self.bound.tenant
        if not tenant:
            raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
        if any(member.tenant == tenant for member in self.family.odd):
            raise Refused(
                f"the tenant's table of {self.family.dataset.id} has another shape than the others",
                guard="family-shape",
                advice="Run `lifecycle doctor`: it names the tables. Bring it into the family's shape.",
            )
        return self._plain([tenant] if tenant in self.family.members else [])

    def _plain(self, tenants: list[str]) -> list[str]:
        """Leave out names that could be another known tenant's: nobody can tell whose they are."""
        if not any(self.family.members[tenant].others for tenant in tenants):
            return tenants
        known = self.ids()
        return [tenant for tenant in tenants if not known & set(self.family.members[tenant].others)]

    def free(self) -> list[str]:
        """Return the tenants of the scope that no hold keeps."""
        tenants = self.scope()
        if not self.bound.selection.respect_holds:
            return tenants
        held = self.held()
        return [tenant for tenant in tenants if tenant not in held]

    def union(self, tenants: Sequence[str], make: Make, going: Going = NOTHING_GOES) -> Iterator[Any]:
        """Ask one row of each tenant's table; a row begins with its place in `tenants`.

        Tenants that have the same tables, and of whose tables the same selections are going, share a query.
        """
        needed = _asked_for(self.bound, going)
        leaving = {name: [(b, self._leaving(b)) for b in going[name]] for name in sorted(needed)}
        alike: dict[Kind, list[int]] = defaultdict(list)
        for number, tenant in enumerate(tenants):
            here = frozenset(n for n, family in self.world.gathered.families.items() if tenant in family.members)
            goes = tuple(tuple(who is None or tenant in who for _, who in bounds) for bounds in leaving.values())
            alike[here, goes].append(number)
        for (_, goes), numbers in alike.items():
            rest = {
                name: [bound for (bound, _), leaves in zip(bounds, which, strict=True) if leaves]
                for (name, bounds), which in zip(leaving.items(), goes, strict=True)
            }
            yield from self._alike(tenants, numbers, make, rest)

    def _leaving(self, bound: Bound) -> set[str] | None:
        """Return the tenants of whose table a selection takes rows; None where it is of no family."""
        asked = ask(self.connection, self.dialect, self.world, bound)
        return None if asked is None else set(replace(asked, seen=self.seen).free())

    def _alike(self, tenants: Sequence[str], numbers: Sequence[int], make: Make, going: Going) -> Iterator[Any]:
        world = stand_in(self.world, tenants[numbers[0]])
        query = spoken(self.connection, world, make(Selected(self.dialect, world, self.bound, going=going)))
        for start in range(0, len(numbers), PART):
            part = numbers[start : start + PART]
            texts = [
                f"SELECT {number} AS n, m.* FROM ({query.over(self.connection, self.world, tenants[number])}) AS m"  # noqa: S608
                for number in part
            ]
            yield from map(query.read, rows_of(self.connection, texts, query.bound(len(part))))


def _asked_for(bound: Bound, going: Going) -> set[str]:
    """Return the datasets of which it matters what goes: those that keep a parent alive, and those that keep them."""
    found: set[str] = set()
    waiting = list(bound.selection.unreferenced_by)
    while waiting:
        name = waiting.pop()
        if name in going and name not in found:
            found.add(name)
            waiting += [child for other in going[name] for child in other.selection.unreferenced_by]
    return found


def ask(connection: Connection, dialect: Dialect, world: World, bound: Bound) -> Asked | None:
    """Return a question about a family; None when the dataset is none."""
    family = world.family(bound.selection.dataset)
    return None if family is None else Asked(connection, dialect, world, bound, family)


def counted(asked: Asked, going: Going) -> Counted:
    """Count the selected rows of every member in scope."""
    tenants = asked.free()

    def one(selected: Selected) -> sa.Select[Any]:
        seen = [sa.func.count().label("items"), selected.oldest().label("oldest")]
        return sa.select(*seen).select_from(selected.source).where(*selected.of_rows())

    items, oldest, taken = 0, list[date](), dict[str, int]()
    for number, count, day in asked.union(tenants, one, going):
        items += count
        oldest += [found for found in [select.as_day(day)] if found is not None]
        if count and asked.family.dataset.cascades:
            _add(taken, _cascaded(asked, tenants[number]))
    return Counted(items, min(oldest, default=None), taken)


def _cascaded(asked: Asked, tenant: str) -> dict[str, int]:
    world = asked.world.of(tenant)
    parent = Selected(asked.dialect, world, asked.bound, alias="parent")
    return select.cascades(asked.connection, world, parent, parent.of_rows())


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def oddities(asked: Asked) -> Oddities:
    """Count undatable rows in scope, and rows of tables of another shape or of nobody's: they may be anyone's."""
    due = asked.bound.selection.due

    def odd(selected: Selected) -> sa.Select[Any]:
        compiler = selected.compiler
        truths = [compiler.condition(c) for c in asked.family.dataset.only]
        truths.append(sa.or_(*(sa.not_(compiler.datable(before)) for before in due)))
        return sa.select(sa.func.count().label("items")).select_from(compiler.source).where(*truths)

    undatable = sum(count for _, count in asked.union(asked.scope(), odd)) if due else 0
    nobodys = _rows(asked, _nobodys(asked))
    if isinstance(asked.bound.selection.scope, GroupScope):
        return Oddities(undatable, nobodys)
    return Oddities(undatable, nobodys, contested=_contested(asked))


def _nobodys(asked: Asked) -> list[Member]:
    known = asked.ids()
    unclear = {m.tenant for m in asked.family.members.values() if known & set(m.others)}
    lost = [m for m in asked.family.members.values() if m.tenant not in known or m.tenant in unclear]
    return [*lost, *asked.family.odd]


def _rows(asked: Asked, members: Sequence[Member]) -> int:
    """Count all rows of these tables; their columns are not looked at."""
    found = 0
    for start in range(0, len(members), PART):
        names = [quoted(asked.connection, member.table) for member in members[start : start + PART]]
        texts = [f"SELECT count(*) FROM {name}" for name in names]  # noqa: S608 - quoted names of the catalogue
        found += sum(count for (count,) in rows_of(asked.connection, texts))
    return found


def _contested(asked: Asked) -> int:
    worlds = [asked.world.of(tenant) for tenant in asked.scope()]
    return sum(contested.count(asked.connection, asked.dialect, world, asked.bound) for world in worlds)


def find(asked: Asked, after: Json, limit: int) -> list[Found]:
    """Return keys, the member's tenant first, in the order of members and of their keys."""
    if limit < 1:
        raise Refused("a page has at least one item", guard="limit")
    begin, inner = (None, None) if after is None else _split(select.texts(after))
    found: list[Found] = []
    for tenant in asked.free():
        if begin is not None and tenant < begin:
            continue
        place: Json = list(inner) if inner and tenant == begin else None
        world = asked.world.of(tenant)
        page = select.find(asked.connection, asked.dialect, world, asked.bound, place, limit - len(found))
        found += [Found((tenant, *item.key), item.start) for item in page]
        if len(found) == limit:
            break
    return found


def starts(asked: Asked, wanted: tuple[Sequence[str], str, date]) -> Starts | None:
    """Return the start days of a row of the scope's tenant, by the key that its own table has; None without one."""
    tenant = asked.bound.tenant
    if tenant is None or tenant not in asked.family.members:
        return None
    return select.starts(asked.connection, asked.dialect, asked.world.of(tenant), asked.bound, wanted)


def _split(parts: list[str]) -> tuple[str, list[str]]:
    return parts[0], parts[1:]


# ---- the walk ----


def cut(asked: Asked, after: Json, size: int) -> Cut | None:
    """Return the next piece, of one member; the cursor carries which. Members with nothing due are passed by."""
    changeable(asked.bound)
    walk.sized(size)
    member, place = (None, None) if after is None else read_cursor(after)
    tenants = asked.free()
    if member is not None and member in tenants:
        piece = _cut(asked, member, place, size)
        if piece is not None:
            return piece
    ahead = [tenant for tenant in tenants if member is None or tenant > member]
    for tenant in _due(asked, ahead):
        piece = _cut(asked, tenant, None, size)
        if piece is not None:
            return piece
    return None


def changeable(bound: Bound) -> None:
    """Raise Refused for a selection that may only be counted."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds, or ahead", guard="holds")


def _cut(asked: Asked, tenant: str, after: Json, size: int) -> Cut | None:
    piece = walk.cut(asked.connection, asked.dialect, asked.world.of(tenant), asked.bound, after, size)
    return None if piece is None else Cut(_within(tenant, piece.after), _within(tenant, piece.upto), piece.items)


def _within(tenant: str, place: Json) -> Json:
    return {"member": tenant, "at": place}


def read_cursor(value: Json) -> tuple[str, Json]:
    """Return the member and the place in it. Refused (guard `bounds`) on anything else."""
    if isinstance(value, dict) and value.keys() == {"member", "at"}:
        member = value["member"]
        if isinstance(member, str) and member:
            return member, value["at"]
    raise Refused("a cursor of another walk", guard="bounds")


def _due(asked: Asked, tenants: Sequence[str]) -> Iterator[str]:
    """Yield the tenants that have a selected row; asked in parts that grow, for most walks stop at the first."""
    start, size = 0, _FIRST
    while start < len(tenants):
        part = tenants[start : start + size]
        yield from sorted(part[number] for number, some in asked.union(part, _any) if some)
        start, size = start + size, min(2 * size, PART)


def _any(selected: Selected) -> sa.Select[Any]:
    row = sa.select(sa.literal(1)).select_from(selected.source).where(*selected.of_rows())
    return sa.select(sa.case((sa.exists(row), 1), else_=0).label("some"))


# ---- one member at a time ----


def narrowed(world: World, bound: Bound, after: Json, upto: Json) -> tuple[World, Json, Json]:
    """Return the world of a piece's one member, and its bounds there.

    Refused (guard `bounds`) when the piece is none of one member's, or none of the scope's tenant (I6).
    """
    member, end = read_cursor(upto)
    begin: Json = None
    if after is not None:
        first, begin = read_cursor(after)
        if first != member:
            raise Refused("a piece lies in one table", guard="bounds")
    if isinstance(bound.selection.scope, TenantScope) and bound.tenant != member:
        raise Refused("the piece is another tenant's", guard="bounds")
    return replace(world, tenant=member), begin, end

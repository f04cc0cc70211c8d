"""Families in a catalogue: which tables are members, whose, and which shape they share.

A member of another shape is not touched, and neither is one that another tenant's, or an odd, table holds on to: what
the plan was made for is not what lies there. The shape is that of most members that fit the declaration; where two
shapes are as frequent none prevails, and somebody has to say which by declaring `columns`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lifecycle.core.family import Name, is_family, owners
from lifecycle.core.inventory import PLACEHOLDER, Dataset
from lifecycle.ports.store import Catalogue, ForeignKey, Table

Inbound = Mapping[Name, tuple[ForeignKey, ...]]
Print = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One tenant's table. `others`: tenants that the name could mean in another family, of a shorter pattern."""

    tenant: str
    table: Table
    others: tuple[str, ...] = ()

    @property
    def place(self) -> Name:
        """Where it lies."""
        return self.table.schema, self.table.name


@dataclass(frozen=True, slots=True)
class Family:
    """The members of a dataset by tenant, in the tenants' order; those of another shape apart."""

    dataset: Dataset
    members: Mapping[str, Member]
    odd: tuple[Member, ...]
    shape: Print | None
    """What the members have in common; None without members, or where no shape prevails."""

    @property
    def every(self) -> list[Member]:
        """Return all members, odd ones too."""
        return sorted([*self.members.values(), *self.odd], key=lambda member: (member.tenant, member.place[0] or ""))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose table it is: the tenant, and the datasets of the families that share it."""

    tenant: str
    datasets: tuple[str, ...]


def inbound_of(catalogue: Catalogue) -> Inbound:
    """Return, for each table, the foreign keys that reference it."""
    found: dict[Name, list[ForeignKey]] = defaultdict(list)
    for table in catalogue.tables:
        for key in table.foreign_keys:
            found[key.to_schema, key.to_table].append(key)
    return {place: tuple(keys) for place, keys in found.items()}


@dataclass(frozen=True, slots=True)
class Gathered:
    """The families of a store, and whose each member table is."""

    families: Mapping[str, Family]
    owner: Mapping[Name, Owner]


def gather(
    catalogue: Catalogue, datasets: Iterable[Dataset], inbound: Inbound, default: str | None, database: str | None
) -> Gathered:
    """Find the members of every family: one pass over the catalogue, nothing is read."""
    known = list(datasets)
    declared = [dataset for dataset in known if is_family(dataset)]
    # A table that is declared by itself is no tenant's, whatever its name says: all tenants' rows may lie in it.
    alone = {(dataset.schema_ or default, dataset.table) for dataset in known if not is_family(dataset)}
    owner: dict[Name, Owner] = {}
    mine: dict[str, list[Member]] = {dataset.id: [] for dataset in declared}
    unclear: dict[str, list[Member]] = {dataset.id: [] for dataset in declared}
    for table in catalogue.tables if declared else ():
        place = (table.schema, table.name)
        if place in alone:
            continue
        owned, others = owners(declared, place, default=default, database=database)
        if owned:
            owner[place] = Owner(owned[0][1], tuple(dataset.id for dataset, _ in owned))
        for dataset, tenant in owned:
            mine[dataset.id].append(Member(tenant, table, tuple(others)))
        for dataset in declared if others and not owned else ():
            unclear[dataset.id] += [
                Member(t, table) for _, t in owners([dataset], place, default=default, database=database)[0]
            ]
    prints = {
        place: _print(table, owner, inbound)
        for table in catalogue.tables
        for place in [(table.schema, table.name)]
        if place in owner
    }
    families = {d.id: _family(d, mine[d.id], unclear[d.id], prints) for d in declared}
    return Gathered(_settled(families, owner, inbound), owner)


def _family(dataset: Dataset, mine: list[Member], unclear: list[Member], prints: Mapping[Name, Print]) -> Family:
    counted = Counter(prints[member.place] for member in mine)
    ranked: dict[int, Counter[Print]] = defaultdict(Counter)
    for member in mine:
        ranked[_fit(dataset, member.table)][prints[member.place]] += 1
    best = ranked[max(ranked)] if ranked else counted
    frequent = best.most_common(2)
    clear = len(frequent) == 1 or (len(frequent) == 2 and frequent[0][1] > frequent[1][1])
    shape = frequent[0][0] if clear else None
    like = [member for member in mine if prints[member.place] == shape]
    twice = {tenant for tenant, times in Counter(member.tenant for member in like).items() if times > 1}
    members = {m.tenant: m for m in sorted(like, key=lambda m: m.tenant) if m.tenant not in twice}
    odd = [member for member in mine if members.get(member.tenant) is not member]
    return Family(dataset, members, (*odd, *unclear), shape)


def _settled(families: dict[str, Family], owner: Mapping[Name, Owner], inbound: Inbound) -> dict[str, Family]:
    """Take out members that an odd one, or another tenant's, holds on to: until nothing changes any more."""
    while True:
        odd = {member.place for family in families.values() for member in family.odd}
        changed = False
        for name, family in families.items():
            held = {
                tenant
                for tenant, member in family.members.items()
                if any(_strange(key, tenant, odd, owner) for key in inbound.get(member.place, ()))
            }
            if held:
                changed = True
                rest = {tenant: member for tenant, member in family.members.items() if tenant not in held}
                more = tuple(family.members[tenant] for tenant in sorted(held))
                families[name] = Family(family.dataset, rest, (*family.odd, *more), family.shape)
        if not changed:
            return families


def _strange(key: ForeignKey, tenant: str, odd: set[Name], owner: Mapping[Name, Owner]) -> bool:
    place = (key.schema, key.table)
    return place in odd or (place in owner and owner[place].tenant != tenant)


def _fit(dataset: Dataset, table: Table) -> int:
    """Return how well a table fits the declaration: 2 with exactly the declared columns, 1 with all that are used."""
    there = {column.name for column in table.columns}
    used = {*dataset.key, *dataset.detach, *dataset.columns, *(time.column for time in dataset.times.values())}
    used |= {person.column for person in dataset.persons}
    if table.kind != "table" or not used <= there or set(table.primary_key) != set(dataset.key):
        return 0
    return 2 if set(dataset.columns) == there else 1


# ---- what a shape is ----


def _print(table: Table, owner: Mapping[Name, Owner], inbound: Inbound) -> Print:
    """Return everything that a plan's meaning depends on, with the tenant's name taken out."""
    mine = owner[table.schema, table.name]
    here = (table.schema, table.name)
    outbound = sorted((_key(key, (key.to_schema, key.to_table), mine, owner) for key in table.foreign_keys), key=repr)
    # Keys of the same tenant's members stand in their own shape; whoever else references the table stands here.
    others = [
        _key(key, (key.schema, key.table), mine, owner)
        for key in inbound.get(here, ())
        if owner.get((key.schema, key.table)) is None or owner[key.schema, key.table].tenant != mine.tenant
    ]
    columns = tuple(sorted((c.name, c.type, c.nullable, c.generated) for c in table.columns))
    triggers = tuple(sorted(without(name, mine.tenant) for name in table.triggers))
    key = (table.kind, table.primary_key, triggers, table.row_security)
    return (columns, key, tuple(outbound), tuple(sorted(others, key=repr)))


def _key(key: ForeignKey, there: Name, mine: Owner, owner: Mapping[Name, Owner]) -> Print:
    other = owner.get(there)
    if other is None:
        schema = PLACEHOLDER if there[0] is not None and there[0] == mine.tenant else there[0]
        target: Print = ("table", schema, without(there[1], mine.tenant))
    else:
        target = ("family", other.datasets, other.tenant == mine.tenant)
    return (target, key.columns, key.to_columns, key.on_delete, key.enforced, key.deferrable)


def without(name: str, tenant: str) -> str:
    """Return a name with the tenant's place marked: the last one, for names that carry it."""
    before, found, behind = name.rpartition(tenant)
    return f"{before}{PLACEHOLDER}{behind}" if found else name

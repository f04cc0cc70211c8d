"""Families for the verifier: its own reading of names, its own idea of a shape. Shares nothing with `families`.

Here a name is read by a regular expression, a table is described as a set of lines, and what hangs on a strange table
is found by following foreign keys outwards from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Catalogue, ForeignKey, Table

Place = tuple[str | None, str]
Lines = frozenset[str]
_NAMED = {"schema", "table", "database"}


@dataclass(frozen=True, slots=True)
class Relative:
    """A member table as the verifier reads it: `like` says whether it has the family's shape."""

    tenant: str
    table: Table
    rivals: frozenset[str]
    like: bool


@dataclass(frozen=True, slots=True)
class Kin:
    """The relatives of each family's dataset."""

    of: Mapping[str, tuple[Relative, ...]]

    def table(self, dataset: str, tenant: str) -> Table | None:
        """Return one tenant's table of a family's shape."""
        return next((r.table for r in self.of.get(dataset, ()) if r.like and r.tenant == tenant), None)


@dataclass(frozen=True, slots=True)
class _Claim:
    dataset: str
    tenant: str
    rivals: frozenset[str]
    clear: bool


def kin_of(catalogue: Catalogue, datasets: Iterable[Dataset], home: str | None, database: str | None) -> Kin:
    """Read every family's relatives out of a catalogue."""
    known = tuple(datasets)
    declared = {dataset.id: dataset for dataset in known if dataset.tenant.by in _NAMED}
    if not declared:
        return Kin({})
    patterns = {name: _expression(dataset) for name, dataset in declared.items()}
    tables = {(table.schema, table.name): table for table in catalogue.tables}
    # Named outright: not to be read as somebody's, even where the name could be.
    outright = {(d.schema_ or home, d.table) for d in known if d.id not in declared}
    claims: dict[Place, list[_Claim]] = {}
    for place in tables:
        found = [] if place in outright else _claims(declared, patterns, place, (home, database))
        if found:
            claims[place] = found
    described = {place: _describe(tables[place], claims) for place in claims if claims[place][0].clear}
    _referenced(described, catalogue, claims)
    shapes = {name: _shape(dataset, claims, described, tables) for name, dataset in declared.items()}
    strange = _strangers(claims, described, shapes, catalogue)
    return Kin({name: tuple(_relatives(name, claims, strange, tables)) for name in declared})


def _expression(dataset: Dataset) -> re.Pattern[str]:
    spelled = re.escape(dataset.tenant.pattern or "")
    return re.compile(spelled.replace(re.escape("{tenant}"), "(.+)"), re.DOTALL)


def _claims(
    declared: Mapping[str, Dataset],
    patterns: Mapping[str, re.Pattern[str]],
    place: Place,
    where: tuple[str | None, str | None],
) -> list[_Claim]:
    home, database = where
    read: list[tuple[str, str, int]] = []
    for name, dataset in declared.items():
        said = {"table": place[1], "schema": place[0], "database": database}[dataset.tenant.by]
        if dataset.tenant.by != "table" and place[1] != dataset.table:
            continue
        if dataset.tenant.by != "schema" and place[0] != (dataset.schema_ or home or place[0]):
            continue
        match = None if said is None else patterns[name].fullmatch(said)
        if match is not None:
            read.append((name, match[1], len(dataset.tenant.pattern or "")))
    longest = max((length for _, _, length in read), default=0)
    owners = {tenant for _, tenant, length in read if length == longest}
    everyone = frozenset(tenant for _, tenant, _ in read)
    clear = len(owners) == 1
    return [
        _Claim(name, tenant, everyone - {tenant}, clear)
        for name, tenant, length in read
        if length == longest or not clear
    ]


# ---- shapes ----


def _describe(table: Table, claims: Mapping[Place, list[_Claim]]) -> set[str]:
    tenant = claims[table.schema, table.name][0].tenant
    lines = {f"is {table.kind} {table.row_security}", f"key {table.primary_key!r}"}
    lines |= {f"column {c.name!r} {c.type} {c.nullable} {c.generated}" for c in table.columns}
    lines |= {f"trigger {_general(name, tenant)!r}" for name in table.triggers}
    for key in table.foreign_keys:
        there = _relation((key.to_schema, key.to_table), tenant, claims)
        lines.add(f"references {there} {_terms(key)}")
    return lines


def _referenced(described: dict[Place, set[str]], catalogue: Catalogue, claims: Mapping[Place, list[_Claim]]) -> None:
    """Add who references a table and is no relative of the same tenant."""
    for table in catalogue.tables:
        here = (table.schema, table.name)
        for key in table.foreign_keys:
            there = (key.to_schema, key.to_table)
            if there not in described:
                continue
            tenant = claims[there][0].tenant
            mine = claims.get(here)
            if mine is None or not mine[0].clear or mine[0].tenant != tenant:
                described[there].add(f"referenced by {_relation(here, tenant, claims)} {_terms(key)}")


def _relation(place: Place, tenant: str, claims: Mapping[Place, list[_Claim]]) -> str:
    claimed = claims.get(place)
    if claimed is not None and claimed[0].clear:
        whose = "own" if claimed[0].tenant == tenant else "foreign"
        return f"{whose} {sorted(claim.dataset for claim in claimed)!r}"
    schema = "(own)" if place[0] == tenant else repr(place[0])
    return f"{schema} {_general(place[1], tenant)!r}"


def _general(name: str, tenant: str) -> str:
    at = name.rfind(tenant)
    return name if at < 0 else f"{name[:at]}\0{name[at + len(tenant) :]}"


def _terms(key: ForeignKey) -> str:
    return f"{key.columns!r} {key.to_columns!r} {key.on_delete} {key.enforced} {key.deferrable}"


def _shape(
    dataset: Dataset,
    claims: Mapping[Place, list[_Claim]],
    described: Mapping[Place, set[str]],
    tables: Mapping[Place, Table],
) -> Lines | None:
    """Return the one shape that more members have than any other; those that fit the declaration best are asked."""
    mine = [place for place, found in claims.items() if found[0].clear and dataset.id in {c.dataset for c in found}]
    grades = {place: _grade(dataset, tables[place]) for place in mine}
    best = [place for place in mine if grades[place] == max(grades.values())]
    votes: dict[Lines, int] = {}
    for place in best:
        lines = frozenset(described[place])
        votes[lines] = votes.get(lines, 0) + 1
    winners = [lines for lines, count in votes.items() if count == max(votes.values())]
    return winners[0] if len(winners) == 1 else None


def _grade(dataset: Dataset, table: Table) -> int:
    names = {column.name for column in table.columns}
    needed = [*dataset.key, *dataset.columns, *dataset.detach, *(p.column for p in dataset.persons)]
    needed += [time.column for time in dataset.times.values()]
    sound = table.kind == "table" and sorted(table.primary_key) == sorted(dataset.key) and names.issuperset(needed)
    return (1 + (names == set(dataset.columns))) if sound else 0


def _strangers(
    claims: Mapping[Place, list[_Claim]],
    described: Mapping[Place, set[str]],
    shapes: Mapping[str, Lines | None],
    catalogue: Catalogue,
) -> set[tuple[str, Place]]:
    """Return members of another shape, then all that these, or another tenant's tables, reference; and so on."""
    found = {
        (claim.dataset, place)
        for place, claimed in claims.items()
        for claim in claimed
        if not claim.clear or frozenset(described[place]) != shapes[claim.dataset]
    }
    seen: dict[tuple[str, str], Place] = {}
    for place, claimed in claims.items():
        for claim in claimed:
            if (claim.dataset, place) in found:
                continue
            twin = seen.setdefault((claim.dataset, claim.tenant), place)
            if twin != place:
                found |= {(claim.dataset, place), (claim.dataset, twin)}
    outward: dict[Place, set[Place]] = {}
    for table in catalogue.tables:
        here = (table.schema, table.name)
        outward[here] = {(key.to_schema, key.to_table) for key in table.foreign_keys}
    waiting = [place for _, place in found]
    for here, targets in outward.items():
        whose = claims.get(here)
        for there in targets:
            theirs = claims.get(there)
            if whose and theirs and whose[0].clear and whose[0].tenant != theirs[0].tenant:
                found |= {(claim.dataset, there) for claim in theirs}
                waiting.append(there)
    while waiting:
        for there in outward[waiting.pop()]:
            more = {(claim.dataset, there) for claim in claims.get(there, ())} - found
            found |= more
            waiting += [there] if more else []
    return found


def _relatives(
    name: str, claims: Mapping[Place, list[_Claim]], strange: set[tuple[str, Place]], tables: Mapping[Place, Table]
) -> list[Relative]:
    return [
        Relative(claim.tenant, tables[place], claim.rivals, (name, place) not in strange)
        for place, claimed in claims.items()
        for claim in claimed
        if claim.dataset == name
    ]

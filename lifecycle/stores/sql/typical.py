"""A family's typical member, for findings that all of them share; and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Table
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.families import Family, Member, without

SHOWN = 5

Said = tuple[str, str, str, bool]
"""A finding: code, what, what to do, whether it forbids a plan."""


def typical(world: World, dataset: Dataset) -> tuple[World, Table | None, list[Said]]:
    """Return the table that a dataset's findings are about, in which world; of a family a member that stands for all.

    Names of tables hold tenants' ids: they are shown to operators by `doctor`, and never part of a refusal.
    """
    family = world.gathered.families.get(dataset.id)
    if family is None:
        return world, world.find(dataset.schema_, dataset.table), []
    said = list(_about(family))
    if not family.members:
        return world, None, said
    member = next(iter(family.members.values()))
    triggers = tuple(without(name, member.tenant) for name in member.table.triggers)
    return world.of(member.tenant), replace(member.table, triggers=triggers), said


def _about(family: Family) -> Iterator[Said]:
    if family.odd and family.shape is None:
        # A refusal may be logged: it names no table, for a table is named after its tenant.
        what = f"the family has {len(family.odd)} tables, and no shape that most of them have"
        fix = "Bring them into one shape, or declare `columns`: then those with exactly these columns are meant."
        yield "family-shape", what, fix, True
    elif family.odd:
        what = f"{len(family.odd)} tables of the family have another shape and are not touched: {_named(family.odd)}"
        fix = "Bring them into the family's shape: columns, types, keys, references, triggers and row security."
        yield "family-shape", what, fix, False


def _named(odd: tuple[Member, ...]) -> str:
    names = sorted(".".join(part for part in member.place if part is not None) for member in odd)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more

"""In which order datasets are deleted: children first, by the foreign keys of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Table
from lifecycle.stores.sql.catalogue import World

Place = tuple[str | None, str]


def levels(world: World, datasets: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the datasets by level. Refused (guard `cycle`) when tables reference each other and no column is detached.

    A reference inside one table makes no level: its rows go in layers within the walk.
    """
    places = {name: _place(world, name) for name in datasets}
    waiting = {place: _children(world, place) & set(places.values()) - {place} for place in places.values()}
    found: list[tuple[str, ...]] = []
    while waiting:
        ready = {place for place, children in waiting.items() if not children & waiting.keys()}
        if not ready:
            names = sorted(name for name, place in places.items() if place in waiting)
            raise Refused(
                f"these datasets reference each other in a cycle: {', '.join(names)}",
                guard="cycle",
                advice="Name nullable foreign-key columns of one of them under `detach` in the inventory.",
            )
        found.append(tuple(name for name in datasets if places[name] in ready))
        waiting = {place: children for place, children in waiting.items() if place not in ready}
    return found


def _place(world: World, name: str) -> Place:
    """Return where a dataset lies; a family lies in one place, under its pattern, however many tables it has."""
    if world.family(name) is not None:
        return _family(world.dataset(name))
    table = world.shape(name).table
    return table.schema, table.name


def _family(dataset: Dataset) -> Place:
    return f"{{}}{dataset.tenant.by} {dataset.tenant.pattern} {dataset.schema_ or ''}", dataset.table


def _lies(world: World, place: Place) -> Place:
    """Return the place that a table belongs to: its family's, or its own."""
    owner = world.gathered.owner.get(place)
    return place if owner is None else _family(world.dataset(owner.datasets[0]))


def _tables(world: World, place: Place) -> list[Table]:
    """Return the tables that lie in a place."""
    members = [
        member.table
        for family in world.gathered.families.values()
        if _family(family.dataset) == place
        for member in family.members.values()
    ]
    return members or [table for table in (world.tables.get(place),) if table is not None]


def _children(world: World, place: Place) -> set[Place]:
    """Return the tables whose rows must go before this one's."""
    found: set[Place] = set()
    for table in _tables(world, place):
        for key in world.inbound(table):
            detached = {column for dataset in world.of_table(key.schema, key.table) for column in dataset.detach}
            if not detached & set(key.columns):
                found.add(_lies(world, (key.schema, key.table)))
    for dataset in world.datasets.values():
        here: Place = (dataset.schema_ or world.default_schema, dataset.table)
        for hop in dataset.tenant.path:
            there: Place = (hop.schema_ or world.default_schema, hop.table)
            if there == place and here != place and here in world.tables:
                found.add(here)
            here = there
    return found

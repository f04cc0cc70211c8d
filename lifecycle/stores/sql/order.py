"""In which order datasets are deleted: children first, by the foreign keys of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.core.errors import Refused
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
    table = world.shape(name).table
    return table.schema, table.name


def _children(world: World, place: Place) -> set[Place]:
    """Return the tables whose rows must go before this one's."""
    table = world.tables[place]
    found: set[Place] = set()
    for key in world.inbound(table):
        detached = {column for dataset in world.of_table(key.schema, key.table) for column in dataset.detach}
        if not detached & set(key.columns):
            found.add((key.schema, key.table))
    for dataset in world.datasets.values():
        here: Place = (dataset.schema_ or world.default_schema, dataset.table)
        for hop in dataset.tenant.path:
            there: Place = (hop.schema_ or world.default_schema, hop.table)
            if there == place and here != place and here in world.tables:
                found.add(here)
            here = there
    return found

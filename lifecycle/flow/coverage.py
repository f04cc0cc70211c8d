"""Coverage: what exists in the stores against what the inventory declares. What is undeclared is a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.relations import lying
from lifecycle.ports.store import Catalogue, Table


@dataclass(frozen=True, slots=True)
class Gap:
    """A table or column without a declaration, or a declaration without a table or column."""

    store: str
    kind: Literal["undeclared-table", "undeclared-column", "missing-table", "missing-column"]
    schema: str | None
    table: str
    column: str | None = None


def complete(deployment: Deployment, store: str) -> bool:
    """Return whether every table and column of the store is classified."""
    return not gaps(deployment, store)


def gaps(deployment: Deployment, store: str) -> list[Gap]:
    """Return the store's gaps, in the catalogue's order."""
    return compare(deployment.policy.inventory, store, deployment.stores[store].catalogue())


def compare(inventory: Inventory, store: str, catalogue: Catalogue) -> list[Gap]:
    """Compare an inventory with a catalogue; pure, so that `init --from` and tests use it too."""
    found: list[Gap] = []
    seen: set[str] = set()
    for table in catalogue.tables:
        place = (table.schema, table.name)
        # A family's table of another shape is nobody's: its name alone does not classify what lies in it.
        datasets = [] if place in catalogue.strange else lying(inventory.in_store(store), place)
        seen |= {dataset.id for dataset in datasets}
        if not datasets and not is_not_personal(inventory, store, table):
            found.append(Gap(store, "undeclared-table", table.schema, table.name))
        found.extend(_columns(store, table, datasets))
    missing = [dataset for dataset in inventory.in_store(store) if dataset.id not in seen]
    return found + [Gap(store, "missing-table", dataset.schema_, dataset.table) for dataset in missing]


def _columns(store: str, table: Table, datasets: list[Dataset]) -> list[Gap]:
    declared = {column for dataset in datasets for column in dataset.columns}
    if not declared:
        return []
    there = {column.name for column in table.columns}
    gaps_ = [Gap(store, "undeclared-column", table.schema, table.name, name) for name in sorted(there - declared)]
    missing = [Gap(store, "missing-column", table.schema, table.name, name) for name in sorted(declared - there)]
    return gaps_ + missing


def is_not_personal(inventory: Inventory, store: str, table: Table) -> bool:
    """Tell whether the inventory declares that the table holds no personal data."""
    return any(
        entry.store == store
        and (entry.schema_ is None or entry.schema_ == table.schema)
        and (entry.table == table.name or (entry.table.endswith("*") and table.name.startswith(entry.table[:-1])))
        for entry in inventory.not_personal
    )

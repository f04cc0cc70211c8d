"""Which references are served, and the stores around the stores of objects that serve them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from lifecycle.core.errors import Refused
from lifecycle.core.fileset import Documents
from lifecycle.core.inventory import Dataset, Inventory, Reference
from lifecycle.ports.links import LinkedRows
from lifecycle.ports.store import Store
from lifecycle.stores.linked import Link, LinkedStore

ROWS = {"sql": ("column", "path", "none")}
"""By kind of store, the tenancies of rows that may reference objects."""

OBJECTS = ("files",)
"""Kinds of stores whose objects may be referenced."""


def refuse_unbuilt(inventory: Inventory, stores: Collection[str] | None = None) -> None:
    """Raise Refused (guard `not-built`) for a reference that validates, and that no version serves yet.

    `stores`: the ones that are going to be opened; left out, all.
    """
    for dataset in inventory.datasets:
        if stores is not None and dataset.store not in stores:
            continue
        for number, reference in enumerate(dataset.references):
            why = _unbuilt(inventory, dataset, reference)
            if any(other.store == reference.store for other in dataset.references[:number]):
                why = "a second reference to the same store"
            if why is not None:
                raise Refused(
                    f"dataset {dataset.id} references objects in store {reference.store}: {why} is not built yet",
                    guard="not-built",
                    advice="Leave the reference out; the objects then stay, and coverage of their store is yours.",
                )


def _unbuilt(inventory: Inventory, dataset: Dataset, reference: Reference) -> str | None:
    """Say what of it is not built."""
    here, there = inventory.store(dataset.store), inventory.store(reference.store)
    objects = inventory.in_store(reference.store)
    if dataset.tenant.by not in ROWS.get(here.kind, ()):
        return f"that for rows of a store {here.kind} with tenancy by {dataset.tenant.by}"
    if there.kind not in OBJECTS:
        return f"that for a store {there.kind}"
    if len(objects) != 1 or objects[0].tenant.by != "none":
        return "that for a store with other than one dataset, of tenancy none,"
    if objects[0].times:
        return "that for objects with times of their own"
    return None if isinstance(objects[0].files, Documents) else "that for files other than documents"


def linked(inventory: Inventory, opened: Mapping[str, Store]) -> dict[str, Store]:
    """Return the opened stores; those whose objects are referenced know by whom."""
    found = dict(opened)
    for name, store in opened.items():
        links = [
            Link(dataset, reference, cast("LinkedRows | None", opened.get(dataset.store)))
            for dataset in inventory.datasets
            for reference in dataset.references
            if reference.store == name
        ]
        if links:
            found[name] = cast("Store", LinkedStore(store, inventory.in_store(name)[0].id, links))
    return found

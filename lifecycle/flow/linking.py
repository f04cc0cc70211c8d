"""Rows that reference objects: the objects' steps before the rows', and which rows of a batch may go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, cast

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.core.plan import Delete, Step
from lifecycle.core.selection import Bound, Selection
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.links import LinkedRows
from lifecycle.ports.store import Cut

MOST_ROWS = 1_000
"""How many rows that reference objects go at once: their values are held in memory, and their rows locked."""


class Linking(Protocol):
    """A store of objects that knows who references them."""

    def released(self, dataset: str, bound: Bound, values: frozenset[str]) -> frozenset[str]:
        """Return the values whose rows may go: their object is gone, or never was, or other rows reference it."""

    def referenced(self, bound: Bound) -> int:
        """Count, by fresh eyes, the objects that selected rows reference, whoever else does."""


def objects_of(inventory: Inventory, dataset: Dataset) -> Iterator[Dataset]:
    """Yield the datasets of objects that a dataset's rows reference."""
    for reference in dataset.references:
        yield from inventory.in_store(reference.store)


def is_referenced(inventory: Inventory, dataset: Dataset) -> bool:
    """Tell whether rows reference objects of the dataset: then a tenant has those of its rows."""
    return any(reference.store == dataset.store for other in inventory.datasets for reference in other.references)


def stores_behind(dataset: Dataset) -> set[str]:
    """Return the stores without which no row of the dataset can go: its own, and those of its objects."""
    return {dataset.store, *(reference.store for reference in dataset.references)}


def refuse_parents(selection: Selection, dataset: Dataset) -> None:
    """Raise Refused where rows that reference objects are kept by their children: not built yet."""
    if dataset.references and selection.unreferenced_by:
        raise Refused(
            f"rows of {dataset.id} reference objects, and stay while rows of"
            f" {', '.join(selection.unreferenced_by)} do: that is not built yet",
            guard="not-built",
            advice="Leave the reference out; the objects then stay, and coverage of their store is yours.",
        )


def size_of(deployment: Deployment, step: Step, size: int) -> int:
    """Return how large a batch of the step may be."""
    return min(size, MOST_ROWS) if _references(deployment, step) else size


def released(deployment: Deployment, step: Step, bound: Bound, cut: Cut) -> Mapping[str, frozenset[str]] | None:
    """Return, by referencing column, the values of a piece whose rows may go; None where rows reference nothing.

    Looked up right before the batch, by fresh eyes on rows and objects; the batch itself compares under lock.
    """
    dataset = _references(deployment, step)
    if dataset is None:
        return None
    rows = cast("LinkedRows", deployment.stores[step.store])
    found: dict[str, frozenset[str]] = {}
    for reference in dataset.references:
        values = rows.linked_in(bound, reference.column, cut.after, cut.upto)
        objects = cast("Linking", deployment.stores[reference.store])
        free = objects.released(dataset.id, bound, values)
        found[reference.column] = found.get(reference.column, values) & free
    return found


def _references(deployment: Deployment, step: Step) -> Dataset | None:
    """Return the step's dataset when its rows go and reference objects."""
    dataset = deployment.policy.inventory.dataset(step.dataset)
    return dataset if dataset.references and isinstance(step.action, Delete) else None

"""Which datasets reference which, read from a catalogue: for deletion order, parents that must stay, and references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifecycle.core.family import Name, is_family, owners
from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Catalogue


def children_of(datasets: Iterable[Dataset], catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """Map each dataset to those whose rows reference its rows, by a foreign key or their tenant path, not to itself."""
    known = list(datasets)
    children: dict[str, set[str]] = {dataset.id: set() for dataset in known}
    for table in catalogue.tables:
        for key in table.foreign_keys:
            below, above = lying(known, (key.schema, key.table)), lying(known, (key.to_schema, key.to_table))
            for parent in above:
                children[parent.id] |= {child.id for child in below if child.table != parent.table}
    for child in known:
        # A path need not be a foreign key: without its parent such a row is nobody's, and its hold finds it no more.
        for hop in child.tenant.path[:1]:
            above = [
                d
                for d in known
                if d.table == hop.table and (hop.schema_ == d.schema_ or None in {hop.schema_, d.schema_})
            ]
            for parent in above:
                children[parent.id] |= {child.id} if child.table != parent.table else set()
    return {name: frozenset(found) for name, found in children.items()}


def lying(datasets: Iterable[Dataset], place: Name) -> list[Dataset]:
    """Return the datasets that lie in a table, families by name."""
    schema, table = place
    found, families = [], []
    for dataset in datasets:
        if is_family(dataset):
            families.append(dataset)
        elif dataset.table == table and dataset.schema_ in {None, schema}:
            found.append(dataset)
    # By database the name that was connected to is not known here: the table's own name must do.
    by_name, _ = owners(families, place)
    return found + [dataset for dataset, _ in by_name] + [d for d in families if _of_database(d, place)]


def _of_database(dataset: Dataset, place: Name) -> bool:
    schema, table = place
    return dataset.tenant.by == "database" and dataset.table == table and dataset.schema_ in {None, schema}


def may_remain(children: Mapping[str, frozenset[str]], staying: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Map each dataset to its children of which rows may stay: kept ones, and parents of kept ones, upwards.

    `staying`: datasets of which rows may stay for a reason of their own.
    """
    remaining = set(staying)
    grown = True
    while grown:
        more = {name for name, below in children.items() if below & remaining} - remaining
        remaining |= more
        grown = bool(more)
    return {name: tuple(sorted(below & remaining)) for name, below in children.items()}

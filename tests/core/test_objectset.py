"""Sets of objects in the inventory: what a dataset means where the store speaks S3."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.core.inventory import (
    Dataset,
    Documents,
    Inventory,
    PersonLink,
    Place,
    Secret,
    StoreEntry,
    Tenancy,
    TimeColumn,
)
from lifecycle.core.objectset import ALL, ObjectSet, objects_of, whole
from tests.core.test_models import faults

STORES = tuple(
    StoreEntry(id=kind, kind=kind, address=Secret(env=kind.upper()), place=Place(country="DE"))  # type: ignore[arg-type]
    for kind in ("s3", "sql")
)
BY_MODIFIED = TimeColumn(column="last_modified", encoding="utc")
BY_KEY = TimeColumn(column="key", encoding="date")


def dataset(**values: Any) -> Dataset:
    """Return a dataset of objects below tenants' prefixes."""
    base = {
        "id": "letters",
        "store": "s3",
        "table": "letters",
        "category": "documents",
        "key": ("key",),
        "tenant": Tenancy(by="prefix", pattern="{tenant}/"),
        "times": {"collection": BY_MODIFIED},
    }
    return Dataset(**{**base, **values})


def told(*datasets: Dataset) -> list[tuple[str | int, ...]]:
    """Return the faults of an inventory of these."""
    return faults(Inventory, lifecycle="inventory/v1", id="x", stores=STORES, datasets=datasets)


def test_buckets_and_prefixes_are_declared() -> None:
    """A whole bucket, dated archives below one prefix, and nobody's objects below another."""
    declared = (
        dataset(),
        dataset(
            id="archives",
            table="archives",
            tenant=Tenancy(by="none"),
            objects=ObjectSet(prefix="logs/", dated="{year}/{month}/{day}/{any}"),
            times={"collection": BY_KEY, "written": BY_MODIFIED},
        ),
        dataset(id="more", table="archives", objects=ObjectSet(prefix="more/")),
    )
    made = Inventory(lifecycle="inventory/v1", id="x", stores=STORES, datasets=declared)
    assert objects_of(made.dataset("letters")) is ALL
    assert objects_of(made.dataset("archives")).prefix == "logs/"


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"table": "Letters"}, ("table",)),
        ({"table": "a"}, ("table",)),
        ({"key": ("id",)}, ("key",)),
        ({"tenant": Tenancy(by="column", column="x")}, ("tenant", "by")),
        ({"tenant": Tenancy(by="prefix", pattern="{tenant}")}, ("tenant", "pattern")),
        ({"tenant": Tenancy(by="prefix", pattern="t-{tenant}/")}, ("tenant", "pattern")),
        ({"times": {"collection": BY_KEY}}, ("times", "collection", "column")),
        (
            {"times": {"collection": TimeColumn(column="last_modified", encoding="date")}},
            ("times", "collection", "encoding"),
        ),
        ({"schema": "public"}, ("schema",)),
        ({"columns": ("key",)}, ("columns",)),
        ({"persons": (PersonLink(column="key", holds="name"),)}, ("persons",)),
        ({"files": Documents(kind="documents")}, ("files",)),
        ({"store": "sql", "objects": ObjectSet()}, ("objects",)),
    ],
)
def test_what_means_nothing_for_objects_is_a_fault(values: dict[str, Any], where: tuple[str | int, ...]) -> None:
    """Each fault stands where it was written."""
    assert ("datasets", 0, *where) in told(dataset(**values))


def test_prefixes_lie_beside_each_other() -> None:
    """An object in two datasets would be deleted by either's rule."""
    one = dataset(objects=ObjectSet(prefix="a/"))
    inside = dataset(id="inside", objects=ObjectSet(prefix="a/b/"))
    assert told(one, inside) == [("datasets", 1, "table")]
    assert told(dataset(), dataset(id="same")) == [("datasets", 0, "table"), ("datasets", 1, "table")]
    beside = dataset(id="beside", objects=ObjectSet(prefix="ab/"))
    assert Inventory(lifecycle="inventory/v1", id="x", stores=STORES, datasets=(one, beside)).in_store("s3") == (
        one,
        beside,
    )


@pytest.mark.parametrize("prefix", ["logs", "/", "a//", "../", "a/./"])
def test_I06_a_prefix_consists_of_whole_folders(prefix: str) -> None:
    """A prefix without its slash takes the neighbour along."""
    assert not whole(prefix)
    assert faults(ObjectSet, prefix=prefix) == [("prefix",)]


def test_a_date_pattern_names_a_day() -> None:
    """A month alone dates nothing."""
    assert faults(ObjectSet, dated="{year}/{month}/{any}") == [("dated",)]

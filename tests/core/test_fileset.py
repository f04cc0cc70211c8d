"""Sets of files in the inventory: what a dataset means where the store is a folder."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.core.fileset import Documents, Logs, clean_path, clean_segment, prefix_is_whole, within
from lifecycle.core.inventory import (
    Dataset,
    Inventory,
    PersonLink,
    Place,
    Secret,
    StoreEntry,
    Tenancy,
    TimeColumn,
)
from lifecycle.core.period import Period
from tests.core.test_models import faults

P1D = Period(days=1)
STORES = tuple(
    StoreEntry(id=kind, kind=kind, address=Secret(env=kind.upper()), place=Place(country="DE"))  # type: ignore[arg-type]
    for kind in ("files", "sql")
)


def logs(**values: Any) -> Logs:
    """Return a set of logs."""
    return Logs(
        **{"kind": "logs", "active": ("access.log",), "rotated": ("access.log.{number}",), "every": P1D, **values}
    )


def dataset(**values: Any) -> Dataset:
    """Return a dataset of documents below tenants' folders."""
    base = {
        "id": "letters",
        "store": "files",
        "table": "letters",
        "category": "documents",
        "key": ("name",),
        "tenant": Tenancy(by="prefix", pattern="{tenant}/"),
        "files": Documents(kind="documents"),
        "times": {"collection": TimeColumn(column="modified_at", encoding="utc")},
    }
    return Dataset(**{**base, **values})


def told(*datasets: Dataset) -> list[tuple[str | int, ...]]:
    """Return the faults of an inventory of these."""
    return faults(Inventory, lifecycle="inventory/v1", id="x", stores=STORES, datasets=datasets)


def test_documents_and_logs_are_declared() -> None:
    """A folder of letters below tenants' folders, dated ones, and rotated logs of nobody."""
    declared = (
        dataset(),
        dataset(
            id="dated",
            table="dated",
            files=Documents(kind="documents", dated="{any}-{year}-{month}-{day}.pdf"),
            times={
                "issue": TimeColumn(column="name", encoding="date"),
                "m": TimeColumn(column="modified_at", encoding="utc"),
            },
        ),
        dataset(
            id="log",
            table="log/web",
            files=logs(record="{year}-{month}-{day}", zone="Europe/Berlin"),
            tenant=Tenancy(by="none"),
            times={
                "collection": TimeColumn(column="oldest", encoding="utc"),
                "end": TimeColumn(column="newest", encoding="utc"),
            },
        ),
    )
    inventory = Inventory(lifecycle="inventory/v1", id="x", stores=STORES, datasets=declared)
    assert inventory.in_store("files") == declared


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"files": None}, ()),
        ({"table": "../up"}, ("table",)),
        ({"table": "/absolute"}, ("table",)),
        ({"table": "a//b"}, ("table",)),
        ({"table": ".lifecycle/x"}, ("table",)),
        ({"key": ("path",)}, ("key",)),
        ({"tenant": Tenancy(by="column", column="x")}, ("tenant", "by")),
        ({"tenant": Tenancy(by="prefix", pattern="{tenant}")}, ("tenant", "pattern")),
        ({"tenant": Tenancy(by="prefix", pattern="{tenant}-")}, ("tenant", "pattern")),
        ({"tenant": Tenancy(by="prefix", pattern="t-{tenant}/")}, ("tenant", "pattern")),
        ({"tenant": Tenancy(by="prefix", pattern="../{tenant}/")}, ("tenant", "pattern")),
        ({"times": {"c": TimeColumn(column="created", encoding="utc")}}, ("times", "c", "column")),
        ({"times": {"c": TimeColumn(column="name", encoding="date")}}, ("times", "c", "column")),
        ({"times": {"c": TimeColumn(column="modified_at", encoding="date")}}, ("times", "c", "encoding")),
        ({"files": logs()}, ("times", "collection", "column")),
        ({"persons": (PersonLink(column="x", holds="email"),)}, ("persons",)),
        ({"schema": "public"}, ("schema",)),
        ({"columns": ("a",)}, ("columns",)),
    ],
)
def test_what_means_nothing_for_files_is_a_fault(changes: dict[str, Any], path: tuple[str | int, ...]) -> None:
    """Ways out of the root, prefixes that reach a neighbour, columns, and times that files do not have."""
    assert ("datasets", 0, *path) in told(dataset(**changes))


def test_files_lie_in_a_store_of_files() -> None:
    """A table is no set of files."""
    assert told(dataset(store="sql", tenant=Tenancy(by="none"))) == [("datasets", 0, "files")]


def test_folders_lie_beside_each_other() -> None:
    """A file is of one dataset: a folder within another's is a fault."""
    assert told(dataset(), dataset(id="inner", table="letters/inner")) == [("datasets", 1, "table")]
    assert told(dataset(table="."), dataset(id="inner", table="inner")) == [("datasets", 1, "table")]


@pytest.mark.parametrize(
    ("make", "values", "path"),
    [
        (Documents, {"kind": "documents", "dated": "{year}"}, ("dated",)),
        (logs, {"active": ("{x}",)}, ("active",)),
        (logs, {"rotated": ("{x}",)}, ("rotated",)),
        (logs, {"record": "{hour}"}, ("record",)),
    ],
)
def test_patterns_are_checked_where_they_stand(make: Any, values: dict[str, Any], path: tuple[str | int, ...]) -> None:
    """Each pattern's fault has its field."""
    assert faults(make, **values) == [path]


def test_segments_and_paths_are_clean() -> None:
    """One name is one name."""
    assert all(map(clean_segment, ("acme", "t-1", " x ", "-rf", "%2e%2e", "a" * 255)))
    assert not any(map(clean_segment, ("", ".", "..", "a/b", "a\0", "a" * 256)))
    assert clean_path("a/b")
    assert not any(map(clean_path, ("", "a/", "/a", "a/../b", ".lifecycle")))
    assert within("a/b", "a")
    assert within("a", "a")
    assert within("a", ".")
    assert not within("ab", "a")
    assert prefix_is_whole("customers/{tenant}/letters/")
    assert not prefix_is_whole("{tenant}/{tenant}/")

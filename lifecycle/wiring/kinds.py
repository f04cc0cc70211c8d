"""Kinds of stores: the only place that names concrete ones. A known kind that is not built yet is refused here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.inventory import Dataset, StoreEntry
from lifecycle.ports.clock import Clock
from lifecycle.ports.failpoint import Failpoint
from lifecycle.ports.store import Store
from lifecycle.stores.files import FilesStore
from lifecycle.stores.s3 import ObjectStore
from lifecycle.stores.sql import SqlStore

BUILT = ("sql", "files", "s3")
LATER = ("rest",)
TENANCIES = {
    "sql": ("column", "path", "none", "schema", "table", "database"),
    "files": ("prefix", "none"),
    "s3": ("prefix", "none"),
}
ENTRY_POINT = "lifecycle.stores"


def open_store(
    entry: StoreEntry,
    datasets: Sequence[Dataset],
    url: str,
    deployment: str,
    *,
    failpoint: Failpoint,
    clock: Clock | None,
) -> Store:
    """Return the store of an inventory entry.

    Raises:
        InvalidDocument: the address is none.
        Refused: its kind, or a tenancy of its datasets validates but is not built yet.
    """
    _refuse_unbuilt(entry, datasets)
    if entry.kind == "sql":
        _refuse_no_address(entry, url)
        return SqlStore(entry.id, url, datasets, deployment=deployment, failpoint=failpoint, clock=clock)
    if entry.kind == "files":
        path = _folder(entry, url)
        return FilesStore(entry.id, path, datasets, deployment=deployment, failpoint=failpoint, clock=clock)
    if entry.kind == "s3":
        return ObjectStore(entry.id, url, datasets, deployment=deployment, failpoint=failpoint)
    for point in entry_points(group=ENTRY_POINT):
        if point.name == entry.kind:
            store: Store = point.load()(entry.id, url, datasets, deployment=deployment, failpoint=failpoint)
            return store
    raise Refused(
        f"store {entry.id}: the kind {entry.kind} is known, but not built yet",
        guard="not-built",
        advice="Take the store out of this deployment's inventory, or install a package that serves the kind.",
    )


def _refuse_no_address(entry: StoreEntry, url: str) -> None:
    """Raise InvalidDocument without the address: it may hold a password, and so may the parser's error."""
    try:
        make_url(url)
    except (ArgumentError, ValueError):
        msg = f"store {entry.id}: what stands where its address is read from is no database address"
        advice = "Write postgresql://USER@HOST/DATABASE, mariadb://USER@HOST/DATABASE or sqlite:///PATH."
        raise InvalidDocument(msg, advice=advice) from None


def _folder(entry: StoreEntry, url: str) -> str:
    """Return the folder's absolute path. Raises InvalidDocument when the address is none."""
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not path.startswith("/") or "\0" in path:
        msg = f"store {entry.id}: what stands where its address is read from is no folder's address"
        raise InvalidDocument(msg, advice="Write file:///PATH, with an absolute path.")
    return path.rstrip("/") or "/"


def _refuse_unbuilt(entry: StoreEntry, datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        if dataset.tenant.by not in TENANCIES.get(entry.kind, TENANCIES["sql"]):
            raise Refused(
                f"dataset {dataset.id} (store {entry.id}): tenancy by {dataset.tenant.by} is not built yet",
                guard="not-built",
                advice="Leave the dataset out of this deployment's inventory until a version serves it.",
            )

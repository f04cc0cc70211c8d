"""The contract suite's world in a folder: each row is a file below its firm's folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lifecycle.core.inventory import Dataset, Documents, TimeColumn
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.stores.files import FilesStore, open_keys
from lifecycle.testing import store_world as w

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from pathlib import Path

TIMES = {
    "made": TimeColumn(column="modified_at", encoding="utc"),
    "day": TimeColumn(column="name", encoding="date"),
}


def _dataset(one: Dataset) -> Dataset:
    return Dataset(
        id=one.id,
        store=w.STORE,
        table=one.table,
        category=one.category,
        key=("name",),
        tenant=w.ITEMS[one.id],
        times=TIMES,
        files=Documents(kind="documents", dated="{any}.{year}-{month}-{day}.dat"),
    )


DATASETS = tuple(_dataset(one) for one in w.DATASETS)
TABLES = {dataset.table: dataset for dataset in DATASETS}


class FilesWorld:
    """A folder, written by hand as the application would."""

    def __init__(self, root: Path) -> None:
        """Make the datasets' folders."""
        self.root = root
        for table in TABLES:
            (root / table).mkdir(parents=True)

    def store(self, failpoint: Failpoint = no_failpoint) -> FilesStore:
        """Return a new handle."""
        return FilesStore(w.STORE, str(self.root), DATASETS, deployment=w.DEPLOYMENT, failpoint=failpoint)

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Write files, each modified when its row was made."""
        for row in rows:
            self.write(self._path(table, row), str(row.get("title", "x")).encode(), row.get("made"))

    def write(self, path: Path, content: bytes, made: datetime | None) -> Path:
        """Write one file; without a time it shows the beginning of all clocks."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        at = 0.0 if made is None else made.timestamp()
        os.utime(path, (at, at))
        return path

    def change(self, table: str, key: dict[str, Any], values: dict[str, Any]) -> None:
        """Modify or move the file of that id."""
        (path,) = (path for path in self._files(table) if _id(path) == key["id"])
        if "made" in values:
            os.utime(path, (values["made"].timestamp(),) * 2)
        if "firm" in values:
            target = self.root / table / values["firm"] / path.name
            target.parent.mkdir(exist_ok=True)
            path.rename(target)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what is there."""
        return [{"id": _id(path), "firm": path.parent.name} for path in self._files(table)]

    def open_keys(self, sealed: bytes, key: bytes, batch_id: str) -> list[tuple[Any, ...]]:
        """Open a list."""
        return [(_number(name.rpartition("/")[2]),) for (name,) in open_keys(sealed, key, batch_id)]

    def _files(self, table: str) -> list[Path]:
        return sorted(path for path in (self.root / table).rglob("*") if path.is_file())

    def _path(self, table: str, row: dict[str, Any]) -> Path:
        day: date | None = row.get("day")
        folder = self.root / table
        return (folder / row["firm"] if row.get("firm") else folder) / f"{row['id']}.{day}.dat"


def _id(path: Path) -> int:
    return _number(path.name)


def _number(name: str) -> int:
    return int(name.split(".", maxsplit=1)[0])

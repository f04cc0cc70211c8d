"""A dataset's layout: whose a file is by its path, and when it started by what it shows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.fileset import MODIFIED, NAME, NEWEST, OLDEST, Documents, Logs, clean_segment
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Before
from lifecycle.core.textpattern import day_of, fits
from lifecycle.stores.files.places import Path, folder_of

_TENANT = "{tenant}"
_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One entry of a folder at one moment. `parent`: its folder's open descriptor, for as long as the walk stands."""

    path: Path
    status: os.stat_result
    parent: int

    @property
    def name(self) -> str:
        """Return its name as text; what is no UTF-8 is kept as surrogates."""
        return os.fsdecode(self.path[-1])


Instant = Callable[[Seen], datetime | None]
"""Reads one of a log file's times."""


class Layout:
    """One dataset of files."""

    def __init__(self, dataset: Dataset) -> None:
        """Take a dataset that the inventory accepted."""
        if dataset.files is None:
            raise Refused(f"the dataset {dataset.id!r} does not say which files it has", guard="dataset")
        self.dataset = dataset
        self.files: Documents | Logs = dataset.files
        self.folder = folder_of(dataset.table)
        pattern = dataset.tenant.pattern if dataset.tenant.by == "prefix" else None
        self._segments = () if pattern is None else tuple(pattern.rstrip("/").split("/"))

    @property
    def tenanted(self) -> bool:
        """Tell whether its files belong to tenants."""
        return bool(self._segments)

    def prefix(self, tenant: str) -> Path:
        """Return the folder of a tenant's files, below the dataset's.

        Raises Refused (guard `tenant-name`) for an id that is no name of one folder: it would be a way elsewhere.
        """
        if not clean_segment(tenant) or len(tenant.encode(errors="surrogateescape")) > 255:
            raise Refused(
                "a tenant's id is no name of a folder",
                guard="tenant-name",
                advice="Files of such a tenant cannot lie under a prefix; correct the id or the inventory.",
            )
        names = (tenant if segment == _TENANT else segment for segment in self._segments)
        return tuple(name.encode(errors="surrogateescape") for name in names)

    def tenant_of(self, path: Path) -> str | None:
        """Return whose file it is by the folders it lies in; None where no tenant's folder is on the way."""
        if len(path) <= len(self._segments):
            return None
        tenant: str | None = None
        for segment, name in zip(self._segments, path, strict=False):
            text = os.fsdecode(name)
            if segment == _TENANT:
                tenant = text
            elif segment != text:
                return None
        return tenant

    def rotated(self, name: str) -> bool:
        """Tell whether a log file's name says that it is written no more."""
        return not isinstance(self.files, Logs) or any(fits(pattern, name) for pattern in self.files.rotated)

    def active(self, name: str) -> bool:
        """Tell whether a log file's name says that it is being written."""
        return isinstance(self.files, Logs) and any(fits(pattern, name) for pattern in self.files.active)

    def day(self, before: Before, seen: Seen, oldest: Instant) -> date | None:
        """Return the local day of a start time; None is undatable."""
        time = self.dataset.times.get(before.time)
        if time is None:
            raise Refused(f"the dataset {self.dataset.id!r} has no time {before.time!r}", guard="time")
        found: date | None = None
        if time.column == NAME and isinstance(self.files, Documents):
            found = day_of(self.files.dated or "", seen.name)
        elif time.column in {MODIFIED, NEWEST}:
            found = local_day(modified(seen.status), before.zone)
        elif time.column == OLDEST:
            found = local_day(oldest(seen), before.zone)
        return found if found is not None and before.not_before <= found <= before.not_after else None


def modified(status: os.stat_result) -> datetime | None:
    """Return when a file was modified; None where no calendar has the moment."""
    try:
        return datetime.fromtimestamp(status.st_mtime_ns // _BILLION, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def local_day(moment: datetime | None, zone: str) -> date | None:
    """Return the moment's day in a zone."""
    try:
        return None if moment is None else local_date(moment, zone)
    except (ValueError, OverflowError, InvalidDocument):
        return None

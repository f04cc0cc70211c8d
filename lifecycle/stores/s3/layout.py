"""A dataset's layout: whose an object is by its key, and when it started by what the server or the key shows."""

from __future__ import annotations

from datetime import date, datetime

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.fileset import clean_segment
from lifecycle.core.inventory import Dataset
from lifecycle.core.objectset import KEY, LAST_MODIFIED, objects_of
from lifecycle.core.selection import Before
from lifecycle.core.textpattern import day_of
from lifecycle.stores.s3.listing import Entry

_TENANT = "{tenant}"


class Layout:
    """One dataset of objects."""

    def __init__(self, dataset: Dataset) -> None:
        """Take a dataset that the inventory accepted."""
        self.dataset = dataset
        self.bucket = dataset.table
        self.objects = objects_of(dataset)
        pattern = dataset.tenant.pattern if dataset.tenant.by == "prefix" else None
        self._segments = () if pattern is None else tuple(pattern.rstrip("/").split("/"))

    @property
    def tenanted(self) -> bool:
        """Tell whether its objects belong to tenants."""
        return bool(self._segments)

    def prefix(self, tenant: str) -> str:
        """Return the prefix of a tenant's keys, / at its end.

        Raises Refused (guard `tenant-name`) for an id that is no name of one folder: it would be a way elsewhere.
        """
        if not clean_segment(tenant):
            fix = "Objects of such a tenant cannot lie under a prefix; correct the id or the inventory."
            raise Refused("a tenant's id is no name of a folder", guard="tenant-name", advice=fix)
        names = (tenant if segment == _TENANT else segment for segment in self._segments)
        return self.objects.prefix + "".join(f"{name}/" for name in names)

    def tenant_of(self, key: str) -> str | None:
        """Return whose object it is by its key; None where no tenant's folder is on the way."""
        names = key.removeprefix(self.objects.prefix).split("/")
        if len(names) <= len(self._segments) or not key.startswith(self.objects.prefix):
            return None
        tenant: str | None = None
        for segment, name in zip(self._segments, names, strict=False):
            if segment == _TENANT:
                tenant = name or None
            elif segment != name:
                return None
        return tenant

    def day(self, before: Before, entry: Entry) -> date | None:
        """Return the local day of a start time; None is undatable.

        Each version has its own: what was written again lives on in the older version, and that one is older.
        """
        time = self.dataset.times.get(before.time)
        if time is None:
            raise Refused(f"the dataset {self.dataset.id!r} has no time {before.time!r}", guard="time")
        found: date | None = None
        if time.column == KEY and self.objects.dated is not None:
            found = day_of(self.objects.dated, entry.key.removeprefix(self.objects.prefix))
        elif time.column == LAST_MODIFIED:
            found = _local(entry.modified, before.zone)
        return found if found is not None and before.not_before <= found <= before.not_after else None


def _local(moment: datetime, zone: str) -> date | None:
    try:
        return local_date(moment, zone)
    except (ValueError, OverflowError, InvalidDocument):
        return None

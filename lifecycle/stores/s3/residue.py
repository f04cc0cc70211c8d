"""Fresh eyes: boto3's own pages, over connections of their own, judged by other code than what deletes (I35).

Gone means: no version, no delete marker and no upload is left (I29). boto3 reads an empty answer as an empty listing;
a page that does not say of itself that it is one is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.inventory import Dataset
from lifecycle.core.objectset import objects_of
from lifecycle.core.selection import Before, Bound, GroupScope, TenantScope, WholeScope
from lifecycle.core.textpattern import day_of
from lifecycle.ports.store import HoldRow, Oddities, Residue
from lifecycle.stores.s3.wire import meaning

Seen = tuple[str, datetime]
"""A key, and when its version was written, its marker set, or its upload begun."""


@dataclass(slots=True)
class Eyes:
    """One question to one dataset's objects. `client`: boto3's, not the one that deletes; `owner`: the account."""

    client: Any
    owner: str | None
    dataset: Dataset
    bound: Bound
    tenants: Mapping[str, str] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what means nothing, as the executor does."""
        selection, by_prefix = self.bound.selection, self.dataset.tenant.by == "prefix"
        if by_prefix == isinstance(selection.scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        if isinstance(selection.scope, TenantScope) and not self.bound.tenant:
            raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
        if not selection.respect_holds:
            raise Refused("only a count may look past holds", guard="holds")
        if selection.only or selection.unreferenced_by or selection.undone:
            raise Refused("objects have no columns, and nothing references them here", guard="conditions")
        if missing := [before.time for before in selection.due if before.time not in self.dataset.times]:
            raise Refused(f"the dataset {self.dataset.id!r} has no time {missing[0]!r}", guard="time")

    def look(self, *, narrow: bool) -> Residue:
        """Count what is left and what is odd, over everything below the dataset's prefix."""
        items = undatable = unattributed = nobody = 0
        oldest: date | None = None
        for key, moment in entries(self.client, self.dataset, self.owner):
            owner = self._owner(key)
            if not self._asked(owner):
                if not isinstance(self.bound.selection.scope, WholeScope) and not narrow:
                    unattributed += owner is not None and owner not in self.tenants
                    nobody += owner is None and self.dataset.tenant.nulls == "refuse"
                continue
            days = [self._day(before, key, moment) for before in self.bound.selection.due]
            if None in days:
                undatable += 1
            elif not self._held(owner) and all(
                day <= before.day for day, before in zip(days, self.bound.selection.due, strict=True) if day
            ):
                items += 1
                oldest = min(filter(None, (oldest, *days[:1])), default=None)
        return Residue(items, 0, oldest, Oddities(undatable, unattributed, 0, nobody))

    def _owner(self, key: str) -> str | None:
        if self.dataset.tenant.by != "prefix":
            return None
        head, _, tail = (objects_of(self.dataset).prefix + (self.dataset.tenant.pattern or "")).partition("{tenant}")
        if not key.startswith(head):
            return None
        name, slash, rest = key[len(head) :].partition("/")
        return name if name and slash and rest.startswith(tail.removeprefix("/")) else None

    def _asked(self, owner: str | None) -> bool:
        scope = self.bound.selection.scope
        if isinstance(scope, WholeScope):
            return True
        if owner is None:
            return False
        return self.tenants.get(owner) in scope.groups if isinstance(scope, GroupScope) else owner == self.bound.tenant

    def _held(self, owner: str | None) -> bool:
        mine = [hold for hold in self.holds if hold.dataset in {None, self.dataset.id}]
        if self.dataset.tenant.by != "prefix":
            return any(hold.dataset is not None for hold in mine)
        return owner in {hold.tenant for hold in mine}

    def _day(self, before: Before, key: str, moment: datetime) -> date | None:
        declared, day = objects_of(self.dataset), None
        try:
            if self.dataset.times[before.time].column == "last_modified":
                day = moment.astimezone(ZoneInfo(before.zone)).date()
            elif declared.dated is not None:
                day = day_of(declared.dated, key[len(declared.prefix) :])
        except (ValueError, OverflowError):
            return None
        return day if day is not None and before.not_before <= day <= before.not_after else None


def entries(client: Any, dataset: Dataset, owner: str | None) -> Iterator[Seen]:
    """Yield every version, delete marker and upload below the dataset's prefix."""
    asked = {"Bucket": dataset.table, "Prefix": objects_of(dataset).prefix}
    if owner is not None:
        asked["ExpectedBucketOwner"] = owner
    for page in _pages(client, "list_object_versions", asked):
        for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            yield found["Key"], found["LastModified"]
    for page in _pages(client, "list_multipart_uploads", asked):
        for found in page.get("Uploads", ()):
            yield found["Key"], found["Initiated"]


def _pages(client: Any, what: str, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    pages = iter(client.get_paginator(what).paginate(**asked))
    while True:
        problem: LifecycleError
        try:
            page = next(pages, None)
        except ClientError as error:
            told = error.response
            problem = meaning(told["ResponseMetadata"]["HTTPStatusCode"], str(told["Error"].get("Code", "no code")))
        except (BotoCoreError, ResponseParserError, ValueError):
            problem = Transient("the object store did not answer a fresh look")
        else:
            if page is None:
                return
            if "IsTruncated" not in page:
                raise Transient("the object store answered a fresh look with something that is no listing")
            yield page
            continue
        raise problem


def population(client: Any, dataset: Dataset, owner: str | None) -> int:
    """Count everything that lies below the dataset's prefix."""
    return sum(1 for _ in entries(client, dataset, owner))

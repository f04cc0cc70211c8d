"""The small world in which every store proves its promises: four tables, their datasets, and one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

from lifecycle.core.inventory import Dataset, Hop, Tenancy, TimeColumn
from lifecycle.core.plan import Action, Delete
from lifecycle.core.selection import Before, Bound, Condition, GroupScope, Selection, TenantScope, WholeScope
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.store import Batch, Json, Receipt, Store, TenantRow

STORE = "target"
DEPLOYMENT = "example-deployment"
ZONE = "Europe/Berlin"
ALIAS = "t-aaaaaaaaaaaaaaaa"
TODAY = date(2026, 3, 1)
SEALING_KEY = bytes(range(32))
COMMITMENT_KEY = bytes(range(32, 64))
TENANTS = (TenantRow("acme", "standard"), TenantRow("borealis", "standard"), TenantRow("cetus", "short"))

LOGS = Dataset(
    id="logs",
    store=STORE,
    table="logs",
    category="technical",
    key=("id",),
    tenant=Tenancy(by="column", column="firm"),
    times={"made": TimeColumn(column="made", encoding="utc"), "day": TimeColumn(column="day", encoding="date")},
)
TICKETS = Dataset(
    id="tickets",
    store=STORE,
    table="tickets",
    category="content",
    key=("id",),
    tenant=Tenancy(by="column", column="firm"),
    columns=("id", "title"),
)
NOTES = Dataset(
    id="notes",
    store=STORE,
    table="notes",
    category="content",
    key=("ticket", "number"),
    tenant=Tenancy(by="path", column="firm", path=(Hop(column="ticket", table="tickets", key="id"),)),
)
SYSTEM = Dataset(
    id="system",
    store=STORE,
    table="system_log",
    category="technical",
    key=("id",),
    tenant=Tenancy(by="none"),
    times={"made": TimeColumn(column="made", encoding="utc")},
)
DATASETS = (LOGS, TICKETS, NOTES, SYSTEM)
COLUMNS: dict[str, dict[str, str]] = {
    "logs": {"id": "integer", "firm": "text", "made": "time", "day": "date", "kind": "text"},
    "tickets": {"id": "integer", "firm": "text", "title": "text"},
    "notes": {"ticket": "integer", "number": "integer", "body": "text"},
    "system_log": {"id": "integer", "made": "time"},
}
"""What a world-builder creates; the keys are those of the datasets. No foreign keys: orphans must be possible."""


ITEMS: dict[str, Tenancy] = {
    "logs": Tenancy(by="prefix", pattern="{tenant}/"),
    "tickets": Tenancy(by="prefix", pattern="{tenant}/"),
    "notes": Tenancy(by="prefix", pattern="{tenant}/"),
    "system": Tenancy(by="none"),
}
"""How the same datasets belong to tenants where items have names and no columns: files, objects."""


class StoreWorld(Protocol):
    """A target with the tables of `COLUMNS`, made by the author of a store. Times arrive as aware datetimes in UTC."""

    def store(self, failpoint: Failpoint = no_failpoint) -> Store:
        """Return a new handle on the one target, with `DATASETS` and `DEPLOYMENT`."""

    def insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows as the application would."""

    def change(self, table: str, key: dict[str, Any], values: dict[str, Any]) -> None:
        """Update the row of that key as the application would."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows; values of columns of text and integers as they are."""

    def open_keys(self, sealed: bytes, key: bytes, batch_id: str) -> list[tuple[Any, ...]]:
        """Open a receipt's list of keys."""


def at(day: date, hour: int = 12) -> datetime:
    """Return an hour of a day, in UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def before(day: date, time: str = "made", **changes: Any) -> Before:
    """Return a cutoff in the world's zone."""
    values: dict[str, Any] = {"zone": ZONE, "not_before": date(1971, 1, 1), "not_after": TODAY, **changes}
    return Before(time=time, day=day, **values)


def of_tenant(tenant: str, dataset: str = "logs", *due: Before, only: tuple[Condition, ...] = ()) -> Bound:
    """Bind a tenant's rows."""
    scope = TenantScope(tenant=ALIAS)
    return Bound(Selection(dataset=dataset, scope=scope, due=due, only=only), tenant)


def of_groups(groups: Sequence[str], dataset: str = "logs", *due: Before) -> Bound:
    """Bind the rows of groups of tenants."""
    return Bound(Selection(dataset=dataset, scope=GroupScope(groups=tuple(groups)), due=due))


def of_all(dataset: str = "system", *due: Before) -> Bound:
    """Bind the rows of a dataset without tenants."""
    return Bound(Selection(dataset=dataset, scope=WholeScope(), due=due))


def ready(store: Store, *, epoch: int = 1) -> Store:
    """Prepare a store with the world's tenants and no holds."""
    store.prepare(DEPLOYMENT)
    store.mirror_tenants(TENANTS)
    store.mirror_holds([])
    store.advance_epoch(DEPLOYMENT, epoch)
    return store


def batch(store: Store, bound: Bound, id: str, *, size: int = 1_000, after: Json = None, **changes: Any) -> Batch:
    """Cut the next piece and make a batch of it, as the fence stands now. Fails when the walk has ended."""
    piece = store.cut(bound, after, size)
    if piece is None:
        msg = "nothing is selected"
        raise AssertionError(msg)
    fence = store.fence()
    action: Action = Delete()
    values: dict[str, Any] = {
        "id": id,
        "job": "j-1",
        "step": "s001",
        "action": action,
        "bound": bound,
        "after": piece.after,
        "upto": piece.upto,
        "remaining": 1_000,
        "epoch": fence.epoch,
        "hold_version": fence.hold_version,
        "deployment": DEPLOYMENT,
        "sealing_key": SEALING_KEY,
        "commitment_key": COMMITMENT_KEY,
        "listed": piece.listed,
    }
    return Batch(**(values | changes))


def walk(store: Store, bound: Bound, size: int, prefix: str = "b") -> Iterator[Receipt]:
    """Carry out every batch of a walk, in order."""
    after: Json = None
    number = 0
    while (piece := store.cut(bound, after, size)) is not None:
        number += 1
        made = batch(store, bound, f"{prefix}{number:04d}", size=size, after=after)
        yield store.apply(made)
        after = piece.upto

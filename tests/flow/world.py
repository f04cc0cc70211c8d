"""A portal with the rows that tempt a wrong executor: days around the cutoff, odd times, a held tenant, two floors.

What must go is computed here by plain Python from the rows as they were written, never by the product.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lifecycle.flow import approve, holding, offboard, planning
from lifecycle.ports.clock import SystemClock
from tests import portal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment

ZONE = ZoneInfo("Europe/Berlin")
LOG_DAYS, MARGIN_DAYS, INVOICE_YEARS = 90, 3, 8
HELD = "zebra"
AUTHOR = "lifecycle"
TABLES = ("portal", "account", "ticket", "comment", "invoice", "access_log", "letter", "plan")
SMALL = "limits: {least_batch: 5, first_batch: 5, most_batch: 5}\n"

LETTERS = """\
  - id: letters
    store: main
    table: letter
    category: documents
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {issue: {column: issued_on, encoding: date}, closing: {column: closed_on, encoding: date}}
    only: [{kind: one-of, column: kind, values: [business]}]
    statutory:
      - {kind: letter, holder: processor, start: issue}
      - {kind: accounts, holder: processor, start: closing}
not_personal:
"""

Key = tuple[str, Any]
Tables = dict[str, dict[Any, tuple[Any, ...]]]


class NothingDue(Exception):
    """The rule planned nothing."""


@dataclass(frozen=True)
class Line:
    """A world with both plans made and approved."""

    world: portal.World
    rule: str
    leave: str
    before: Tables

    def must_go(self, plan: str) -> set[Key]:
        """Return what the plan of that name should delete."""
        now = self.world.now
        return due_logs(self.before, now) if plan == "rule" else leaving(self.before, now)

    def hash_of(self, plan: str) -> str:
        """Return the hash of the plan of that name."""
        return self.rule if plan == "rule" else self.leave

    def gone(self) -> set[Key]:
        """Return what is gone by now."""
        there = read(self.world)
        return {(table, key) for table in TABLES for key in self.before[table] if key not in there[table]}


def tempting(folder: Path, url: str, *, logs: int = 20, small: bool = True) -> portal.World:
    """Make the world; no plan yet."""
    now = SystemClock().now()
    portal.create_application(url, now, logs=logs)
    with portal.raw(url) as connection:
        connection.execute(
            "CREATE TABLE letter (id INTEGER PRIMARY KEY, portal_id TEXT, kind TEXT, issued_on DATE, closed_on DATE)"
        )
    world = portal.create_deployment(folder, url, now)
    insert(world, "access_log", odd_logs(now))
    insert(world, "letter", letters(now))
    inventory = folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("not_personal:\n", LETTERS))
    if small:
        settings = folder / "lifecycle.yaml"
        settings.write_text(settings.read_text() + SMALL)
    return world


def odd_logs(now: datetime) -> list[tuple[Any, ...]]:
    """Rows on every day around the cutoff for two tenants, and times that nobody should believe."""
    rows: list[tuple[Any, ...]] = []
    for base, tenant in ((900_000, "acme2"), (910_000, HELD)):
        for days in range(82, 94):
            at = portal.stamp(now - timedelta(days=days))
            rows.append((base + days, tenant, "192.0.2.1", at))
    odd = (None, "1970-01-01 00:00:00+00:00", portal.stamp(now + timedelta(days=400)))
    rows += [(920_000 + number, "acme2", "192.0.2.1", at) for number, at in enumerate(odd)]
    # A tenant that the register does not know, and nobody's: never a rule's to delete.
    old = portal.stamp(now - timedelta(days=500))
    rows += [(50_000, "stranger", "192.0.2.1", old), (50_001, None, "192.0.2.1", old)]
    # Between and before the leaver's keys: what a statement without its scope takes along.
    young = portal.stamp(now - timedelta(days=1))
    return [*rows, (-1, "Acme", "192.0.2.1", young), (-2, "acme2", "192.0.2.1", young)]


def without_nobodys(world: portal.World) -> None:
    """Remove the rows of nobody that the register knows: whoever leaves, they may be theirs."""
    execute(world, "DELETE FROM access_log WHERE portal_id IS NULL OR portal_id NOT IN (SELECT id FROM portal)")


def letters(now: datetime) -> list[tuple[Any, ...]]:
    """Business letters under two floors, and private ones that are not the dataset's."""
    old, young = date(now.year - 20, 2, 3).isoformat(), date(now.year, 1, 5).isoformat()
    rows: list[tuple[Any, ...]] = []
    for base, tenant in ((100, portal.LEAVER), (200, "Acme")):
        times = ((old, old), (old, young), (young, old), (young, young), (old, old))
        for number, (issued, closed) in enumerate(times):
            kind = "private" if number == 4 else "business"
            rows.append((base + number, tenant, kind, issued, closed))
    return rows


def insert(world: portal.World, table: str, rows: list[tuple[Any, ...]]) -> None:
    """Insert rows as the application would."""
    mark = "?" if world.url.startswith("sqlite") else "%s"
    with portal.raw(world.url) as connection:
        marks = ", ".join([mark] * len(rows[0]))
        connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def execute(world: portal.World, statement: str) -> None:
    """Run one statement as the application would."""
    with portal.raw(world.url) as connection:
        connection.execute(statement)


def read(world: portal.World) -> Tables:
    """Read every table by primary key."""
    return {table: {row[0]: row for row in world.rows(f"SELECT * FROM {table}")} for table in TABLES}


def end_contract(world: portal.World, deployment: Deployment, tenant: str = portal.LEAVER) -> Any:
    """End a tenant's contract so long ago that its window is closed."""
    ends_on = (world.now - timedelta(days=40)).date()
    return offboard.end(deployment, offboard.find(deployment, tenant), ends_on=ends_on)


def hold(deployment: Deployment, tenant: str = HELD, *datasets: str) -> Any:
    """Hold a tenant's rows."""
    ground = holding.Ground(basis="legal-order", reason="A dispute")
    return holding.set_hold(deployment, offboard.find(deployment, tenant), ground, operator="op-one", datasets=datasets)


def plan_rule(world: portal.World, deployment: Deployment, *, mandate: bool = False) -> str:
    """Plan the log rule and have it approved."""
    planned = planning.plan_rule(deployment, "clientport", "server-logs", author=AUTHOR)
    if planned is None:
        raise NothingDue
    approve.approve(deployment, planned.hash, "op-one", world.key("op-one"), grant_mandate=mandate)
    return planned.hash


def plan_leave(world: portal.World, deployment: Deployment) -> str:
    """Plan the leaver's deletion and have it approved by two."""
    tenant = offboard.find(deployment, portal.LEAVER)
    planned = planning.plan_offboarding(deployment, tenant, author=AUTHOR)
    for operator in portal.OPERATORS:
        approve.approve(deployment, planned.hash, operator, world.key(operator))
    return planned.hash


def line(world: portal.World) -> Line:
    """Hold, end, plan and approve."""
    with world.open() as deployment:
        hold(deployment, HELD, "access-log")
        end_contract(world, deployment)
        rule, leave = plan_rule(world, deployment), plan_leave(world, deployment)
    return Line(world, rule, leave, read(world))


@contextmanager
def restored(world: portal.World, home: Path) -> Iterator[None]:
    """Put a SQLite world's folder and database back as they are now, in place: a store's fingerprint knows its path."""
    kept = home.parent / f"{home.name}-kept"
    if not kept.exists():
        shutil.copytree(home, kept)
    try:
        yield
    finally:
        shutil.rmtree(home)
        shutil.copytree(kept, home)


def due_logs(before: Tables, now: datetime) -> set[Key]:
    """Return the log rows whose ninety days end within the margin, of known tenants that nobody holds."""
    today = now.astimezone(ZONE).date()
    found: set[Key] = set()
    for key, (_, tenant, _, at) in before["access_log"].items():
        if at is None or tenant not in portal.TENANTS or tenant == HELD:
            continue
        day = _moment(at).astimezone(ZONE).date()
        if date(1971, 1, 1) <= day <= today and day + timedelta(days=LOG_DAYS) <= today + timedelta(days=MARGIN_DAYS):
            found.add(("access_log", key))
    return found


def leaving(before: Tables, now: datetime) -> set[Key]:
    """Return all the leaver's rows but young invoices and letters, and the portal row that these still need."""
    today = now.astimezone(ZONE).date()
    found: set[Key] = set()
    for table in ("account", "ticket", "access_log"):
        found |= {(table, key) for key, row in before[table].items() if row[1] == portal.LEAVER}
    tickets = {key for key, row in before["ticket"].items() if row[1] == portal.LEAVER}
    found |= {("comment", key) for key, row in before["comment"].items() if row[1] in tickets}
    for key, row in before["invoice"].items():
        if row[1] == portal.LEAVER and today > date(_day(row[2]).year + INVOICE_YEARS, 12, 31):
            found.add(("invoice", key))
    for key, (_, tenant, kind, issued, closed) in before["letter"].items():
        if (tenant, kind) == (portal.LEAVER, "business") and max(_day(issued), _day(closed)).year < now.year - 10:
            found.add(("letter", key))
    return found


def _moment(value: str | datetime) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _day(value: str | date) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def old_logs(world: portal.World, number: int) -> list[tuple[Any, ...]]:
    """Due rows that appear before every key that is there: behind the cursor of a walk that has begun."""
    old = portal.stamp(world.now - timedelta(days=300))
    return [(-1_000 - i, "Acme", "192.0.2.99", old) for i in range(number)]

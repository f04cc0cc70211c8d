"""What a review found in the SQL stores: rows that a declared ON DELETE path takes along."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from lifecycle.core.errors import Refused
from lifecycle.flow import execute, offboard, planning
from lifecycle.ports.clock import SystemClock
from tests import portal
from tests.flow.test_review import rule

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = "ticket_id INTEGER NOT NULL REFERENCES ticket(id), body TEXT NOT NULL)"
COLLECTED = "times: {collection: {column: created_at, encoding: ENCODING}}}"
TAKES = COLLECTED[:-1] + ", cascades: [{dataset: comments, column: ticket_id, effect: delete}]}"
BY_PATH = "tenant: {by: path, path: [{column: ticket_id, table: ticket, key: id}], column: portal_id}"


def build(folder: Path, url: str) -> portal.World:
    """Make application and deployment, their present being now."""
    now = SystemClock().now().replace(microsecond=0)
    portal.create_application(url, now)
    home = folder / "deployment"
    home.mkdir()
    return portal.create_deployment(home, url, now)


@pytest.mark.parametrize("effect", ["CASCADE", "SET NULL"])
def test_I06_a_declared_cascade_does_not_reach_another_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, effect: str
) -> None:
    """A row of another tenant that hangs on a leaver's row refuses the plan: it would go, or change, with it."""
    null, word = ("", "delete") if effect == "CASCADE" else ("", "set-null")
    new = f"ticket_id INTEGER {null} REFERENCES ticket(id) ON DELETE {effect}, body TEXT NOT NULL, portal_id TEXT)"
    monkeypatch.setattr(portal, "DDL", portal.DDL.replace(REFERENCE, new))
    inventory = portal.INVENTORY.replace(COLLECTED, TAKES.replace("delete", word), 1)
    monkeypatch.setattr(portal, "INVENTORY", inventory.replace(BY_PATH, "tenant: {by: column, column: portal_id}"))
    real = portal.application_rows

    def rows(now: Any, *, logs: int = 40) -> dict[str, list[tuple[Any, ...]]]:
        made = real(now, logs=logs)
        made["comment"] = [(*row, portal.TENANTS[row[1] // 100]) for row in made["comment"]]
        made["comment"].append((99999, 5, "zebra wrote this", "zebra"))
        return made

    monkeypatch.setattr(portal, "application_rows", rows)
    world = build(tmp_path, f"sqlite:///{tmp_path / 'portal.db'}")
    with world.open() as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        tenant = offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
        with pytest.raises(Refused) as refused:
            planning.plan_offboarding(deployment, tenant, author="lifecycle")
    assert refused.value.guard == "contested"


def test_I01_a_child_that_arrives_while_the_batch_waits_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    """A child committed before its parent goes keeps the parent: no cascade takes what is not due."""
    new = REFERENCE.replace("ticket(id)", "ticket(id) ON DELETE CASCADE").replace(
        "NOT NULL)", "NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now())"
    )
    monkeypatch.setattr(
        portal,
        "DDL",
        portal.DDL.replace(REFERENCE, new).replace("parent_id INTEGER REFERENCES ticket(id)", "parent_id INTEGER"),
    )
    inventory = portal.INVENTORY.replace(COLLECTED, TAKES, 1).replace(
        "table: ticket, category: communication-data", "table: ticket, category: technical-data"
    )
    monkeypatch.setattr(portal, "INVENTORY", inventory)
    real = portal.application_rows

    def rows(now: Any, *, logs: int = 40) -> dict[str, list[tuple[Any, ...]]]:
        made = real(now, logs=logs)
        made["comment"] = [(*row, portal.stamp(now)) for row in made["comment"] if row[1] % 100 != 11]
        return made

    monkeypatch.setattr(portal, "application_rows", rows)
    world = build(tmp_path, postgres_url)
    libpq = portal.libpq_url(postgres_url)
    with (
        world.open() as deployment,
        psycopg.connect(libpq) as application,
        psycopg.connect(libpq, autocommit=True) as watcher,
    ):
        planned = rule(deployment, world)
        assert any(step.dataset == "tickets" and step.expected for step in planned.plan.steps)
        application.execute("INSERT INTO comment VALUES (777777, 11, 'written today', now())")
        worker = threading.Thread(target=execute.apply, args=(deployment, planned.hash))
        worker.start()
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        until = time.monotonic() + 30
        while watcher.execute(asked).fetchone() == (0,):
            assert worker.is_alive()
            assert time.monotonic() < until
        application.commit()
        worker.join()
    assert world.rows("SELECT id FROM comment WHERE ticket_id = 11") == [(777777,)]
    assert world.rows("SELECT id FROM ticket WHERE id = 111") == []

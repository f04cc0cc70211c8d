"""What the verifier cannot see stays as it was last seen, hides nothing else, and is forgotten by no restart (I24)."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Corrupt
from lifecycle.core.tenant import Tenant
from lifecycle.daemon.report import Report, names_of
from lifecycle.flow import cycle, last_look, look, registers
from lifecycle.observe import open_log
from lifecycle.ports.clock import SimulatedClock
from tests import portal
from tests.flow import world as made

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.look import Look
    from lifecycle.flow.overdue import Seen
    from tests.portal import World

SIDE = """\
  - {id: side, kind: sql, address: {file: side.url}, place: {country: DE, region: Frankfurt}}
datasets:
  - {id: side-log, store: side, table: access_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: iso-text}}}
"""
OLDER = """\
datasets:
  - {id: older-log, store: main, table: older_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: iso-text}}}
"""
TABLE = "(id INTEGER PRIMARY KEY, portal_id TEXT, ip TEXT, at TEXT)"


def logs_of(seen: Look, store: str = "main") -> Seen:
    """Return what was seen of the log rule in a store."""
    return next(one for one in seen.rules if (one.rule, one.store) == ("server-logs", store))


def with_side(world: World, folder: Path) -> Path:
    """Add a second store with four overdue logs."""
    folder.mkdir()
    url = f"sqlite:///{folder}/side.db"
    with portal.raw(url) as connection:
        connection.execute(f"CREATE TABLE access_log {TABLE}")
    made.insert(replace(world, url=url), "access_log", made.old_logs(world, 4))
    (world.folder / "side.url").write_text(url + "\n")
    (world.folder / "side.url").chmod(0o600)
    declare(world, SIDE)
    return folder


def declare(world: World, text: str) -> None:
    """Put something before the datasets of the inventory."""
    inventory = world.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("datasets:\n", text, 1))


def report_of(deployment: Deployment, clock: SimulatedClock) -> Report:
    """Return the service's report over a log that nobody reads."""
    return Report(deployment, open_log(io.StringIO(), clock, names=names_of(deployment), libraries=False))


def value(report: Report, name: str, **labels: str) -> float | None:
    """Return a sample."""
    return report.metrics.registry.get_sample_value(f"lifecycle_{name}", labels or None)


@pytest.fixture
def clock(world: World) -> SimulatedClock:
    """The present of the rows."""
    return SimulatedClock(world.now)


# ---- registers ----


@pytest.mark.parametrize("kind", ["hold", "tenant"])
def test_I24_an_unreadable_entry_of_a_register_blinds_nobody(world: World, clock: SimulatedClock, kind: str) -> None:
    """Whoever deletes stops at it, fail-closed; whoever looks goes on, says so, and shows what is overdue."""
    with world.open(clock=clock) as deployment:
        before = look.look(deployment)
        with deployment.state.transaction() as tx:
            tx.put("hold" if kind == "hold" else "tenant", "broken", b"{")
        seen = look.look(deployment)
        assert (before.unreadable, seen.unreadable) == ((), (kind,))
        assert seen.rules == before.rules
        assert logs_of(seen).overdue > 0
        rows = made.read(world)
        with_errors = [turn.error for turn in cycle.tick(deployment, scheduled=True)] if kind == "hold" else []
        assert all(isinstance(error, Corrupt) for error in with_errors)
        assert made.read(world) == rows


# ---- stores and datasets ----


def test_I24_a_store_that_is_down_keeps_what_was_last_seen_of_it(
    world: World, clock: SimulatedClock, tmp_path: Path
) -> None:
    """Nobody saw its overdue rows go: they are overdue still, older by the day, until it answers."""
    side = with_side(world, tmp_path / "side")
    with world.open(clock=clock) as deployment:
        both = look.look(deployment)
    shutil.rmtree(side)
    clock.advance(timedelta(days=1))
    with world.open(clock=clock) as deployment:
        blind = look.look(deployment, both)
        kept, known = logs_of(blind, "side"), logs_of(both, "side")
        assert (kept.overdue, kept.ceiling_of_oldest, kept.next_deadline, kept.complete) == (
            4,
            known.ceiling_of_oldest,
            known.next_deadline,
            False,
        )
        assert logs_of(look.look(deployment, blind), "side").overdue == 4
        assert logs_of(look.look(deployment), "side").overdue == 0, "without a look before nobody can know"
        assert [one.store for one in blind.offboarding] == ["main", "side"]
        report = report_of(deployment, clock)
        report.looked(blind)
        assert value(report, "overdue_records", rule="server-logs", store="side") == 4
        assert value(report, "look_failures_total", store="side") == 1
        assert value(report, "overdue_records", rule="server-logs", store="main") == logs_of(blind).overdue


def test_I27_a_dataset_that_does_not_answer_hides_no_other_of_its_store(world: World, clock: SimulatedClock) -> None:
    """Rows of the readable one that are overdue since count and are shown; those of the other one are not forgotten."""
    with portal.raw(world.url) as connection:
        connection.execute(f"CREATE TABLE older_log {TABLE}")
    made.insert(world, "older_log", made.old_logs(world, 4))
    declare(world, OLDER)
    with world.open(clock=clock) as deployment:
        both = look.look(deployment)
        report = report_of(deployment, clock)
        report.looked(both)
    made.execute(world, "ALTER TABLE older_log RENAME TO hidden_log")
    made.insert(world, "access_log", made.old_logs(world, 30))
    with world.open(clock=clock) as deployment:
        blind = look.look(deployment, both)
        report = report_of(deployment, clock)
        report.looked(blind)
    assert {(one.dataset, one.rule) for one in blind.unanswered} >= {("older-log", "server-logs")}
    seen = logs_of(blind)
    assert not seen.complete
    assert seen.overdue == logs_of(both).overdue - 4 + 30
    assert value(report, "overdue_records", rule="server-logs", store="main") == seen.overdue
    assert value(report, "overdue_oldest_age_seconds", rule="server-logs", store="main")
    assert value(report, "look_failures_total", store="main") == 1


def test_a_store_that_is_declared_no_more_is_forgotten(world: World, clock: SimulatedClock, tmp_path: Path) -> None:
    """What documents do not name is not carried on for ever."""
    inventory = (world.folder / "inventory.yaml").read_text()
    with_side(world, tmp_path / "side")
    with world.open(clock=clock) as deployment:
        both = look.look(deployment)
    (world.folder / "inventory.yaml").write_text(inventory)
    with world.open(clock=clock) as deployment:
        seen = look.look(deployment, both)
    assert {one.store for one in (*seen.rules, *seen.offboarding)} == {"main"}


# ---- restarts ----


def test_I24_a_restart_recalls_the_last_look(world: World, clock: SimulatedClock, tmp_path: Path) -> None:
    """Another process that finds the store down knows what was overdue there, and when it will be."""
    side = with_side(world, tmp_path / "side")
    with world.open(clock=clock) as deployment:
        assert last_look.recall(deployment) is None
        both = look.look(deployment)
        last_look.keep(deployment, both, None)
    shutil.rmtree(side)
    with world.open(clock=clock) as deployment:
        before = last_look.recall(deployment)
        assert before is not None
        assert (before.at, before.due()) == (both.at, both.due())
        seen = look.look(deployment, before)
        kept, known = logs_of(seen, "side"), logs_of(both, "side")
        assert (kept.overdue, kept.ceiling_of_oldest, kept.next_deadline) == (
            known.overdue,
            known.ceiling_of_oldest,
            known.next_deadline,
        )
        assert logs_of(seen) == logs_of(both)


def test_a_look_that_saw_nothing_new_writes_nothing(world: World, clock: SimulatedClock) -> None:
    """Every fifteen minutes for years: the state is written when something changed."""
    with world.open(clock=clock) as deployment:
        first = look.look(deployment)
        last_look.keep(deployment, first, None)
        clock.advance(timedelta(minutes=15))
        last_look.keep(deployment, look.look(deployment, first), first)
        kept = last_look.recall(deployment)
        assert kept is not None
        assert kept.at == first.at


def test_I23_what_is_kept_has_no_names_of_persons(world: World, clock: SimulatedClock) -> None:
    """Counts and days by rule and store; no tenant, no key, no value."""
    with world.open(clock=clock) as deployment:
        last_look.keep(deployment, look.look(deployment), None)
        body = deployment.state.get("setting", "last-look")
    assert body is not None
    assert not [tenant for tenant in portal.TENANTS if f'"{tenant}"'.encode() in body]
    assert b"192.0.2" not in body


# ---- what binds nobody ----


def test_I24_rows_of_no_known_tenant_are_told_apart_from_overdue_ones(world: World, clock: SimulatedClock) -> None:
    """A stranger's row and nobody's are not overdue: they have a metric of their own."""
    with world.open(clock=clock) as deployment:
        report = report_of(deployment, clock)
        before = look.look(deployment)
        old = portal.stamp(world.now - timedelta(days=300))
        made.insert(world, "access_log", [(6_000_000, "another stranger", "192.0.2.3", old)])
        seen = look.look(deployment, before)
        report.looked(seen)
    assert logs_of(seen).overdue == logs_of(before).overdue
    assert value(report, "unattributed_records", rule="server-logs", store="main") == 3


def test_I24_promises_that_nobody_can_resolve_are_counted(world: World, clock: SimulatedClock) -> None:
    """A tenant bound by a version that no document holds is bound by nothing: not silently."""
    with world.open(clock=clock) as deployment:
        report = report_of(deployment, clock)
        report.looked(look.look(deployment))
        assert value(report, "unresolved_promises") == 0
        with deployment.state.transaction() as tx:
            lost = Tenant(id="lost", agreement="clientport", agreement_version="99")
            registers.put(tx, "tenant", deployment.alias(lost.id), lost)
        report.looked(look.look(deployment))
        assert value(report, "unresolved_promises") == 1

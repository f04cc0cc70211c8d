"""What a review found: ways to delete too much, to leave rows behind in silence, to state what is not so."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from lifecycle.core.errors import Refused
from lifecycle.flow import (
    approve,
    certify,
    cycle,
    execute,
    exporting,
    holding,
    journal,
    offboard,
    planning,
    plans,
    registers,
)
from lifecycle.ports.clock import SimulatedClock, SystemClock
from lifecycle.stores.sql import SqlStore
from lifecycle.wiring.exports import package_writer
from tests import portal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.planning import Planned

ZONE = ZoneInfo("Europe/Berlin")
RULE = ("clientport", "server-logs")
GROUND = holding.Ground(basis="legal-order", reason="a court asked for it")
LOOSE = ("ticket_id INTEGER NOT NULL REFERENCES ticket(id), body", "ticket_id INTEGER NOT NULL, body")
"""A tenant path that no foreign key enforces."""


class Crash(Exception):
    """The process ended here."""


def build(folder: Path, *, logs: int = 40) -> portal.World:
    """Make the portal in SQLite, its present being now."""
    now = SystemClock().now().replace(microsecond=0)
    url = f"sqlite:///{folder / 'portal.db'}"
    portal.create_application(url, now, logs=logs)
    home = folder / "deployment"
    home.mkdir()
    return portal.create_deployment(home, url, now)


def rule(deployment: Deployment, world: portal.World, *, mandate: bool = False) -> Planned:
    """Plan and approve the logs' rule."""
    planned = planning.plan_rule(deployment, *RULE, author="lifecycle")
    assert planned is not None
    approve.approve(deployment, planned.hash, "op-one", world.key("op-one"), grant_mandate=mandate)
    return planned


def leave(deployment: Deployment, world: portal.World) -> Planned:
    """End the leaver's contract forty days ago; plan and approve what follows."""
    tenant = offboard.find(deployment, portal.LEAVER)
    tenant = offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
    planned = planning.plan_offboarding(deployment, tenant, author="lifecycle")
    for operator in portal.OPERATORS:
        approve.approve(deployment, planned.hash, operator, world.key(operator))
    return planned


def hold(deployment: Deployment, tenant: str, datasets: Iterable[str] = ()) -> None:
    """Set a hold."""
    found = offboard.find(deployment, tenant)
    holding.set_hold(deployment, found, GROUND, operator="op-one", datasets=tuple(datasets))


def number(world: portal.World, sql: str) -> int:
    """Count in the application's database."""
    return int(world.rows(sql)[0][0])


def test_I01_a_renewed_contract_keeps_its_data(tmp_path: Path) -> None:
    """An approved offboarding deletes nothing once the contract was resumed."""
    world = build(tmp_path)
    with world.open() as deployment:
        planned = leave(deployment, world)
        offboard.resume(deployment, offboard.find(deployment, portal.LEAVER))
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, planned.hash)
    assert refused.value.guard == "window-open"
    assert number(world, "SELECT count(*) FROM account WHERE portal_id = 'acme'") == 6


@pytest.mark.parametrize("change", ["resume", "end", "notice"])
def test_I01_a_contract_is_not_resumed_once_its_deletion_has_begun(tmp_path: Path, change: str) -> None:
    """The log's word counts, before the register's state has followed it."""
    world = build(tmp_path)
    with world.open() as deployment:
        execute.apply(deployment, leave(deployment, world).hash)
        tenant, day = offboard.find(deployment, portal.LEAVER), world.now.date()
        calls: dict[str, Any] = {
            "resume": lambda: offboard.resume(deployment, tenant),
            "end": lambda: offboard.end(deployment, tenant, ends_on=day),
            "notice": lambda: offboard.notice(deployment, tenant, notice_on=day, ends_on=day),
        }
        with pytest.raises(Refused) as refused:
            calls[change]()
    assert refused.value.guard == "too-late"


def test_I07_a_hold_set_while_mirrors_are_written_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read the register before a hold was set does not take it out of the store again."""
    world, done = build(tmp_path), []
    before = number(world, "SELECT count(*) FROM access_log WHERE portal_id = 'zebra'")
    with world.open() as deployment:
        planned = rule(deployment, world)
        real = SqlStore.mirror_holds

        def late(store: SqlStore, rows: Any) -> int:
            if not done:
                done.append(1)
                hold(deployment, "zebra")
            return real(store, rows)

        monkeypatch.setattr(SqlStore, "mirror_holds", late)
        execute.apply(deployment, planned.hash)
    assert number(world, "SELECT count(*) FROM access_log WHERE portal_id = 'zebra'") == before


@pytest.mark.parametrize("when", ["before the plan", "after the plan"])
def test_I07_the_path_of_a_held_row_stays_without_a_foreign_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A held child's parents stay: they alone say whose the child is."""
    monkeypatch.setattr(portal, "DDL", portal.DDL.replace(*LOOSE))
    world = build(tmp_path)
    with world.open() as deployment:
        if when == "before the plan":
            hold(deployment, portal.LEAVER, ["comments"])
            assert execute.apply(deployment, leave(deployment, world).hash).clean
        else:
            planned = leave(deployment, world)
            hold(deployment, portal.LEAVER, ["comments"])
            with pytest.raises(Refused) as refused:
                execute.apply(deployment, planned.hash)
            assert refused.value.guard == "hold"
    assert number(world, "SELECT count(*) FROM ticket WHERE portal_id = 'acme'") == 12
    assert number(world, "SELECT count(*) FROM comment WHERE ticket_id < 100") == 24


def test_I07_a_tenant_held_whole_after_the_plan_is_not_offboarded(tmp_path: Path) -> None:
    """Apply refuses what planning would refuse."""
    world = build(tmp_path)
    with world.open() as deployment:
        planned = leave(deployment, world)
        hold(deployment, portal.LEAVER)
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, planned.hash)
    assert refused.value.guard == "hold"


def test_I21_no_certificate_over_rows_that_a_later_hold_keeps(tmp_path: Path) -> None:
    """What stays and is not listed refuses the certificate; a new plan lists it, and its certificate says so."""
    world = build(tmp_path)
    with world.open() as deployment:
        planned = leave(deployment, world)
        hold(deployment, portal.LEAVER, ["access-log"])
        assert execute.apply(deployment, planned.hash).clean
        with pytest.raises(Refused) as refused:
            certify.issue(deployment, planned.hash)
        again = planning.plan_offboarding(deployment, offboard.find(deployment, portal.LEAVER), author="lifecycle")
        for operator in portal.OPERATORS:
            approve.approve(deployment, again.hash, operator, world.key(operator))
        execute.apply(deployment, again.hash)
        assert certify.issue(deployment, again.hash).completeness == "final-with-residue"
    assert refused.value.guard == "unlisted"
    assert {g.label: g.count for s in again.plan.steps for g in s.withheld if s.dataset == "access-log"} == {"hold": 40}


def test_I21_rows_without_a_tenant_keep_a_certificate_from_being_final(tmp_path: Path) -> None:
    """A row that is nobody's was not deleted: the certificate says that it is not complete."""
    world = build(tmp_path)
    with portal.raw(world.url) as connection:
        connection.execute("INSERT INTO access_log VALUES (900009, NULL, '192.0.2.1', '2020-01-01 00:00:00+00:00')")
    with world.open() as deployment:
        planned = rule(deployment, world)
        execute.apply(deployment, planned.hash)
        assert certify.issue(deployment, planned.hash).completeness == "provisional"


def test_I33_an_old_verification_is_repeated_before_the_certificate(tmp_path: Path) -> None:
    """A row that came back after the look that found nothing refuses the certificate."""
    world = build(tmp_path)
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        planned = rule(deployment, world)
        assert execute.apply(deployment, planned.hash).clean
        clock.advance(timedelta(days=2))
        with portal.raw(world.url) as connection:
            connection.execute(
                "INSERT INTO access_log VALUES (900008, 'acme', '192.0.2.1', '2024-01-01 00:00:00+00:00')"
            )
        with pytest.raises(Refused) as refused:
            certify.issue(deployment, planned.hash)
    assert refused.value.guard == "residue"


def test_I13_quiet_days_are_no_jump_of_the_clock(tmp_path: Path) -> None:
    """Daily looks in which nothing is due leave their time on record: a week later the rule still runs."""
    world = build(tmp_path)
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        execute.apply(deployment, rule(deployment, world, mandate=True).hash)
        results = []
        for _ in range(7):
            clock.advance(timedelta(days=1))
            results += [turn.result for turn in cycle.tick(deployment)]
    assert set(results) == {"idle", "applied"}


def test_I27_a_row_that_the_database_keeps_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row that an undeclared table references is passed by; all others go, and the job is not done."""
    monkeypatch.setattr(
        portal,
        "DDL",
        portal.DDL + "CREATE TABLE audit (id INTEGER PRIMARY KEY, log INTEGER REFERENCES access_log(id));",
    )
    world = build(tmp_path, logs=400)
    oldest = world.rows("SELECT id FROM access_log WHERE portal_id = 'zebra' ORDER BY at LIMIT 1")[0][0]
    with portal.raw(world.url) as connection:
        connection.execute("INSERT INTO audit VALUES (1, ?)", (oldest,))
    with world.open() as deployment:
        planned = rule(deployment, world)
        ran = execute.apply(deployment, planned.hash)
        assert (ran.outcome, ran.deleted, ran.clean) == ("partial", planned.plan.expected() - 1, False)
        with pytest.raises(Refused):
            certify.issue(deployment, planned.hash)
    assert number(world, f"SELECT count(*) FROM access_log WHERE id = {oldest}") == 1


def test_I27_an_orphan_of_earlier_days_does_not_keep_the_parents(tmp_path: Path) -> None:
    """Somebody else's broken row holds the certificate back, not the deletion."""
    world = build(tmp_path)
    with closing(sqlite3.connect(world.url.removeprefix("sqlite:///"))) as connection:
        connection.execute("INSERT INTO comment VALUES (5555, 987654, 'left behind years ago')")
        connection.commit()
    with world.open() as deployment:
        planned = leave(deployment, world)
        ran = execute.apply(deployment, planned.hash)
        with pytest.raises(Refused) as refused:
            certify.issue(deployment, planned.hash)
    assert (ran.outcome, ran.clean, refused.value.guard) == ("done", False, "residue")
    assert number(world, "SELECT count(*) FROM ticket WHERE portal_id = 'acme'") == 0


def test_I27_a_tenant_of_a_lost_agreement_stops_no_turn(tmp_path: Path) -> None:
    """An ended tenant whose agreement no document holds any more leaves tick and the others' states alone."""
    world = build(tmp_path)
    with world.open() as deployment:
        for name in ("zebra", portal.LEAVER):
            tenant = offboard.find(deployment, name)
            offboard.end(deployment, tenant, ends_on=(world.now - timedelta(days=40)).date())
        lost = offboard.find(deployment, portal.LEAVER).model_copy(update={"agreement_version": "0.1"})
        with deployment.state.transaction() as transaction:
            registers.put(transaction, "tenant", deployment.alias(portal.LEAVER), lost)
        assert [turn.result for turn in cycle.tick(deployment)] == ["observing"]


def test_I16_a_batch_that_recovery_closes_keeps_its_counts_per_tenant(tmp_path: Path) -> None:
    """The summaries of a shared pass add up to its receipts, whoever copied them into the log."""
    world, hits = build(tmp_path), []

    def crash(name: str) -> None:
        if name == "batch.committed" and not hits:
            hits.append(name)
            raise Crash

    with world.open() as deployment:
        planned = rule(deployment, world)
    with world.open(failpoint=crash) as deployment, pytest.raises(Crash):
        execute.apply(deployment, planned.hash)
    with world.open() as deployment:
        ran = execute.apply(deployment, planned.hash)
        entries = [entry for _, entry in journal.decoded(deployment.state.of_job(ran.job))]
    summed = sum(entry["deleted"] for entry in entries if entry["type"] == "run.summary")
    assert summed == ran.deleted == planned.plan.expected()


def test_I21_rows_outside_the_plan_are_named_and_keep_a_certificate_from_being_final(tmp_path: Path) -> None:
    """A dataset of the tenant that no step of the plan touches is not passed over in silence."""
    world = build(tmp_path)
    with world.open() as deployment:
        whole = leave(deployment, world).plan
        steps = tuple(step for step in whole.steps if step.dataset != "access-log")
        schema = deployment.stores["main"].used_schema(sorted({step.dataset for step in steps}))
        bound = (whole.stores[0].model_copy(update={"used_schema": schema}),)
        less = whole.model_copy(update={"id": "p-less", "steps": steps, "stores": bound})
        plan_hash = plans.freeze(deployment, less)
        for operator in portal.OPERATORS:
            approve.approve(deployment, plan_hash, operator, world.key(operator))
        execute.apply(deployment, plan_hash)
        certificate = certify.issue(deployment, plan_hash)
    said = json.loads(base64.b64decode(json.loads(certificate.envelope)["payload"]))["predicate"]
    assert certificate.completeness == "provisional"
    assert any("access-log" in limit for limit in said["limits"])


def test_I34_an_export_from_before_the_end_is_not_the_promised_return(tmp_path: Path) -> None:
    """What was written after an early export was never returned: deletion waits for a later one."""
    world = build(tmp_path)
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        tenant = offboard.find(deployment, portal.LEAVER)
        writer = package_writer(deployment, deployment.zone_of(tenant))
        exporting.export(deployment, tenant, writer, tmp_path)
        tenant = offboard.end(deployment, tenant, ends_on=(world.now + timedelta(days=5)).date(), choice="return")
        assert exporting.returned_on(deployment, tenant) is None
        clock.advance(timedelta(days=10))
        exporting.export(deployment, tenant, writer, tmp_path)
        assert exporting.returned_on(deployment, tenant) == (world.now + timedelta(days=10)).astimezone(ZONE).date()

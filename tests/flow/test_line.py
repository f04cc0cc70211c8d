"""What a plan binds, and what stops it before anything changes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lifecycle.core.errors import Corrupt, LifecycleError, Refused
from lifecycle.flow import certify, controls, execute, journal, planning
from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.flow.world import Line
    from tests.portal import World


def refused(line: Line, plan: str, **options: object) -> str:
    """Apply, expect a refusal, and return its guard; nothing may be gone."""
    with line.world.open(**options) as deployment, pytest.raises(Refused) as refusal:
        execute.apply(deployment, line.hash_of(plan))
    assert line.gone() == set()
    return refusal.value.guard


def once(name: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Return a failpoint that acts at the first hit of a name."""
    left = [act]

    def failpoint(hit: str) -> None:
        if hit == name and left:
            left.pop()()

    return failpoint


@pytest.mark.parametrize("plan", ["rule", "leave"])
def test_I03_the_line_deletes_what_is_due_and_nothing_else(line: Line, plan: str) -> None:
    """What is gone equals what plain Python finds due; receipts, verification and certificate say so."""
    with line.world.open() as deployment:
        ran = execute.apply(deployment, line.hash_of(plan))
        certificate = certify.issue(deployment, line.hash_of(plan))
    assert line.gone() == line.must_go(plan)
    assert (ran.outcome, ran.clean, ran.deleted) == ("done", True, len(line.must_go(plan)))
    assert certificate.job == ran.job


def test_I02_documents_that_changed_since_the_plan_stop_it(line: Line) -> None:
    """A plan is bound to the exact bytes of all documents."""
    inventory = line.world.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text() + "# a remark\n")
    assert refused(line, "rule") == "policy-changed"


def test_I02_a_schema_that_changed_since_the_plan_stops_it(line: Line) -> None:
    """A new column in a table the plan uses needs a new look."""
    made.execute(line.world, "ALTER TABLE access_log ADD COLUMN agent TEXT")
    assert refused(line, "rule") == "schema-changed"


def test_I02_another_database_under_the_same_address_stops_it(line: Line) -> None:
    """A clone or a restored copy has another identity."""
    made.execute(line.world, "UPDATE lifecycle_fence SET identity = 'another'")
    assert refused(line, "rule") == "fingerprint"


def test_a_fence_of_another_deployment_stops_it(line: Line) -> None:
    """A target belongs to one deployment."""
    made.execute(line.world, "UPDATE lifecycle_fence SET deployment = 'another'")
    assert refused(line, "rule") in {"deployment", "fingerprint"}


def test_I04_a_limit_of_zero_deletes_zero(world: World) -> None:
    """With `most_items: 0` nothing can be planned, and nothing is deleted."""
    settings = world.folder / "lifecycle.yaml"
    settings.write_text(settings.read_text().replace("limits: {", "limits: {most_items: 0, "))
    before = made.read(world)
    with world.open() as deployment, pytest.raises(Refused) as refusal:
        planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
    assert refusal.value.guard == "hard-cap"
    assert made.read(world) == before


def test_I04_more_than_the_limit_before_the_first_batch_stops_it(line: Line) -> None:
    """Rows that grew past the plan's limit need a new plan."""
    made.insert(line.world, "access_log", made.old_logs(line.world, 200))
    assert refused(line, "rule") == "limit"


def test_I05_an_empty_mirror_of_tenants_selects_nothing(line: Line) -> None:
    """A tenant that vanished from the mirror between intent and change is nobody's to delete."""
    forget = once("intent.after", lambda: made.execute(line.world, "DELETE FROM lifecycle_tenant WHERE id = 'acme'"))
    assert refused(line, "leave", failpoint=forget) == "unknown-tenant"


def test_I20_a_stale_leader_deletes_nothing(line: Line) -> None:
    """Another leader raised the epoch after the intent: the transaction sees it."""
    raise_epoch = once("intent.after", lambda: made.execute(line.world, "UPDATE lifecycle_fence SET epoch = epoch + 1"))
    assert refused(line, "rule", failpoint=raise_epoch) == "stale-epoch"


def test_I17_a_log_that_cannot_be_written_stops_everything(line: Line) -> None:
    """The intent must be durable first: with a state that refuses it, no row changes."""

    def block() -> None:
        with sqlite3.connect(line.world.folder / "state.db") as state:
            state.execute("CREATE TRIGGER full BEFORE INSERT ON log_entry BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        state.close()

    with line.world.open(failpoint=once("intent.before", block)) as deployment, pytest.raises(LifecycleError):
        execute.apply(deployment, line.rule)
    assert line.gone() == set()


def test_I19_a_finished_job_again_adds_nothing(line: Line) -> None:
    """The second delivery of a plan deletes 0, adds no receipt and no entry."""
    with line.world.open() as deployment:
        first = execute.apply(deployment, line.rule)
        size, receipts = deployment.state.size(), line.world.rows("SELECT count(*) FROM lifecycle_receipt")
        again = execute.apply(deployment, line.rule)
        assert (again, deployment.state.size()) == (first, size)
    assert line.world.rows("SELECT count(*) FROM lifecycle_receipt") == receipts
    assert line.gone() == line.must_go("rule")


def test_I28_the_kill_switch_stops_before_the_next_batch(line: Line) -> None:
    """A stop in the middle leaves whole batches; after the resume the job ends as if nothing had been."""
    stop = line.world.folder / "STOP"
    with line.world.open(failpoint=once("batch.committed", stop.touch)) as deployment:
        with pytest.raises(Refused) as refusal:
            execute.apply(deployment, line.rule)
        assert refusal.value.guard == "stopped"
    assert 0 < len(line.gone()) < len(line.must_go("rule"))
    with line.world.open() as deployment:
        controls.resume(deployment, "op-one")
        assert execute.apply(deployment, line.rule).clean
    assert line.gone() == line.must_go("rule")


def test_I21_a_table_nobody_declared_keeps_certificates_provisional(line: Line) -> None:
    """Coverage with a gap lets the run pass and its certificate not be final."""
    made.without_nobodys(line.world)
    with line.world.open() as deployment:
        execute.apply(deployment, line.leave)
        final = certify.issue(deployment, line.leave)
    made.execute(line.world, "CREATE TABLE lead (id INTEGER PRIMARY KEY, email TEXT)")
    with line.world.open() as deployment:
        execute.verify(deployment, line.leave)
        gap = certify.issue(deployment, line.leave)
    assert (final.completeness, gap.completeness) == ("final-with-residue", "provisional")
    assert gap.supersedes == final.id


def test_I21_a_job_without_verification_gets_no_certificate(line: Line) -> None:
    """Neither an unfinished job nor one that fresh eyes have not seen."""
    with line.world.open() as deployment, pytest.raises(Refused) as refusal:
        certify.issue(deployment, line.rule)
    assert refusal.value.guard == "job-open"


@pytest.mark.parametrize("tamper", ["missing", "garbage", "foreign", "truncated"])
def test_I22_a_history_that_does_not_continue_its_checkpoint_stops_everything(line: Line, tamper: str) -> None:
    """Whoever opens the deployment over a cut or rewritten log, or without its outside checkpoint, gets nowhere."""
    outside = line.world.folder / "checkpoint"
    if tamper == "missing":
        outside.unlink()
    elif tamper == "garbage":
        outside.write_text("not a checkpoint\n")
    elif tamper == "foreign":
        lines = outside.read_text().splitlines()
        lines[2] = ("A" if lines[2][0] != "A" else "B") + lines[2][1:]
        outside.write_text("\n".join(lines) + "\n")
    else:
        with sqlite3.connect(line.world.folder / "state.db") as state:
            last = state.execute("SELECT max(entry_index) FROM log_entry").fetchone()[0]
            state.execute("DELETE FROM log_entry WHERE entry_index = ?", (last,))
        state.close()
    with pytest.raises(Corrupt), line.world.open():
        raise AssertionError
    assert line.gone() == set()


def test_I22_a_rewritten_entry_is_found_when_it_is_read(line: Line) -> None:
    """A body that is not the one of its leaf hash is no entry."""
    with sqlite3.connect(line.world.folder / "state.db") as state:
        state.execute(
            "UPDATE log_entry SET body = CAST(replace(body, 'approved', 'approveD') AS BLOB) "
            "WHERE type = 'plan.approved'"
        )
    state.close()
    with pytest.raises(Corrupt), line.world.open() as deployment:
        execute.apply(deployment, line.rule)
    assert line.gone() == set()


def test_I18_a_job_that_never_began_is_known_as_such(line: Line) -> None:
    """Reading a job of which the log knows nothing says so, and progress of a step is zero."""
    with line.world.open() as deployment:
        job = journal.read_job(deployment, execute.job_of(line.rule))
    assert (job.started, job.outcome, job.done, job.progress("s001").batches) == (None, None, 0, 0)


def test_a_plan_rests_on_one_reading_of_the_catalogue(line: Line) -> None:
    """What it binds is what was judged and counted, and a large catalogue is read once."""
    asked: list[str] = []

    def note(*told: object) -> None:
        asked.append(str(told[2]))

    with line.world.open() as deployment:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            assert planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR) is not None
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    assert sum("pragma_table_xinfo" in statement for statement in asked) == 1


@pytest.mark.parametrize("plan", ["rule", "leave"])
def test_I03_the_line_on_mariadb(mariadb_url: str, tmp_path: Path, plan: str) -> None:
    """Plan, approval, batches, verification, certificate on MariaDB; afterwards nothing is left to do."""
    line = made.line(made.tempting(tmp_path / "deployment", mariadb_url))
    with line.world.open() as deployment:
        ran = execute.apply(deployment, line.hash_of(plan))
        certificate = certify.issue(deployment, line.hash_of(plan))
        assert execute.apply(deployment, line.hash_of(plan)).deleted in {0, ran.deleted}
    assert line.gone() == line.must_go(plan)
    assert (ran.outcome, ran.clean, ran.deleted) == ("done", True, len(line.must_go(plan)))
    assert certificate.job == ran.job


def test_I02_a_schema_that_changed_on_mariadb_stops_it(mariadb_url: str, tmp_path: Path) -> None:
    """A new column, and a clone under the same address, need a new look there too."""
    line = made.line(made.tempting(tmp_path / "deployment", mariadb_url))
    made.execute(line.world, "UPDATE lifecycle_fence SET identity = 'another'")
    assert refused(line, "leave") == "fingerprint"
    made.execute(line.world, "ALTER TABLE access_log ADD COLUMN agent TEXT")
    assert refused(line, "rule") in {"schema-changed", "fingerprint"}

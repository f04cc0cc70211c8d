"""The application does not wait: rows appear, come back to life, move, and holds are set while a job runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Refused
from lifecycle.flow import certify, execute, journal
from tests import portal
from tests.flow import world as made
from tests.flow.test_line import once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flow.world import Line


def receipts(line: Line, plan: str) -> list[dict[str, object]]:
    """Return the receipts in the log."""
    with line.world.open() as deployment:
        entries = journal.decoded(deployment.state.of_job(execute.job_of(line.hash_of(plan))))
        return [entry for _, entry in entries if entry["type"] == "batch.receipt"]


def test_I03_rows_inserted_behind_the_cursor_are_taken_and_counted_late(line: Line) -> None:
    """A few due rows that appear during the job go too, and the receipts say that nobody planned them."""
    late = made.old_logs(line.world, 10)
    insert = once("batch.committed", lambda: made.insert(line.world, "access_log", late))
    with line.world.open(failpoint=insert) as deployment:
        ran = execute.apply(deployment, line.rule)
    assert (ran.outcome, ran.clean) == ("done", True)
    assert sum(int(str(receipt["late"])) for receipt in receipts(line, "rule")) == len(late)
    assert line.gone() == line.must_go("rule")
    assert line.world.rows("SELECT count(*) FROM access_log WHERE ip = '192.0.2.99'") == [(0,)]


def test_I03_more_late_rows_than_the_limit_are_left_and_said(line: Line) -> None:
    """A flood of due rows ends the job at its limit: the rest is residue, the outcome partial, no certificate."""
    flood = once("batch.committed", lambda: made.insert(line.world, "access_log", made.old_logs(line.world, 300)))
    with line.world.open(failpoint=flood) as deployment:
        ran = execute.apply(deployment, line.rule)
        limit = sum(step.limit for step in execute.read_plan(deployment, line.rule).steps)
        with pytest.raises(Refused):
            certify.issue(deployment, line.rule)
    assert (ran.outcome, ran.clean, ran.deleted) == ("partial", False, limit)


def test_I07_a_hold_set_between_two_batches_keeps_its_rows(line: Line) -> None:
    """A hold that another process commits during the job binds from the next batch on."""
    kept: set[made.Key] = set()

    def hold() -> None:
        with line.world.open() as other:
            made.hold(other, "acme2", "access-log")
        kept.update(
            key for key in line.must_go("rule") - line.gone() if line.before["access_log"][key[1]][1] == "acme2"
        )

    with line.world.open(failpoint=once("batch.committed", hold)) as deployment:
        assert execute.apply(deployment, line.rule).clean
        with pytest.raises(Refused) as refusal:
            certify.issue(deployment, line.rule)
    # The plan did not list what the new hold keeps: a certificate would say too much.
    assert refusal.value.guard == "unlisted"
    assert kept
    assert line.gone() == line.must_go("rule") - kept


def test_I07_a_hold_that_cannot_be_read_holds_everything(line: Line) -> None:
    """Without the mirror of holds there is no statement, and no row goes."""
    drop = once("intent.after", lambda: made.execute(line.world, "ALTER TABLE lifecycle_hold RENAME TO gone"))
    with line.world.open(failpoint=drop) as deployment, pytest.raises(Exception, match=r".+"):
        execute.apply(deployment, line.rule)
    assert line.gone() == set()


@pytest.mark.parametrize("moment", ["before", "intent.after"])
def test_I01_a_row_that_became_young_again_stays(line: Line, moment: str) -> None:
    """Between plan and apply, and between the cut of a batch and its change."""
    victim = min(key for _, key in line.must_go("rule"))
    young = portal.stamp(line.world.now - timedelta(hours=1))
    revive = f"UPDATE access_log SET at = '{young}' WHERE id = {victim}"  # a number and a time of our own
    if moment == "before":
        made.execute(line.world, revive)
    with line.world.open(failpoint=once(moment, lambda: made.execute(line.world, revive))) as deployment:
        ran = execute.apply(deployment, line.rule)
    assert (ran.outcome, ran.clean) == ("done", True)
    assert line.gone() == line.must_go("rule") - {("access_log", victim)}


@pytest.mark.parametrize("moment", ["before", "intent.after"])
def test_I06_a_row_that_moved_to_another_tenant_stays(line: Line, moment: str) -> None:
    """Whose row it is counts at the moment of deletion, not at the plan's."""
    victim = min(key for table, key in line.must_go("leave") if table == "access_log")
    move = f"UPDATE access_log SET portal_id = 'acme2' WHERE id = {victim}"  # our own words
    if moment == "before":
        made.execute(line.world, move)
    with line.world.open(failpoint=once(moment, lambda: made.execute(line.world, move))) as deployment:
        ran = execute.apply(deployment, line.leave)
    assert (ran.outcome, ran.clean) == ("done", True)
    assert line.gone() == line.must_go("leave") - {("access_log", victim)}


def test_I06_a_child_whose_parent_moved_stays(line: Line) -> None:
    """A comment belongs to its ticket's tenant of that moment."""
    ticket = max(key for table, key in line.must_go("leave") if table == "ticket" and key % 3 == 2)
    moved = {("ticket", ticket), *(("comment", ticket * 10 + j) for j in range(2))}
    statement = f"UPDATE ticket SET portal_id = 'acme2', parent_id = NULL, author_id = NULL WHERE id = {ticket}"
    with line.world.open(failpoint=once("intent.after", lambda: made.execute(line.world, statement))) as deployment:
        ran = execute.apply(deployment, line.leave)
    assert ran.clean
    assert line.gone() == line.must_go("leave") - moved


def test_I35_an_application_that_deletes_beside_the_job_raises_no_alarm(line: Line) -> None:
    """Rows that users delete meanwhile, due or not, are no deletion of ours: the certificate is issued."""
    due = max(key for _, key in line.must_go("rule"))
    act = once(
        "batch.committed", lambda: made.execute(line.world, f"DELETE FROM access_log WHERE id IN ({due}, -1, -2)")
    )
    with line.world.open(failpoint=act) as deployment:
        ran = execute.apply(deployment, line.rule)
        assert certify.issue(deployment, line.rule).job == ran.job
    assert line.gone() == line.must_go("rule") | {("access_log", -1), ("access_log", -2)}


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_the_same_races_on_a_server(request: pytest.FixtureRequest, server: str, tmp_path: Path) -> None:
    """On a server too: held from the second batch on, revived and moved rows stay, late ones go."""
    world = made.tempting(tmp_path / "deployment", request.getfixturevalue(server), logs=10)
    line = made.line(world)
    due = sorted(key for _, key in line.must_go("rule") if line.before["access_log"][key][1] == "Acme")
    revived, moved = due[:2]

    def disturb() -> None:
        young = portal.stamp(world.now - timedelta(hours=1))
        made.execute(world, f"UPDATE access_log SET at = '{young}' WHERE id = {revived}")
        made.execute(world, f"UPDATE access_log SET portal_id = 'stranger' WHERE id = {moved}")
        made.insert(world, "access_log", made.old_logs(world, 3))
        with world.open() as other:
            made.hold(other, "acme2", "access-log")

    with world.open(failpoint=once("intent.after", disturb)) as deployment:
        ran = execute.apply(deployment, line.rule)
    held = {key for key in line.must_go("rule") if line.before["access_log"][key[1]][1] == "acme2"}
    assert (ran.outcome, ran.clean) == ("done", True)
    assert line.gone() == line.must_go("rule") - held - {("access_log", revived), ("access_log", moved)}
    assert world.rows("SELECT count(*) FROM access_log WHERE ip = '192.0.2.99'") == [(0,)]

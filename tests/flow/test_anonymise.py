"""Anonymising walks the straight line: plan, mandate, batches, verification, certificate. A broken one is caught."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from lifecycle.cli import plan_facts, plan_view
from lifecycle.cli.page import Page
from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.evidence.trust import Trust
from lifecycle.evidence.verify import verify
from lifecycle.flow import certify, execute, planning, trust
from lifecycle.flow.look import look
from lifecycle.flow.scan import scan
from lifecycle.ports.clock import SimulatedClock
from lifecycle.stores.sql import anonymising, apply
from lifecycle.stores.sql.compile import Compiler
from lifecycle.stores.sql.sqlite import SqliteDialect
from tests.flow import anonymising as log
from tests.flow import bugs
from tests.flow import world as made
from tests.flow.anonymising import Anonymising

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the world lies."""
    folder = tmp_path_factory.mktemp("anonymising") / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def once(home: Path) -> Anonymising:
    """The plan, made and approved once; use `line`."""
    return log.planned(log.log_world(home / "deployment", f"sqlite:///{home}/app.db"), mandate=True)


@pytest.fixture
def line(once: Anonymising, home: Path) -> Iterator[Anonymising]:
    """A world with an approved plan that anonymises."""
    with made.restored(once.world, home):
        yield once


def judged(line: Anonymising) -> tuple[str | None, dict[str, Any]]:
    """Walk the whole line behind the plan; return who noticed something, and what the certificate's bundle proves."""
    with line.world.open() as deployment:
        try:
            ran = execute.apply(deployment, line.plan)
            if ran.outcome != "done" or not ran.clean:
                return "verification", {}
            certificate = certify.issue(deployment, line.plan)
            report = verify(certify.bundle(deployment, certificate), Trust.parse(trust.trust_document(deployment)))
        except LifecycleError as error:
            return str(getattr(error, "guard", type(error).__name__)), {}
        return None if report.verdict == "valid" else "verifier", dict(report.facts)


def test_the_whole_line(line: Anonymising) -> None:
    """Due rows are anonymised and stay; the certificate counts them as such, and the offline verifier agrees."""
    expected = line.must_change()
    noticed, facts = judged(line)
    assert noticed is None
    assert line.changed() == expected
    assert len(expected) > 10
    there = log.read(line.world)
    assert there.keys() == line.before.keys()
    assert all(log.done(there[key]) and there[key][:2] == line.before[key][:2] for key in expected)
    assert all(there[key][3] == line.before[key][3] for key in expected), "a start time is written back"
    (row,) = facts["datasets"]
    assert (row["method"], row["anonymised"], row["deleted"], row["remaining"]) == ("anonymise", len(expected), 0, 0)
    assert (
        "Rows of access-log stay, anonymised (clause § 4): ip (the same for all), agent (random token)."
        in (facts["limits"])
    )


def test_I19_a_second_run_finds_nothing(line: Anonymising) -> None:
    """The job is finished, and the rule has nothing to plan: what is done is not due."""
    assert judged(line)[0] is None
    first = log.read(line.world)
    with line.world.open() as deployment:
        execute.apply(deployment, line.plan)
        assert planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR) is None
    assert log.read(line.world) == first


def test_I24_the_look_counts_what_is_due_and_not_done(line: Anonymising) -> None:
    """Before the run the rows are due, afterwards none is, though all of them are still there."""
    with line.world.open() as deployment:
        before = next(seen for seen in look(deployment).rules if seen.rule == "server-logs")
        assert before.overdue > 0
        assert before.ceiling_of_oldest is not None
        found = next(f for f in scan(deployment).findings if f.obligation.dataset == "access-log")
        assert found.overdue.items > 0
    assert judged(line)[0] is None
    with line.world.open() as deployment:
        after = next(seen for seen in look(deployment).rules if seen.rule == "server-logs")
        assert (after.overdue, after.due, after.ceiling_of_oldest) == (0, 0, None)
        assert scan(deployment).breached is False


def test_a_later_night_runs_by_mandate_and_only_what_is_new(line: Anonymising) -> None:
    """The mandate compares the transforms; the next nights anonymise what has become due since."""
    assert judged(line)[0] is None
    first = log.read(line.world)
    with line.world.open(clock=SimulatedClock(line.world.now + timedelta(days=1))) as deployment:
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert planned is not None
        ran = execute.apply(deployment, planned.hash)
        assert (ran.outcome, ran.clean) == ("done", True)
    second = log.read(line.world)
    changed = {key for key in first if first[key] != second[key]}
    assert 0 < len(changed) == ran.deleted < 20
    assert all(log.done(second[key]) for key in changed)


def test_I02_another_transform_ends_the_mandate(line: Anonymising) -> None:
    """What becomes of a column is part of what was approved."""
    assert judged(line)[0] is None
    inventory = line.world.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("{how: token, column: agent}", "{how: set-null, column: agent}"))
    with line.world.open() as deployment:
        planned = planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
        assert planned is not None
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, planned.hash)
        assert refused.value.guard == "not-approved"


def test_a_person_reads_what_becomes_of_each_column(line: Anonymising) -> None:
    """The plan shows the action, its clause and the transforms before anybody signs."""
    with line.world.open() as deployment:
        text = str(plan_view.page(Page(), plan_facts.find(deployment, line.plan)))
    assert "anonymise (clause § 4)" in text
    assert "ip (the same for all)" in text
    assert "agent (random token)" in text


def test_a_new_column_is_refused_at_plan_time_by_its_name(line: Anonymising) -> None:
    """What nobody decided about would stay as it is."""
    made.execute(line.world, "ALTER TABLE access_log ADD COLUMN referrer TEXT")
    with line.world.open() as deployment, pytest.raises(Refused, match="'referrer' is not accounted for") as refused:
        planning.plan_rule(deployment, "clientport", "server-logs", author=made.AUTHOR)
    assert refused.value.guard == "unsafe-schema"


def test_I27_a_row_that_cannot_be_anonymised_stops_no_other(line: Anonymising) -> None:
    """What is no date, in a column that may not be empty, stays; the run is partial and gets no certificate."""
    inventory = line.world.folder / "inventory.yaml"
    there, here = "{how: constant, column: ip, value: 0.0.0.0}", "{how: date, column: ip, to: month}"
    inventory.write_text(inventory.read_text().replace(there, here))
    odd = min(key for key, row in line.before.items() if key in line.must_change() and row[1] == "Acme")
    made.execute(line.world, f"UPDATE access_log SET ip = '2025-03-14' WHERE id <> {odd}")
    with line.world.open() as deployment:
        plan = made.plan_rule(line.world, deployment)
        ran = execute.apply(deployment, plan)
        assert (ran.outcome, ran.clean) == ("partial", False)
        with pytest.raises(Refused):
            certify.issue(deployment, plan)
    there_now = log.read(line.world)
    assert there_now[odd] == line.before[odd]
    due = line.must_change() - {odd}
    assert {there_now[key][2] for key in due} == {"2025-03-01"}


# ---- I35: a broken executor ----


def _statement(wrong: Callable[[sa.Update, Any], sa.Update]) -> Callable[[pytest.MonkeyPatch], None]:
    right = anonymising.statement

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(anonymising, "statement", lambda d, s, action, truths: wrong(right(d, s, action, truths), s))

    return plant


def _unproven(plant: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """The same without the proof inside the transaction: only fresh eyes are left."""

    def both(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(anonymising, "prove", lambda *args: None)
        plant(patch)

    return both


def _undone(wrong: Callable[[Compiler, Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(Compiler, "undone", wrong)


def _written(column: str, value: Any) -> Callable[[sa.Update, Any], sa.Update]:
    return lambda statement, selected: statement.values({selected.table.c[column]: value})


def _everybody(right: Callable[..., Any], connection: Any, dialect: Any, selected: Any, truths: Any, batch: Any) -> Any:
    """The change, and the same again without scope and cutoff; no answer is reported."""
    changed = right(connection, dialect, selected, truths, batch)
    connection.execute(anonymising.statement(dialect, selected, batch.action, [sa.true()]))
    return replace(changed, count=0, tenants={})


BUGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the cutoff is a day late": bugs._before(bugs._moved(1)),
    "the cutoff is a day early": bugs._before(bugs._moved(-1)),
    "the predicate is inverted": bugs._before(bugs._inverted),
    "holds are ignored": bugs._holding(sa.false()),
    "the groups are dropped": bugs._compiler("scope", bugs._everybody),
    "what is done counts as undone": _undone(lambda s, transforms: sa.true()),
    "nothing counts as undone": _undone(lambda s, transforms: sa.false()),
    "one column is forgotten when looking": _undone(
        lambda s, transforms: sa.not_(s.dialect.done(s.shape.typed(s.source, "ip"), transforms[0]))
    ),
    "the statement changes by its bounds alone": bugs._lost_predicate,
    "the statement drops the groups": bugs._lost_scope,
    "a second statement follows unseen": bugs._changed(_everybody),
    "the change is rolled back and receipted": bugs._changed(bugs._undone),
    "batches after the first are dropped": bugs._skipping,
    "one column is not written": _statement(lambda st, s: _written("agent", s.table.c["agent"])(st, s)),
    "a column is written as it was, and nobody proves": _unproven(
        _statement(lambda st, s: _written("agent", s.table.c["agent"])(st, s))
    ),
    "a value of another shape, and nobody proves": _unproven(_statement(_written("agent", "ANON~0"))),
    "the constant is another one, and nobody proves": _unproven(_statement(_written("ip", "0.0.0.1"))),
    "rows become young again": _statement(_written("at", "2099-01-01 00:00:00+00:00")),
    "the change is rolled back, and nobody proves": _unproven(bugs._changed(bugs._undone)),
    "everything is said to be done": lambda patch: patch.setattr(SqliteDialect, "done", lambda *args: sa.true()),
}


@pytest.mark.parametrize("name", BUGS)
def test_I35_a_planted_bug_is_caught(line: Anonymising, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """No certificate follows a broken executor, and what was right before was right."""
    assert apply.anonymising is anonymising
    with monkeypatch.context() as patch:
        BUGS[name](patch)
        noticed, _ = judged(line)
    assert noticed is not None


@pytest.mark.parametrize(
    "name", [None, "a value of another shape, and nobody proves", "the statement changes by its bounds alone"]
)
def test_I35_the_same_on_a_server(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    """On PostgreSQL the whole line changes what is due and nothing else; a broken executor gets no certificate."""
    line = log.planned(log.log_world(tmp_path / "deployment", postgres_url))
    with monkeypatch.context() as patch:
        if name is not None:
            BUGS[name](patch)
        noticed, facts = judged(line)
    if name is not None:
        assert noticed is not None
        return
    assert (noticed, line.changed()) == (None, line.must_change())
    assert facts["datasets"][0]["anonymised"] == len(line.must_change()) > 10

"""I35: whoever breaks the executor is caught, by a guard before anything changes or by fresh eyes afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Corrupt, LifecycleError, Refused
from lifecycle.evidence.trust import Trust
from lifecycle.evidence.verify import verify
from lifecycle.flow import certify, execute, trust
from tests.flow import world as made
from tests.flow.bugs import COMPILER_BUGS, EXECUTOR_BUGS, Bug

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flow.world import Line
    from tests.portal import World

BUGS = (*COMPILER_BUGS, *EXECUTOR_BUGS)
SAMPLE = (
    "the cutoff is a day late",
    "the tenant is folded to lower case",
    "the statement deletes by its bounds alone",
    "the change is rolled back and receipted",
    "the change is not seen",
)
"""What runs on PostgreSQL too: one bug of each kind."""
FROM_THE_PLAN_ON = (
    "the predicate is inverted",
    "the cutoff is a day late",
    "the cutoff is a day early",
    "everything is held",
    "the groups are dropped",
    "the tenant is a prefix",
    "one of two floors is dropped",
    "parents of kept rows are not spared",
)
"""What runs with the bug at work from the plan on: then plan and executor agree, and only fresh eyes differ."""


@dataclass(frozen=True)
class Judged:
    """How a walk ended: None when nothing was noticed and a certificate was issued, else who noticed."""

    noticed: str | None
    gone: set[made.Key]


def walk(line: Line, plan: str) -> Judged:
    """Apply, certify, verify the bundle: the whole line behind the plan; return who stopped it."""
    with line.world.open() as deployment:
        noticed = None
        try:
            ran = execute.apply(deployment, line.hash_of(plan))
            if ran.outcome != "done" or not ran.clean:
                noticed = "verification"
            certificate = certify.issue(deployment, line.hash_of(plan))
            believed = Trust.parse(trust.trust_document(deployment))
            if verify(certify.bundle(deployment, certificate), believed).verdict != "valid":
                noticed = noticed or "verifier"
            else:
                assert noticed is None, "a certificate over what verification did not find clean"
        except (Refused, Corrupt) as refusal:
            noticed = noticed or getattr(refusal, "guard", "corrupt")
        except LifecycleError as error:
            noticed = noticed or type(error).__name__
        except TypeError:
            # A row without a tenant among a group's rows: the receipt cannot be written, the batch is rolled back.
            noticed = "crash"
    return Judged(noticed, line.gone())


@pytest.fixture(scope="module")
def unplanted(planned: Line, planned_home: Path) -> dict[str, Judged]:
    """The same walks without a bug."""
    found = {}
    for plan in ("rule", "leave"):
        with made.restored(planned.world, planned_home):
            found[plan] = walk(planned, plan)
    return found


@pytest.mark.parametrize("bug", BUGS, ids=[f"{bug.name} ({bug.plan})" for bug in BUGS])
def test_I35_a_planted_bug_is_caught(
    bug: Bug, line: Line, unplanted: dict[str, Judged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No certificate follows a broken executor; without the bug the same walk is clean and deletes what is due."""
    right = line.must_go(bug.plan)
    assert unplanted[bug.plan] == Judged(None, right)
    with monkeypatch.context() as patch:
        bug.plant(patch)
        judged = walk(line, bug.plan)
    assert judged.noticed is not None
    if bug.effect != "lie":
        assert judged.gone != right, "the bug had no effect: it proves nothing"


@pytest.mark.parametrize(
    "bug", [bug for bug in COMPILER_BUGS if bug.name in FROM_THE_PLAN_ON], ids=lambda bug: bug.name
)
def test_I35_a_bug_that_planned_too_is_caught(bug: Bug, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query builder that is wrong from the plan on meets the verifier's own count before it changes anything."""
    over: set[made.Key] = set()
    with monkeypatch.context() as patch:
        bug.plant(patch)
        try:
            with world.open() as deployment:
                plan = made.plan_rule if bug.plan == "rule" else made.plan_leave
                planned = plan(world, deployment)
        except LifecycleError as error:
            noticed: str | None = getattr(error, "guard", "plan")
        else:
            line = made.Line(world, planned, planned, made.read(world))
            judged = walk(line, bug.plan)
            noticed, over = judged.noticed, judged.gone - line.must_go(bug.plan)
    assert noticed is not None
    assert over == set()


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SAMPLE], ids=lambda bug: bug.name)
def test_I35_a_planted_bug_is_caught_on_a_server(
    bug: Bug, server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on a server: a broken executor gets no certificate, and afterwards the right one finishes the work."""
    world = made.tempting(tmp_path / "deployment", request.getfixturevalue(server), logs=10)
    line = made.line(world)
    with monkeypatch.context() as patch:
        bug.plant(patch)
        judged = walk(line, bug.plan)
    assert judged.noticed is not None
    untouched = "leave" if bug.plan == "rule" else "rule"
    clean = made.Line(world, line.rule, line.leave, made.read(world))
    assert walk(clean, untouched) == Judged(None, clean.must_go(untouched))

"""The job is what its log entries say, in the only order the protocol can produce; anything else stops everything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lifecycle.core.errors import Corrupt
from lifecycle.core.job import Job, Progress, advance, fold

JOB = "j-0001"
STARTED = {"type": "job.started", "job": JOB, "plan": "p-1", "plan_hash": "sha256:" + "0" * 64, "mandate": None}


def intent(number: int, step: str = "s001", batch: str | None = None) -> dict[str, Any]:
    name = batch or f"b-{number}"
    return {"type": "batch.intent", "job": JOB, "step": step, "batch": name, "number": number, "limit": 100}


def receipt(batch: str, deleted: int = 3, late: int = 0, step: str = "s001") -> dict[str, Any]:
    return {"type": "batch.receipt", "job": JOB, "step": step, "batch": batch, "deleted": deleted, "late": late}


def void(batch: str, step: str = "s001") -> dict[str, Any]:
    return {"type": "batch.void", "job": JOB, "step": step, "batch": batch}


def finished(deleted: int, outcome: str = "done") -> dict[str, Any]:
    return {"type": "job.finished", "job": JOB, "deleted": deleted, "outcome": outcome, "batches": 0}


def verified(*, residue: int = 0, orphans: int = 0, unknown: int = 0) -> dict[str, Any]:
    checks = [{"step": "s001", "residue": residue, "orphans": orphans}]
    return {"type": "verification.done", "job": JOB, "checks": checks, "unknown": unknown, "coverage_complete": True}


def folded(*entries: dict[str, Any]) -> Job:
    return fold(JOB, enumerate(entries))


def test_a_job_adds_up_its_receipts_step_by_step() -> None:
    """Counts, late ones and batches are sums over receipts; a void batch counts as nothing."""
    job = folded(
        STARTED,
        intent(1),
        receipt("b-1", 3),
        intent(2),
        void("b-2"),
        intent(3, "s002"),
        receipt("b-3", 5, 2, "s002"),
    )
    assert job.progress("s001") == Progress(3, 0, 1)
    assert job.progress("s002") == Progress(5, 2, 1)
    assert job.progress("s003") == Progress()
    assert (job.done, job.numbers, job.open, job.outcome) == (8, 3, {}, None)
    assert job.closed == {"b-1", "b-2", "b-3"}


def test_a_finished_job_knows_its_outcome_verification_and_certificates() -> None:
    """The last look of fresh eyes counts; certificates stand in the order of their issue."""
    issued = {"type": "certificate.issued", "job": JOB, "certificate": "c-1"}
    entries = (STARTED, intent(1), receipt("b-1", 3), finished(3), verified(residue=1), verified(), issued)
    job = folded(*entries, {**issued, "certificate": "c-2"})
    assert (job.outcome, job.finished, job.certificates) == ("done", 3, ("c-1", "c-2"))
    assert job.verification is not None
    assert (job.verification.index, job.verification.clean, job.verification.coverage_complete) == (5, True, True)


@pytest.mark.parametrize("left", [{"residue": 1}, {"orphans": 1}, {"unknown": 1}])
def test_I21_anything_left_is_not_clean(left: dict[str, int]) -> None:
    """Residue, orphans and unknown outcomes each speak against the job."""
    job = folded(STARTED, verified(**left))
    assert job.verification is not None
    assert not job.verification.clean


def test_entries_of_others_are_passed_over() -> None:
    """Another job's entries, and types that say nothing about progress, change nothing."""
    other = {**STARTED, "job": "j-0002"}
    summary = {"type": "run.summary", "job": JOB, "deleted": 1}
    assert folded(other, STARTED, summary) == fold(JOB, [(1, STARTED)])


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        pytest.param([STARTED], STARTED, id="starts twice"),
        pytest.param([], intent(1), id="an intent before the start"),
        pytest.param([STARTED, finished(0)], intent(1), id="an intent after the end"),
        pytest.param([STARTED], intent(2), id="a number is left out"),
        pytest.param([STARTED, intent(1)], intent(1, batch="b-9"), id="a number twice"),
        pytest.param([STARTED, intent(1)], intent(2, batch="b-1"), id="a batch is announced while it is open"),
        pytest.param([STARTED, intent(1), void("b-1")], intent(2, batch="b-1"), id="a closed batch is announced again"),
        pytest.param([STARTED], receipt("b-1"), id="a receipt without an intent"),
        pytest.param([STARTED], void("b-1"), id="a void without an intent"),
        pytest.param([STARTED, intent(1), receipt("b-1")], receipt("b-1"), id="a receipt twice"),
        pytest.param([STARTED, intent(1), void("b-1")], receipt("b-1"), id="a receipt after the void"),
        pytest.param([STARTED, intent(1), receipt("b-1")], void("b-1"), id="a void after the receipt"),
        pytest.param([STARTED, intent(1)], receipt("b-1", step="s002"), id="a receipt of another step"),
        pytest.param([], finished(0), id="an end without a start"),
        pytest.param([STARTED, finished(0)], finished(0), id="ends twice"),
        pytest.param([STARTED, intent(1)], finished(0), id="ends with an open batch"),
        pytest.param([STARTED, intent(1), receipt("b-1", 3)], finished(2), id="another sum than the receipts'"),
    ],
)
def test_I16_an_impossible_order_stops_everything(entries: list[dict[str, Any]], wrong: dict[str, Any]) -> None:
    """A log that contradicts itself is Corrupt, and the message names the entry and the job, no values."""
    state = folded(*entries)
    with pytest.raises(Corrupt, match=rf"log entry 77: job {JOB} "):
        advance(state, 77, wrong)


class JobMachine(RuleBasedStateMachine):
    """Any order of entries against a model that is nothing but lists."""

    def __init__(self) -> None:
        super().__init__()
        self.state = Job(JOB)
        self.index = 0
        self.log: list[tuple[int, dict[str, Any]]] = []
        self.started = self.over = False
        self.announced: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.sums: dict[str, list[int]] = {}

    def give(self, entry: dict[str, Any], *, possible: bool) -> bool:
        """Advance by the entry, or see it refused; return whether it counted."""
        self.index += 1
        if not possible:
            with pytest.raises(Corrupt):
                advance(self.state, self.index, entry)
            return False
        self.state = advance(self.state, self.index, entry)
        self.log.append((self.index, entry))
        return True

    @rule()
    def start(self) -> None:
        if self.give(STARTED, possible=not self.started):
            self.started = True

    @rule(step=st.sampled_from(["s001", "s002"]), number=st.integers(0, 2), old=st.booleans())
    def announce(self, step: str, number: int, old: bool) -> None:
        following = len(self.announced) + number
        name = self.announced[-1][0] if old and self.announced else f"b-{len(self.announced) + 1}"
        known = [batch for batch, _ in self.announced]
        possible = self.started and not self.over and number == 1 and name not in known
        if self.give(intent(following, step, name), possible=possible):
            self.announced.append((name, step))
            self.open.append(name)

    @precondition(lambda self: self.announced)
    @rule(
        data=st.data(), deleted=st.integers(0, 5), late=st.integers(0, 2), done=st.booleans(), wrong_step=st.booleans()
    )
    def close(self, data: st.DataObject, deleted: int, late: int, done: bool, wrong_step: bool) -> None:
        name, step = data.draw(st.sampled_from(self.announced))
        given = "s009" if wrong_step else step
        entry = receipt(name, deleted, late, given) if done else void(name, given)
        if self.give(entry, possible=name in self.open and not wrong_step):
            self.open.remove(name)
            if done:
                sums = self.sums.setdefault(step, [0, 0, 0])
                self.sums[step] = [sums[0] + deleted, sums[1] + late, sums[2] + 1]

    @rule(off=st.sampled_from([0, 0, 0, 1]))
    def finish(self, off: int) -> None:
        total = sum(sums[0] for sums in self.sums.values())
        possible = self.started and not self.over and not self.open and not off
        if self.give(finished(total + off), possible=possible):
            self.over = True

    @rule(residue=st.integers(0, 1))
    def look(self, residue: int) -> None:
        self.give(verified(residue=residue), possible=True)

    @invariant()
    def the_fold_equals_the_model(self) -> None:
        state = self.state
        assert {step: [p.done, p.late, p.batches] for step, p in state.steps.items()} == self.sums
        assert sorted(state.open) == sorted(self.open)
        assert state.closed == {batch for batch, _ in self.announced} - set(self.open)
        assert (state.numbers, state.started is not None) == (len(self.announced), self.started)
        assert (state.outcome == "done") == self.over
        assert fold(JOB, self.log) == state


TestJobMachine = JobMachine.TestCase
TestJobMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

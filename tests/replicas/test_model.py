"""The judge of replicas counts each kind of wrong: an all-clear from it means something."""

from __future__ import annotations

import json

import pytest

from tests.replicas.model import WRONG, Seen, Took, judge, parse


def epoch(number: int, who: str = "replica-0") -> Seen:
    return Seen(who, "setting", "epoch", parse("setting", str(number).encode()))


def slot(at: int, state: str = "begun", who: str = "replica-0", **more: object) -> Seen:
    return Seen(who, "rule", "agreement/rule/slot", {"slot": f"2026-03-04T00:00:{at:02}Z", "state": state, **more})


def entry(what: str, who: str = "replica-0", **fields: object) -> Seen:
    return Seen(who, what, "0", parse(what, json.dumps(fields).encode()))


def run(number: int, job: str, batch: str, who: str = "replica-0") -> list[Seen]:
    """One slot: claimed, a job of one batch, done."""
    return [
        epoch(number, who),
        slot(number, who=who),
        entry("job.started", who, job=job),
        entry("batch.intent", who, batch=batch),
        entry("batch.receipt", who, batch=batch, deleted=4),
        entry("job.finished", who, job=job, outcome="done"),
        slot(number, "done", who=who),
    ]


GOOD = [*run(1, "j-1", "b-1"), *run(2, "j-2", "b-2", "replica-1")]
TOOK = [Took("b-1", 4, 1), Took("b-2", 4, 2)]


def without(trace: list[Seen], what: str, batch: str) -> list[Seen]:
    return [seen for seen in trace if (seen.what, seen.body.get("batch")) != (what, batch)]


CASES: dict[str, tuple[str, list[Seen], list[Took]]] = {
    "slot claimed twice": ("slots run twice", [*GOOD, slot(2)], TOOK),
    "two jobs in a slot": (
        "slots run twice",
        [epoch(1), slot(1), entry("job.started", job="j-1"), entry("job.started", job="j-2")],
        [],
    ),
    "two jobs in a slot that two replicas entered": (
        "slots run twice",
        [
            *(epoch(1), slot(1), entry("job.started", job="j-1")),
            *(epoch(2, "replica-1"), slot(1, who="replica-1"), entry("job.started", "replica-1", job="j-2")),
        ],
        [],
    ),
    "slot went back": ("slots that went back", [*GOOD, slot(1)], TOOK),
    "fence was higher": ("deletions by a stale epoch", GOOD, [Took("b-1", 4, 2), TOOK[1]]),
    "deletion after void": (
        "deletions after their batch was closed",
        [epoch(1), entry("batch.intent", batch="b-1"), entry("batch.void", batch="b-1")],
        [Took("b-1", 4, 1)],
    ),
    "intent of a deposed writer": (
        "writes of a deposed writer",
        [epoch(1), epoch(2, "replica-1"), entry("batch.intent", batch="b-1"), entry("batch.void", batch="b-1")],
        [],
    ),
    "epoch went back": ("epochs that did not rise", [*GOOD, epoch(2)], TOOK),
    "no end": ("batches without an end", without(GOOD, "batch.receipt", "b-2"), TOOK),
    "two ends": ("batches with two ends", [*GOOD, entry("batch.receipt", batch="b-1", deleted=4)], TOOK),
    "foreign receipt": ("receipts that the log does not know", GOOD, [*TOOK, Took("b-9", 4, 2)]),
    "other count": ("receipts that the log has otherwise", GOOD, [Took("b-1", 5, 1), TOOK[1]]),
}


@pytest.mark.parametrize(("what", "trace", "receipts"), CASES.values(), ids=CASES.keys())
def test_each_wrong_is_counted(what, trace, receipts):
    """A trace with one thing wrong has exactly that count above 0."""
    verdict = judge(trace, receipts)
    assert [name for name, count in verdict.wrong.items() if count] == [what]
    assert verdict.notes


def test_a_good_trace_has_nothing_wrong():
    """Every count is there, and 0; re-entering a slot whose first entry died is as it should be."""
    verdict = judge(GOOD, TOOK)
    assert dict(verdict.wrong) == dict.fromkeys(WRONG, 0)
    assert (verdict.counts["jobs"], verdict.counts["batches"], verdict.counts["slots claimed"]) == (2, 2, 2)
    died = [epoch(1), slot(1), entry("job.started", job="j-1"), epoch(2, "replica-1"), slot(1, who="replica-1")]
    verdict = judge([*died, entry("job.started", "replica-1", job="j-1")], [])
    assert not any(verdict.wrong.values())
    assert verdict.counts["slots entered again after a crash"] == 1
    retried = [*run(1, "j-1", "b-1"), slot(1, "done", trouble={"retry_at": "2026-03-04T00:00:01Z"}), slot(1)]
    assert not any(judge(retried, TOOK[:1]).wrong.values())

"""The job (Löschlauf) as a fold of its log entries: progress, open batches, outcome. No other memory decides.

An impossible order of entries raises Corrupt: the log contradicts itself and nothing may go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lifecycle.core.errors import Corrupt


@dataclass(frozen=True, slots=True)
class Progress:
    """One step: items changed in all, how many of them late, batches closed."""

    done: int = 0
    late: int = 0
    batches: int = 0


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """An intent without a receipt or void yet."""

    batch: str
    step: str
    number: int
    limit: int


@dataclass(frozen=True, slots=True)
class Verification:
    """The last look of fresh eyes; `index` is its log entry."""

    index: int
    clean: bool
    coverage_complete: bool
    checks: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What the log knows about one job. `outcome` None while it may still change something."""

    id: str
    plan: str | None = None
    plan_hash: str | None = None
    mandate: str | None = None
    started: int | None = None
    outcome: str | None = None
    finished: int | None = None
    steps: Mapping[str, Progress] = field(default_factory=dict)
    open: Mapping[str, OpenBatch] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    numbers: int = 0
    verification: Verification | None = None
    certificates: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """Return how many items the receipts report in all."""
        return sum(progress.done for progress in self.steps.values())

    def progress(self, step: str) -> Progress:
        """Return a step's progress; nothing done when the log has no batch of it."""
        return self.steps.get(step, Progress())


def fold(job: str, entries: Iterable[tuple[int, Mapping[str, Any]]]) -> Job:
    """Fold the entries that name this job, in log order."""
    state = Job(job)
    for index, entry in entries:
        if entry.get("job") == job:
            state = advance(state, index, entry)
    return state


def advance(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    """Apply one entry of the job. Raises Corrupt on an order that the protocol cannot have produced."""
    step = _STEPS.get(str(entry["type"]))
    return state if step is None else step(state, index, entry)


def _started(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    if state.started is not None:
        raise _contradiction(state, index, "starts twice")
    return replace(state, plan=entry["plan"], plan_hash=entry["plan_hash"], mandate=entry["mandate"], started=index)


def _intent(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    if state.started is None or state.outcome is not None:
        raise _contradiction(state, index, "has an intent outside its run")
    if entry["number"] != state.numbers + 1 or entry["batch"] in state.closed or entry["batch"] in state.open:
        raise _contradiction(state, index, "counts its batches wrongly")
    batch = OpenBatch(entry["batch"], entry["step"], entry["number"], entry["limit"])
    return replace(state, numbers=batch.number, open={**state.open, batch.batch: batch})


def _close(state: Job, index: int, entry: Mapping[str, Any]) -> tuple[OpenBatch, Job]:
    batch = state.open.get(entry["batch"])
    if batch is None or batch.step != entry["step"]:
        raise _contradiction(state, index, "closes a batch that is not open")
    rest = {name: other for name, other in state.open.items() if name != batch.batch}
    return batch, replace(state, open=rest, closed=state.closed | {batch.batch})


def _receipt(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    batch, state = _close(state, index, entry)
    before = state.progress(batch.step)
    after = Progress(before.done + entry["deleted"], before.late + entry["late"], before.batches + 1)
    return replace(state, steps={**state.steps, batch.step: after})


def _void(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    return _close(state, index, entry)[1]


def _finished(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    if state.started is None or state.outcome is not None or state.open:
        raise _contradiction(state, index, "finishes before its batches are closed")
    if entry["deleted"] != state.done:
        raise _contradiction(state, index, "reports another count than its receipts")
    return replace(state, outcome=entry["outcome"], finished=index)


def _verified(state: Job, index: int, entry: Mapping[str, Any]) -> Job:
    checks = tuple(entry["checks"])
    clean = not entry["unknown"] and not any(check["residue"] or check["orphans"] for check in checks)
    return replace(state, verification=Verification(index, clean, entry["coverage_complete"], checks))


def _certified(state: Job, _index: int, entry: Mapping[str, Any]) -> Job:
    return replace(state, certificates=(*state.certificates, entry["certificate"]))


def _contradiction(state: Job, index: int, what: str) -> Corrupt:
    return Corrupt(f"log entry {index}: job {state.id} {what}")


_STEPS = {
    "job.started": _started,
    "batch.intent": _intent,
    "batch.receipt": _receipt,
    "batch.void": _void,
    "job.finished": _finished,
    "verification.done": _verified,
    "certificate.issued": _certified,
}

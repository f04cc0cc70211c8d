"""What the traces of a run must show. Imports nothing of the product: it reads what PostgreSQL itself recorded."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One write to the state, in the order of commits: who wrote it, by the name that its session gave."""

    replica: str
    what: str
    name: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Took:
    """One committed receipt in the target, with the fence's epoch inside that very transaction."""

    batch: str
    deleted: int
    fence: int


@dataclass
class Verdict:
    """Counts; each of `wrong` must be 0."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def bad(self, what: str, note: str) -> None:
        """Count a fault and keep the first few in words."""
        self.wrong[what] += 1
        if self.wrong[what] <= 5:
            self.notes.append(f"{what}: {note}")


WRONG = (
    "slots run twice",
    "slots that went back",
    "deletions by a stale epoch",
    "deletions after their batch was closed",
    "writes of a deposed writer",
    "epochs that did not rise",
    "batches without an end",
    "batches with two ends",
    "receipts that the log does not know",
    "receipts that the log has otherwise",
)


def judge(trace: list[Seen], receipts: list[Took]) -> Verdict:
    """Walk the trace once and compare it with the target's receipts."""
    verdict = Verdict()
    verdict.wrong.update(dict.fromkeys(WRONG, 0))
    _slots(verdict, trace)
    batches = _batches(verdict, trace)
    for took in receipts:
        verdict.counts["batches deleted"] += took.deleted > 0
        known = batches.get(took.batch)
        if known is None:
            verdict.bad("receipts that the log does not know", took.batch)
            continue
        if took.fence > known.epoch:
            verdict.bad("deletions by a stale epoch", f"{took.batch} of epoch {known.epoch} behind {took.fence}")
        if "batch.void" in known.ends:
            verdict.bad("deletions after their batch was closed", took.batch)
        if known.ends == ["batch.receipt"] and known.deleted != took.deleted:
            verdict.bad("receipts that the log has otherwise", took.batch)
    for name, batch in batches.items():
        if not batch.ends:
            verdict.bad("batches without an end", name)
        if len(batch.ends) > 1:
            verdict.bad("batches with two ends", f"{name} {batch.ends}")
    return verdict


@dataclass
class _Batch:
    epoch: int
    ends: list[str] = field(default_factory=list)
    deleted: int = 0


def _batches(verdict: Verdict, trace: list[Seen]) -> dict[str, _Batch]:
    """Follow epochs and batches: who may write, and what became of each batch."""
    found: dict[str, _Batch] = {}
    epoch, owner = 0, ""
    for seen in trace:
        if seen.what == "setting":
            number = int(seen.body["epoch"])
            if number <= epoch:
                verdict.bad("epochs that did not rise", f"{number} after {epoch}")
            epoch, owner = number, seen.replica
            verdict.counts["epochs"] += 1
        elif seen.what == "batch.intent":
            if seen.replica != owner:
                verdict.bad("writes of a deposed writer", f"{seen.replica}, not {owner}, at epoch {epoch}")
            found[seen.body["batch"]] = _Batch(epoch)
            verdict.counts["batches"] += 1
        elif seen.what in {"batch.receipt", "batch.void"}:
            batch = found[seen.body["batch"]]
            batch.ends.append(seen.what)
            batch.deleted = int(seen.body.get("deleted", 0))
            verdict.counts["batches voided"] += seen.what == "batch.void"
    return found


def _slots(verdict: Verdict, trace: list[Seen]) -> None:
    """Follow each rule's slots: claimed once, entered again only where the first entry did not end, one job each."""
    last: dict[str, dict[str, Any]] = {}
    open_slot: dict[str, str] = {}
    jobs: dict[tuple[str, str], set[str]] = defaultdict(set)
    story: dict[tuple[str, str], list[str]] = defaultdict(list)
    begun_jobs: set[str] = set()
    for seen in trace:
        for rule, slot in open_slot.items():
            if seen.what in {"setting", "job.started", "job.finished"}:
                story[rule, slot].append(f"{seen.what} {seen.body.get('job', seen.body.get('epoch'))} ({seen.replica})")
        if seen.what == "rule":
            before = last.get(seen.name)
            last[seen.name] = seen.body
            if seen.body["state"] == "begun":
                _claimed(verdict, seen, before)
                open_slot[seen.name] = seen.body["slot"]
            story[seen.name, seen.body["slot"]].append(f"{seen.body['state']} ({seen.replica})")
        elif seen.what == "job.started" and seen.body["job"] not in begun_jobs:
            begun_jobs.add(seen.body["job"])
            verdict.counts["jobs"] += 1
            for rule, slot in open_slot.items():
                if last[rule]["state"] == "begun":
                    jobs[rule, slot].add(seen.body["job"])
        elif seen.what == "job.finished":
            verdict.counts[f"jobs ended {seen.body['outcome']}"] += 1
    verdict.counts["slots with a job"] = len(jobs)
    for (rule, slot), of_slot in jobs.items():
        if len(of_slot) > 1:
            verdict.bad("slots run twice", f"{rule} {slot}: {len(of_slot)} jobs: {', '.join(story[rule, slot])}")


def _claimed(verdict: Verdict, seen: Seen, before: dict[str, Any] | None) -> None:
    verdict.counts["slots claimed"] += before is None or before["slot"] != seen.body["slot"]
    if before is None:
        return
    if seen.body["slot"] < before["slot"]:
        verdict.bad("slots that went back", f"{seen.name}: {before['slot']} to {seen.body['slot']}")
    if seen.body["slot"] != before["slot"]:
        return
    if before["state"] == "begun":
        verdict.counts["slots entered again after a crash"] += 1
    elif (before.get("trouble") or {}).get("retry_at"):
        verdict.counts["slots tried again after a failure"] += 1
    else:
        verdict.bad("slots run twice", f"{seen.name} {seen.body['slot']} was done already")


def parse(what: str, body: bytes) -> dict[str, Any]:
    """Read a traced body: JSON, or the epoch's number."""
    found = json.loads(body)
    return found if isinstance(found, dict) else {what_of_number(what): found}


def what_of_number(what: str) -> str:
    """Name the only register that is a bare number."""
    assert what == "setting"
    return "epoch"

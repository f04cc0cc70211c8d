"""Whether the entries of a job prove what a certificate says about it.

Everything is recomputed from entries whose inclusion in the log has been proven; the statement is only compared.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lifecycle.evidence.authority import authority
from lifecycle.evidence.case import Case, Entry, Frame, Numbered
from lifecycle.evidence.findings import Finding, invalid
from lifecycle.evidence.schema import parse_instant
from lifecycle.evidence.statement import commitment

# Clocks of a deployment may step back by this much (I13).
CLOCK_TOLERANCE: Final = dt.timedelta(seconds=5)
# The effective time is the least of several clocks (I12), taken before the counts that precede a job's first batch.
CLOCK_LAG: Final = dt.timedelta(hours=24)
# A plan binds the start of its job for 72 hours (I2).
PLAN_VALIDITY: Final = dt.timedelta(hours=72)

# In which of the statement's counts a receipt's rows appear.
_COUNT_OF: Final[Mapping[str, str]] = {"delete": "deleted", "anonymise": "anonymised"}


def judge(case: Case) -> Iterator[Finding]:
    """Everything that speaks against the statement."""
    yield from _membership(case)
    frame, findings = _frame(case)
    yield from findings
    if frame is None:
        return
    yield from _order(case, frame)
    yield from _plan(case, frame)
    yield from authority(case, frame)
    yield from _batches(case, frame)
    yield from _verification(case, frame)
    yield from _statement(case, frame)
    yield from _counts(case, frame)
    yield from _export(case)


def _membership(case: Case) -> Iterator[Finding]:
    """Nothing of a neighbour, nothing of another job, no gap in the tenant's own history."""
    tenant, job, plan = case.predicate["tenant"], case.predicate["job"], case.predicate["plan"]
    previous: Numbered | None = None
    for index, entry in case.entries.items():
        if entry["tenant"] is None:
            if entry.get("job", job) not in (job, None) or entry.get("plan", plan) != plan:
                yield invalid("foreign-entry", f"entry {index} belongs to another job or plan")
            continue
        if entry["tenant"] != tenant:
            yield invalid("foreign-tenant", f"entry {index} belongs to another tenant")
            continue
        if previous and (entry["prev"], entry["seq"]) != (previous[0], previous[1]["seq"] + 1):
            yield invalid("tenant-gap", f"the tenant's history has a gap before entry {index}")
        if entry["prev"] is not None and entry["prev"] >= index:
            yield invalid("tenant-gap", f"entry {index} names a later entry as its tenant's previous one")
        previous = (index, entry)


def _frame(case: Case) -> tuple[Frame | None, list[Finding]]:
    job = case.predicate["job"]
    issued = case.of("certificate.issued", statement_hash=case.statement_hash)
    end = issued[0][0] if issued else max(case.entries, default=0)
    found = {
        "plan.created": case.of("plan.created", plan=case.predicate["plan"]),
        "job.started": case.of("job.started", job=job),
        "job.finished": case.of("job.finished", job=job),
        # A job may be verified again; the last one before the certificate counts, whatever the statement names.
        "verification.done": [item for item in case.of("verification.done", job=job) if item[0] < end][-1:],
        "certificate.issued": issued,
    }
    findings = [
        invalid("entry-count", f"the bundle has {len(entries)} entries {kind} of this job, not one")
        for kind, entries in found.items()
        if len(entries) != 1
    ]
    return (None if findings else Frame(*(entries[0] for entries in found.values()))), findings


def _order(case: Case, frame: Frame) -> Iterator[Finding]:
    indices = [frame.created[0], frame.started[0], frame.finished[0], frame.issued[0]]
    last_batch = max((index for index, _ in _batch_entries(case)), default=frame.started[0])
    if indices != sorted(indices) or not last_batch < frame.verified[0] < frame.issued[0]:
        yield invalid("order", "the job's entries stand in an order that no job has")
    if last_batch > frame.finished[0] or any(index < frame.started[0] for index, _ in _batch_entries(case)):
        yield invalid("order", "a batch lies outside its job")
    if case.predicate["type"] == "tenant" and any(
        entry["tenant"] is None
        for entry in case.entries.values()
        if entry.get("job") == case.predicate["job"] or entry["type"] == "plan.created"
    ):
        yield invalid("tenancy", "an entry of the tenant's job is outside the tenant's history")
    latest: dt.datetime | None = None
    for index, entry in case.entries.items():
        moment = parse_instant(entry["at"])
        if latest and moment < latest - CLOCK_TOLERANCE:
            yield invalid("time-order", f"entry {index} is older than an entry before it")
        latest = max(moment, latest or moment)
    if parse_instant(frame.started[1]["effective_now"]) - parse_instant(frame.created[1]["at"]) > PLAN_VALIDITY:
        yield invalid("plan-expired", "the job began more than 72 hours after its plan was made")


def _plan(case: Case, frame: Frame) -> Iterator[Finding]:
    created, started = frame.created[1], frame.started[1]
    if not case.plan_hash == created["plan_hash"] == started["plan_hash"] or started["plan"] != created["plan"]:
        yield invalid("plan-hash", "plan, plan.created and job.started do not name the same plan")
    steps = case.plan.get("steps")
    known = [step for step in (steps if isinstance(steps, list) else []) if isinstance(step, dict)]
    documented = [
        (step.get("id"), step.get("store"), step.get("dataset"), _part(step, "action", "kind")) for step in known
    ]
    logged = [(step["step"], step["store"], step["dataset"], step["action"]) for step in created["steps"]]
    if documented != logged or len({step[0] for step in logged}) != len(logged):
        yield invalid("plan-steps", "the steps in plan.created are not those of the plan")
    if not all(_selects_what_it_does(step) for step in known):
        yield invalid("plan-undone", "a step of the plan does not select what it anonymises, or names no transform")
    if (case.plan.get("author"), case.plan.get("kind")) != (created["author"], created["kind"]):
        yield invalid("plan-header", "author or kind in plan.created are not those of the plan")
    if (
        case.plan.get("policy_hash", case.predicate["agreement"]["policy_hash"])
        != (case.predicate["agreement"]["policy_hash"])
    ):
        yield invalid("policy-hash", "the plan was made under other documents than the certificate names")
    if created["kind"] == "offboarding" and case.predicate["type"] != "tenant":
        yield invalid("tenancy", "an offboarding is certified to its tenant")


def _part(step: Mapping[str, Any], name: str, field: str) -> Any:
    inner = step.get(name)
    return inner.get(field) if isinstance(inner, dict) else None


def _selects_what_it_does(step: Mapping[str, Any]) -> bool:
    """Whether the residue of an anonymising step means what it says: rows on which its transforms are not done."""
    undone, transforms = _part(step, "selection", "undone"), _part(step, "action", "transforms")
    if _part(step, "action", "kind") != "anonymise":
        return not undone
    return bool(transforms) and undone == transforms


def _batch_entries(case: Case) -> list[Numbered]:
    job = case.predicate["job"]
    return [item for kind in ("batch.intent", "batch.receipt", "batch.void") for item in case.of(kind, job=job)]


def _batches(case: Case, frame: Frame) -> Iterator[Finding]:
    """Every intent closed once, after it, in its own step, within its limit; no number left out."""
    job = case.predicate["job"]
    intents = case.of("batch.intent", job=job)
    steps = {step["step"]: step for step in frame.created[1]["steps"]}
    numbers = [entry["number"] for _, entry in intents]
    if numbers != list(range(1, frame.finished[1]["batches"] + 1)):
        yield invalid("batch-numbers", "the job's batches are not numbered without a gap to its last one")
    open_batches = {entry["batch"]: (index, entry) for index, entry in intents}
    if len(open_batches) != len(intents) or any(entry["step"] not in steps for _, entry in intents):
        yield invalid("batch-intent", "a batch appears twice, or belongs to no step of the plan")
    for index, entry in sorted(case.of("batch.receipt", job=job) + case.of("batch.void", job=job)):
        intent = open_batches.pop(entry["batch"], None)
        if intent is None or intent[0] > index or intent[1]["step"] != entry["step"]:
            yield invalid("batch-closing", f"entry {index} closes a batch that was not open")
        elif entry.get("deleted", 0) > intent[1]["limit"]:
            yield invalid("batch-limit", f"the receipt in entry {index} is above its batch's limit")
    if open_batches:
        yield invalid("open-intent", "a batch has neither receipt nor void")
    receipts = [entry for _, entry in case.of("batch.receipt", job=job)]
    done = Counter[str]()
    for entry in receipts:
        done[entry["step"]] += entry["deleted"]
    if any(done[name] > step["limit"] for name, step in steps.items()):
        yield invalid("step-limit", "the receipts of a step are above its limit")
    if frame.finished[1]["deleted"] != done.total():
        yield invalid("job-count", "the job's count is not the sum of its receipts")
    if frame.finished[1]["outcome"] != "done":
        yield invalid("job-outcome", "the job did not finish its plan")


def _verification(case: Case, frame: Frame) -> Iterator[Finding]:
    index, verified = frame.verified
    checks = verified["checks"]
    steps = {(step["step"], step["store"], step["dataset"]): step for step in frame.created[1]["steps"]}
    looked = [(check["step"], check["store"], check["dataset"]) for check in checks]
    # A step that only detaches rows from each other leaves nothing to look for.
    needed = {name for name, step in steps.items() if step["action"] in _COUNT_OF}
    if len(set(looked)) != len(looked) or not needed <= set(looked) <= steps.keys():
        yield invalid("verification-scope", "the verification did not look at each step that deletes, once")
    if _total(checks, "residue") or _total(checks, "orphans") or verified["unknown"]:
        yield invalid("residue", "the verification found residue, orphans or unknown outcomes")
    undecided = _total(checks, "undatable") + _total(checks, "unattributed") + _total(checks, "contested")
    if case.predicate["completeness"] != "provisional" and (undecided or not verified["coverage_complete"]):
        yield invalid("not-final", "the verification was not complete enough for a final certificate")
    stated = case.predicate["verification"]
    if (stated["index"], stated["verifier"], stated["at"]) != (index, verified["verifier"], verified["at"]):
        yield invalid("verification", "the certificate rests on another verification than the job's last one")
    for name in ("undatable", "unattributed", "contested"):
        if case.predicate[name] != _total(checks, name):
            yield invalid("counts", f"the certificate's count of {name} items is not the verification's")


def _statement(case: Case, frame: Frame) -> Iterator[Finding]:
    predicate, issued = case.predicate, frame.issued[1]
    for name in ("certificate", "number", "job", "supersedes"):
        if predicate[name] != issued[name]:
            yield invalid("issued", f"certificate.issued names another {name}")
    evidence = predicate["evidence"]
    if evidence["origin"] != case.trust.origin:
        yield invalid("origin", "the certificate names another log")
    if (evidence["first_index"], evidence["last_index"]) != (frame.created[0], frame.verified[0]):
        yield invalid("range", "the certificate names another range of entries than the job's")
    if not frame.verified[0] < evidence["log_size"] <= frame.issued[0]:
        yield invalid("log-size", "the certificate was not made between its verification and its entry in the log")
    started, finished = frame.started[1], frame.finished[1]
    if predicate["period"] != {"from": started["at"], "to": finished["at"]}:
        yield invalid("period", "the certificate names another period than the job's")
    if predicate["clock"]["effective_now"] != started["effective_now"]:
        yield invalid("clock", "the certificate names another effective time than the job's")
    lag = parse_instant(started["at"]) - parse_instant(started["effective_now"])
    if not -CLOCK_TOLERANCE <= lag <= CLOCK_LAG:
        yield invalid("clock", "the job's effective time is not the least of clocks that agree")
    issued_at = parse_instant(predicate["issued_at"])
    if issued_at < parse_instant(frame.verified[1]["at"]):
        yield invalid("issued-early", "the certificate was issued before its verification")
    if issued_at > parse_instant(issued["at"]) + CLOCK_TOLERANCE:
        yield invalid("issued-late", "the certificate is dated after its own entry in the log")


def _counts(case: Case, frame: Frame) -> Iterator[Finding]:
    """The statement's table against sums over receipts and checks, step by step, in the plan's order."""
    stated = [{name: row[name] for name in _recomputed_names()} for row in case.predicate["datasets"]]
    if stated != list(_recompute(case, frame)):
        yield invalid("counts", "the certificate's counts are not those of the receipts and the verification")


def _recomputed_names() -> Sequence[str]:
    return (
        *("step", "store", "dataset", "method", "selected", "deleted", "anonymised", "changed"),
        *("kept", "failed", "remaining", "late", "commitment"),
    )


def _recompute(case: Case, frame: Frame) -> Iterator[dict[str, Any]]:
    receipts = [entry for _, entry in case.of("batch.receipt", job=case.predicate["job"])]
    for step in frame.created[1]["steps"]:
        own = [entry for entry in receipts if entry["step"] == step["step"]]
        checks = [check for check in frame.verified[1]["checks"] if check["step"] == step["step"]]
        counts = {"deleted": 0, "anonymised": 0, "changed": 0}
        counts[_COUNT_OF.get(step["action"], "changed")] = _total(own, "deleted")
        yield {
            "step": step["step"],
            "store": step["store"],
            "dataset": step["dataset"],
            "method": step["action"],
            "selected": step["expected"],
            **counts,
            "kept": _total(own, "kept"),
            "failed": 0,
            "remaining": _total(checks, "residue"),
            "late": _total(own, "late"),
            "commitment": commitment(entry["digest"] for entry in own),
        }


def _export(case: Case) -> Iterator[Finding]:
    export = case.predicate["export"]
    if (
        export
        and export["manifest_hash"]
        and not case.of("export.delivered", manifest_hash=export["manifest_hash"], tenant=case.predicate["tenant"])
    ):
        yield invalid("export", "no entry in the bundle proves that the export was delivered")


def _total(records: Sequence[Entry], name: str) -> int:
    total: int = sum(record[name] for record in records)
    return total

"""Who allowed a job: operators' signatures over its plan, or a live mandate."""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Final

from lifecycle.evidence.approval import verify_mandate, verify_plan
from lifecycle.evidence.case import Case, Frame
from lifecycle.evidence.findings import Finding, invalid
from lifecycle.evidence.schema import parse_instant

# An offboarding cannot be undone: two operators, neither of them the plan's author.
APPROVALS: Final[Mapping[str, int]] = {"offboarding": 2, "rule": 1}


def authority(case: Case, frame: Frame) -> Iterator[Finding]:
    """Everything that speaks against the job's authority."""
    created, started = frame.created[1], frame.started
    approvers: dict[str, int] = {}
    for index, entry in case.of("plan.approved", plan=created["plan"], plan_hash=case.plan_hash):
        key = case.trust.operator_keys.get(entry["operator"])
        if key is None:
            yield invalid("approver-unknown", f"the approval in entry {index} is by an operator who is not trusted")
        elif not verify_plan(key, case.plan_hash, entry["signature"]):
            yield invalid("approval-signature", f"the approval in entry {index} was not signed by its operator")
        elif entry["operator"] == created["author"]:
            yield invalid("self-approval", f"the approval in entry {index} is by the plan's author")
        else:
            approvers.setdefault(entry["operator"], index)
    if not set(case.predicate["approvals"]) <= approvers.keys():
        yield invalid("approvals", "the certificate names an approver whose signature is not in the log")
    if case.predicate["mandate"] != started[1]["mandate"]:
        yield invalid("mandate", "the certificate names another mandate than the log")
    if started[1]["mandate"] is not None:
        yield from _mandate(case, frame)
    # Whoever signs when the job has begun authorises nothing.
    elif sum(index < started[0] for index in approvers.values()) < APPROVALS[created["kind"]]:
        yield invalid("approvals-missing", f"the plan needs approvals by {APPROVALS[created['kind']]} operators")


def _mandate(case: Case, frame: Frame) -> Iterator[Finding]:
    created, (start, started) = frame.created[1], frame.started
    if created["kind"] != "rule":
        yield invalid("mandate", "an offboarding never runs by mandate")
    acts = [
        (index, entry)
        for index, entry in case.entries.items()
        if entry["type"].startswith("mandate.") and entry["mandate"] == started["mandate"] and index < start
    ]
    if not acts or acts[-1][1]["type"] == "mandate.revoked":
        yield invalid("mandate-missing", "no live mandate stands in the log before the job")
        return
    index, mandate = acts[-1]
    key = case.trust.operator_keys.get(mandate["operator"])
    if key is None or not verify_mandate(key, mandate["template_hash"], mandate["expires_on"], mandate["signature"]):
        yield invalid("mandate-signature", f"the mandate in entry {index} was not signed by a trusted operator")
    if mandate["operator"] == created["author"]:
        yield invalid("self-approval", f"the mandate in entry {index} is by the plan's author")
    if mandate["rule"] != created["rule"]:
        yield invalid("mandate-rule", f"the mandate in entry {index} is for another rule")
    # Its last day ends in the agreement's zone, at most twelve hours after it ends in UTC.
    today = (parse_instant(started["effective_now"]) - dt.timedelta(hours=12)).date()
    if today > dt.date.fromisoformat(mandate["expires_on"]):
        yield invalid("mandate-expired", f"the mandate in entry {index} had expired when the job began")

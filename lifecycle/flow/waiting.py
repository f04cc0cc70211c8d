"""Plans that wait for a person: frozen, not begun, covered by no mandate, and signed by too few."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lifecycle.core.calendar import local_date
from lifecycle.core.events import PlanCreated
from lifecycle.core.plan import Plan
from lifecycle.core.tenant import Tenant
from lifecycle.evidence.schema import parse_instant
from lifecycle.flow import registers
from lifecycle.flow.approve import NEEDED, approvers, live_mandate
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import decoded, read_job
from lifecycle.flow.plans import read_plan
from lifecycle.flow.verify import job_of

_GONE = frozenset({"deleted", "remainder", "closed"})
_AT_ONCE = 500
_SLACK = timedelta(hours=1)
"""Entries of one moment are not in the order of their clocks to the second."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One such plan: who has signed, and how many must."""

    plan: Plan
    hash: str
    signed: tuple[str, ...]
    needed: int


def waiting(deployment: Deployment) -> list[Waiting]:
    """Return the plans that wait for a signature and may still begin, the one that expires first before the others.

    Of a rule's or a tenant's several plans the latest counts, and each that somebody has signed already: a rule that
    only observes leaves one a turn.
    """
    now = deployment.clock.now()
    found: list[Waiting] = []
    subjects: set[tuple[str, str | None, str | None]] = set()
    for plan_hash in _latest(deployment, now - timedelta(hours=deployment.limits.plan_hours)):
        plan = read_plan(deployment, plan_hash)
        subject = (plan.agreement, plan.rule, plan.tenant)
        signed = approvers(deployment, plan, plan_hash)
        if (subject in subjects and not signed) or not _waits(deployment, plan, plan_hash, len(signed), now):
            subjects.add(subject)
            continue
        subjects.add(subject)
        found.append(Waiting(plan, plan_hash, signed, NEEDED[plan.kind]))
    return sorted(found, key=lambda one: (one.plan.start_by, one.hash))


def nothing_left(deployment: Deployment, plan: Plan) -> bool:
    """Tell whether the plan is of a tenant whose deletion is done, and finds nothing more: nobody needs to sign it."""
    if plan.tenant is None or plan.expected():
        return False
    tenant = registers.load(deployment.state, "tenant", Tenant, plan.tenant)
    return tenant is not None and tenant.state in _GONE


def _waits(deployment: Deployment, plan: Plan, plan_hash: str, signed: int, now: datetime) -> bool:
    if now > plan.start_by or signed >= NEEDED[plan.kind] or plan.policy_hash != deployment.policy.digest:
        return False
    if read_job(deployment, job_of(plan_hash)).started is not None:
        return False
    if not signed and nothing_left(deployment, plan):
        return False
    zone = deployment.policy.agreement(plan.agreement, plan.agreement_versions[0]).zone
    return live_mandate(deployment, plan, local_date(now, zone)) is None


def _latest(deployment: Deployment, since: datetime) -> Iterator[str]:
    """Yield the hashes of the plans that were frozen since then, the latest first; reads the log from its end."""
    stop = deployment.state.size()
    while stop > 0:
        start = max(0, stop - _AT_ONCE)
        entries: list[tuple[int, dict[str, Any]]] = list(decoded(deployment.state.entries(start, stop)))
        for _, entry in reversed(entries):
            if entry["type"] == PlanCreated.type:
                yield entry["plan_hash"]
        if parse_instant(entries[0][1]["at"]) < since - _SLACK:
            return
        stop = start

"""Plans with what the log knows of them: signatures, mandate, and how far their job is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from pathlib import Path

from lifecycle.cli import words
from lifecycle.core.budget import Backlog
from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, LifecycleError
from lifecycle.core.mandate import Mandate
from lifecycle.core.operator import Readings
from lifecycle.core.period import Period
from lifecycle.core.plan import Plan
from lifecycle.core.terms import ByParameter, ByReading
from lifecycle.flow import approve, offboard, planning, plans
from lifecycle.flow.binding import bind
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import read_job
from lifecycle.flow.scopes import tenants
from lifecycle.flow.verify import job_of
from lifecycle.flow.waiting import nothing_left
from lifecycle.ports.store import Found

SHOWN_KEYS = 100
"""How many keys of a step are listed: enough to recognise the rows, not a second copy of them."""

Trouble = tuple[str, LifecycleError]


@dataclass(frozen=True, slots=True)
class Facts:
    """One plan. `state`: planned, expired, running, done, partial, refused or stopped.

    `nothing_left`: of a tenant whose deletion is done already, and finds nothing more.
    """

    plan: Plan
    hash: str
    signed: tuple[str, ...]
    needed: int
    mandate: str | None
    state: str
    done: int
    periods: Mapping[str, str]
    backlog: Backlog
    nothing_left: bool = False


def of_tenant(deployment: Deployment, tenant: str, author: str) -> Facts:
    """Plan an ended tenant's deletion."""
    made = planning.plan_offboarding(deployment, offboard.find(deployment, tenant), author=author)
    return of(deployment, made.plan, made.hash)


def of_rules(deployment: Deployment, name: str | None, author: str) -> tuple[list[Facts], list[Trouble]]:
    """Plan one rule (`RULE` or `AGREEMENT/RULE`), or all that bind today; one that fails does not stop the others."""
    made: list[Facts] = []
    errors: list[Trouble] = []
    for agreement, rule in planning.due_rules(deployment) if name is None else [_resolve(deployment, name)]:
        try:
            planned = planning.plan_rule(deployment, agreement, rule, author=author)
        except LifecycleError as error:
            if name is not None:
                raise
            errors.append((f"{agreement}/{rule}", error))
            continue
        if planned is not None:
            made.append(of(deployment, planned.plan, planned.hash))
    return made, errors


def find(deployment: Deployment, text: str) -> Facts:
    """Return the stored plan of a full or shortened hash."""
    plan_hash = plans.find_hash(deployment, text)
    return of(deployment, plans.read_plan(deployment, plan_hash), plan_hash)


def latest(deployment: Deployment, most: int) -> list[Facts]:
    """Return the latest stored plans, at most so many: a rule that only observes leaves one a day."""
    found = ((name, plans.parse_plan(body, name)) for name, body in deployment.state.items("plan"))
    chosen = nlargest(most, found, key=lambda pair: (pair[1].created_at, pair[0]))
    return [of(deployment, plan, name) for name, plan in chosen]


def of(deployment: Deployment, plan: Plan, plan_hash: str) -> Facts:
    """Gather what is known of a plan."""
    job = read_job(deployment, job_of(plan_hash))
    now = deployment.clock.now()
    state = str(
        job.outcome or ("running" if job.started is not None else "expired" if now > plan.start_by else "planned")
    )
    mandate = _mandate(deployment, plan, now) if state == "planned" else None
    return Facts(
        plan=plan,
        hash=plan_hash,
        signed=approve.approvers(deployment, plan, plan_hash),
        needed=approve.NEEDED[plan.kind],
        mandate=mandate.id if mandate else job.mandate,
        state=state,
        done=job.done,
        periods=_periods(deployment, plan),
        nothing_left=state == "planned" and nothing_left(deployment, plan),
        backlog=Backlog(plan.expected(), job.done, deployment.limits.rows_per_night),
    )


def keys(deployment: Deployment, plan: Plan) -> dict[str, Sequence[Found]]:
    """Return the first keys that each step selects now."""
    return {
        step.id: deployment.stores[step.store].find(bind(deployment, step.selection), None, SHOWN_KEYS)
        for step in plan.steps
    }


def write(deployment: Deployment, plan_hash: str, path: Path) -> None:
    """Write the plan's exact bytes: what the hash is over."""
    path.write_bytes(plans.plan_bytes(deployment, plan_hash))


def _resolve(deployment: Deployment, name: str) -> tuple[str, str]:
    """Return (agreement, rule) of a name. Raises InvalidDocument when none or several agreements have it."""
    agreement, slash, rule = name.partition("/")
    if slash:
        return agreement, rule
    having = {a.amends or a.id for a in deployment.policy.agreements if any(r.id == name for r in a.rules)}
    if not having:
        # A rule that an individual layer adds is planned under the agreement it amends.
        having = {a for a, r in planning.due_rules(deployment) if r == name} if tenants(deployment) else set()
    if len(having) != 1:
        what = "no agreement has such a rule" if not having else "several agreements have a rule of that name"
        raise InvalidDocument(what, advice="`lifecycle status` lists the rules; write AGREEMENT/RULE.")
    return having.pop(), name


def _mandate(deployment: Deployment, plan: Plan, now: datetime) -> Mandate | None:
    """Return the mandate that covers the plan today, in the agreement's zone; None once its version is gone."""
    try:
        zone = deployment.policy.agreement(plan.agreement, plan.agreement_versions[0]).zone
    except KeyError:
        return None
    return approve.live_mandate(deployment, plan, local_date(now, zone))


def _periods(deployment: Deployment, plan: Plan) -> dict[str, str]:
    """Return each rule's period as its document has it, where one does."""
    found: dict[str, str] = {}
    readings = deployment.policy.operator.readings
    for version in plan.agreement_versions:
        try:
            agreement = deployment.policy.agreement(plan.agreement, version)
        except KeyError:
            continue
        for rule in agreement.rules:
            terms = (("keep", rule.keep), ("gone by", rule.gone_by))
            found[rule.id] = ", ".join(f"{word} {_term(term, readings)}" for word, term in terms if term is not None)
    return found


def _term(term: Period | ByParameter | ByReading, readings: Readings) -> str:
    if isinstance(term, ByParameter):
        plus = f" + {_term(term.plus, readings)}" if term.plus else ""
        return f"parameter {term.parameter} (set by the controller){plus}"
    if isinstance(term, ByReading):
        return f"{words.period(str(readings.of(term.operator)))}, the operator's own reading"
    return words.period(str(term))

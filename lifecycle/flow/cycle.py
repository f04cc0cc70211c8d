"""One tick: everything due that is already authorised, each rule on its own: no failure stops another (I27)."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, LifecycleError, Refused, Transient
from lifecycle.core.offboarding import Progress as Ended
from lifecycle.core.offboarding import next_state
from lifecycle.flow import certify, offboard
from lifecycle.flow.approve import live_mandate
from lifecycle.flow.controls import effective_now, log_refusal, raise_mark, refuse_if_stopped
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.execute import Observer, Ran, apply, silent
from lifecycle.flow.journal import checkpoint, read_job
from lifecycle.flow.planning import Planned, due_rules, plan_rule
from lifecycle.flow.plans import read_plan
from lifecycle.flow.recover import recover
from lifecycle.flow.scopes import tenants
from lifecycle.flow.verify import job_of

DAEMON = "lifecycle"
"""The author of plans that no person asked for."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one rule's turn came to: applied, observing (planned, not authorised), idle, refused or failed."""

    agreement: str
    rule: str
    result: str
    plan: Planned | None = None
    ran: Ran | None = None
    error: LifecycleError | None = None


def tick(deployment: Deployment, *, observe: Observer = silent) -> list[Turn]:
    """Recover, then take each rule's turn. A rule without a live mandate only plans: it observes.

    Raises Refused while everything is stopped.
    """
    refuse_if_stopped(deployment)
    turns = _recovery(deployment)
    _keep_time(deployment)
    turns += [_turn(deployment, agreement, rule, observe) for agreement, rule in due_rules(deployment)]
    settle(deployment)
    checkpoint(deployment)
    return turns


def _recovery(deployment: Deployment) -> list[Turn]:
    """Close what a crash left open. A store that does not answer keeps only its own batches open (I27)."""
    try:
        with deployment.state.exclusive() as epoch:
            recover(deployment, epoch)
    except Transient as error:
        return [Turn("-", "recovery", "failed", error=error)]
    return []


def _keep_time(deployment: Deployment) -> None:
    """Put the present on record, also when nothing is due: quiet nights are no outage (I13)."""
    try:
        raise_mark(deployment, effective_now(deployment, sorted(deployment.stores)))
    except Refused as refusal:
        log_refusal(deployment, refusal)
    except LifecycleError:
        # Without every clock nothing is marked; that a store does not answer is for each rule's own turn to say.
        return


def _turn(deployment: Deployment, agreement: str, rule: str, observe: Observer) -> Turn:
    planned = None
    try:
        planned = plan_rule(deployment, agreement, rule, author=DAEMON)
        if planned is None:
            return Turn(agreement, rule, "idle")
        zone = deployment.policy.agreement(agreement, planned.plan.agreement_versions[0]).zone
        if live_mandate(deployment, planned.plan, local_date(deployment.clock.now(), zone)) is None:
            return Turn(agreement, rule, "observing", planned)
        ran = apply(deployment, planned.hash, observe=observe)
    except Refused as refusal:
        log_refusal(deployment, refusal, rule=rule)
        return Turn(agreement, rule, "refused", planned, error=refusal)
    except LifecycleError as error:
        return Turn(agreement, rule, "failed", planned, error=error)
    return Turn(agreement, rule, "applied" if ran.outcome == "done" and ran.clean else "partial", planned, ran)


def settle(deployment: Deployment) -> None:
    """Move each ended tenant to the state that dates, receipts and verification have brought about."""
    for tenant in tenants(deployment):
        if tenant.contract_end is None or tenant.state == "closed":
            continue
        try:
            seen = offboard.view(deployment, tenant)
        except (InvalidDocument, Refused):
            # Listed among what cannot be resolved; its state stands, and nobody else's waits for it (I27).
            continue
        state = next_state(
            tenant,
            offboard.today_of(deployment, tenant),
            awaiting_choice=seen.timeline.awaiting_choice,
            progress=_progress(deployment, seen.alias),
        )
        if state != tenant.state:
            offboard.move(deployment, tenant, state)


def _progress(deployment: Deployment, alias: str) -> Ended:
    """Fold what the log says of the tenant's last offboarding job."""
    certificates = [c for c in certify.certificates(deployment) if c.tenant == alias]
    jobs = [read_job(deployment, job_of(plan_hash)) for plan_hash in _plans_of(deployment, alias)]
    begun = [job for job in jobs if job.started is not None]
    if not begun:
        return Ended()
    last = max(begun, key=lambda job: job.started or 0)
    verified = last.outcome == "done" and last.verification is not None and last.verification.clean
    plan = read_plan(deployment, last.plan_hash or "")
    remaining = sum(group.count for step in plan.steps for group in step.withheld if group.label == "statute")
    final = any(c.completeness != "provisional" and c.job == last.id for c in certificates)
    return Ended(started=True, verified=verified, copies_clean=final, remaining=remaining)


def _plans_of(deployment: Deployment, alias: str) -> list[str]:
    needle = f'"tenant":"{alias}"'.encode()
    return [name for name, body in deployment.state.items("plan") if needle in body]

"""One tick: everything due that is already authorised, each rule on its own: no failure stops another (I27).

What is due comes from the state (`slots`), not from a timer: called more often, a tick finds nothing; called late, it
makes up for what passed, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, LifecycleError, Paused, Refused, Transient
from lifecycle.core.offboarding import Progress as Ended
from lifecycle.core.offboarding import next_state
from lifecycle.core.plan import Plan
from lifecycle.flow import brakes, certify, offboard, pending, slots
from lifecycle.flow.approve import NEEDED, approvers, limit_of, signed_mandate
from lifecycle.flow.controls import effective_now, log_refusal, marked_at, raise_mark, refuse_if_stopped
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.execute import Observer, Ran, carry_out, give_up, silent
from lifecycle.flow.journal import checkpoint, decoded, read_job
from lifecycle.flow.planning import Planned, due_rules, plan_rule, stores_of
from lifecycle.flow.plans import read_plan
from lifecycle.flow.recover import recover
from lifecycle.flow.scopes import tenants
from lifecycle.flow.unattended import in_shadow
from lifecycle.flow.verify import job_of
from lifecycle.ports.store import Store

DAEMON = "lifecycle"
"""The author of plans that no person asked for."""

MARK_EVERY = timedelta(hours=1)
"""How often a tick without work asks every clock and puts the time on record."""

BOUND = frozenset(
    {"policy-changed", "schema-changed", "fingerprint", "not-approved", "other-deployment", "tenant-unknown"}
)
"""Refusals after which a begun job can never go on: what its plan binds is not there any more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn came to.

    `result`: applied, idle, observing (planned, not authorised), shadow (authorised, one cycle still to be watched),
    partial, refused, failed, paused (a throttle, or the night's budget: it goes on by itself), or waiting (another
    process is at work, or a begun job goes first).
    `number`: the slot's; `again`: a slot that was begun before and is entered once more.
    """

    agreement: str
    rule: str
    result: str
    plan: Planned | None = None
    ran: Ran | None = None
    error: LifecycleError | None = None
    number: int | None = None
    missed: int = 0
    again: bool = False


Reporter = Callable[[Turn], None]


def nobody(turn: Turn) -> None:
    """Report to nobody."""
    del turn


def tick(
    deployment: Deployment, *, observe: Observer = silent, report: Reporter = nobody, scheduled: bool = False
) -> list[Turn]:
    """Recover, finish what was begun or approved, then take each rule's turn.

    A rule without a live mandate only plans: it observes. `scheduled`: only rules whose slot has come; otherwise all,
    as a person who calls this asks for. `report` hears of each turn as it ends.

    Raises Refused while everything is stopped, and while this host's clock cannot be trusted (I12, I13).
    """
    if scheduled:
        # Also while everything is stopped: a long stop must not read as a clock that jumped (I13).
        _keep_time(deployment, scheduled=True)
    refuse_if_stopped(deployment)
    size = deployment.state.size()
    turns: list[Turn] = []

    def took(turn: Turn) -> None:
        turns.append(turn)
        report(turn)

    _recovery(deployment, took)
    now = deployment.clock.now() if scheduled else _keep_time(deployment, scheduled=False)
    begun = _finish_begun(deployment, now, observe, took)
    found = _whose_turn(deployment, now, scheduled=scheduled)
    for due in found:
        if _stopped(deployment):
            break
        took(_rule(deployment, due, begun, observe))
    if found or begun or not scheduled:
        settle(deployment)
    if deployment.state.size() != size:
        checkpoint(deployment)
    return turns


def _stopped(deployment: Deployment) -> bool:
    try:
        refuse_if_stopped(deployment)
    except Refused:
        return True
    return False


def _recovery(deployment: Deployment, took: Reporter) -> None:
    """Close what a crash left open. A store that does not answer keeps only its own batches open (I27)."""
    if next(iter(deployment.state.items("intent")), None) is None:
        return
    try:
        with deployment.state.exclusive() as epoch:
            recover(deployment, epoch)
    except LifecycleError as error:
        # Whoever is at work recovers first thing.
        if not (isinstance(error, Refused) and error.guard in slots.FLEETING):
            took(Turn("-", "recovery", "failed", error=error))


def _keep_time(deployment: Deployment, *, scheduled: bool) -> datetime:
    """Return the present, and put it on record, also when nothing is due: quiet nights are no outage (I13).

    A service, whose own clock is watched for drift, keeps time by the clocks that answer: a store's outage is no jump.
    What is deleted asks every store that it touches.
    """
    now = deployment.clock.now()
    marked = marked_at(deployment)
    if scheduled and marked is not None and abs(now - marked) < MARK_EVERY:
        return now
    try:
        # By a clock of our own that nobody trusts no slot is claimed: it would be one of another day.
        effective_now(deployment, ())
    except Refused as refusal:
        log_refusal(deployment, refusal)
        checkpoint(deployment)
        raise
    names = [name for name in sorted(deployment.stores) if not scheduled or _answers(deployment.stores[name])]
    try:
        raise_mark(deployment, effective_now(deployment, names))
    except Refused as refusal:
        log_refusal(deployment, refusal)
    except LifecycleError:
        # Without every clock nothing is marked; that a store does not answer is for each rule's own turn to say.
        return now
    return now


def _whose_turn(deployment: Deployment, now: datetime, *, scheduled: bool) -> list[slots.Due]:
    """Return the rules whose turn it is and that bind somebody today; the others' slots are done."""
    if not scheduled:
        return [slots.present(deployment, agreement, rule, now) for agreement, rule in due_rules(deployment)]
    found = slots.due(deployment, now)
    if not found:
        return []
    binding = set(due_rules(deployment))
    nobody_today = [due for due in found if (due.agreement, due.rule) not in binding]
    if nobody_today:
        try:
            with deployment.state.exclusive() as epoch:
                slots.idle(deployment, nobody_today, epoch, now)
        except Refused as refusal:
            if refusal.guard not in slots.FLEETING:
                raise
            # While another process is at work they stay due: the next tick notes it.
    return [due for due in found if (due.agreement, due.rule) in binding]


# ---- plans that were approved or begun ----


def _finish_begun(
    deployment: Deployment, now: datetime, observe: Observer, took: Reporter
) -> Mapping[tuple[str, str], bool]:
    """Carry out what is authorised and not finished; return the rules of which a begun job is open: does it rest?"""
    still: dict[tuple[str, str], bool] = {}
    for one in list(pending.pending(deployment)):
        try:
            plan = read_plan(deployment, one.plan_hash)
            if not one.waits(now) and not _stopped(deployment):
                took(_begun(deployment, one, plan, observe))
            job = read_job(deployment, job_of(one.plan_hash))
        except Exception as error:  # noqa: BLE001  # one plan that cannot be read stops no other one (I27)
            known = foreseen(error)
            pending.failed(deployment, one, known, now)
            took(Turn("-", "pending", "failed", error=known))
            continue
        if job.started is not None and job.outcome is None and plan.rule is not None:
            marker = pending.read(deployment, one.plan_hash)
            still[plan.agreement, plan.rule] = marker is not None and marker.paused
    return still


def foreseen(error: Exception) -> LifecycleError:
    """Return the error as one of ours: of one that nobody foresaw only the class is told (I23)."""
    if isinstance(error, LifecycleError):
        return error
    return Transient(
        f"an unforeseen error ({type(error).__name__}); nothing of this turn was changed after it",
        advice="It is tried again; if it repeats, report it with the service's log. Other rules go on.",
    )


def _begun(deployment: Deployment, one: pending.Pending, plan: Plan, observe: Observer) -> Turn:
    """Take one pending plan's turn."""
    now = deployment.clock.now()
    planned, name = Planned(plan, one.plan_hash), plan.rule or "offboarding"
    try:
        _refuse_expired(deployment, one, plan, now)
        with deployment.state.exclusive() as epoch:
            try:
                ran = carry_out(deployment, one.plan_hash, epoch, observe=observe)
            except Refused as refusal:
                if refusal.guard in BOUND:
                    give_up(deployment, one.plan_hash, epoch)
                raise
    except Paused as paused:
        pending.paused(deployment, one, paused, brakes.rests_until(paused, now))
        return Turn(plan.agreement, name, "paused", planned, error=paused)
    except LifecycleError as error:
        if isinstance(error, Refused) and error.guard in slots.FLEETING:
            return Turn(plan.agreement, name, "waiting", planned, error=error)
        if isinstance(error, Refused):
            log_refusal(deployment, error, rule=plan.rule)
        pending.failed(deployment, one, error, now)
        return Turn(plan.agreement, name, _word(error), planned, error=error)
    if plan.rule is not None:
        _keep_history(deployment, plan, ran)
    return Turn(plan.agreement, name, _result(ran), planned, ran, next(iter(ran.trouble), None))


def _refuse_expired(deployment: Deployment, one: pending.Pending, plan: Plan, now: datetime) -> None:
    """Forget, and say so, what was approved and may not begin any more (I26)."""
    if read_job(deployment, job_of(one.plan_hash)).started is not None:
        return
    if now > plan.start_by:
        what, guard_name = "the plan was approved and has expired before it began", "plan-expired"
    elif len(approvers(deployment, plan, one.plan_hash)) < NEEDED[plan.kind]:
        what, guard_name = "the plan was approved by somebody who may no longer approve", "not-approved"
    else:
        return
    with deployment.state.transaction() as tx:
        pending.forget(tx, one.plan_hash)
    raise Refused(what, guard=guard_name, advice="Plan again and approve the new plan.")


def _keep_history(deployment: Deployment, plan: Plan, ran: Ran) -> None:
    """A run that a person signed for is part of the rule's history too."""
    now = deployment.clock.now()
    due = slots.present(deployment, plan.agreement, plan.rule or "", now)
    if slots.read(deployment, plan.agreement, plan.rule or "") is not None:
        slots.ran(deployment, due, now, ran.deleted)
        slots.ended(deployment, due, now, _result(ran))


# ---- a rule's turn ----


def _rule(deployment: Deployment, due: slots.Due, begun: Mapping[tuple[str, str], bool], observe: Observer) -> Turn:
    """Take one rule's turn as the holder of the writer's lock, and note in the state how it ended."""
    try:
        with deployment.state.exclusive() as epoch:
            now = deployment.clock.now()
            if not slots.claim(deployment, due, epoch, now):
                return _turn(due, "waiting")
            if (due.agreement, due.rule) in begun:
                error = Transient("a begun job of this rule goes first", advice="`lifecycle status` says what stops it")
                if begun[due.agreement, due.rule]:
                    # It only waits for its next night: that is no trouble of the rule's.
                    slots.ended(deployment, due, now, "paused")
                else:
                    slots.failed(deployment, due, now, "waiting", error)
                return _turn(due, "waiting", error=error)
            turn = _work(deployment, due, epoch, observe)
            _note(deployment, due, turn)
            return turn
    except Exception as error:  # noqa: BLE001  # the other rules' turns come all the same (I27)
        if isinstance(error, Refused) and error.guard in slots.FLEETING:
            return _turn(due, "waiting", error=error)
        return _turn(due, "failed", error=foreseen(error))


def _note(deployment: Deployment, due: slots.Due, turn: Turn) -> None:
    now = deployment.clock.now()
    if turn.ran is not None:
        slots.ran(deployment, due, now, turn.ran.deleted)
    if isinstance(turn.error, Paused):
        begun = turn.plan is not None and read_job(deployment, job_of(turn.plan.hash)).started is not None
        _rest(deployment, due, turn.error, now, begun=begun)
    elif turn.error is not None:
        slots.failed(deployment, due, now, turn.result, turn.error)
    else:
        slots.ended(deployment, due, now, turn.result)


def _rest(deployment: Deployment, due: slots.Due, paused: Paused, now: datetime, *, begun: bool) -> None:
    """Note that a turn rests: a begun job goes on by its marker; one that could not start is tried in the same slot."""
    until = brakes.rests_until(paused, now)
    if not begun:
        slots.paused(deployment, due, now, paused, until)
        return
    for one in pending.pending(deployment):
        plan = read_plan(deployment, one.plan_hash)
        if (plan.agreement, plan.rule) == (due.agreement, due.rule):
            pending.paused(deployment, one, paused, until)
    slots.ended(deployment, due, now, "paused")


def _work(deployment: Deployment, due: slots.Due, epoch: int, observe: Observer) -> Turn:
    """Plan, hold the plan against mandate, history and shadow cycle, carry it out. Errors become the turn's."""
    planned, away = None, None
    try:
        if (finished := _finished(deployment, due, epoch, observe)) is not None:
            return finished
        _refuse_still_held_back(deployment, due)
        planned, away = _plan(deployment, due)
        if planned is None:
            return _turn(due, "failed" if away else "idle", error=away)
        zone = deployment.policy.agreement(due.agreement, planned.plan.agreement_versions[0]).zone
        mandate = signed_mandate(deployment, planned.plan, local_date(deployment.clock.now(), zone))
        if mandate is None:
            return _turn(due, "observing", planned, error=away)
        limit_of(deployment, planned.plan, mandate).require()
        if in_shadow(deployment, planned.plan, mandate, due.number):
            return _turn(due, "shadow", planned, error=away)
        slots.carries(deployment, due, planned.hash)
        ran = carry_out(deployment, planned.hash, epoch, observe=observe)
    except Paused as paused:
        return _turn(due, "paused", planned, error=paused)
    except Refused as refusal:
        if refusal.guard in slots.FLEETING:
            raise
        log_refusal(deployment, refusal, rule=due.rule)
        return _turn(due, "refused", planned, error=refusal)
    except Exception as error:  # noqa: BLE001  # told by its class, and kept as the rule's trouble
        return _turn(due, "failed", planned, error=foreseen(error))
    trouble = away or next(iter(ran.trouble), None) or _parked(planned.plan)
    return _turn(due, "partial" if trouble else _result(ran), planned, ran, error=trouble)


def _refuse_still_held_back(deployment: Deployment, due: slots.Due) -> None:
    """Raise Paused where the slot was paused before and still is: planning would count a busy server through again."""
    state = slots.read(deployment, due.agreement, due.rule)
    if due.again and state is not None and state.result == "paused":
        brakes.refuse_held_back(deployment, stores_of(deployment, due.agreement, due.rule))


def _finished(deployment: Deployment, due: slots.Due, epoch: int, observe: Observer) -> Turn | None:
    """Return the turn of a slot that is entered again after its job had ended: looked at, never run a second time."""
    state = slots.read(deployment, due.agreement, due.rule)
    if not due.again or state is None or state.plan is None:
        return None
    if read_job(deployment, job_of(state.plan)).outcome not in {"done", "partial"}:
        return None
    plan = Planned(read_plan(deployment, state.plan), state.plan)
    ran = carry_out(deployment, state.plan, epoch, observe=observe)
    return _turn(due, _result(ran), plan, ran)


def _parked(plan: Plan) -> Transient | None:
    """Return what to say of datasets that could not be counted: the others' items went (I27)."""
    names = sorted({step.dataset for step in plan.steps if step.parked})
    if not names:
        return None
    return Transient(
        f"could not be counted and stay as they are: {', '.join(names)}",
        advice="`lifecycle scan` names the error: permission, timeout or a missing index; the rest was carried out.",
    )


def _plan(deployment: Deployment, due: slots.Due) -> tuple[Planned | None, Transient | None]:
    """Plan the rule; where a store does not answer, without that store, and say which error it was (I27)."""
    try:
        return plan_rule(deployment, due.agreement, due.rule, author=DAEMON, parking=True), None
    except Transient as error:
        names = stores_of(deployment, due.agreement, due.rule)
        silent_ones = frozenset(name for name in names if not _answers(deployment.stores[name]))
        if not silent_ones or silent_ones == set(names):
            raise
        return plan_rule(deployment, due.agreement, due.rule, author=DAEMON, without=silent_ones, parking=True), error


def _answers(store: Store) -> bool:
    try:
        store.probe()
    except LifecycleError:
        return False
    return True


def _turn(
    due: slots.Due,
    result: str,
    plan: Planned | None = None,
    ran: Ran | None = None,
    error: LifecycleError | None = None,
) -> Turn:
    return Turn(due.agreement, due.rule, result, plan, ran, error, due.number, due.missed, due.again)


def _result(ran: Ran) -> str:
    return "applied" if ran.outcome == "done" and ran.clean else "partial"


def _word(error: LifecycleError) -> str:
    return "refused" if isinstance(error, Refused) else "failed"


# ---- contracts that end ----


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
    entries = decoded(deployment.state.of_tenant(alias))
    return [entry["plan_hash"] for _, entry in entries if entry["type"] == "plan.created"]

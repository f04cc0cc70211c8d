"""What holds a job back: a store's throttle before it starts, and a night's budget before each batch.

Both end in `Paused`: the job stays open, and goes on by itself under the approval that it has. A plan's 72 hours bind
its start only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NoReturn

from lifecycle.core.budget import Backlog, Night, next_night, night_of
from lifecycle.core.calendar import local_date
from lifecycle.core.errors import LifecycleError, Paused
from lifecycle.core.plan import Plan
from lifecycle.core.settings import RuleClass
from lifecycle.core.throttle import Brake
from lifecycle.core.value import Value
from lifecycle.flow import pending, registers
from lifecycle.flow.approve import approvers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import read_job
from lifecycle.flow.plans import read_plan
from lifecycle.flow.verify import job_of
from lifecycle.ports.state import Transaction

LONGEST, EASED = timedelta(hours=1), timedelta(minutes=1)
"""How long a paused job rests at most, and how long where nobody knows when what holds it back will ease."""


class _Marked(Value):
    """A night of a job, as the state keeps it."""

    number: int
    before: int


@dataclass(frozen=True, slots=True)
class Running:
    """A job that is begun and not done: whose, how far, until when at its pace, who approved it, and why it waits."""

    plan_hash: str
    agreement: str
    rule: str | None
    tenant: str | None
    backlog: Backlog
    gone_on: date | None
    approved_by: tuple[str, ...]
    waits: str | None


def refuse_held_back(deployment: Deployment, stores: Sequence[str]) -> None:
    """Raise Paused when one of the stores should not be changed now: nothing new starts there."""
    for name in stores:
        brake = deployment.stores[name].held_back()
        if brake is not None:
            raise Paused(f"store {name}: {brake.why}", guard=brake.cause, until=brake.until)


def left_tonight(deployment: Deployment, plan: Plan, job: str, done: int) -> int | None:
    """Return how many items this night may still take of a job that has done so many; None without a budget."""
    per_night = deployment.limits.rows_per_night
    if per_night is None:
        return None
    number = night_of(_class_of(deployment, plan), deployment.clock.now())
    return _night(deployment, job, number, done).left(per_night, done)


def refuse_spent(deployment: Deployment, plan: Plan, done: int) -> NoReturn:
    """Raise Paused: this night's budget is used up."""
    backlog = Backlog(plan.expected(), done, deployment.limits.rows_per_night)
    raise Paused(
        f"this night's budget of {backlog.per_night} rows is used up: {done} of {backlog.expected} are done, "
        f"{backlog.nights} more night(s)",
        guard="budget",
        until=next_night(_class_of(deployment, plan), deployment.clock.now()),
    )


def rests_until(paused: Paused, now: datetime) -> datetime:
    """Return when a paused job is tried again."""
    return min(paused.until, now + LONGEST) if paused.until is not None and paused.until > now else now + EASED


def forget(tx: Transaction, job: str) -> None:
    """Forget a job's night: it is done."""
    tx.remove("job", _name(job))


def brakes(deployment: Deployment) -> dict[str, Brake | None]:
    """Return what holds each throttled store back now, None where nothing does; others are left out."""
    return {
        name: deployment.stores[name].held_back() for name in sorted(deployment.throttled & deployment.stores.keys())
    }


def running(deployment: Deployment) -> Iterator[Running]:
    """Yield every job that is begun and not done."""
    for one in pending.pending(deployment):
        try:
            plan, job = read_plan(deployment, one.plan_hash), read_job(deployment, job_of(one.plan_hash))
        except (LifecycleError, KeyError):
            # Listed with its trouble among the plans that wait.
            continue
        if job.started is None or job.outcome is not None:
            continue
        backlog = Backlog(plan.expected(), job.done, deployment.limits.rows_per_night)
        yield Running(
            one.plan_hash,
            plan.agreement,
            plan.rule,
            plan.tenant,
            backlog,
            backlog.gone_on(_today(deployment, plan)),
            tuple(sorted(approvers(deployment, plan, one.plan_hash))),
            one.marker.message,
        )


def _today(deployment: Deployment, plan: Plan) -> date:
    turns = _class_of(deployment, plan)
    return local_date(deployment.clock.now(), turns.zone)


def _class_of(deployment: Deployment, plan: Plan) -> RuleClass:
    if plan.rule is not None:
        return deployment.schedule.class_of(plan.rule)
    return deployment.schedule.classes[deployment.schedule.settings.default]


def _night(deployment: Deployment, job: str, number: int, done: int) -> Night:
    """Return the job's present night; a new one begins with what is done by now."""
    marked = registers.load(deployment.state, "job", _Marked, _name(job))
    if marked is None or marked.number != number:
        marked = _Marked(number=number, before=done)
        with deployment.state.transaction() as tx:
            registers.put(tx, "job", _name(job), marked)
    return Night(marked.number, marked.before)


def _name(job: str) -> str:
    return f"{job}/night"

"""What only a mandate authorises must pass more: a size that the rule's past explains, and a cycle in the shadow (I4).

An operator's signature over the very plan is exempt: somebody has seen its counts.
"""

from __future__ import annotations

from lifecycle.core import guard
from lifecycle.core.mandate import Mandate
from lifecycle.core.plan import Plan
from lifecycle.core.schedule import slot_at
from lifecycle.flow import slots
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.plans import read_plan


def refuse_unusual(deployment: Deployment, plan: Plan) -> None:
    """Raise Refused (guard `history`) when a plan that only a mandate authorises is far larger than the rule's past."""
    state, bounds = slots.read(deployment, plan.agreement, plan.rule or ""), deployment.guards
    guard.within_history(
        plan.expected(),
        slots.past_runs(state),
        slots.due_days(state, deployment.clock.now()),
        bounds.history_factor,
        bounds.history_floor,
    ).require()


def in_shadow(deployment: Deployment, plan: Plan, mandate: Mandate, number: int) -> bool:
    """Tell whether the plan that the mandate was granted on was made in this very slot: one cycle is only watched.

    For ticks. A person who carries a plan out by hand is no unattended run.
    """
    if not deployment.guards.shadow or plan.rule is None:
        return False
    first = read_plan(deployment, mandate.plan_hash).created_at
    return slot_at(deployment.schedule.class_of(plan.rule), first) >= number

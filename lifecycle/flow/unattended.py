"""What only a mandate authorises must pass more: a cycle in the shadow, and a size that the rule's past explains (I4).

An operator's signature over the very plan is exempt: somebody has seen its counts.
"""

from __future__ import annotations

from lifecycle.core import guard
from lifecycle.core.errors import Refused
from lifecycle.core.mandate import Mandate
from lifecycle.core.plan import Plan
from lifecycle.core.schedule import slot_at
from lifecycle.flow import slots
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.plans import read_plan

SHADOW = "shadow"


def refuse_unattended(deployment: Deployment, plan: Plan, mandate: Mandate) -> None:
    """Raise Refused (guards `shadow`, `history`) when a plan may not begin on its mandate's word alone."""
    _refuse_shadow(deployment, plan, mandate)
    state, bounds = slots.read(deployment, plan.agreement, plan.rule or ""), deployment.guards
    guard.within_history(
        plan.expected(),
        slots.past_runs(state),
        slots.due_days(state, deployment.clock.now()),
        bounds.history_factor,
        bounds.history_floor,
    ).require()


def _refuse_shadow(deployment: Deployment, plan: Plan, mandate: Mandate) -> None:
    """Refuse while the plan that the mandate was granted on was made in this very slot: one cycle is only watched."""
    if not deployment.guards.shadow or plan.rule is None:
        return
    rule_class = deployment.schedule.class_of(plan.rule)
    first = read_plan(deployment, mandate.plan_hash).created_at
    if slot_at(rule_class, first) >= slot_at(rule_class, deployment.clock.now()):
        raise Refused(
            "the mandate was granted in this cycle; the rule runs by it from the next one on",
            guard=SHADOW,
            advice="Wait for the next turn, or approve this very plan: `lifecycle approve HASH`.",
        )

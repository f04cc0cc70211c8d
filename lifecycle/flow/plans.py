"""Plans at rest: frozen once into canonical bytes, kept by hash, read back only if the bytes still have that hash."""

from __future__ import annotations

import re

from pydantic import ValidationError

from lifecycle.core.errors import Corrupt, InvalidDocument, Refused
from lifecycle.core.events import PlanCreated
from lifecycle.core.plan import Plan
from lifecycle.evidence.digest import digest
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import write
from lifecycle.flow.registers import body_of

_SHORT = re.compile(r"(sha256:)?[0-9a-f]{8,64}")


def freeze(deployment: Deployment, plan: Plan) -> str:
    """Store the plan's bytes, log its creation, and return its hash."""
    body = body_of(plan)
    plan_hash = digest(body)
    if deployment.state.get("plan", plan_hash) is not None:
        return plan_hash
    steps = tuple(
        {
            "step": step.id,
            "dataset": step.dataset,
            "store": step.store,
            "action": step.action.kind,
            "expected": step.expected,
            "limit": step.limit,
        }
        for step in plan.steps
    )
    with deployment.state.transaction() as tx:
        tx.insert("plan", plan_hash, body)
        write(
            deployment,
            tx,
            PlanCreated(
                plan=plan.id,
                plan_hash=plan_hash,
                kind=plan.kind,
                rule=plan.rule,
                author=plan.author,
                steps=steps,
                tenant=plan.tenant,
            ),
        )
    return plan_hash


def read_plan(deployment: Deployment, plan_hash: str) -> Plan:
    """Return the stored plan of this exact hash. Raises InvalidDocument when unknown, Corrupt when altered."""
    return parse_plan(plan_bytes(deployment, plan_hash), plan_hash)


def refuse_other_documents(deployment: Deployment, plan: Plan) -> None:
    """Raise Refused when the plan is of another deployment, or was made over other documents: it can never run (I2)."""
    if plan.deployment != deployment.id:
        raise Refused("the plan is of another deployment", guard="other-deployment")
    if plan.policy_hash != deployment.policy.digest:
        raise Refused(
            "the documents changed since the plan was made", guard="policy-changed", advice="Plan and approve again."
        )


def plan_bytes(deployment: Deployment, plan_hash: str) -> bytes:
    """Return the exact bytes of the plan with this hash."""
    body = deployment.state.get("plan", plan_hash)
    if body is None:
        raise InvalidDocument("no plan of this deployment has that hash", advice="`lifecycle plan --list` shows them.")
    return body


def parse_plan(body: bytes, plan_hash: str) -> Plan:
    """Return the plan that these bytes hold. Raises Corrupt unless their hash is the expected one."""
    if digest(body) != plan_hash:
        raise Corrupt("a stored plan no longer has the hash it was approved under")
    try:
        return Plan.model_validate_json(body)
    except ValidationError as error:
        msg = f"a stored plan no longer fits its form ({error.error_count()} faults)"
        raise Corrupt(msg) from None


def find_hash(deployment: Deployment, text: str) -> str:
    """Return the full hash for a full or shortened one (8 digits at least).

    Raises:
        InvalidDocument: not a digest, no such plan, or several begin so.
    """
    if _SHORT.fullmatch(text) is None:
        raise InvalidDocument(
            "that is not a plan's hash", advice="Write sha256: and 64 hexadecimal digits, or at least the first 8."
        )
    start = "sha256:" + text.removeprefix("sha256:")
    found = [name for name, _ in deployment.state.items("plan", start)]
    if len(found) != 1:
        what = "no plan begins" if not found else f"{len(found)} plans begin"
        msg = f"{what} with that hash"
        raise InvalidDocument(msg, advice="`lifecycle plan --list` shows the plans of this deployment.")
    return found[0]

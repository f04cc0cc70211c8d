"""Recording instructions: who, when, in which form; an oral one may stop or restrict, never delete."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.events import InstructionRecorded
from lifecycle.core.instruction import Instruction, InstructionKind, InstructionState
from lifecycle.core.tenant import Tenant
from lifecycle.evidence.digest import keyed_digest
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import write

DELETING = frozenset({"delete-earlier", "set-parameter", "choice"})


@dataclass(frozen=True, slots=True)
class Given:
    """An instruction as it arrived."""

    kind: InstructionKind
    given_by: str
    channel: str
    reference: str | None = None
    note: str | None = None


def receive(deployment: Deployment, tenant: Tenant, given: Given, *, recorded_by: str) -> Instruction:
    """Record an instruction in the state that its form and its giver allow.

    Raises:
        Refused: the agreement names the authorised persons and this is none of them; it is recorded as rejected.
    """
    serial = sum(1 for _ in deployment.state.items("instruction"))
    name = "i-" + hashlib.sha256(f"{deployment.alias(tenant.id)}/{serial}".encode()).hexdigest()[:12]
    unauthorised = bool(tenant.authorised) and given.given_by not in tenant.authorised
    instruction = registers.build(
        Instruction,
        {
            "id": name,
            "tenant": tenant.id,
            "kind": given.kind,
            "given_by": given.given_by,
            "channel": given.channel,
            "reference": given.reference,
            "received_on": deployment.clock.now().date(),
            "state": "rejected" if unauthorised else _first_state(given),
            "recorded_by": recorded_by,
            "note": given.note,
        },
        "the instruction",
    )
    _store(deployment, tenant, instruction)
    if unauthorised:
        raise Refused(
            f"instruction {name}: the register does not name this person as authorised; it is recorded as rejected",
            guard="not-authorised",
            advice="Tell the tenant's authorised persons; `lifecycle tenant import` records a change of persons.",
        )
    return instruction


def decide(
    deployment: Deployment, tenant: Tenant, name: str, state: InstructionState, *, recorded_by: str
) -> Instruction:
    """Move an instruction on: accepted, suspended, confirmed, replaced, withdrawn, executed, rejected."""
    instruction = registers.need(deployment, "instruction", Instruction, name)
    if instruction.tenant != tenant.id:
        raise InvalidDocument("the instruction is another tenant's", advice="`lifecycle instruction list` shows them.")
    if instruction.state == "oral-unconfirmed" and instruction.kind in DELETING and state in {"accepted", "executed"}:
        raise Refused(
            "an oral instruction may not delete before it is confirmed in text form",
            guard="oral",
            advice="Record the confirmation first: `--state confirmed`.",
        )
    moved = instruction.model_copy(update={"state": state, "recorded_by": recorded_by})
    _store(deployment, tenant, moved)
    return moved


def _first_state(given: Given) -> str:
    return "oral-unconfirmed" if given.channel == "oral" else "received"


def _store(deployment: Deployment, tenant: Tenant, instruction: Instruction) -> None:
    reference = instruction.reference
    event = InstructionRecorded(
        instruction=instruction.id,
        kind=instruction.kind,
        state=instruction.state,
        channel=instruction.channel,
        reference_digest=keyed_digest(deployment.keys.commitment, reference.encode()) if reference else None,
        tenant=deployment.alias(tenant.id),
    )
    with deployment.state.transaction() as tx:
        registers.put(tx, "instruction", instruction.id, instruction)
        write(deployment, tx, event)

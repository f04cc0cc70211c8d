"""Approval: an operator's signature over the plan's hash, and the mandate that may come with a rule's first plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import Refused
from lifecycle.core.events import Event, MandateGranted, MandateRenewed, MandateRevoked, PlanApproved
from lifecycle.core.guard import Decision, within_mandate
from lifecycle.core.mandate import Mandate, declaration, expiry, is_part, template_of
from lifecycle.core.plan import Plan
from lifecycle.evidence import approval, canonical
from lifecycle.evidence.digest import digest
from lifecycle.evidence.keys import SigningKey, VerifyKey
from lifecycle.flow import pending, registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint, decoded, read_job, write
from lifecycle.flow.plans import read_plan, refuse_other_documents
from lifecycle.flow.verify import job_of
from lifecycle.ports.state import Transaction

NEEDED = {"rule": 1, "offboarding": 2}
LEAST_MANDATE = 1_000
"""A mandate covers three times its first plan's count, at least this many, unless the operator names a number."""


@dataclass(frozen=True, slots=True)
class Approved:
    """Who has signed so far, how many are needed, and the mandate granted with it."""

    operators: tuple[str, ...]
    needed: int
    mandate: Mandate | None = None

    @property
    def enough(self) -> bool:
        """Return whether apply may start."""
        return len(self.operators) >= self.needed


def approve(
    deployment: Deployment,
    plan_hash: str,
    operator: str,
    key: SigningKey,
    *,
    grant_mandate: bool = False,
    most_items: int | None = None,
) -> Approved:
    """Sign a plan. Two signatures of one key, or the author's, do not count as two.

    Raises:
        InvalidDocument: no such plan or operator.
        Refused: the key is not the operator's, the author approves, the key signed already, the plan has expired or
            was made over other documents.
    """
    plan = read_plan(deployment, plan_hash)
    now = deployment.clock.now()
    known = deployment.operator(operator, now.date())
    if read_job(deployment, job_of(plan_hash)).outcome is not None:
        # First: whoever signed it already needs to hear that it is done, not that nothing more is needed.
        raise Refused(
            "the plan has been carried out",
            guard="plan-done",
            advice="Nothing is left to sign: `lifecycle plan show HASH`. Plan again for what is due since.",
        )
    _check_signer(deployment, plan, plan_hash, known.public_key, operator, key)
    if now > plan.start_by:
        raise Refused("the plan has expired", guard="plan-expired", advice="Plan again and approve the new plan.")
    # A signature that can never count would be asked for in vain.
    refuse_other_documents(deployment, plan)
    if grant_mandate and plan.kind != "rule":
        raise Refused("only a rule's plans run by mandate", guard="mandate-kind", advice="Approve without --mandate.")
    if grant_mandate and any(step.parked for step in plan.steps):
        raise Refused(
            "the plan has a dataset that could not be counted: nobody has seen what a mandate would cover",
            guard="parked",
            advice="Approve without --mandate, mend what keeps it from being counted, and grant it on the next plan.",
        )
    most = max(3 * plan.expected(), LEAST_MANDATE) if most_items is None else most_items
    mandate = _mandate(deployment, plan, plan_hash, (operator, key), most) if grant_mandate else None
    enough = len({*approvers(deployment, plan, plan_hash), operator}) >= NEEDED[plan.kind]
    with deployment.state.transaction() as tx:
        signature = approval.sign_plan(key, plan_hash)
        event = PlanApproved(
            plan=plan.id, plan_hash=plan_hash, operator=operator, signature=signature, tenant=plan.tenant
        )
        write(deployment, tx, event)
        if mandate is not None:
            mandate = _logged(deployment, tx, mandate, _event(mandate, MandateGranted))
        if enough:
            # Together with the last signature: what was signed is carried out, whatever happens next.
            pending.mark(tx, plan_hash)
    checkpoint(deployment)
    return Approved(approvers(deployment, plan, plan_hash), NEEDED[plan.kind], mandate)


def approvers(deployment: Deployment, plan: Plan, plan_hash: str) -> tuple[str, ...]:
    """Return the operators whose signatures over this hash verify now, distinct keys only, the author's left out."""
    found: dict[str, str] = {}
    author_key = _public_key(deployment, plan.author)
    for _, entry in decoded(deployment.state.of_plan(plan.id)):
        if entry["type"] != "plan.approved" or entry["plan_hash"] != plan_hash:
            continue
        public = _public_key(deployment, entry["operator"])
        if public is None or public == author_key or entry["operator"] == plan.author:
            continue
        if approval.verify_plan(VerifyKey.parse(public), plan_hash, entry["signature"]):
            found.setdefault(public, entry["operator"])
    return tuple(sorted(found.values()))


def live_mandate(deployment: Deployment, plan: Plan, day: date) -> Mandate | None:
    """Return the mandate that covers this plan: template equal, count within its limit, signature valid, in force."""
    mandate = signed_mandate(deployment, plan, day)
    return mandate if mandate is not None and limit_of(deployment, plan, mandate).allowed else None


def limit_of(deployment: Deployment, plan: Plan, mandate: Mandate) -> Decision:
    """Decide whether the plan's count is within what the mandate and the settings let one run change."""
    return within_mandate(plan.expected(), mandate.most_items, deployment.limits.most_items)


def signed_mandate(deployment: Deployment, plan: Plan, day: date) -> Mandate | None:
    """Return the mandate that covers this plan whatever its count; of several, the one that allows most.

    A plan without some of the mandated stores is covered too: a store that does not answer stops no other one (I27).
    """
    if plan.kind != "rule":
        return None
    known = sorted(registers.every(deployment.state, "mandate", Mandate), key=lambda m: (-m.most_items, m.id))
    for mandate in known:
        if not mandate.live(day) or (mandate.agreement, mandate.rule) != (plan.agreement, plan.rule):
            continue
        public = _public_key(deployment, mandate.operator)
        if (
            public is not None
            and _covers(deployment, mandate, plan)
            and approval.verify_mandate(
                VerifyKey.parse(public), mandate.template_hash, mandate.expires_on.isoformat(), mandate.signature
            )
        ):
            return mandate
    return None


def _covers(deployment: Deployment, mandate: Mandate, plan: Plan) -> bool:
    """Tell whether the plan's template has the signed hash, or is part of the text that has it."""
    wanted = template_bytes(deployment, plan, mandate.most_items)
    if digest(wanted) == mandate.template_hash:
        return True
    text = mandate.template
    if text is None or digest(text.encode()) != mandate.template_hash:
        return False
    return is_part(json.loads(wanted), json.loads(text))


def renew(deployment: Deployment, name: str, operator: str, key: SigningKey) -> Mandate:
    """Sign the same template for another twelve months."""
    mandate = registers.need(deployment, "mandate", Mandate, name)
    today = deployment.clock.now().date()
    _check_key(deployment.operator(operator, today).public_key, key)
    expires = expiry(today)
    renewed = mandate.model_copy(
        update={
            "granted_on": today,
            "expires_on": expires,
            "operator": operator,
            "signature": approval.sign_mandate(key, mandate.template_hash, expires.isoformat()),
        }
    )
    with deployment.state.transaction() as tx:
        return _logged(deployment, tx, renewed, _event(renewed, MandateRenewed))


def revoke(deployment: Deployment, name: str, operator: str, key: SigningKey) -> Mandate:
    """End a mandate: its rule observes again until a plan is approved."""
    mandate = registers.need(deployment, "mandate", Mandate, name)
    today = deployment.clock.now().date()
    _check_key(deployment.operator(operator, today).public_key, key)
    revoked = mandate.model_copy(update={"revoked_on": today})
    event = MandateRevoked(
        mandate=name,
        rule=mandate.rule,
        template_hash=mandate.template_hash,
        operator=operator,
        signature=approval.sign_mandate(key, mandate.template_hash, mandate.expires_on.isoformat()),
        expires_on=mandate.expires_on,
    )
    with deployment.state.transaction() as tx:
        return _logged(deployment, tx, revoked, event)


def template_bytes(deployment: Deployment, plan: Plan, most_items: int) -> bytes:
    """Return the canonical bytes of what a mandate over this plan's rule covers, its limit included."""
    texts = deployment.policy.rules(plan.agreement, plan.rule or "", plan.agreement_versions)
    rules = [rule.model_dump(mode="json") for rule in texts]
    declared = {dataset.id: declaration(dataset) for dataset in deployment.policy.inventory.datasets}
    template = template_of(plan, digest(canonical.encode(rules)), declared)
    return canonical.encode({**template, "most_items": most_items})


def _mandate(
    deployment: Deployment, plan: Plan, plan_hash: str, signer: tuple[str, SigningKey], most_items: int
) -> Mandate:
    operator, key = signer
    zone = deployment.policy.agreement(plan.agreement, plan.agreement_versions[0]).zone
    today = local_date(deployment.clock.now(), zone)
    expires = expiry(today)
    template = template_bytes(deployment, plan, most_items)
    wanted = digest(template)
    return Mandate(
        id="m-" + hashlib.sha256(f"{plan_hash}{operator}".encode()).hexdigest()[:12],
        agreement=plan.agreement,
        rule=plan.rule or "",
        template_hash=wanted,
        most_items=most_items,
        operator=operator,
        signature=approval.sign_mandate(key, wanted, expires.isoformat()),
        granted_on=today,
        expires_on=expires,
        plan_hash=plan_hash,
        template=template.decode(),
    )


def _logged(deployment: Deployment, tx: Transaction, mandate: Mandate, event: Event) -> Mandate:
    """Write the event and the register's entry, which remembers where the event stands in the log."""
    known = mandate.model_copy(update={"entries": (*mandate.entries, write(deployment, tx, event))})
    registers.put(tx, "mandate", mandate.id, known)
    return known


def _event(mandate: Mandate, kind: type[MandateGranted]) -> MandateGranted:
    return kind(
        mandate=mandate.id,
        rule=mandate.rule,
        template_hash=mandate.template_hash,
        operator=mandate.operator,
        signature=mandate.signature,
        expires_on=mandate.expires_on,
    )


def _check_signer(
    deployment: Deployment, plan: Plan, plan_hash: str, public: str, operator: str, key: SigningKey
) -> None:
    _check_key(public, key)
    if operator == plan.author or public == _public_key(deployment, plan.author):
        raise Refused("the plan's author cannot approve it", guard="author-approves", advice="Ask another operator.")
    signed = approvers(deployment, plan, plan_hash)
    if operator in signed:
        enough = len(signed) >= NEEDED[plan.kind]
        advice = "Nothing more is needed: `lifecycle apply`." if enough else "Another operator must sign."
        raise Refused("this key has signed the plan already", guard="same-key", advice=advice)


def _check_key(public: str, key: SigningKey) -> None:
    if key.public.public_key != public:
        raise Refused(
            "the key file is not this operator's key",
            guard="wrong-key",
            advice="Use the key whose public half is listed.",
        )


def in_force(deployment: Deployment, mandate: Mandate, day: date) -> bool:
    """Tell whether a mandate may still cover a plan: not revoked, not expired, its operator's key in force."""
    return mandate.live(day) and _public_key(deployment, mandate.operator) is not None


def _public_key(deployment: Deployment, operator: str) -> str | None:
    day = deployment.clock.now().date()
    for known in deployment.operators.operators:
        if known.id == operator and (known.removed_on is None or day < known.removed_on):
            return known.public_key
    return None

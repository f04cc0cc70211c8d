"""Certificates: a signed statement about a verified job, in a bundle that proves it without us (I21).

Nothing is stated that the log cannot prove; what the statement does not cover is named in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from lifecycle.core.agreement import Agreement
from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.events import CertificateIssued
from lifecycle.core.job import Job
from lifecycle.core.mandate import Mandate
from lifecycle.core.plan import Anonymise, Detach, Plan, Step
from lifecycle.core.selection import Selection, TenantScope
from lifecycle.core.tenant import Tenant
from lifecycle.core.transform import describe_transform
from lifecycle.core.value import Digest, Identifier, Line, Value
from lifecycle.evidence.bundle import collect, pack_bundle
from lifecycle.evidence.digest import digest
from lifecycle.evidence.envelope import sign_envelope
from lifecycle.evidence.statement import commitment, encode_statement
from lifecycle.flow import registers
from lifecycle.flow.approve import approvers
from lifecycle.flow.binding import bind, tenant_of
from lifecycle.flow.deployment import Deployment, instant
from lifecycle.flow.journal import checkpoint, decoded, read_job, write
from lifecycle.flow.plans import plan_bytes, read_plan
from lifecycle.flow.verify import VERIFIER, job_of, verify

LIMITS = (
    "States what was found in the named stores when verified; undeclared copies, replicas, caches are outside it.",
    "Free pages, write-ahead logs and dead row versions of a database are overwritten by its own maintenance.",
    "Records under a statutory duty of the processor are withheld and restricted; a further plan deletes them then.",
)
UNCOVERED = "Rows of this tenant that the plan does not cover are still there"
"""How the limit begins that names datasets outside the plan."""
_MOST_NAMES = 400
FRESH = timedelta(days=1)
"""How old the last verification may be when a certificate rests on it; an older one is repeated first."""
COUNT_OF = {"delete": "deleted", "anonymise": "anonymised", "detach": "changed"}


class Certificate(Value):
    """A certificate at rest: what it is about, and the exact text of its envelope."""

    id: Identifier
    number: Identifier
    job: Identifier
    plan_hash: Digest
    tenant: Line | None
    title: Line
    completeness: Identifier
    issued_at: datetime
    supersedes: Identifier | None
    index: int
    envelope: str


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a statement is made from."""

    plan: Plan
    plan_hash: str
    job: Job
    entries: Mapping[int, Mapping[str, Any]]
    agreement: Agreement
    tenant: Tenant | None


def issue(deployment: Deployment, plan_hash: str) -> Certificate:
    """Sign what the log proves about the plan's job.

    Raises:
        Refused: the job is not finished, something is left or unknown, the last verification is missing, or more
            rows stay than the plan explains.
    """
    basis = _basis(deployment, plan_hash)
    _refuse_unproven(basis)
    if _is_old(deployment, basis):
        # Rows may have come back since: from a queue, a sync, a restore (I33).
        verify(deployment, plan_hash)
        basis = _basis(deployment, plan_hash)
        _refuse_unproven(basis)
    _refuse_unlisted(deployment, basis)
    earlier = [c for c in certificates(deployment) if c.job == basis.job.id]
    number = _number(deployment)
    name = "c-" + hashlib.sha256(f"{basis.job.id}/{len(earlier)}".encode()).hexdigest()[:16]
    supersedes = earlier[-1].id if earlier else None
    now = deployment.clock.now()
    predicate = _predicate(deployment, basis, {"certificate": name, "number": number, "supersedes": supersedes}, now)
    payload = encode_statement(predicate, plan_hash)
    envelope = sign_envelope(payload, [deployment.keys.certificate])
    deployment.failpoint("certificate.signed")
    event = CertificateIssued(
        certificate=name,
        number=number,
        job=basis.job.id,
        statement_hash=digest(payload),
        supersedes=supersedes,
        tenant=basis.plan.tenant,
    )
    with deployment.state.transaction() as tx:
        index = write(deployment, tx, event)
        certificate = Certificate(
            id=name,
            number=number,
            job=basis.job.id,
            plan_hash=plan_hash,
            tenant=basis.plan.tenant,
            title=predicate["title"],
            completeness=predicate["completeness"],
            issued_at=now,
            supersedes=supersedes,
            index=index,
            envelope=envelope.decode(),
        )
        registers.put(tx, "certificate", number, certificate)
    checkpoint(deployment)
    deployment.failpoint("certificate.logged")
    return certificate


def certificates(deployment: Deployment) -> list[Certificate]:
    """Return all certificates, oldest first."""
    found = registers.every(deployment.state, "certificate", Certificate)
    return sorted(found, key=lambda certificate: certificate.index)


def find(deployment: Deployment, name: str) -> Certificate:
    """Return a certificate by id or number. Raises InvalidDocument when there is none."""
    for certificate in certificates(deployment):
        if name in {certificate.id, certificate.number}:
            return certificate
    raise InvalidDocument("no certificate of that id or number", advice="`lifecycle certificate list` shows them.")


def bundle(deployment: Deployment, certificate: Certificate) -> bytes:
    """Return the certificate's bundle: everything an auditor needs beside the trust file."""
    note = deployment.state.get("checkpoint", "last")
    size = deployment.state.size()
    if note is None or int(note.decode().split("\n")[1]) != size:
        note = checkpoint(deployment).encode()
    return pack_bundle(
        collect(
            certificate=certificate.envelope.encode(),
            plan=plan_bytes(deployment, certificate.plan_hash),
            checkpoint=note.decode(),
            size=size,
            entries=dict(_proving(deployment, certificate)),
            node=deployment.state.node,
            anchors=anchors(deployment),
        )
    )


def anchors(deployment: Deployment) -> dict[int, str]:
    """Return the signed checkpoints that were handed out in trust files, by size."""
    found = {}
    for name, body in deployment.state.items("checkpoint", "anchor/"):
        found[int(name.removeprefix("anchor/"))] = body.decode()
    return found


def _proving(deployment: Deployment, certificate: Certificate) -> Iterator[tuple[int, bytes]]:
    """Yield the entries that the certificate rests on: its plan, its job, its mandate; a tenant's own without a gap."""
    plan = read_plan(deployment, certificate.plan_hash)
    state = deployment.state
    own = dict(state.of_plan(plan.id)) | {
        index: body for index, body in state.of_job(certificate.job) if index <= certificate.index
    }
    parsed = dict(decoded(iter(own.items())))
    own = {index: body for index, body in own.items() if parsed[index]["tenant"] == plan.tenant}
    if plan.tenant is not None:
        first = min([*own, *_exports(deployment, plan.tenant)])
        chain = state.of_tenant(plan.tenant)
        own |= {index: body for index, body in chain if first <= index <= certificate.index}
    mandate = next((entry["mandate"] for entry in parsed.values() if entry["type"] == "job.started"), None)
    if mandate is not None:
        entries = registers.need(deployment, "mandate", Mandate, mandate).entries
        own |= {index: state.entry(index) for index in entries if index <= certificate.index}
    yield from sorted(own.items())


def _exports(deployment: Deployment, alias: str) -> list[int]:
    return [i for i, entry in decoded(deployment.state.of_tenant(alias)) if entry["type"] == "export.delivered"]


def _basis(deployment: Deployment, plan_hash: str) -> _Basis:
    plan = read_plan(deployment, plan_hash)
    job = read_job(deployment, job_of(plan_hash))
    entries = dict(decoded(deployment.state.of_job(job.id))) | dict(decoded(deployment.state.of_plan(plan.id)))
    tenant = tenant_of(deployment, plan.tenant) if plan.tenant else None
    agreement = deployment.policy.agreement(plan.agreement, plan.agreement_versions[0])
    return _Basis(plan, plan_hash, job, dict(sorted(entries.items())), agreement, tenant)


def _refuse_unproven(basis: _Basis) -> None:
    job, looked = basis.job, basis.job.verification
    advice = "Run `lifecycle apply` again; then issue the certificate."
    if job.outcome != "done":
        raise Refused("the plan's job has not finished its work", guard="job-open", advice=advice)
    if job.open:
        raise Refused("the outcome of a batch is unknown", guard="unknown-outcome", advice=advice)
    if looked is None or looked.index < max(basis.job.finished or 0, 0):
        raise Refused("the job has not been verified since it ended", guard="not-verified", advice=advice)
    if not looked.clean:
        raise Refused(
            "verification found residue or orphans",
            guard="residue",
            advice="Run `lifecycle plan` again: what is left is due; `lifecycle status` shows it.",
        )


def _is_old(deployment: Deployment, basis: _Basis) -> bool:
    looked = basis.job.verification
    assert looked is not None  # noqa: S101 - `_refuse_unproven` ran first
    return deployment.clock.now() - datetime.fromisoformat(basis.entries[looked.index]["at"]) > FRESH


def _refuse_unlisted(deployment: Deployment, basis: _Basis) -> None:
    """Raise Refused when rows stay that the plan does not list: a hold set since, a parent that is needed again (I21).

    Such rows are no residue, so verification is clean; a certificate over them would claim what is not so.
    """
    for step in basis.plan.steps:
        if not isinstance(step.action, Detach):
            staying, listed = _staying(deployment, step)
            if staying > listed:
                raise Refused(
                    f"{staying} rows of {step.dataset} stay, the plan explains {listed}: a hold or a reference is new",
                    guard="unlisted",
                    advice="Plan again: the new plan lists what stays and why, and its certificate says so.",
                )


def _staying(deployment: Deployment, step: Step) -> tuple[int, int]:
    """Return how many rows in scope stay (a tenant's: all; a shared pass': the held ones), and how many are listed."""
    store = deployment.stores[step.store]
    free = step.selection.model_copy(update={"respect_holds": False})
    if isinstance(step.selection.scope, TenantScope):
        everything = free.model_copy(update={"due": (), "unreferenced_by": ()})
        return store.count(bind(deployment, everything)).items, sum(group.count for group in step.withheld)
    held = store.count(bind(deployment, free)).items - store.count(bind(deployment, step.selection)).items
    return held, sum(group.count for group in step.withheld if group.label == "hold")


def _number(deployment: Deployment) -> str:
    year = deployment.clock.now().year
    issued = sum(1 for _ in deployment.state.items("certificate", f"{year}-"))
    return f"{year}-{issued + 1:06d}"


def _predicate(deployment: Deployment, basis: _Basis, names: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    plan, job = basis.plan, basis.job
    looked = job.verification
    assert looked is not None  # noqa: S101 - `_refuse_unproven` ran first
    started = next(e for e in basis.entries.values() if e["type"] == "job.started")
    finished = next(e for e in basis.entries.values() if e["type"] == "job.finished")
    totals = {name: sum(check[name] for check in looked.checks) for name in ("undatable", "unattributed", "contested")}
    copies = _copies(deployment, basis, local_date(now, basis.agreement.zone))
    uncovered = _uncovered(deployment, plan)
    complete = looked.coverage_complete and not any(totals.values()) and not uncovered
    withheld = [_withheld(group) for step in plan.steps for group in step.withheld if group.count]
    created = min(basis.entries)
    return {
        **names,
        "v": 1,
        "type": "tenant" if plan.tenant else "run",
        "title": basis.agreement.proof.title,
        "completeness": _completeness(copies, withheld, complete=complete),
        "issued_at": instant(now),
        "tenant": plan.tenant,
        "job": job.id,
        "plan": plan.id,
        "parties": _parties(deployment, basis.tenant),
        "agreement": {
            "id": plan.agreement,
            "version": ", ".join(plan.agreement_versions),
            "clauses": sorted({step.clause for step in plan.steps if step.clause}),
            "policy_hash": plan.policy_hash,
        },
        "trigger": "contract-end" if plan.kind == "offboarding" else "rule",
        **_contract(deployment, basis),
        "instruction": None,
        "legal_references": ["Art. 28(3)(g) GDPR"] if plan.tenant else ["Art. 28(3)(a) GDPR", "Art. 5(1)(e) GDPR"],
        "period": {"from": started["at"], "to": finished["at"]},
        "clock": {"effective_now": started["effective_now"], "zone": basis.agreement.zone},
        "datasets": [_dataset(basis, step) for step in plan.steps],
        "withheld": withheld,
        **totals,
        "copies": copies,
        "export": _export(deployment, plan),
        "verification": {
            "verifier": VERIFIER,
            "method": "fresh read on another connection by an independent query builder",
            "at": basis.entries[looked.index]["at"],
            "index": looked.index,
        },
        "evidence": {
            "origin": deployment.origin,
            "log_size": deployment.state.size(),
            "first_index": created,
            "last_index": looked.index,
            "open_intents": 0,
        },
        "approvals": sorted(approvers(deployment, plan, basis.plan_hash)),
        "mandate": job.mandate,
        "limits": list(_limits(deployment, plan, uncovered)),
        "tool": {"version": deployment.tool_version, "build_hash": None},
    }


def _uncovered(deployment: Deployment, plan: Plan) -> list[str]:
    """Return the datasets that hold rows of the tenant and are in no step of the plan: nothing deletes them yet."""
    if plan.tenant is None:
        return []
    planned, scope = {step.dataset for step in plan.steps}, TenantScope(tenant=plan.tenant)
    found = []
    for dataset in deployment.policy.inventory.datasets:
        if dataset.tenant.by != "none" and dataset.id not in planned:
            theirs = Selection(dataset=dataset.id, scope=scope, only=dataset.only, respect_holds=False)
            if deployment.stores[dataset.store].count(bind(deployment, theirs)).items:
                found.append(dataset.id)
    return found


def _limits(deployment: Deployment, plan: Plan, uncovered: Sequence[str]) -> Iterator[str]:
    """Yield what the certificate does not cover; what belongs to no single tenant leaves with none (I21)."""
    yield from LIMITS
    for step in plan.steps:
        if isinstance(step.action, Anonymise):
            columns = ", ".join(describe_transform(transform) for transform in step.action.transforms)
            shown = columns if len(columns) <= _MOST_NAMES else f"{len(step.action.transforms)} columns, see the plan"
            yield f"Rows of {step.dataset} stay, anonymised (clause {step.action.granted_by}): {shown}."
    if uncovered:
        names = ", ".join(uncovered)
        shown = names if len(names) <= _MOST_NAMES else f"{len(uncovered)} datasets of the inventory"
        yield f"{UNCOVERED}: {shown}."
    apart = [dataset.id for dataset in deployment.policy.inventory.datasets if dataset.tenant.by == "none"]
    if plan.tenant and apart:
        names = ", ".join(apart)
        shown = names if len(names) <= _MOST_NAMES else f"{len(apart)} datasets of the inventory"
        yield f"Rows that belong to no single tenant are not covered; their own rules delete them, if any: {shown}."


def _completeness(copies: Mapping[str, Any], withheld: list[dict[str, Any]], *, complete: bool) -> str:
    pending = any(copy["state"] == "pending" for copy in copies["backups"] + copies["replicas"])
    if pending or not complete or any(copy["deleted_on"] is None for copy in copies["subprocessors"]):
        return "provisional"
    return "final-with-residue" if withheld else "final"


def _dataset(basis: _Basis, step: Step) -> dict[str, Any]:
    receipts = [e for e in basis.entries.values() if e["type"] == "batch.receipt" and e["step"] == step.id]
    looked = basis.job.verification
    assert looked is not None  # noqa: S101 - `_refuse_unproven` ran first
    counts = dict.fromkeys(("deleted", "anonymised", "changed"), 0)
    counts[COUNT_OF[step.action.kind]] = sum(receipt["deleted"] for receipt in receipts)
    return {
        "step": step.id,
        "store": step.store,
        "dataset": step.dataset,
        "category": step.category,
        "rule": step.rule,
        "method": step.action.kind,
        "selected": step.expected,
        **counts,
        "kept": sum(receipt["kept"] for receipt in receipts),
        "failed": 0,
        "remaining": sum(check["residue"] for check in looked.checks if check["step"] == step.id),
        "late": sum(receipt["late"] for receipt in receipts),
        "commitment": commitment(receipt["digest"] for receipt in receipts),
    }


def _withheld(group: Any) -> dict[str, Any]:
    return {
        "legal_ground": group.ground,
        "duty_holder": group.duty_holder or "processor",
        "dataset": group.dataset,
        "count": group.count,
        "ends_on": group.ends_on.isoformat() if group.ends_on else None,
        "review_on": None,
    }


def _parties(deployment: Deployment, tenant: Tenant | None) -> dict[str, Any]:
    return {
        "processor": deployment.policy.operator.firm,
        "controller": tenant.firm if tenant else None,
        "customer_number": tenant.customer_number if tenant else None,
        "role": "processor",
    }


def _contract(deployment: Deployment, basis: _Basis) -> dict[str, Any]:
    tenant = basis.tenant
    if tenant is None:
        return {"notice_on": None, "contract_end": None, "window": None, "choice": None}
    body = deployment.state.get("setting", f"window/{basis.plan.tenant}")
    window = None
    if body is not None and tenant.contract_end is not None:
        window = {"from": tenant.contract_end.isoformat(), "to": body.decode()}
    by = "controller" if tenant.choice else "agreement-default"
    return {
        "notice_on": tenant.notice_on.isoformat() if tenant.notice_on else None,
        "contract_end": tenant.contract_end.isoformat() if tenant.contract_end else None,
        "window": window,
        "choice": {
            "choice": tenant.choice or "delete",
            "by": by,
            "on": tenant.choice_on.isoformat() if tenant.choice_on else None,
        },
    }


def _export(deployment: Deployment, plan: Plan) -> dict[str, Any] | None:
    if plan.tenant is None:
        return None
    chain = decoded(deployment.state.of_tenant(plan.tenant))
    delivered = [entry for _, entry in chain if entry["type"] == "export.delivered"]
    if delivered:
        return {"state": "delivered", "manifest_hash": delivered[-1]["manifest_hash"]}
    return {"state": "offered", "manifest_hash": None}


def _copies(deployment: Deployment, basis: _Basis, today: date) -> dict[str, Any]:
    """Name every declared copy of the plan's stores; a backup is pending until its cycle has passed."""
    inventory = deployment.policy.inventory
    finished = next(e for e in basis.entries.values() if e["type"] == "job.finished")
    done_on = local_date(datetime.fromisoformat(finished["at"]), basis.agreement.zone)
    stores = [inventory.store(binding.store) for binding in basis.plan.stores]
    backups = [
        {
            "name": copy.id,
            "state": "gone" if today > copy.cycle.after(done_on) else "pending",
            "gone_by": copy.cycle.after(done_on).isoformat(),
            "deleted_again_on_restore": True,
        }
        for store in stores
        for copy in store.backups
    ]
    return {"backups": backups, "replicas": [], "subprocessors": []}

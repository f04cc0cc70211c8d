"""Events: what happened, as values. Log entries, job state, status and metrics are folds of the same events.

Each event's fields are those of its entry type in `lifecycle.evidence.entry`; `tenant` is the alias the entry carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, Literal

Outcome = Literal["done", "partial", "refused", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The common part: the alias of the tenant it belongs to, or None for shared passes and registers."""

    type: ClassVar[str]
    tenant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentCreated(Event):
    """The log begins."""

    type: ClassVar[str] = "deployment.created"
    deployment: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsAccepted(Event):
    """These documents, by the hash of their exact bytes, are what runs from here on read."""

    type: ClassVar[str] = "documents.accepted"
    policy_hash: str
    documents: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAdded(Event):
    """A key may approve from now on."""

    type: ClassVar[str] = "operator.added"
    operator: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRemoved(Event):
    """A key may no longer approve."""

    type: ClassVar[str] = "operator.removed"
    operator: str
    public_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChanged(Event):
    """A contract moved on."""

    type: ClassVar[str] = "tenant.changed"
    change: Literal["registered", "notice", "ended", "resumed", "closed", "choice"]
    agreement: str
    agreement_version: str
    effective_on: date | None = None
    choice: str | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionRecorded(Event):
    """An instruction of a controller was recorded or changed its state."""

    type: ClassVar[str] = "instruction.recorded"
    instruction: str
    kind: str
    state: str
    channel: str
    reference_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSet(Event):
    """A hold is active: every store of its scope mirrors it."""

    type: ClassVar[str] = "hold.set"
    hold: str
    basis: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased(Event):
    """A hold no longer binds."""

    type: ClassVar[str] = "hold.released"
    hold: str
    basis: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCreated(Event):
    """A plan was frozen under its hash."""

    type: ClassVar[str] = "plan.created"
    plan: str
    plan_hash: str
    kind: Literal["rule", "offboarding"]
    rule: str | None
    author: str
    steps: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanApproved(Event):
    """An operator signed the plan's hash."""

    type: ClassVar[str] = "plan.approved"
    plan: str
    plan_hash: str
    operator: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateGranted(Event):
    """An operator's standing approval of one rule's plans."""

    type: ClassVar[str] = "mandate.granted"
    mandate: str
    rule: str
    template_hash: str
    operator: str
    signature: str
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateRenewed(MandateGranted):
    """The same approval, for another twelve months."""

    type: ClassVar[str] = "mandate.renewed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateRevoked(Event):
    """A mandate ended: by an operator, or because its rule changed (operator and signature None)."""

    type: ClassVar[str] = "mandate.revoked"
    mandate: str
    rule: str
    template_hash: str
    operator: str | None
    signature: str | None
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(Event):
    """A plan is being carried out."""

    type: ClassVar[str] = "job.started"
    job: str
    plan: str
    plan_hash: str
    mandate: str | None
    effective_now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIntent(Event):
    """Durable before anything is touched (I17). `number` counts the job's batches from 1."""

    type: ClassVar[str] = "batch.intent"
    job: str
    step: str
    batch: str
    number: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReceipt(Event):
    """What a batch did; `late` is the part of `deleted` beyond the planned count."""

    type: ClassVar[str] = "batch.receipt"
    job: str
    step: str
    batch: str
    deleted: int
    kept: int
    late: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchVoid(Event):
    """An open intent that can never commit any more."""

    type: ClassVar[str] = "batch.void"
    job: str
    step: str
    batch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished(Event):
    """The job changes nothing any more. `batches`: the last batch's number, so that no tail can be left out."""

    type: ClassVar[str] = "job.finished"
    job: str
    outcome: Outcome
    deleted: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDone(Event):
    """What fresh eyes found, step by step."""

    type: ClassVar[str] = "verification.done"
    job: str
    verifier: str
    checks: tuple[Mapping[str, Any], ...]
    unknown: int
    coverage_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary(Event):
    """How many of one tenant's items a shared pass removed that day."""

    type: ClassVar[str] = "run.summary"
    job: str
    day: date
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDelivered(Event):
    """A package lies ready for the controller."""

    type: ClassVar[str] = "export.delivered"
    export: str
    manifest_hash: str
    datasets: tuple[Mapping[str, Any], ...]
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued(Event):
    """A certificate's statement was signed."""

    type: ClassVar[str] = "certificate.issued"
    certificate: str
    number: str
    job: str
    statement_hash: str
    supersedes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """The kill switch is on."""

    type: ClassVar[str] = "control.stopped"
    operator: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """The kill switch is off."""

    type: ClassVar[str] = "control.resumed"
    operator: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRefused(Event):
    """A guard said no."""

    type: ClassVar[str] = "guard.refused"
    guard: str
    rule: str | None
    job: str | None


def fields_of(event: Event) -> dict[str, Any]:
    """Return the entry's fields (without `at`, `v`, `seq`, `prev`): dates as ISO text, tuples as lists."""
    plain = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    return {"type": event.type, **plain}


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return value

"""Entries of the log: closed records without free text, as canonical JSON.

Every entry has ``v`` (1), ``type``, ``at`` (UTC instant), ``tenant`` (an opaque alias or null), ``seq`` and ``prev``:
the number of the entry among those of its alias (0, 1, 2 …) and the log index of the alias' entry before it, so that a
tenant finds a gap in its own history without seeing a neighbour's. Its other fields are fixed by ``TYPES``.

Conventions the verifier relies on:

* ``batch.intent.number`` counts the batches of a *job*: 1, 2, 3 … without a gap; ``job.finished.batches`` is the last
  number (0 without batches), so that a tail of batches cannot be left out; ``job.finished.deleted`` is the sum over all
  receipts;
* ``batch.receipt``, ``job.finished`` and ``run.summary`` report changed rows as ``deleted`` whatever the step's action
  is; the action in ``plan.created`` says whether they were deleted, anonymised, or only detached from each other;
* ``operator`` is an operator's id as the operators and trust files know it; ``author`` may be one too;
* ``certificate.issued.statement_hash`` is the SHA-256 of the signed in-toto statement's bytes;
* ``signature`` fields are what ``lifecycle.evidence.approval`` makes.
"""

from collections.abc import Mapping
from typing import Any, Final

from lifecycle.evidence import canonical, schema
from lifecycle.evidence.errors import Malformed
from lifecycle.evidence.schema import Check

VERSION: Final = 1
MAX_ENTRY: Final = 4 * 1024 * 1024

_id: Final = schema.identifier
_count: Final = schema.count
_optional_id: Final = schema.nullable(_id)
_optional_day: Final = schema.nullable(schema.day)

_COMMON: Final[Mapping[str, Check]] = {
    "v": _count,
    "type": _id,
    "at": schema.instant,
    "tenant": schema.nullable(schema.alias),
    "seq": schema.nullable(_count),
    "prev": schema.nullable(_count),
}

_DOCUMENT: Final = schema.record({"kind": _id, "id": _id, "version": schema.version, "hash": schema.sha256})
_STEP: Final = schema.record(
    {
        "step": _id,
        "dataset": _id,
        "store": _id,
        "action": schema.one_of("delete", "anonymise", "detach", "restrict", "export"),
        "expected": _count,
        "limit": _count,
    },
)
_CHECKED: Final = schema.record(
    {
        "step": _id,
        "dataset": _id,
        "store": _id,
        "residue": _count,
        "orphans": _count,
        "undatable": _count,
        "unattributed": _count,
        "contested": _count,
    },
)
_EXPORTED: Final = schema.record({"dataset": _id, "store": _id, "rows": _count, "digest": schema.keyed})

_OPERATOR: Final[Mapping[str, Check]] = {"operator": _id, "public_key": schema.public_key}
_MANDATE: Final[Mapping[str, Check]] = {
    "mandate": _id,
    "rule": _id,
    "template_hash": schema.sha256,
    "operator": _id,
    "signature": schema.signature,
    "expires_on": schema.day,
}
_CONTROL: Final[Mapping[str, Check]] = {
    "operator": _optional_id,
    "reason": schema.one_of("operator", "file", "database", "signal", "unreadable", "guard"),
}
_DATASETS: Final = schema.listing(_id, at_least=1)

TYPES: Final[Mapping[str, Mapping[str, Check]]] = {
    "deployment.created": {"deployment": _id, "tool_version": schema.version},
    "documents.accepted": {"policy_hash": schema.sha256, "documents": schema.listing(_DOCUMENT, at_least=1)},
    "operator.added": _OPERATOR,
    "operator.removed": _OPERATOR,
    "tenant.changed": {
        "change": schema.one_of("registered", "notice", "ended", "resumed", "closed", "choice"),
        "agreement": _id,
        "agreement_version": schema.version,
        "effective_on": _optional_day,
        "choice": schema.nullable(schema.one_of("delete", "return")),
        "form": schema.nullable(
            schema.one_of("written", "text", "oral", "portal", "api", "agreement-default", "section-264-2-bgb"),
        ),
    },
    "instruction.recorded": {
        "instruction": _id,
        "kind": _id,
        "state": _id,
        "channel": _id,
        "reference_digest": schema.nullable(schema.keyed),
    },
    "hold.set": {"hold": _id, "basis": _id, "datasets": _DATASETS},
    "hold.released": {"hold": _id, "basis": _id, "datasets": _DATASETS},
    "plan.created": {
        "plan": _id,
        "plan_hash": schema.sha256,
        "kind": schema.one_of("rule", "offboarding"),
        "rule": _optional_id,
        "author": _id,
        "steps": schema.listing(_STEP, at_least=1),
    },
    "plan.approved": {
        "plan": _id,
        "plan_hash": schema.sha256,
        "operator": _id,
        "signature": schema.signature,
    },
    "mandate.granted": _MANDATE,
    "mandate.renewed": _MANDATE,
    # A rule that changed ends its mandate by itself: nobody signs then.
    "mandate.revoked": {
        **_MANDATE,
        "operator": _optional_id,
        "signature": schema.nullable(schema.signature),
    },
    "job.started": {
        "job": _id,
        "plan": _id,
        "plan_hash": schema.sha256,
        "mandate": _optional_id,
        "effective_now": schema.instant,
    },
    "batch.intent": {"job": _id, "step": _id, "batch": _id, "number": _count, "limit": _count},
    "batch.receipt": {
        "job": _id,
        "step": _id,
        "batch": _id,
        "deleted": _count,
        "kept": _count,
        "late": _count,
        "digest": schema.keyed,
    },
    "batch.void": {"job": _id, "step": _id, "batch": _id},
    "job.finished": {
        "job": _id,
        "outcome": schema.one_of("done", "partial", "refused", "stopped"),
        "deleted": _count,
        "batches": _count,
    },
    "verification.done": {
        "job": _id,
        "verifier": _id,
        "checks": schema.listing(_CHECKED, at_least=1),
        "unknown": _count,
        "coverage_complete": schema.boolean,
    },
    "run.summary": {"job": _id, "day": schema.day, "deleted": _count},
    "export.delivered": {
        "export": _id,
        "manifest_hash": schema.sha256,
        "datasets": schema.listing(_EXPORTED),
        "expires_on": schema.day,
    },
    "certificate.issued": {
        "certificate": _id,
        "number": _id,
        "job": _id,
        "statement_hash": schema.sha256,
        "supersedes": _optional_id,
    },
    "control.stopped": _CONTROL,
    "control.resumed": _CONTROL,
    "guard.refused": {"guard": _id, "rule": _optional_id, "job": _optional_id},
}

_OF_A_TENANT: Final = frozenset({"tenant.changed", "run.summary", "export.delivered"})
_OF_NO_TENANT: Final = frozenset(
    {"deployment.created", "documents.accepted", "operator.added", "operator.removed"},
)


def encode_entry(entry: Mapping[str, Any]) -> bytes:
    """The bytes of a log leaf.

    Raises:
        Malformed: a field is missing, unknown or not of its form.
    """
    document = dict(entry)
    _check(document)
    return canonical.encode(document)


def decode_entry(data: bytes) -> dict[str, Any]:
    """The entry of a log leaf: ``encode_entry(decode_entry(data)) == data``.

    Raises:
        Malformed: not the canonical bytes of an entry.
    """
    document = canonical.decode(data, at_most=MAX_ENTRY)
    if not isinstance(document, dict):
        raise Malformed("entry: not an object")
    _check(document)
    return document


def _check(entry: dict[str, Any]) -> None:
    kind = entry.get("type")
    fields = TYPES.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise Malformed("entry.type: none that this version knows")
    schema.check_fields(entry, {**_COMMON, **fields}, "entry")
    if entry["v"] != VERSION:
        raise Malformed("entry.v: not 1")
    _check_chain(entry)
    _check_tenancy(entry)
    if entry["type"] == "mandate.revoked" and (entry["operator"] is None) != (entry["signature"] is None):
        raise Malformed("entry.signature: an operator signs, nobody does not")


def _check_chain(entry: Mapping[str, Any]) -> None:
    """Whether seq and prev are there exactly when a tenant is, and prev exactly from the second entry on."""
    tenant, seq, prev = entry["tenant"], entry["seq"], entry["prev"]
    if (tenant is None) != (seq is None):
        raise Malformed("entry.seq: belongs to a tenant")
    if (prev is None) == bool(seq):
        raise Malformed("entry.prev: null for the first entry of a tenant and for entries of none, else an index")


def _check_tenancy(entry: Mapping[str, Any]) -> None:
    kind, tenant = entry["type"], entry["tenant"]
    owned = kind in _OF_A_TENANT or (kind == "plan.created" and entry["kind"] == "offboarding")
    if owned and tenant is None:
        raise Malformed("entry.tenant: missing")
    if kind in _OF_NO_TENANT and tenant is not None:
        raise Malformed("entry.tenant: not for this type")

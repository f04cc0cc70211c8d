"""The certificate's statement: an in-toto Statement v1 about a plan, with a closed predicate.

What it says can be recomputed from the log's entries; ``lifecycle.evidence.verify`` does so. What cannot — firms,
clauses, titles, limits — is text of bounded length without hidden characters, never a name of a person.

``datasets`` has one member for each step of the plan, in the plan's order; of ``deleted``, ``anonymised`` and
``changed`` (detached, restricted) only the one that fits the method is above 0. ``approvals`` are operators who signed
this plan; a standing approval is named by ``mandate``. ``evidence.first_index`` is the entry
``plan.created``, ``last_index`` the ``verification.done`` that the statement rests on; ``log_size`` is the log's size
when the statement was made; ``period`` runs from ``job.started`` to ``job.finished``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lifecycle.evidence import canonical, schema
from lifecycle.evidence.digest import digest
from lifecycle.evidence.envelope import PREDICATE_TYPE, STATEMENT_TYPE
from lifecycle.evidence.errors import Malformed
from lifecycle.evidence.schema import Check

VERSION: Final = 1
MAX_STATEMENT: Final = 8 * 1024 * 1024
COMPLETENESS: Final = ("provisional", "final", "final-with-residue")

_id: Final = schema.identifier
_count: Final = schema.count
_line: Final = schema.text(300)
_optional_day: Final = schema.nullable(schema.day)
_optional_id: Final = schema.nullable(_id)
_role: Final = schema.one_of("processor", "controller")

_DATASET: Final = schema.record(
    {
        "step": _id,
        "store": _id,
        "dataset": _id,
        "category": _id,
        "rule": _id,
        "method": schema.one_of("delete", "anonymise", "detach", "restrict", "export"),
        "selected": _count,
        "deleted": _count,
        "anonymised": _count,
        "changed": _count,
        "kept": _count,
        "failed": _count,
        "remaining": _count,
        "late": _count,
        "commitment": schema.sha256,
    },
)
_WITHHELD: Final = schema.record(
    {
        "legal_ground": _line,
        "duty_holder": _role,
        "dataset": _id,
        "count": _count,
        "ends_on": _optional_day,
        "review_on": _optional_day,
    },
)
_COPIES: Final = schema.record(
    {
        "backups": schema.listing(
            schema.record(
                {
                    "name": _id,
                    "state": schema.one_of("pending", "gone"),
                    "gone_by": _optional_day,
                    "deleted_again_on_restore": schema.boolean,
                },
            ),
            at_most=1000,
        ),
        "replicas": schema.listing(
            schema.record({"name": _id, "kind": _id, "state": schema.one_of("pending", "gone")}),
            at_most=1000,
        ),
        "subprocessors": schema.listing(
            schema.record({"firm": _line, "requested_on": _optional_day, "deleted_on": _optional_day}),
            at_most=1000,
        ),
    },
)

FIELDS: Final[Mapping[str, Check]] = {
    "v": _count,
    "type": schema.one_of("run", "tenant"),
    "title": _line,
    "completeness": schema.one_of(*COMPLETENESS),
    "certificate": _id,
    "number": _id,
    "issued_at": schema.instant,
    "supersedes": _optional_id,
    "tenant": schema.nullable(schema.alias),
    "job": _id,
    "plan": _id,
    "parties": schema.record(
        {
            "processor": _line,
            "controller": schema.nullable(_line),
            "customer_number": schema.nullable(_line),
            "role": schema.one_of("processor", "own-controller"),
        },
    ),
    "agreement": schema.record(
        {
            "id": _id,
            "version": _line,
            "clauses": schema.listing(_line, at_most=1000),
            "policy_hash": schema.sha256,
        },
    ),
    "trigger": schema.one_of("rule", "contract-end", "instruction"),
    "notice_on": _optional_day,
    "contract_end": _optional_day,
    "window": schema.nullable(schema.record({"from": schema.day, "to": schema.day})),
    "choice": schema.nullable(
        schema.record(
            {
                "choice": schema.one_of("delete", "return"),
                "by": schema.one_of("controller", "agreement-default", "section-264-2-bgb"),
                "on": _optional_day,
            },
        ),
    ),
    "instruction": _optional_id,
    "legal_references": schema.listing(_line, at_most=100),
    "period": schema.record({"from": schema.instant, "to": schema.instant}),
    "clock": schema.record(
        {"effective_now": schema.instant, "zone": schema.pattern(r"[A-Za-z0-9_+/-]{1,60}", "a zone")}
    ),
    "datasets": schema.listing(_DATASET, at_least=1),
    "withheld": schema.listing(_WITHHELD),
    "undatable": _count,
    "unattributed": _count,
    "contested": _count,
    "copies": _COPIES,
    "export": schema.nullable(
        schema.record(
            {
                "state": schema.one_of("offered", "delivered", "declined"),
                "manifest_hash": schema.nullable(schema.sha256),
            },
        ),
    ),
    "verification": schema.record({"verifier": _id, "method": _line, "at": schema.instant, "index": _count}),
    "evidence": schema.record(
        {"origin": _line, "log_size": _count, "first_index": _count, "last_index": _count, "open_intents": _count},
    ),
    "approvals": schema.listing(_id, at_most=100),
    "mandate": _optional_id,
    "limits": schema.listing(schema.text(600), at_most=100),
    "tool": schema.record({"version": schema.version, "build_hash": schema.nullable(schema.sha256)}),
}


def encode_statement(predicate: Mapping[str, Any], plan_hash: str) -> bytes:
    """The bytes to sign: an in-toto Statement whose subject is the plan.

    Args:
        predicate: exactly the fields of ``FIELDS``.
        plan_hash: ``sha256:…`` of the plan's canonical bytes.

    Raises:
        Malformed: a field is missing, unknown, not of its form, or contradicts another one.
    """
    schema.sha256(plan_hash, "statement.subject")
    document = dict(predicate)
    _check(document)
    return canonical.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "plan", "digest": {"sha256": plan_hash.removeprefix("sha256:")}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": document,
        },
    )


def decode_statement(payload: bytes) -> tuple[dict[str, Any], str]:
    """The predicate and the plan's hash of a statement's bytes.

    Raises:
        Malformed: not the canonical bytes of such a statement.
    """
    match canonical.decode(payload, at_most=MAX_STATEMENT):
        case {
            "_type": str(kind),
            "predicateType": str(predicate_type),
            "subject": [{"name": "plan", "digest": {"sha256": str(sha256), **more_digests}, **more_names}],
            "predicate": dict(predicate),
            **rest,
        } if not (rest or more_digests or more_names):
            pass
        case _:
            raise Malformed("statement: not an in-toto statement about one plan")
    if kind != STATEMENT_TYPE or predicate_type != PREDICATE_TYPE:
        raise Malformed("statement: another type of statement or predicate")
    plan_hash = f"sha256:{sha256}"
    schema.sha256(plan_hash, "statement.subject")
    _check(predicate)
    return predicate, plan_hash


def commitment(receipt_digests: Iterable[str]) -> str:
    """What a certificate says about the items of one step.

    Args:
        receipt_digests: the ``digest`` fields of the step's receipts, in the order of the log.

    Returns:
        ``sha256:…`` over these texts, each followed by a newline: a digest of keyed digests names no item.
    """
    return digest(b"".join(text.encode("ascii") + b"\n" for text in receipt_digests))


def _check(predicate: dict[str, Any]) -> None:
    schema.check_fields(predicate, FIELDS, "statement")
    if predicate["v"] != VERSION:
        raise Malformed("statement.v: not 1")
    if predicate["type"] == "tenant" and predicate["tenant"] is None:
        raise Malformed("statement.tenant: missing")
    if predicate["evidence"]["open_intents"]:
        raise Malformed("statement.evidence.open_intents: not 0")
    export = predicate["export"]
    if export and (export["state"] == "delivered") != (export["manifest_hash"] is not None):
        raise Malformed("statement.export.manifest_hash: belongs to a delivered export")
    if predicate["completeness"] != "provisional":
        _check_final(predicate)


def _check_final(predicate: dict[str, Any]) -> None:
    """Final means: nothing undecided is left, every copy is gone; what is withheld is named in the title's sense."""
    withheld = sum(group["count"] for group in predicate["withheld"])
    if (predicate["completeness"] == "final-with-residue") != (withheld > 0):
        raise Malformed("statement.completeness: does not fit what is withheld")
    if predicate["undatable"] or predicate["unattributed"] or predicate["contested"]:
        raise Malformed("statement.completeness: undatable, unattributed or contested items are left")
    copies = predicate["copies"]
    pending = any(copy["state"] == "pending" for copy in [*copies["backups"], *copies["replicas"]])
    if pending or any(copy["deleted_on"] is None for copy in copies["subprocessors"]):
        raise Malformed("statement.completeness: copies are pending")

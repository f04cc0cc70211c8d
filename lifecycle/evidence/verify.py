"""Verification of a bundle, offline: from bytes, public keys and anchors to a verdict.

Nothing that the bundle says about itself is believed: every hash, path, signature, sum and order is computed again. Any
input gives a report, never an exception.

What a single bundle cannot show, because it holds only its own part of the log: that a mandate was not revoked by an
entry that was left out, that an operator had not been removed before signing (the trust file decides who counts), and
that a plan equals its mandate's template (its hash stands in the log; the template is made by the planner). An auditor
with the whole log can check all three.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lifecycle.evidence import canonical, merkle
from lifecycle.evidence.bundle import Bundle, unpack_bundle
from lifecycle.evidence.case import Case
from lifecycle.evidence.checkpoint import Checkpoint
from lifecycle.evidence.digest import digest
from lifecycle.evidence.entry import decode_entry
from lifecycle.evidence.envelope import open_envelope
from lifecycle.evidence.errors import EvidenceError, Malformed
from lifecycle.evidence.findings import Finding, Report, incomplete, invalid
from lifecycle.evidence.job import judge
from lifecycle.evidence.schema import parse_instant
from lifecycle.evidence.statement import decode_statement
from lifecycle.evidence.trust import Trust, open_log_checkpoint, open_notes

# How far the reader's clock may be behind the issuer's.
FUTURE_TOLERANCE: Final = dt.timedelta(minutes=5)


def verify(data: bytes, trust: Trust, *, now: dt.datetime | None = None) -> Report:
    """Judge a bundle.

    Args:
        data: the bundle's bytes.
        trust: whom the reader believes.
        now: the reader's aware time, if the bundle's dates shall be compared with it; without it the dates are only
            compared with each other.

    Returns:
        The findings, and what the bundle proves. Deterministic; reads no clock, no file, no network.
    """
    findings: list[Finding] = []
    try:
        bundle = unpack_bundle(data)
        checkpoint = open_log_checkpoint(bundle.checkpoint, trust)
        payload = open_envelope(bundle.certificate, trust.certificate_keys)
        entries = _open_entries(bundle, checkpoint)
        predicate, plan_hash = decode_statement(payload)
        plan = _open_plan(bundle.plan, plan_hash)
        findings += _history(bundle, checkpoint, trust)
    except EvidenceError as error:
        return Report((*findings, invalid("unacceptable", str(error))), {})
    case = Case(
        predicate=predicate,
        statement_hash=digest(payload),
        plan_hash=plan_hash,
        plan=plan,
        entries=entries,
        trust=trust,
    )
    findings += judge(case)
    if now is not None:
        findings += _future(case, now)
    report = Report(tuple(findings), _facts(case, checkpoint, trust))
    return Report(report.findings, {}) if report.verdict == "invalid" else report


def _open_plan(plan: bytes, plan_hash: str) -> Mapping[str, Any]:
    if digest(plan) != plan_hash:
        raise Malformed("the plan is not the one that the certificate is about")
    document = canonical.decode(plan)
    if not isinstance(document, dict):
        raise Malformed("the plan is not a document")
    return document


def _open_entries(bundle: Bundle, checkpoint: Checkpoint) -> dict[int, dict[str, Any]]:
    """The entries, ascending, each of which lies in the log at its index."""
    entries: dict[int, dict[str, Any]] = {}
    for index in sorted(bundle.entries):
        data = bundle.entries[index]
        leaf = merkle.leaf_hash(data)
        if not merkle.verify_inclusion(leaf, index, checkpoint.size, bundle.proofs[index], checkpoint.root):
            raise Malformed(f"entry {index} is not in the log")
        entries[index] = decode_entry(data)
    return entries


def _history(bundle: Bundle, checkpoint: Checkpoint, trust: Trust) -> Iterator[Finding]:
    """Whether the checkpoint, and each one kept elsewhere, are states of one and the same log.

    Raises:
        EvidenceError: a checkpoint in the bundle that the log did not sign.
    """
    carried = {state.size: state for state in open_notes(bundle.anchors, trust)}
    anchors = {state.size: state for state in trust.opened_anchors()}
    # A checkpoint without its proof, or a proof without its checkpoint, proves nothing and could be anything.
    spans = {(min(size, checkpoint.size), max(size, checkpoint.size)): size for size in carried}
    if bundle.consistency.keys() != spans.keys() or checkpoint.size in carried:
        yield invalid("stray-proof", "the bundle's checkpoints and its consistency proofs do not belong together")
        return
    for (old, new), size in spans.items():
        older, newer = (checkpoint, carried[size]) if old == checkpoint.size else (carried[size], checkpoint)
        if not merkle.verify_consistency(old, older.root, new, newer.root, bundle.consistency[old, new]):
            yield invalid("rewritten-log", f"the log of size {new} does not begin with the log of size {old}")
    states = {**carried, checkpoint.size: checkpoint}
    for size in anchors.keys() & states.keys():
        if anchors[size] != states[size]:
            yield invalid("split-log", f"the bundle and the trust file hold different logs of size {size}")
    if not anchors:
        yield incomplete("no-anchor", "the trust file has no anchor: a log that was rewritten would not be noticed")
    elif not anchors.keys() <= states.keys():
        yield incomplete("anchor-unproven", "the bundle has no consistency proof for an anchor of the trust file")


def _future(case: Case, now: dt.datetime) -> Iterator[Finding]:
    latest = max([case.predicate["issued_at"], *(entry["at"] for entry in case.entries.values())])
    if parse_instant(latest) - FUTURE_TOLERANCE > now:
        yield invalid("future", "the certificate or an entry is dated in the future")


def _facts(case: Case, checkpoint: Checkpoint, trust: Trust) -> dict[str, Any]:
    """What a reader wants to know of a certificate that holds; every text in it is of the closed statement schema."""
    predicate = case.predicate
    names = ("certificate", "number", "title", "type", "completeness", "issued_at", "supersedes", "job", "tenant")
    return {
        **{name: predicate[name] for name in names},
        "parties": predicate["parties"],
        "agreement": predicate["agreement"],
        "plan_hash": case.plan_hash,
        "statement_hash": case.statement_hash,
        "approvals": predicate["approvals"],
        "mandate": predicate["mandate"],
        "datasets": predicate["datasets"],
        "withheld": predicate["withheld"],
        "limits": predicate["limits"],
        "origin": checkpoint.origin,
        "log_size": checkpoint.size,
        "entries": len(case.entries),
        "anchors": sorted(trust.anchors),
    }

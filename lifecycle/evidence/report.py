"""A report in words, for people, and as JSON, for machines."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lifecycle.evidence.findings import Report

_HEADLINE: Final = {
    "valid": "VALID (gültig): the certificate holds; everything it states about the log was recomputed.",
    "incomplete": "INCOMPLETE (unvollständig): nothing contradicts the certificate, but a proof is missing.",
    "invalid": "INVALID (ungültig): do not rely on this certificate.",
}
_COMPLETENESS: Final = {
    "provisional": "provisional (vorläufig)",
    "final": "final (abschließend)",
    "final-with-residue": "final with residue (mit Rest)",
}


def as_json(report: Report) -> str:
    """One JSON object: verdict, findings, facts."""
    findings = [{"kind": f.kind, "code": f.code, "message": f.message} for f in report.findings]
    document = {"verdict": report.verdict, "findings": findings, "facts": report.facts}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)


def as_text(report: Report) -> str:
    """Lines for a terminal: the verdict first, then why, then what is proven."""
    lines = [_HEADLINE[report.verdict]]
    lines += [f"  {finding.kind} [{finding.code}] {finding.message}" for finding in report.findings]
    if report.facts:
        lines += ["", *_facts(report.facts)]
    return "\n".join(lines)


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    agreement, parties = facts["agreement"], facts["parties"]
    yield f"{facts['title']} {facts['number']}, {_COMPLETENESS[facts['completeness']]}"
    yield f"  issued      {facts['issued_at']}"
    if facts["supersedes"]:
        yield f"  supersedes  {facts['supersedes']}"
    yield f"  processor   {parties['processor']}"
    if parties["controller"]:
        yield f"  controller  {parties['controller']}"
    yield f"  agreement   {agreement['id']} {agreement['version']}"
    yield f"  plan        {facts['plan_hash']}"
    approved = ", ".join(facts["approvals"]) or "-"
    yield f"  approved by {approved}" + (f", mandate {facts['mandate']}" if facts["mandate"] else "")
    yield f"  log         {facts['origin']}, {facts['log_size']} entries, {facts['entries']} of them in the bundle"
    yield f"  anchors     {', '.join(map(str, facts['anchors'])) or '-'}"
    yield "  deleted / anonymised / kept / remaining, by dataset:"
    for row in facts["datasets"]:
        counts = " / ".join(str(row[name]) for name in ("deleted", "anonymised", "kept", "remaining"))
        yield f"    {row['store']}.{row['dataset']} ({row['rule']}): {counts}"
    for group in facts["withheld"]:
        until = group["ends_on"] or "review " + (group["review_on"] or "open")
        yield f"  withheld    {group['dataset']}: {group['count']} — {group['legal_ground']} ({until})"
    for limit in facts["limits"]:
        yield f"  limit       {limit}"

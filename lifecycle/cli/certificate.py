"""`lifecycle certificate`: signed statements about verified jobs, and the bundles that prove them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import NAME, output_option
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.flow.certify import Certificate
    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.provisional import Open


@verbs("certificate", example="certificate issue 1a2b3c4d\ncertificate bundle 2026-000001 -o acme.bundle")
def command() -> None:
    """Issue, show and hand out deletion certificates (Löschbestätigung, Löschnachweis)."""


@command.verb("list", example="certificate list")
@pass_session
def list_(session: Session) -> None:
    """Show all certificates, the oldest first; tenants by alias."""
    from lifecycle.flow.certify import certificates

    with session.open(stores=False) as deployment:
        found = certificates(deployment)
    rows = [(c.number, c.title, c.completeness, c.tenant, f"{c.issued_at:%Y-%m-%d}", c.supersedes) for c in found]
    headers = ("number", "title", "completeness", "tenant", "issued", "supersedes")
    session.show({"certificates": [_document(c) for c in found]}, Page().table(headers, rows))


@command.verb("show", example="certificate show 2026-000001")
@click.argument("number", type=NAME)
@pass_session
def show(session: Session, number: str) -> None:
    """Show what a certificate states; its own signature is checked first."""
    from lifecycle.flow.certify import find
    from lifecycle.flow.provisional import left_open

    with session.open(stores=False) as deployment:
        certificate = find(deployment, number)
        statement = _statement(deployment, certificate)
        reasons = left_open(deployment, certificate, statement)
    session.show(_whole(certificate, statement, reasons), _page(certificate, statement, reasons))


@command.verb("issue", example="certificate issue 1a2b3c4d")
@click.argument("plan_hash", metavar="HASH")
@pass_session
def issue(session: Session, plan_hash: str) -> None:
    """Sign what the log proves about a plan's finished and verified job."""
    from lifecycle.flow import certify
    from lifecycle.flow.cycle import settle
    from lifecycle.flow.plans import find_hash
    from lifecycle.flow.provisional import left_open

    with session.open() as deployment:
        certificate = certify.issue(deployment, find_hash(deployment, plan_hash))
        settle(deployment)
        statement = _statement(deployment, certificate)
        reasons = left_open(deployment, certificate, statement)
    session.show(_whole(certificate, statement, reasons), _page(certificate, statement, reasons))


@command.verb("bundle", example="certificate bundle 2026-000001 -o acme.bundle")
@click.argument("number", type=NAME)
@output_option("the bundle")
@pass_session
def bundle(session: Session, number: str, output: Path) -> None:
    """Write everything that an auditor needs beside the trust file."""
    from lifecycle.flow import certify
    from lifecycle.wiring.outside import replace

    with session.open(stores=False) as deployment:
        content = certify.bundle(deployment, certify.find(deployment, number))
    replace(output, content)
    page = Page().line(f"{output}: {len(content):,} bytes", "good")
    page.line(f"To check: lifecycle verify {output} --trust trust.yaml; `lifecycle evidence trust` writes that file.")
    session.show({"number": number, "file": str(output), "bytes": len(content)}, page)


def _statement(deployment: Deployment, certificate: Certificate) -> dict[str, Any]:
    from lifecycle.evidence.envelope import open_envelope
    from lifecycle.evidence.statement import decode_statement

    payload = open_envelope(certificate.envelope.encode(), [deployment.keys.certificate.public])
    return decode_statement(payload)[0]


def _document(certificate: Certificate) -> dict[str, Any]:
    return certificate.model_dump(mode="json", exclude={"envelope"})


def _whole(certificate: Certificate, statement: dict[str, Any], reasons: Sequence[Open]) -> dict[str, Any]:
    open_ = [{"what": one.what, "then": one.then} for one in reasons]
    return {**_document(certificate), "provisional_because": open_, "statement": statement}


def _until(group: dict[str, Any]) -> str:
    """Say whose duty it is and until when; where no day is known it may be nobody's duty, such as under a hold."""
    return f"{group['duty_holder']}'s duty, until {group['ends_on']}" if group["ends_on"] else "no day is known yet"


def _page(certificate: Certificate, statement: dict[str, Any], reasons: Sequence[Open]) -> Page:
    page = Page().line(f"{certificate.title} {certificate.number} ({certificate.completeness})", "head")
    page.lines((f"provisional: {one.what}; {one.then}" for one in reasons), "warn")
    agreement, period = statement["agreement"], statement["period"]
    page.pairs(
        [
            ("processor", statement["parties"]["processor"]),
            ("controller", statement["parties"]["controller"]),
            ("tenant", certificate.tenant),
            ("agreement", f"{agreement['id']} {agreement['version']}, {', '.join(agreement['clauses']) or 'own rule'}"),
            ("period", f"{period['from']} to {period['to']}"),
            ("approved by", ", ".join(statement["approvals"]) or statement["mandate"]),
            ("plan", certificate.plan_hash),
            ("verified", f"{statement['verification']['at']}: {statement['verification']['method']}"),
            ("supersedes", certificate.supersedes),
        ],
        indent=2,
    )
    headers = ("dataset", "store", "rule", "selected", "deleted", "anonymised", "changed", "kept", "late", "remaining")
    page.table(headers, [[dataset[name] for name in headers] for dataset in statement["datasets"]])
    page.lines(
        f"withheld: {group['count']} of {group['dataset']}: {group['legal_ground']}, {_until(group)}"
        for group in statement["withheld"]
    )
    page.lines(
        f"backup {copy['name']}: {copy['state']}, gone by {copy['gone_by']}" for copy in statement["copies"]["backups"]
    )
    return page.lines((f"limit: {limit}" for limit in statement["limits"]), "dim")

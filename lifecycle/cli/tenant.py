"""`lifecycle tenant`: whose data it is, under which agreement, and where the contract stands."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click

from lifecycle.cli import tenant_view as view
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import A_DAY, FILE, LINE, NAME, TENANT, tenant_argument
from lifecycle.cli.session import Session, pass_session, verbs

CHOICE = click.Choice(["delete", "return"])


@verbs("tenant", example="tenant list\ntenant import tenants.csv\ntenant end acme --on 2026-12-31 --choice delete")
def command() -> None:
    """Keep the register of tenants: agreement, parameters, notice, end of contract, choice."""


@command.verb("list", example="tenant list")
@pass_session
def list_(session: Session) -> None:
    """Show ids and aliases of all tenants; the alias stands for the tenant in plans, logs and certificates."""
    from lifecycle.flow.scopes import tenants

    with session.open(stores=False) as deployment:
        known = [(deployment.alias(tenant.id), tenant) for tenant in tenants(deployment)]
    headers = ("tenant", "alias", "agreement", "state", "contract end")
    rows = [(t.id, alias, f"{t.agreement} {t.agreement_version or ''}", t.state, t.contract_end) for alias, t in known]
    session.show({"tenants": [view.document(alias, tenant) for alias, tenant in known]}, Page().table(headers, rows))


@command.verb("show", example="tenant show acme")
@tenant_argument
@pass_session
def show(session: Session, tenant: str) -> None:
    """Show one tenant's register entry and the dates of its contract's end."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        seen = offboard.view(deployment, offboard.find(deployment, tenant))
    session.show(view.full_document(seen), view.page(seen))


@command.verb("add", example="tenant add acme --agreement clientport --start 2024-01-01")
@click.argument("name", type=TENANT, metavar="ID")
@click.option("--agreement", type=NAME, required=True, help="The agreement that binds it.")
@click.option("--agreement-version", type=LINE, help="Its version, where several are in force.")
@click.option("--individual", type=NAME, help="The individual agreement, if there is one.")
@click.option("--start", "contract_start", type=A_DAY, help="First day of the contract.")
@click.option(
    "--parameter", "parameters", type=LINE, multiple=True, metavar="NAME=PERIOD", help="Set by the controller."
)
@click.option("--licence", type=LINE, help="Active licence, where the export offer depends on it.")
@click.option("--firm", type=LINE, help="Firm, for the certificate.")
@click.option("--customer-number", type=LINE, help="Customer number, for the certificate.")
@click.option("--authorised", type=NAME, multiple=True, help="Role or pseudonym of a person who may instruct.")
@click.option("--federal-state", type=LINE, help="Two letters: its public holidays count.")
@pass_session
def add(session: Session, /, name: str, parameters: tuple[str, ...], **fields: Any) -> None:
    """Enter one tenant. Its promises must be complete: a missing parameter is an error, never a default."""
    from lifecycle.documents import check_tenants
    from lifecycle.flow.offboard import register

    tenant = view.tenant_from(name, parameters, fields)
    with session.open(stores=False) as deployment:
        check_tenants([tenant], deployment.policy.agreements, "tenant add")
        alias = register(deployment, tenant)
    session.show({"tenant": name, "alias": alias}, Page().line(f"Registered under the alias {alias}.", "good"))


@command.verb("import", example="tenant import tenants.csv")
@click.argument("file", type=FILE, metavar="FILE")
@pass_session
def import_(session: Session, file: Path) -> None:
    """Bring the register in line with a YAML, JSONL or CSV file; nobody is ended or removed by it."""
    from lifecycle.core.errors import Refused
    from lifecycle.documents import check_tenants, load_tenants
    from lifecycle.flow.offboard import sync

    declared = load_tenants(file)
    if declared.source is not None:
        raise Refused("tenants from a table are not built yet", guard="not-built", advice="Import a list of tenants.")
    with session.open(stores=False) as deployment:
        check_tenants(declared.tenants, deployment.policy.agreements, file.name)
        counts = sync(deployment, list(declared.tenants))
    page = Page().line(f"{counts['new']} new, {counts['changed']} changed.", "good")
    if counts["missing"]:
        page.line(f"{counts['missing']} registered tenants are not in the file; they stay as they are.", "warn")
    session.show(counts, page)


@command.verb("notice", example="tenant notice acme --received 2026-09-30 --ends 2026-12-31")
@tenant_argument
@click.option("--received", type=A_DAY, required=True, help="Day on which the notice was received.")
@click.option("--ends", type=A_DAY, required=True, help="Last day of the contract.")
@pass_session
def notice(session: Session, tenant: str, received: date, ends: date) -> None:
    """Record the notice of termination and the day the contract will end."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        known = offboard.find(deployment, tenant)
        seen = offboard.view(deployment, offboard.notice(deployment, known, notice_on=received, ends_on=ends))
    session.show(view.full_document(seen), view.page(seen))


@command.verb("end", example="tenant end acme --on 2026-12-31 --choice delete")
@tenant_argument
@click.option("--on", "ends", type=A_DAY, required=True, help="Last day of the contract.")
@click.option("--choice", type=CHOICE, help="The controller's choice, if it was given (Art. 28(3)(g) GDPR).")
@pass_session
def end(session: Session, tenant: str, ends: date, choice: str | None) -> None:
    """Record the contract's end; deletion follows once the longest window has closed."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        known = offboard.find(deployment, tenant)
        seen = offboard.view(deployment, offboard.end(deployment, known, ends_on=ends, choice=choice))
    session.show(view.full_document(seen), view.page(seen))


@command.verb("choose", example="tenant choose acme delete --form text")
@tenant_argument
@click.argument("choice", type=CHOICE)
@click.option(
    "--form", type=NAME, default="text", show_default=True, help="How the choice arrived: text, written, portal."
)
@pass_session
def choose(session: Session, tenant: str, choice: Any, form: str) -> None:
    """Record the controller's choice between deletion and return."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        known = offboard.find(deployment, tenant)
        seen = offboard.view(deployment, offboard.choose(deployment, known, choice, form=form))
    session.show(view.full_document(seen), view.page(seen))


@command.verb("waive", example="tenant waive acme --on 2027-01-10")
@tenant_argument
@click.option("--on", "waived", type=A_DAY, required=True, help="Day from which the controller waives the window.")
@pass_session
def waive(session: Session, tenant: str, waived: date) -> None:
    """Record that the controller waived the rest of its pick-up window; no statute's floor gives way."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        known = offboard.find(deployment, tenant)
        seen = offboard.view(deployment, offboard.waive_window(deployment, known, waived_on=waived))
    session.show(view.full_document(seen), view.page(seen))


@command.verb("resume", example="tenant resume acme")
@tenant_argument
@pass_session
def resume(session: Session, tenant: str) -> None:
    """Withdraw the notice or renew the contract, while nothing has been deleted."""
    from lifecycle.flow import offboard

    with session.open(stores=False) as deployment:
        known = offboard.find(deployment, tenant)
        seen = offboard.view(deployment, offboard.resume(deployment, known))
    session.show(view.full_document(seen), view.page(seen))

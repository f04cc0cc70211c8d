"""`lifecycle apply`: an approved plan carried out, after the confirmation of a person or the hash of a machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lifecycle.cli import words
from lifecycle.cli.errors import PARTIAL, REFUSED
from lifecycle.cli.page import Page, clean
from lifecycle.cli.progress import progress
from lifecycle.cli.session import Session, pass_session, verb, write

if TYPE_CHECKING:
    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.execute import Ran

CODES = {"done": 0, "partial": PARTIAL, "refused": REFUSED, "stopped": REFUSED}


@verb("apply", example="apply 1a2b3c4d\napply sha256:1a2b… --yes sha256:1a2b…     without a terminal")
@click.argument("plan_hash", metavar="HASH")
@click.option("--yes", metavar="HASH", help="Confirm with the plan's hash, without a question: for machines.")
@pass_session
def command(session: Session, plan_hash: str, yes: str | None) -> None:
    """Carry out an approved plan, or go on with it where it stopped; then look at the result with fresh eyes."""
    from lifecycle.flow.cycle import settle
    from lifecycle.flow.execute import apply
    from lifecycle.flow.plans import find_hash

    with session.open() as deployment:
        full = find_hash(deployment, plan_hash)
        _confirm(session, deployment, full, yes)
        with progress(session) as observe:
            ran = apply(deployment, full, observe=observe)
        settle(deployment)
    code = CODES[ran.outcome] or (0 if ran.clean else PARTIAL)
    document = {"hash": full, "job": ran.job, "outcome": ran.outcome, "deleted": ran.deleted, "clean": ran.clean}
    session.show(document, _page(ran, full, code))
    if code:
        raise click.exceptions.Exit(code)


def _page(ran: Ran, full: str, code: int) -> Page:
    page = Page().line(
        f"{ran.outcome}: {words.count(ran.deleted, 'row')} changed by job {ran.job}.", "warn" if code else "good"
    )
    if ran.clean:
        page.line("A fresh look finds nothing left that the plan should have changed.", "good")
    else:
        page.line(
            "A fresh look still finds rows, orphans or an open batch: `lifecycle status`, then apply or plan again.",
            "bad",
        )
    return page.line(f"To certify: lifecycle certificate issue {words.short(full)}") if not code else page


def _confirm(session: Session, deployment: Deployment, full: str, yes: str | None) -> None:
    """Ask for the tenant's id or the first digits of the hash. Raises Refused unless it is typed."""
    from lifecycle.cli import plan_facts, plan_view
    from lifecycle.core.errors import Refused
    from lifecycle.flow.binding import tenant_of
    from lifecycle.flow.plans import find_hash

    if yes is not None:
        if find_hash(deployment, yes) != full:
            raise Refused(
                "--yes names another plan than HASH", guard="not-confirmed", advice="Write the same hash twice."
            )
        return
    if session.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("there is no terminal to confirm on: repeat the plan's hash, --yes HASH")
    fact = plan_facts.find(deployment, full)
    session.ask(plan_view.page(Page(), fact))
    wanted = tenant_of(deployment, fact.plan.tenant).id if fact.plan.tenant else words.short(full)
    what = "the tenant's id" if fact.plan.tenant else "the first eight digits of the hash"
    write(clean(f"This cannot be undone. Type {what} to go on: "), error=True)
    if sys.stdin.readline().rstrip("\r\n") != wanted:
        raise Refused("not confirmed; nothing was changed", guard="not-confirmed", advice="Run it again to confirm.")

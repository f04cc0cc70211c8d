"""`lifecycle plan`: what would be done, before anything happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.errors import CHANGES, PARTIAL
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE, NAME, TENANT
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.cli.plan_facts import Facts, Trouble
    from lifecycle.flow.deployment import Deployment

EXAMPLE = """\
plan                         everything that is due, rule by rule
plan server-logs             one rule; AGREEMENT/RULE where several agreements have it
plan --tenant acme --by op-one
plan --list
plan show 1a2b3c4d"""


@verb("plan", example=EXAMPLE)
@click.argument("words", nargs=-1, metavar="[RULE | show HASH]")
@click.option("--tenant", type=TENANT, help="Plan the deletion of everything that this ended tenant has.")
@click.option("--by", type=NAME, metavar="OPERATOR", help="Author of the plan: one's own signature will not count.")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Also write the plan's exact bytes to this file.")
@click.option("--items", is_flag=True, help="Also list keys of the rows, the first hundred of each step.")
@click.option("--list", "listing", is_flag=True, help="List the plans of this deployment.")
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="How many plans to list.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 when the plan would change something.")
@pass_session
def command(
    session: Session, words: tuple[str, ...], tenant: str | None, by: str | None, output: Path | None, items: bool,
    listing: bool, last: int, detailed_exitcode: bool,
) -> None:  # fmt: skip
    """Plan what is due: a rule, all rules, or an ended tenant. Nothing is changed; the plan waits for its approval."""
    from lifecycle.cli import plan_facts as facts
    from lifecycle.cli import plan_view as view

    showing = words[:1] == ("show",) and len(words) == 2
    if (len(words) > 1 and not showing) or (tenant is not None) + bool(words) + listing > 1:
        raise click.UsageError("name one rule, one tenant with --tenant, --list, or show HASH")
    if output and not (words or tenant):
        raise click.UsageError("a file holds one plan: name a rule or a tenant")
    with session.open() as deployment:
        if listing:
            found = facts.latest(deployment, last)
            session.show({"plans": [view.short_document(fact) for fact in found]}, view.listing(found))
            return
        made, errors = (
            _make(deployment, session, words, tenant, by) if not showing else ([facts.find(deployment, words[1])], [])
        )
        keys = {fact.hash: facts.keys(deployment, fact.plan) for fact in made} if items else {}
        if output and made:
            facts.write(deployment, made[0].hash, output)
    page = Page()
    for fact in made:
        view.page(page, fact, keys.get(fact.hash)).line()
    page.line("Nothing is due: there is nothing to plan.", "good") if not made and not errors else None
    page.lines((f"not planned: {rule}: {error.message}; {error.advice()}" for rule, error in errors), "warn")
    document = {
        "plans": [view.document(fact, keys.get(fact.hash)) for fact in made],
        "errors": [{"rule": rule, "message": error.message, "advice": error.advice()} for rule, error in errors],
    }
    session.show(document, page)
    changes = detailed_exitcode and any(fact.plan.expected() for fact in made)
    if errors or changes:
        raise click.exceptions.Exit((PARTIAL if made else max(e.exit_code for _, e in errors)) if errors else CHANGES)


def _make(
    deployment: Deployment, session: Session, words: tuple[str, ...], tenant: str | None, by: str | None
) -> tuple[list[Facts], list[Trouble]]:
    from lifecycle.cli import plan_facts as facts
    from lifecycle.flow.cycle import DAEMON

    if by is not None:
        deployment.operator(by, session.today())
    author = by or DAEMON
    if tenant is not None:
        return [facts.of_tenant(deployment, tenant, author)], []
    return facts.of_rules(deployment, words[0] if words else None, author)

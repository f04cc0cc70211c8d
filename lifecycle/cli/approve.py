"""`lifecycle approve`: a signature over a plan's hash."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli import words
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import by_option, key_option
from lifecycle.cli.session import Session, pass_session, verb


@verb(
    "approve",
    example="approve 1a2b3c4d --by op-one --key op-one.pem\napprove 1a2b3c4d --by op-one --key op-one.pem --mandate",
)
@click.argument("plan_hash", metavar="HASH")
@by_option
@key_option
@click.option("--mandate", is_flag=True, help="Also grant a mandate: the rule's later plans run without a signature.")
@click.option(
    "--most", type=click.IntRange(min=0), metavar="N", help="Most rows that a plan under the mandate may change."
)
@pass_session
def command(session: Session, plan_hash: str, by: str, key: Path, mandate: bool, most: int | None) -> None:
    """Sign a plan with an operator's key; a tenant's deletion needs two operators, neither its author."""
    from lifecycle.flow.approve import approve
    from lifecycle.flow.plans import find_hash
    from lifecycle.wiring.keys import signing_key

    if most is not None and not mandate:
        raise click.UsageError("--most bounds a mandate: add --mandate")
    with session.open(stores=False) as deployment:
        full = find_hash(deployment, plan_hash)
        signed = approve(deployment, full, by, signing_key(key), grant_mandate=mandate, most_items=most)
    granted = signed.mandate
    document = {
        "hash": full,
        "signed": list(signed.operators),
        "needed": signed.needed,
        "enough": signed.enough,
        "mandate": granted.id if granted else None,
        "mandate_expires_on": granted.expires_on.isoformat() if granted else None,
        "mandate_most_items": granted.most_items if granted else None,
    }
    page = Page().line(f"Signed by {', '.join(signed.operators)}: {len(signed.operators)} of {signed.needed}.", "good")
    if granted:
        page.line(f"Mandate {granted.id}: at most {granted.most_items:,} rows a run, until {granted.expires_on}.")
    carried = f"To carry out: lifecycle apply {words.short(full)}; the service's next tick does it otherwise."
    page.line(carried if signed.enough else "Another operator must sign.")
    session.show(document, page)

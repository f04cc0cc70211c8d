"""`lifecycle mandate`: standing approvals of routine rules."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import NAME, by_option, key_option
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.core.mandate import Mandate


@verbs("mandate", example="mandate list\nmandate renew m-0123456789ab --by op-one --key op-one.pem")
def command() -> None:
    """Show, renew and revoke mandates; one is granted with `lifecycle approve HASH --mandate`."""


@command.verb("list", example="mandate list")
@pass_session
def list_(session: Session) -> None:
    """Show all mandates: what they cover, until when, and which ended."""
    from lifecycle.core.mandate import Mandate
    from lifecycle.flow import registers

    with session.open(stores=False) as deployment:
        documents = [_document(m, session.today()) for m in registers.every(deployment.state, "mandate", Mandate)]
    headers = ("mandate", "rule", "most rows", "operator", "granted", "expires", "state")
    rows = [
        (
            d["id"],
            f"{d['agreement']}/{d['rule']}",
            d["most_items"],
            d["operator"],
            d["granted_on"],
            d["expires_on"],
            d["state"],
        )
        for d in documents
    ]
    session.show({"mandates": documents}, Page().table(headers, rows))


@command.verb("renew", example="mandate renew m-0123456789ab --by op-one --key op-one.pem")
@click.argument("name", type=NAME, metavar="MANDATE")
@by_option
@key_option
@pass_session
def renew(session: Session, name: str, by: str, key: Path) -> None:
    """Sign a mandate for another twelve months."""
    from lifecycle.flow import approve
    from lifecycle.wiring.keys import signing_key

    with session.open(stores=False) as deployment:
        mandate = approve.renew(deployment, name, by, signing_key(key))
    page = Page().line(f"Mandate {name} runs until {mandate.expires_on}.", "good")
    session.show(_document(mandate, session.today()), page)


@command.verb("revoke", example="mandate revoke m-0123456789ab --by op-one --key op-one.pem")
@click.argument("name", type=NAME, metavar="MANDATE")
@by_option
@key_option
@pass_session
def revoke(session: Session, name: str, by: str, key: Path) -> None:
    """End a mandate: its rule only observes until a plan is approved again."""
    from lifecycle.flow import approve
    from lifecycle.wiring.keys import signing_key

    with session.open(stores=False) as deployment:
        mandate = approve.revoke(deployment, name, by, signing_key(key))
    page = Page().line(f"Mandate {name} is revoked; its rule only observes from now on.", "good")
    session.show(_document(mandate, session.today()), page)


def _document(mandate: Mandate, today: date) -> dict[str, Any]:
    state = "live" if mandate.live(today) else "revoked" if mandate.revoked_on else "expired"
    if mandate.expires_soon(today):
        state = "renew now"
    shown = mandate.model_dump(mode="json", exclude={"signature"})
    return {**shown, "state": state}

"""`lifecycle stop`: the kill switch."""

from __future__ import annotations

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import NAME
from lifecycle.cli.session import Session, pass_session, verb


@verb("stop", example="stop --by op-one")
@click.option("--by", type=NAME, metavar="OPERATOR", help="Who stops; anybody may.")
@pass_session
def command(session: Session, by: str | None) -> None:
    """Stop everything before the next batch; it stays stopped until `lifecycle resume`."""
    from lifecycle.flow.controls import stop

    with session.open() as deployment:
        stop(deployment, by)
    session.show(
        {"stopped": True, "by": by}, Page().line("Stopped: nothing is changed until `lifecycle resume`.", "warn")
    )

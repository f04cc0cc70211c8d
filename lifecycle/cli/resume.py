"""`lifecycle resume`: the way back from `stop`, and from a clock that nobody trusted."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE, by_option
from lifecycle.cli.session import Session, pass_session, verb


@verb("resume", example="resume --by op-one\nresume --accept-clock --by op-one --key op-one.pem")
@by_option
@click.option("--accept-clock", is_flag=True, help="Say that the present time is right, after a long outage.")
@click.option("--key", type=FILE, metavar="FILE", help="The operator's private key; needed with --accept-clock.")
@pass_session
def command(session: Session, by: str, accept_clock: bool, key: Path | None) -> None:
    """Allow changes again after a stop."""
    if accept_clock and key is None:
        raise click.UsageError("--accept-clock needs the operator's --key FILE")
    from lifecycle.flow.controls import accept_clock as accept
    from lifecycle.flow.controls import resume
    from lifecycle.wiring.keys import signing_key

    with session.open() as deployment:
        deployment.operator(by, session.today())
        if key is not None and accept_clock:
            accept(deployment, by, signing_key(key))
        else:
            resume(deployment, by)
    what = "The present time is accepted." if accept_clock else "Changes are allowed again."
    document = {"stopped": None if accept_clock else False, "clock_accepted": accept_clock, "by": by}
    session.show(document, Page().line(what, "good"))

"""`lifecycle resume`: the way back from `stop`, and from a clock that nobody trusted."""

from __future__ import annotations

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import by_option
from lifecycle.cli.session import Session, pass_session, verb


@verb("resume", example="resume --by op-one\nresume --accept-clock --by op-one")
@by_option
@click.option("--accept-clock", is_flag=True, help="Say that the present time is right, after a long outage.")
@pass_session
def command(session: Session, by: str, accept_clock: bool) -> None:
    """Allow changes again after a stop."""
    from lifecycle.flow.controls import accept_clock as accept
    from lifecycle.flow.controls import resume

    with session.open() as deployment:
        deployment.operator(by, session.today())
        if accept_clock:
            accept(deployment, by)
        else:
            resume(deployment, by)
    what = "The present time is accepted." if accept_clock else "Changes are allowed again."
    document = {"stopped": None if accept_clock else False, "clock_accepted": accept_clock, "by": by}
    session.show(document, Page().line(what, "good"))

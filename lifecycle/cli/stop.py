"""`lifecycle stop`: the kill switch."""

from __future__ import annotations

import click

from lifecycle.cli.errors import PARTIAL
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import NAME
from lifecycle.cli.session import Session, pass_session, verb


@verb("stop", example="stop --by op-one")
@click.option("--by", type=NAME, metavar="OPERATOR", help="Who stops; anybody may.")
@pass_session
def command(session: Session, by: str | None) -> None:
    """Stop everything before the next batch; it stays stopped until `lifecycle resume`."""
    from lifecycle.core.errors import LifecycleError
    from lifecycle.flow.controls import stop
    from lifecycle.wiring.deployment import stop_file_of

    # First and with nothing else open: broken documents, keys or a history in doubt are no reason not to stop (I28).
    stop_file_of(session.path).stop()
    try:
        with session.open() as deployment:
            stop(deployment, by)
    except LifecycleError as error:
        page = Page().line("Stopped by file: processes of this folder change nothing until `lifecycle resume`.", "warn")
        page.line(f"Not in the register and the stores' fences: {error.message}", "bad")
        page.line("Other hosts go on: mend this, and stop again, or stop them there.", "bad")
        session.show({"stopped": True, "by": by, "only": "file", "why": error.message}, page)
        raise click.exceptions.Exit(PARTIAL) from None
    session.show(
        {"stopped": True, "by": by}, Page().line("Stopped: nothing is changed until `lifecycle resume`.", "warn")
    )

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

    failed: list[str] = []
    # First and with nothing else open: broken documents, keys or a history in doubt are no reason not to stop (I28).
    try:
        stop_file_of(session.path).stop()
    except LifecycleError as error:
        failed.append(error.message)
    try:
        with session.open() as deployment:
            stop(deployment, by)
    except LifecycleError as error:
        failed.append(error.message)
    document = {"stopped": True, "by": by, "failed": failed}
    if not failed:
        session.show(document, Page().line("Stopped: nothing is changed until `lifecycle resume`.", "warn"))
        return
    page = Page().line("Stopped as far as it goes: not by every way of file, register and stores' fences.", "bad")
    page.lines(failed, "bad")
    page.line("Mend this and stop again; if it must stop now, end every replica.", "bad")
    session.show(document, page)
    raise click.exceptions.Exit(PARTIAL)

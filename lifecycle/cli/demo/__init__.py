"""`lifecycle demo`: the whole line on an embedded database, told as a story. The product does not know that."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FOLDER
from lifecycle.cli.session import Session, pass_session, verb


@verb("demo", example="demo\ndemo /srv/try-out")
@click.argument("folder", type=FOLDER, metavar="[DIR]", default=Path("demo"))
@pass_session
def command(session: Session, folder: Path) -> None:
    """Tell the whole story on embedded stores with a simulated clock, and leave a deployment to try things in."""
    from lifecycle.cli.demo.play import play
    from lifecycle.core.errors import Refused

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Refused(
            "the folder is not empty; the demo replaces nothing",
            guard="already-there",
            advice="Name another folder, or remove the one of an earlier demo.",
        )
    with chdir(folder):
        document, held = play(session, folder)
    session.show(document, Page())
    if not held:
        raise click.exceptions.Exit(1)

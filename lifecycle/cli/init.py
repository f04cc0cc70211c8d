"""`lifecycle init`: a new deployment's folder."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FOLDER, LINE, NAME
from lifecycle.cli.session import Session, pass_session, verb

NEXT = (
    "Write inventory.yaml: which tables exist and whose rows they hold (examples: policies/inventories).",
    "Name your firm and your own readings in policies/operator.yaml; look at the agreements beside it.",
    "lifecycle validate {folder}",
    "lifecycle operator new ID --key FILE     once for each person who approves; two at least",
    "lifecycle store prepare --run            our tables beside yours; without --run it prints the SQL",
    "lifecycle tenant import FILE             then: lifecycle doctor, lifecycle coverage, lifecycle status",
)


@verb("init", example="init /srv/lifecycle --deployment portal --origin lifecycle.example.com/log --agreement clientport")
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--deployment", type=NAME, required=True, help="The deployment's name; it appears in evidence.")
@click.option("--origin", type=LINE, required=True, help="The log's name in checkpoints: a domain and a path.")
@click.option("--agreement", "agreements", type=NAME, multiple=True, help="An agreement that comes with the product.")
@pass_session
def command(session: Session, folder: Path, deployment: str, origin: str, agreements: tuple[str, ...]) -> None:
    """Start a deployment: folder, keys, settings, statutes and agreements. Nothing that exists is replaced."""
    from lifecycle.wiring.creation import create

    create(folder, deployment=deployment, origin=origin, agreements=agreements)
    steps = [step.format(folder=folder) for step in NEXT]
    document = {"deployment": deployment, "folder": str(folder), "agreements": list(agreements), "next": steps}
    page = Page().line(f"The deployment {deployment} is in {folder}.", "good").line()
    page.line("Keep keys/ in a backup of its own: they are never replaced.").line("Next:", "head")
    session.show(document, page.lines(steps, indent=2))

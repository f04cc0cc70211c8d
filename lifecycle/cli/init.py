"""`lifecycle init`: a new deployment's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


EXAMPLE = """\
init /srv/lifecycle --deployment portal --origin lifecycle.example.com/log --agreement clientport
init DIR --deployment portal --origin ORIGIN --from env:PORTAL_URL --tenant-table customer.id"""


@verb("init", example=EXAMPLE)
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--deployment", type=NAME, required=True, help="The deployment's name; it appears in evidence.")
@click.option("--origin", type=LINE, required=True, help="The log's name in checkpoints: a domain and a path.")
@click.option("--agreement", "agreements", type=NAME, multiple=True, help="An agreement that comes with the product.")
@click.option("--from", "source", type=LINE, metavar="STORE", help="Draft the inventory: env:NAME, file:PATH or a URL.")
@click.option("--tenant-table", "tenant", type=LINE, metavar="T.COLUMN", help="Where the tenants' ids are, or none.")
@click.option("--country", type=LINE, default="DE", show_default=True, help="Where that store lies (ISO 3166).")
@pass_session
def command(
    session: Session,
    folder: Path,
    deployment: str,
    origin: str,
    agreements: tuple[str, ...],
    source: str | None,
    tenant: str | None,
    country: str,
) -> None:
    """Start a deployment: folder, keys, settings, statutes and agreements. Nothing that exists is replaced.

    With --from, the store's catalogue is read and inventory.yaml is drafted, unreviewed: the paths to the tenant with
    the rows they reach, likely times and persons. The store is only read, but its tables are counted: a large one is
    best drafted from a replica or in a quiet hour.
    """
    from lifecycle.cli import drafting
    from lifecycle.wiring.creation import create
    from lifecycle.wiring.drafting import keep, render, source_of

    if source is None and tenant is not None:
        raise click.UsageError("--tenant-table belongs to --from")
    read = None if source is None else source_of(source, folder)
    # The look comes first: one that fails leaves no half-made deployment behind.
    found = None if read is None else drafting.look(read, tenant, session.today())
    text = "" if read is None or found is None else render(found, read, deployment, agreements, country)
    create(folder, deployment=deployment, origin=origin, agreements=agreements)
    steps = [step.format(folder=folder) for step in NEXT]
    document: dict[str, Any] = {
        "deployment": deployment,
        "folder": str(folder),
        "agreements": list(agreements),
        "next": steps,
    }
    page = Page().line(f"The deployment {deployment} is in {folder}.", "good").line()
    if read is not None and found is not None:
        path = keep(text, read, folder)
        document["draft"] = drafting.document(found, path)
        drafting.show(page, found, path)
        steps[0] = f"Review {path}, then set reviewed: true in it."
    page.line("Keep keys/ in a backup of its own: they are never replaced.").line("Next:", "head")
    session.show(document, page.lines(steps, indent=2))

"""`lifecycle export`: a tenant's rows as one package."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli import words
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FOLDER, tenant_argument
from lifecycle.cli.session import Session, pass_session, verb


@verb("export", example="export acme -o /srv/outbox")
@tenant_argument
@click.option("-o", "--output", type=FOLDER, metavar="DIR", required=True, help="Folder that the package is put into.")
@pass_session
def command(session: Session, tenant: str, output: Path) -> None:
    """Write everything a tenant has into a ZIP of CSV and JSONL with a manifest, and record the delivery."""
    from lifecycle.flow import offboard
    from lifecycle.flow.exporting import export
    from lifecycle.wiring.exports import package_writer

    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    with session.open() as deployment:
        known = offboard.find(deployment, tenant)
        writer = package_writer(deployment, deployment.zone_of(known))
        exported, manifest = export(deployment, known, writer, output)
    datasets = [{"dataset": d.dataset, "store": d.store, "rows": d.rows} for d in manifest.datasets]
    document = {
        "export": exported.id,
        "tenant": exported.tenant,
        "file": str(manifest.path),
        "manifest_hash": exported.manifest_hash,
        "rows": exported.rows,
        "expires_on": exported.expires_on.isoformat(),
        "datasets": datasets,
    }
    page = Page().line(f"{words.count(exported.rows, 'row')} in {manifest.path}", "good")
    page.table(("dataset", "store", "rows"), [(d["dataset"], d["store"], d["rows"]) for d in datasets])
    page.pairs([("manifest", exported.manifest_hash), ("our copy ends on", exported.expires_on)])
    session.show(document, page)

"""`lifecycle coverage`: what exists against what the inventory declares."""

from __future__ import annotations

import click

from lifecycle.cli import words
from lifecycle.cli.errors import ERROR
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verb

FIX = "Declare each as a dataset with its columns, or under not_personal with the reason; remove what is gone."


@verb("coverage", example="coverage")
@pass_session
def command(session: Session) -> None:
    """Compare the live catalogues with the inventory: an unclassified table or column is a failure."""
    from lifecycle.flow.coverage import gaps

    with session.open() as deployment:
        found = [gap for name in sorted(deployment.stores) for gap in gaps(deployment, name)]
        stores = len(deployment.stores)
    rows = [
        (gap.store, gap.kind, f"{gap.schema}.{gap.table}" if gap.schema else gap.table, gap.column) for gap in found
    ]
    page = Page()
    if found:
        page.line(f"{words.count(len(found), 'gap')} in {words.count(stores, 'store')}.", "bad")
        page.table(("store", "gap", "table", "column"), rows).line(FIX)
    else:
        page.line(f"Every table and column of {words.count(stores, 'store')} is classified.", "good")
    document = {
        "complete": not found,
        "gaps": [
            {"store": gap.store, "kind": gap.kind, "schema": gap.schema, "table": gap.table, "column": gap.column}
            for gap in found
        ],
    }
    session.show(document, page)
    if found:
        raise click.exceptions.Exit(ERROR)

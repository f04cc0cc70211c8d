"""`lifecycle doctor`: what forbids or endangers a plan, store by store."""

from __future__ import annotations

import click

from lifecycle.cli import words
from lifecycle.cli.errors import ERROR
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verb


@verb("doctor", example="doctor")
@pass_session
def command(session: Session) -> None:
    """Check each store before a plan does: reachable, prepared, writable, and safe to delete from."""
    from lifecycle.flow.preflight import doctor

    with session.open() as deployment:
        found = sorted(doctor(deployment), key=lambda f: (not f.fatal, f.store, f.dataset or "", f.code))
        stores = len(deployment.stores)
    fatal = sum(finding.fatal for finding in found)
    page = Page()
    if found:
        page.line(
            f"{words.count(fatal, 'finding')} in the way of plans, {len(found) - fatal} worth knowing.",
            "bad" if fatal else "warn",
        )
    else:
        page.line(f"Nothing to mend in {words.count(stores, 'store')}.", "good")
    for finding in found:
        where = f"{finding.store}/{finding.dataset}" if finding.dataset else finding.store
        page.line(f"{'forbids' if finding.fatal else 'note'}: {where}: {finding.what} [{finding.code}]")
        page.line(finding.fix, "dim", indent=4)
    document = {
        "healthy": not fatal,
        "findings": [
            {"code": f.code, "store": f.store, "dataset": f.dataset, "what": f.what, "fix": f.fix, "fatal": f.fatal}
            for f in found
        ],
    }
    session.show(document, page)
    if fatal:
        raise click.exceptions.Exit(ERROR)

"""`lifecycle doctor`: what stands in the way of a safe run, store by store, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from lifecycle.cli import words
from lifecycle.cli.errors import ERROR
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.flow.preflight import Checkup
    from lifecycle.ports.store import Finding


@verb("doctor", example="doctor\ndoctor --json")
@pass_session
def command(session: Session) -> None:
    """Check each store before a plan does: reachable, prepared, writable, safe to delete from, and read as it is meant.

    Start times are sampled: counts and shares are shown, never values. Nothing is changed.
    """
    from lifecycle.flow.preflight import doctor

    with session.open() as deployment:
        found = doctor(deployment)
        stores = len(deployment.stores)
    document = {
        "healthy": not found.fatal,
        "findings": [
            {"code": f.code, "store": f.store, "dataset": f.dataset, "what": f.what, "fix": f.fix, "fatal": f.fatal}
            for f in found.findings
        ],
        "facts": {store: dict(facts) for store, facts in found.facts.items()},
    }
    session.show(document, _page(found, stores))
    if found.fatal:
        raise click.exceptions.Exit(ERROR)


def _page(found: Checkup, stores: int) -> Page:
    page, fatal = Page(), found.fatal
    noted = [finding for finding in found.findings if not finding.fatal]
    if not found.findings:
        page.line(f"Nothing to mend in {words.count(stores, 'store')}.", "good")
    else:
        text = f"{words.count(len(fatal), 'finding')} in the way, {len(noted)} worth knowing."
        page.line(text, "bad" if fatal else "warn")
    if fatal:
        _told(page.line().line("In the way", "head"), fatal)
    if noted:
        _told(page.line().line("Worth knowing", "head"), noted)
    for store, facts in found.facts.items():
        page.line().line(f"Seen in {store}", "head").pairs(facts.items(), indent=2)
    return page


def _told(page: Page, findings: Iterable[Finding]) -> None:
    """Tell each thing once, with every dataset that it is about, and what to do about it once."""
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    for finding in findings:
        key = (finding.store, finding.code, finding.what, finding.fix)
        grouped.setdefault(key, []).extend([finding.dataset] if finding.dataset else [])
    last = ""
    for (store, code, what, fix), datasets in grouped.items():
        where = f"{store}/{', '.join(datasets)}" if datasets else store
        if last and fix != last:
            page.line(f"→ {last}", "dim", indent=4)
        page.line(f"{where}: {what} [{code}]", indent=2)
        last = fix
    page.line(f"→ {last}", "dim", indent=4)

"""`lifecycle scan`: counts and ages of what is due, never values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import words
from lifecycle.cli.errors import BREACHED, PARTIAL
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.flow.scan import Finding, Scanned

HEADERS = ("rule", "dataset", "deadline", "overdue", "due", "held", "undatable", "unattributed", "cutoff")


@verb("scan", example="scan\nscan --json")
@pass_session
def command(session: Session) -> None:
    """Count what is due, overdue, held and undatable in every store; exit 5 when a ceiling is breached."""
    from lifecycle.flow.scan import scan

    with session.open() as deployment:
        scanned = scan(deployment)
    overdue = sum(finding.overdue.items for finding in scanned.findings)
    due = sum(finding.due.items for finding in scanned.findings)
    page = Page()
    if scanned.breached:
        page.line(f"{words.count(overdue, 'row')} outlived the ceiling.", "bad")
    else:
        page.line(f"Nothing is overdue; {words.count(due, 'row')} due.", "good")
    page.table(HEADERS, rows(scanned), empty="no rule binds a dataset today")
    page.lines((f"not scanned: {trouble}" for trouble in scanned.unresolved), "warn")
    session.show(document(scanned), page)
    if scanned.breached or scanned.unresolved:
        raise click.exceptions.Exit(BREACHED if scanned.breached else PARTIAL)


def rows(scanned: Scanned) -> list[tuple[object, ...]]:
    """Return the findings as cells, the earliest deadline first."""
    return [_row(finding) for finding in by_deadline(scanned)]


def _row(finding: Finding) -> tuple[object, ...]:
    bound, odd = finding.obligation, finding.oddities
    counts = (finding.overdue.items, finding.due.items, finding.held, odd.undatable, odd.unattributed)
    return f"{bound.agreement}/{bound.rule}", bound.dataset, finding.deadline, *counts, bound.cutoff


def by_deadline(scanned: Scanned) -> list[Finding]:
    """Return the findings, the earliest deadline first, those without one last."""
    return sorted(
        scanned.findings, key=lambda f: (f.deadline is None, f.deadline, f.obligation.rule, f.obligation.dataset)
    )


def document(scanned: Scanned) -> dict[str, Any]:
    """Return a scan as JSON."""
    return {
        "at": scanned.at.isoformat(),
        "breached": scanned.breached,
        "findings": [_finding(finding) for finding in by_deadline(scanned)],
        "unresolved": list(scanned.unresolved),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    bound = finding.obligation
    return {
        "agreement": bound.agreement,
        "rule": bound.rule,
        "clause": bound.clause,
        "dataset": bound.dataset,
        "store": bound.store,
        "cutoff": bound.cutoff.isoformat(),
        "deadline": finding.deadline.isoformat() if finding.deadline else None,
        "due": finding.due.items,
        "overdue": finding.overdue.items,
        "held": finding.held,
        "undatable": finding.oddities.undatable,
        "unattributed": finding.oddities.unattributed,
        "contested": finding.oddities.contested,
        "null_tenant": finding.oddities.null_tenant,
        "conflicts": list(bound.conflicts),
    }

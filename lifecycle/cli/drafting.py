"""What `lifecycle init --from` shows: the tables that may list the tenants, and what the reviewer must decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.cli import words
from lifecycle.cli.page import Page

if TYPE_CHECKING:
    from datetime import date

    from lifecycle.core.drafting import Candidate, Draft
    from lifecycle.wiring.drafting import Source

MOST_PROPOSED = 5
NO_TENANTS = "none"


def look(source: Source, tenant: str | None, today: date) -> Draft:
    """Draft the inventory of a store. Raises InvalidDocument when nobody said where the tenants are."""
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.wiring.drafting import candidates_of, draft_of

    if tenant is None:
        found = candidates_of(source)[:MOST_PROPOSED]
        likely = "; ".join(_candidate(candidate) for candidate in found) or "none: no foreign keys"
        msg = "which table lists the tenants is a decision, not a guess"
        raise InvalidDocument(msg, advice=f"Add --tenant-table TABLE.COLUMN, or {NO_TENANTS}. Candidates: {likely}.")
    return draft_of(source, None if tenant == NO_TENANTS else tenant, today)


def document(draft: Draft, path: Path) -> dict[str, Any]:
    """Return what was drafted, for `--json`."""
    from lifecycle.core.drafting import decisions

    return {
        "inventory": str(path),
        "datasets": len(draft.tables),
        "contested": sum(table.contested for table in draft.tables),
        "decide": list(decisions(draft)),
    }


def show(page: Page, draft: Draft, path: Path) -> None:
    """Add what the reviewer must decide."""
    from lifecycle.core.drafting import decisions

    page.line().line(f"Drafted {path} from {len(draft.tables)} tables. Nothing is planned from it until you:", "head")
    page.lines((f"- {line}" for line in decisions(draft)), indent=2)
    page.line("The counts behind each guess stand in the file as comments.").line()


def _candidate(candidate: Candidate) -> str:
    return f"{candidate.place[1]}.{candidate.key} ({words.count(candidate.below, 'table')} below it)"

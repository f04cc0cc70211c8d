"""`lifecycle coverage`: what exists against what the inventory declares, and what looks personal and should not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import words
from lifecycle.cli.errors import ERROR
from lifecycle.cli.page import Page
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.flow.coverage import Gap
    from lifecycle.flow.suspicion import Suspect, Suspicions

FIX = "Declare each as a dataset with its columns, or under not_personal with the reason; remove what is gone."
LOOK = "Look at each: declare the table as a dataset, or write into its `why` what the column really holds."


@verb("coverage", example="coverage\ncoverage --sample")
@click.option("--sample", is_flag=True, help="Also count, in tables declared not personal, values that look personal.")
@pass_session
def command(session: Session, sample: bool) -> None:
    """Compare the live catalogues with the inventory: an unclassified table or column is a failure.

    Columns whose names look personal in tables declared not personal are shown; with --sample a thousand rows of each
    are read, counted by shape (mail address, phone number, IBAN) and forgotten, and values that look personal fail too.
    """
    from lifecycle.flow.coverage import gaps
    from lifecycle.flow.suspicion import suspicions

    with session.open() as deployment:
        names = sorted(deployment.stores)
        found = [gap for name in names for gap in gaps(deployment, name)]
        looked = [suspicions(deployment, name, sample=sample) for name in names]
    suspects = [suspect for one in looked for suspect in one.suspects]
    page = _page(found, len(names))
    _suspected(page, looked)
    session.show(_document(found, looked), page)
    if found or any(suspect.contradicts for suspect in suspects):
        raise click.exceptions.Exit(ERROR)


def _page(found: list[Gap], stores: int) -> Page:
    page = Page()
    if not found:
        return page.line(f"Every table and column of {words.count(stores, 'store')} is classified.", "good")
    page.line(f"{words.count(len(found), 'gap')} in {words.count(stores, 'store')}.", "bad")
    rows = [(gap.store, gap.kind, _place(gap), gap.column) for gap in found]
    return page.table(("store", "gap", "table", "column"), rows).line(FIX)


def _suspected(page: Page, looked: Iterable[Suspicions]) -> None:
    suspects = [suspect for one in looked for suspect in one.suspects]
    if suspects:
        page.line().line("Looks personal, in tables declared not personal", "head")
        rows = [(s.store, _place(s), s.column, s.holds, *_counts(s)) for s in suspects]
        page.table(("store", "table", "column", "by name", "sampled", "mail", "phone", "iban"), rows).line(LOOK)
    silent = [name for one in looked for name in one.unsampled]
    page.lines([f"not sampled (empty, or our role may not read it): {', '.join(silent)}"] if silent else [], "warn")


def _place(one: Gap | Suspect) -> str:
    return f"{one.schema}.{one.table}" if one.schema else one.table


def _counts(suspect: Suspect) -> tuple[int | None, ...]:
    seen = suspect.seen
    return (None,) * 4 if seen is None else (seen.sampled, seen.emails, seen.phones, seen.ibans)


def _document(found: list[Gap], looked: Iterable[Suspicions]) -> dict[str, Any]:
    headers = ("sampled", "emails", "phones", "ibans")
    return {
        "complete": not found,
        "gaps": [
            {"store": gap.store, "kind": gap.kind, "schema": gap.schema, "table": gap.table, "column": gap.column}
            for gap in found
        ],
        "looks_personal": [
            {
                "store": s.store, "schema": s.schema, "table": s.table, "column": s.column, "holds": s.holds,
                "contradicts": s.contradicts, **dict(zip(headers, _counts(s), strict=True)),
            }
            for one in looked
            for s in one.suspects
        ],
        "not_sampled": [name for one in looked for name in one.unsampled],
    }  # fmt: skip

"""`lifecycle validate`: documents checked offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.cli.errors import USAGE
from lifecycle.cli.page import Page, clean
from lifecycle.cli.session import Session, pass_session, verb, write

if TYPE_CHECKING:
    from lifecycle.core.errors import Problem


@verb("validate", example="validate policies/\nvalidate inventory.yaml")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@pass_session
def command(session: Session, paths: tuple[Path, ...]) -> None:
    """Check documents without touching a store: a file by itself, a folder with everything in it together."""
    from lifecycle.documents import validate

    reports = [validate(path) for path in paths]
    problems = sorted({problem for report in reports for problem in report.problems})
    warnings = sorted({warning for report in reports for warning in report.warnings})
    count = sum(len(report.documents) for report in reports)
    if not session.json:
        write("".join(f"{clean(str(problem))}\n" for problem in problems), error=True)
    document = {
        "valid": not problems,
        "documents": count,
        "problems": [_problem(problem) for problem in problems],
        "warnings": [_problem(warning) for warning in warnings],
    }
    page = Page().lines((f"warning: {warning}" for warning in warnings), "warn")
    if not problems:
        page.line(f"{count} documents are valid.", "good")
    session.show(document, page)
    if problems:
        raise click.exceptions.Exit(USAGE)


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "what": problem.what,
        "fix": problem.fix,
    }

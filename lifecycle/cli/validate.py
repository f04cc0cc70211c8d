"""`lifecycle validate`: documents checked offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.cli import words
from lifecycle.cli.errors import USAGE
from lifecycle.cli.page import Page, clean
from lifecycle.cli.session import Session, pass_session, verb, write

if TYPE_CHECKING:
    from lifecycle.core.errors import Problem

T = TypeVar("T")
SETTINGS = "lifecycle.yaml"


@verb("validate", example="validate policies/\nvalidate inventory.yaml")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH…")
@pass_session
def command(session: Session, paths: tuple[Path, ...]) -> None:
    """Check documents without touching a store: a file by itself, a folder or a deployment with everything in it."""
    checked = [_deployment(path) if (path / SETTINGS).exists() else _alone(path) for path in paths]
    problems = sorted({problem for found in checked for problem in found.problems})
    warnings = sorted({warning for found in checked for warning in found.warnings})
    count = sum(found.documents for found in checked)
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
        page.line(f"{words.count(count, 'document')} valid.", "good")
    session.show(document, page)
    if problems:
        raise click.exceptions.Exit(USAGE)


@dataclass(slots=True)
class _Checked:
    """What one path came to."""

    documents: int = 0
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def _alone(path: Path) -> _Checked:
    from lifecycle.documents import validate

    report = validate(path)
    return _Checked(len(report.documents), report.problems, report.warnings)


def _deployment(folder: Path) -> _Checked:
    """Check what a deployment reads, as it reads it, and nothing else that lies there (a trust file, an export)."""
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.documents import check_tenants, load, load_operators, load_tenants, read_policy

    found = _Checked()

    def attempt(read: Callable[[], T]) -> T | None:
        try:
            result = read()
        except InvalidDocument as error:
            found.problems += error.problems
            return None
        found.documents += 1
        return result

    loaded = attempt(lambda: load(folder / SETTINGS, "settings"))
    if loaded is None:
        return found
    settings: Any = loaded.document
    attempt(lambda: load_operators(folder / settings.operators))
    files = attempt(lambda: read_policy(folder / settings.policies, inventory=folder / settings.inventory))
    if files is not None:
        found.documents += len(files.documents) - 1
        found.warnings = files.warnings
        if settings.tenants is not None and (known := attempt(lambda: load_tenants(folder / settings.tenants))):
            attempt(lambda: check_tenants(known.tenants, files.policy.agreements, settings.tenants))
            found.documents -= 1
    return found


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "what": problem.what,
        "fix": problem.fix,
    }

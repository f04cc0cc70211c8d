"""`lifecycle policy`: what a change of the documents does, for whoever reviews it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import words
from lifecycle.cli.errors import CHANGES
from lifecycle.cli.page import Page, Style
from lifecycle.cli.session import Session, pass_session, verbs

if TYPE_CHECKING:
    from lifecycle.core.diff import Change, Documents
    from lifecycle.core.policy import Policy
    from lifecycle.flow.differing import Sides

PATH = click.Path(path_type=Path, exists=True)
MARKS: dict[str, tuple[str, Style]] = {
    "earlier": ("WIDENS  rows go earlier", "bad"),
    "unclear": ("WIDENS? nobody can order this", "warn"),
    "later": ("        rows go later", "plain"),
    "none": ("        no row moves", "dim"),
}
EXAMPLE = """\
policy diff main/policies policies
policy diff old.yaml new.yaml
policy diff main/policies policies --count"""
REMOVED = "Removing a rule deletes nothing: its rows stay, and nobody promises to delete them."


@verbs("policy", example="policy diff main/policies policies --json")
def command() -> None:
    """Compare documents: what goes earlier, what later."""


@command.verb("diff", example=EXAMPLE)
@click.argument("old", type=PATH)
@click.argument("new", type=PATH)
@click.option("--count", is_flag=True, help="Also count which rows of the deployment change sides today.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 10 when something widens.")
@pass_session
def diff(session: Session, old: Path, new: Path, count: bool, detailed_exitcode: bool) -> None:
    """Say what goes earlier or later, what is new or removed; folders of documents, or single ones.

    Whatever lets a row go earlier is marked, and so is what nobody can order. For pull requests: text, or --json.
    """
    from lifecycle.core.diff import compare
    from lifecycle.flow.differing import sides

    changes = compare(_documents(old), _documents(new))
    counted: list[Sides] = []
    if count:
        with session.open() as deployment:
            counted = sides(deployment, _policy(session, old), _policy(session, new))
    session.show(_document(changes, counted if count else None), _page(changes, counted if count else None))
    if detailed_exitcode and any(change.widens for change in changes):
        raise click.exceptions.Exit(CHANGES)


def _documents(path: Path) -> Documents:
    from lifecycle.core.agreement import Agreement
    from lifecycle.core.diff import Documents
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.core.inventory import Inventory
    from lifecycle.core.operator import OperatorDocument
    from lifecycle.core.statute import Statutes
    from lifecycle.documents import validate

    report = validate(path)
    if report.problems:
        raise InvalidDocument("the documents have faults", problems=report.problems)
    models = [loaded.document for loaded in report.documents]
    operator = next((model for model in models if isinstance(model, OperatorDocument)), None)
    maps = [model for model in models if isinstance(model, Inventory)]
    return Documents(
        agreements=[model for model in models if isinstance(model, Agreement)],
        statutes=[model for model in models if isinstance(model, Statutes)],
        readings=operator.readings if operator else None,
        datasets=[
            dataset if len(maps) == 1 else dataset.model_copy(update={"id": f"{one.id}/{dataset.id}"})
            for one in maps
            for dataset in one.datasets
        ],
    )


def _policy(session: Session, path: Path) -> Policy:
    """Read one side as the deployment would: with its own inventory, or the deployment's where it has none."""
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.documents import read_policy
    from lifecycle.wiring.deployment import read_settings

    if not path.is_dir():
        raise InvalidDocument("a single document cannot be counted", advice="Name two folders of documents.")
    own = _documents(path).datasets
    return read_policy(path, inventory=None if own else session.path / read_settings(session.path).inventory).policy


def _page(changes: tuple[Change, ...], counted: list[Sides] | None) -> Page:
    page = Page()
    wide = sum(change.widens for change in changes)
    if not changes:
        page.line("No row moves: the documents say the same.", "good")
    else:
        page.line(
            f"{words.count(len(changes), 'change')}, {wide} of them may widen deletion.", "bad" if wide else "good"
        )
    for change in changes:
        mark, style = MARKS[change.effect]
        page.line(f"{mark}: {_said(change)}", style)
        page.lines([f"in {', '.join(change.datasets)}"] if change.datasets else [], "dim", indent=10)
    if any(change.kind == "removed" and " rule " in change.subject for change in changes):
        page.line(REMOVED)
    if counted is not None:
        page.line().line("Due today", "head")
        headers = ("rule", "dataset", "before", "after", "more rows go today", "why not counted")
        rows = [(f"{s.agreement}/{s.rule}", s.dataset, s.before, s.after, s.moved, s.why) for s in counted]
        page.table(headers, rows, empty="no rule binds a dataset today")
    return page


def _said(change: Change) -> str:
    if change.kind == "new":
        return f"new: {change.subject} ({change.new})"
    if change.kind == "removed":
        return f"removed: {change.subject} ({change.old})"
    return f"{change.subject}: {change.field} {change.old or 'none'} → {change.new or 'none'}"


def _document(changes: tuple[Change, ...], counted: list[Sides] | None) -> dict[str, Any]:
    return {
        "widens": any(change.widens for change in changes),
        "changes": [
            {
                "kind": c.kind, "subject": c.subject, "field": c.field, "old": c.old, "new": c.new, "effect": c.effect,
                "widens": c.widens, "datasets": list(c.datasets),
            }
            for c in changes
        ],
        "due_today": None if counted is None else [
            {
                "agreement": s.agreement, "rule": s.rule, "dataset": s.dataset, "before": s.before, "after": s.after,
                "more": s.moved, "not_counted": s.why,
            }
            for s in counted
        ],
    }  # fmt: skip

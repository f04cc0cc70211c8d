"""`lifecycle run`: one tick, everything due that is already authorised."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import words
from lifecycle.cli.errors import PARTIAL
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import FILE
from lifecycle.cli.progress import progress
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.flow.cycle import Turn
    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.execute import Observer

BAD = frozenset({"refused", "failed"})


@verb("run", example="run\nrun --metrics /var/lib/lifecycle-metrics/lifecycle.prom")
@click.option(
    "--metrics",
    type=FILE,
    metavar="FILE",
    help="Also look, and leave all metrics in this file (.prom) for node_exporter. [default: metrics.textfile]",
)
@pass_session
def command(session: Session, metrics: Path | None) -> None:
    """Take each rule's turn once: apply what a mandate covers, plan the rest, leave what is not due."""
    if metrics is not None and metrics.suffix != ".prom":
        raise click.UsageError("--metrics: the collector reads only files that end in .prom")
    with ending(session), session.open() as deployment, progress(session) as observe:
        turns = _tick(session, deployment, metrics, observe)
    page = Page().table(
        ("rule", "result", "rows", "plan", "why"), [_row(turn) for turn in turns], empty="no rule binds today"
    )
    waiting = [(turn, words.short(turn.plan.hash)) for turn in turns if turn.result == "observing" and turn.plan]
    page.lines(
        f"{turn.agreement}/{turn.rule} only observes: lifecycle approve {digits} --mandate --by OPERATOR --key FILE"
        for turn, digits in waiting
    )
    session.show({"turns": [_document(turn) for turn in turns]}, page)
    if code := _code(turns):
        raise click.exceptions.Exit(code)


def _tick(session: Session, deployment: Deployment, metrics: Path | None, observe: Observer) -> list[Turn]:
    """Make the tick; where a metrics file is wanted, with other eyes beside it, and tell."""
    from lifecycle.daemon.once import textfile_of, tick_and_tell
    from lifecycle.flow.cycle import tick
    from lifecycle.wiring.deployment import Options

    file = metrics or textfile_of(session.path)
    if file is None:
        return tick(deployment, observe=observe)
    return tick_and_tell(deployment, file, session.options or Options(), observe)


@contextmanager
def ending(session: Session) -> Iterator[None]:
    """Let SIGTERM end the run after its batch: a timer's or a CronJob's stop is no power cut."""
    from lifecycle.wiring.deployment import Options

    asked: list[int] = []
    known = session.options
    session.options = replace(known or Options(), ending=lambda: bool(asked))
    try:
        before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    except ValueError:
        # Not the main thread: somebody else answers signals.
        before = None
    try:
        yield
    finally:
        session.options = known
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _code(turns: Sequence[Turn]) -> int:
    bad = [turn for turn in turns if turn.result in BAD]
    if bad and len(bad) == len(turns):
        return max(turn.error.exit_code for turn in bad if turn.error)
    return PARTIAL if bad or any(turn.result in {"partial", "paused"} for turn in turns) else 0


def _row(turn: Turn) -> tuple[object, ...]:
    rows = turn.ran.deleted if turn.ran else turn.plan.plan.expected() if turn.plan else 0
    digits = words.short(turn.plan.hash) if turn.plan else None
    why = f"{turn.error.message}; {turn.error.advice()}" if turn.error else ""
    return f"{turn.agreement}/{turn.rule}", turn.result, rows, digits, why


def _document(turn: Turn) -> dict[str, Any]:
    return {
        "agreement": turn.agreement,
        "rule": turn.rule,
        "result": turn.result,
        "plan": turn.plan.hash if turn.plan else None,
        "expected": turn.plan.plan.expected() if turn.plan else 0,
        "deleted": turn.ran.deleted if turn.ran else 0,
        "clean": turn.ran.clean if turn.ran else None,
        "error": turn.error.message if turn.error else None,
    }

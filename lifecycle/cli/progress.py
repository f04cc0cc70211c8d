"""Progress of a job on standard error: a bar with an ETA on a terminal, nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifecycle.cli.session import Session

if TYPE_CHECKING:
    from lifecycle.flow.execute import Observer, Progress


@contextmanager
def progress(session: Session) -> Iterator[Observer]:
    """Give an observer for the length of a job."""
    if session.quiet or session.json or not sys.stderr.isatty():
        from lifecycle.flow.execute import silent

        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, no_color=session.no_color or None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        tasks = {}

        def observe(seen: Progress) -> None:
            if seen.job not in tasks:
                tasks[seen.job] = bar.add_task("", total=seen.expected)
            bar.update(tasks[seen.job], completed=seen.done, description=f"{seen.step} {seen.dataset}")

        yield observe

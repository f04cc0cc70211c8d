"""One tick of a process that ends: what a timer or a CronJob runs, with its metrics in a file instead of /metrics."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from lifecycle.core.errors import LifecycleError
from lifecycle.core.settings import Settings
from lifecycle.daemon.duties import Duties
from lifecycle.daemon.report import Report
from lifecycle.flow import last_look
from lifecycle.flow.controls import DriftGuard
from lifecycle.flow.cycle import Turn, tick
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.execute import Observer, Progress
from lifecycle.observe import Before, open_log, pace_of_runs
from lifecycle.wiring.deployment import Options, open_deployment, read_settings


def textfile_of(folder: Path) -> Path | None:
    """Return the metrics file that the settings name, if any."""
    name = read_settings(folder).metrics.textfile
    return None if name is None else folder / name


def tick_and_tell(acting: Deployment, file: Path, options: Options, observe: Observer) -> list[Turn]:
    """Make one tick, look with other eyes afterwards, and leave all metrics in the file.

    The file is also written when the tick is refused or fails: then it says so by what it has not reached.

    Raises:
        Whatever `tick` raises; Transient when the file cannot be written: what was deleted is deleted all the same.
    """
    before = Before.read(file)
    with open_deployment(acting.folder, replace(options, register=False)) as eyes, _nowhere() as log:
        report = Report(eyes, open_log(log, acting.clock, libraries=False), counted=before.folded())
        duties = _duties(acting, eyes, report)
        # Whoever runs alone may delete.
        report.metrics.set_leader(leader=True)

        def observed(progress: Progress) -> None:
            observe(progress)
            report.batch(progress)

        try:
            turns = tick(acting, observe=observed, report=report.turn)
        except LifecycleError:
            # The tick's own error is the news; that nobody could tell it as well shows by the file's age.
            with suppress(LifecycleError):
                _tell(duties, eyes, file, before)
            raise
        report.metrics.set_last_tick(acting.clock.now())
        _tell(duties, eyes, file, before)
    return turns


def _nowhere() -> TextIO:
    """Return a log that nobody reads: the verb shows its result itself."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _duties(acting: Deployment, eyes: Deployment, report: Report) -> Duties:
    settings: Settings = read_settings(acting.folder)
    schedule = acting.schedule.settings
    shortest = min(one.every.seconds for one in schedule.in_use().values())
    report.metrics.set_pace(**pace_of_runs(interval_seconds=shortest, longest_run_seconds=schedule.longest_run.seconds))
    return Duties(acting, eyes, settings, report, drift=DriftGuard(acting), moved=lambda: None, current=lambda: True)


def _tell(duties: Duties, eyes: Deployment, file: Path, before: Before) -> None:
    """Look, fold what the log has gained, and write. Of a look that fails the last one stands, with its own date."""
    if not duties.look() and (seen := last_look.recall(eyes)) is not None:
        duties.report.looked(seen)
    duties.report.follow(aloud=False)
    duties.report.metrics.write_textfile(file, before)

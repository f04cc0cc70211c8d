"""`python -m tests.week`: the service's duties through seven simulated days, in a fresh process; one JSON line a day.

10,000 tenants × 50 datasets, logs falling due every night under a mandate. It fails when a slot was missed or entered
twice, anything is left overdue, memory grows or passes its bound, or a scrape is too large. Figures are for
docs/performance: `rss_mib` after each day, `scrape_bytes`, and the seconds that the day took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lifecycle.core.span import Span
from lifecycle.daemon.duties import Duties
from lifecycle.daemon.report import Report, names_of
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import approve, controls, execute, planning, slots
from lifecycle.flow.look import look
from lifecycle.observe import open_log
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring.deployment import Options, open_deployment, read_settings
from tests import servers
from tests.bench import scale

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MEMORY_GOAL, SCRAPE_GOAL = 256, 1024 * 1024
GROWTH_GOAL = 16
"""MiB between the end of the second day and that of the last: less is flat."""
LOG_DAYS = 90
"""The oldest logs are due at once: their plan is the one that a person approves and grants a mandate on."""


@dataclass(frozen=True)
class Size:
    """How large the week is."""

    tenants: int = 10_000
    datasets: int = 50
    rows: int = 2_000
    days: int = 7
    tick: int = 30
    look: int = 900

    def settings(self) -> str:
        """Return what the settings file says of it."""
        return f"schedule: {{tick: {Span(self.tick)}, look: {Span(self.look)}}}\n"


class WeekClock(SimulatedClock):
    """Wall and monotonic time move together; work takes next to no time."""

    def monotonic(self) -> float:
        """Return simulated seconds, and a millionth of the real ones so that no work takes none."""
        return (self.now() - START).total_seconds() + time.monotonic() * 1e-6


def rss_mib() -> float:
    """Return this process' resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def live(folder: Path, size: Size) -> dict[str, Any]:
    """Live through the days; one line each, and what they came to."""
    clock, settings = WeekClock(START), read_settings(folder)
    options = Options(clock=clock)
    lines: list[dict[str, Any]] = []
    with ExitStack() as stack:
        acting = stack.enter_context(open_deployment(folder, options))
        eyes = stack.enter_context(open_deployment(folder, options))
        stream = stack.enter_context(Path(os.devnull).open("w"))
        log = open_log(stream, clock, names=names_of(acting))
        duties = Duties(
            acting,
            eyes,
            settings,
            Report(eyes, log),
            drift=controls.DriftGuard(acting),
            moved=lambda: None,
            current=lambda: True,
        )
        _authorise(folder, acting)
        bad = 0
        for day in range(1, size.days + 1):
            began, end = time.monotonic(), START + timedelta(days=day)
            while clock.now() < end:
                clock.advance(timedelta(seconds=size.tick))
                bad += not duties.act()
                bad += not duties.follow(aloud=True)
                if (clock.now() - START).total_seconds() % size.look < size.tick:
                    bad += not duties.look()
            lines.append(
                {
                    "day": day,
                    "rss_mib": round(rss_mib(), 1),
                    "scrape_bytes": len(duties.report.metrics.render()),
                    "seconds": round(time.monotonic() - began, 1),
                }
            )
            print(json.dumps(lines[-1]), file=sys.stderr, flush=True)
        found, states = look(eyes), slots.every(acting)
    return {
        "days": lines,
        "bad": bad,
        "missed": sum(state.missed for state in states.values()),
        "results": sorted({f"{rule}: {state.result}" for (_, rule), state in states.items()}),
        "runs": {rule: len(state.history) for (_, rule), state in states.items()},
        "removed": {rule: sum(run.items for run in state.history) for (_, rule), state in states.items()},
        "overdue": sum(seen.overdue for seen in found.rules),
        "due": sum(seen.due for seen in found.rules),
        "unanswered": len(found.unanswered),
    }


def _authorise(folder: Path, deployment: Any) -> None:
    """A person approves the first plan of the logs, and grants the mandate."""
    planned = planning.plan_rule(deployment, "parking-reminder", "logs", author="lifecycle")
    assert planned is not None
    key = SigningKey.load(folder / "op-one.pem")
    approve.approve(deployment, planned.hash, "op-one", key, grant_mandate=True)
    assert execute.apply(deployment, planned.hash).outcome == "done"


def faults(done: dict[str, Any], size: Size) -> list[str]:
    """Return what the week did wrong."""
    memory = [line["rss_mib"] for line in done["days"]]
    wrong = {
        "a duty failed": done["bad"],
        "a slot was missed": done["missed"],
        "something is overdue": done["overdue"],
        "a question was not answered": done["unanswered"],
        "the logs did not run every night": done["runs"].get("logs") != size.days,
        "memory passed its bound": max(memory) > MEMORY_GOAL,
        "memory grew": memory[-1] - memory[min(1, len(memory) - 1)] > GROWTH_GOAL,
        "a scrape was too large": max(line["scrape_bytes"] for line in done["days"]) >= SCRAPE_GOAL,
    }
    return [what for what, so in wrong.items() if so]


def week(server: str, size: Size) -> dict[str, Any]:
    """Make the world and live in a fresh process."""
    with servers.fresh_database(server) as url, tempfile.TemporaryDirectory(prefix="lifecycle-week-") as home:
        folder = Path(home) / "deployment"
        scale.fill(url, START, tenants=size.tenants, datasets=size.datasets, rows=size.rows, log_days=LOG_DAYS)
        scale.create(folder, url, START, tenants=size.tenants, datasets=size.datasets, settings=size.settings())
        command = [sys.executable, "-m", "tests.week", "--live", str(folder), *_arguments(size)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _arguments(size: Size) -> list[str]:
    return [part for name in Size.__dataclass_fields__ for part in (f"--{name}", str(getattr(size, name)))]


def main() -> int:
    """Run the week, or be its process."""
    parser = argparse.ArgumentParser(prog="tests.week", description=__doc__)
    parser.add_argument("--live", type=Path)
    for name, field in Size.__dataclass_fields__.items():
        parser.add_argument(f"--{name}", type=int, default=field.default)
    given = vars(parser.parse_args())
    folder = given.pop("live")
    size = Size(**given)
    if folder is not None:
        print(json.dumps(live(folder, size)))
        return 0
    with servers.own_postgres_server() as server:
        done = week(server.url, size)
    wrong = faults(done, size)
    for line in done.pop("days"):
        print(json.dumps(line))
    print(json.dumps({**done, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

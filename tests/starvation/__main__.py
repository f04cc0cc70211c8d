"""`python -m tests.starvation [--sample] [--jobs N] [NAME …]`: one line for each scenario, exit 1 on any miss."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import own_postgres_server
from tests.starvation import locks, others, outages, refusals
from tests.starvation.scenario import Outcome, Scenario, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCENARIOS: tuple[type[Scenario], ...] = (*locks.ALL, *outages.ALL, *refusals.ALL, *others.ALL)
SAMPLE = ("sqlite-writer", "table-locked", "worker-hangs", "mandate-exceeded")
"""One of each kind, of those that heal quickly."""


def run(chosen: Iterable[type[Scenario]], jobs: int, show: Callable[[str], None]) -> list[Outcome]:
    """Run scenarios, `jobs` at a time, show a line as each ends, and return how they ended."""
    scenarios = [kind() for kind in chosen]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-starvation-")))
        shared = any(one.store == "postgresql" and not one.own_server for one in scenarios)
        server = stack.enter_context(own_postgres_server()) if shared else None

        def one(scenario: Scenario) -> Outcome:
            home = folder / scenario.name
            home.mkdir()
            outcome = judge(scenario, home, server)
            show(line(scenario, outcome))
            return outcome

        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        return list(pool.map(one, scenarios))


def line(scenario: Scenario, outcome: Outcome) -> str:
    """Return what is shown of one scenario."""
    seconds = "   never" if outcome.seconds is None else f"{outcome.seconds:6.1f} s"
    word = "ok  " if outcome.ok else "MISS"
    return f"{word} {outcome.name:24} {seconds} of {outcome.limit:.0f} s  {scenario.alarm}  ({outcome.note})"


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.starvation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; without one: all")
    parser.add_argument("--sample", action="store_true", help=f"only {', '.join(SAMPLE)}")
    parser.add_argument("--jobs", type=int, default=4, help="how many at a time (4)")
    parser.add_argument("--list", action="store_true", help="name them and say what happens")
    asked = parser.parse_args()
    names = [*asked.names, *(SAMPLE if asked.sample else ())]
    known = {kind.name: kind for kind in SCENARIOS}
    if unknown := set(names) - known.keys():
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    chosen = [known[name] for name in names] if names else list(SCENARIOS)
    if asked.list:
        for kind in chosen:
            print(f"{kind.name:24} {kind.sentence()}")
        return 0
    outcomes = run(chosen, asked.jobs, lambda text: print(text, flush=True))
    missed = [outcome.name for outcome in outcomes if not outcome.ok]
    print(
        f"{len(outcomes) - len(missed)} of {len(outcomes)} alarmed in time" + (f"; missed: {missed}" if missed else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

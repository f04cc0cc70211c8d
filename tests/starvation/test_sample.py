"""A sample of the starvation scenarios; all of them: `python -m tests.starvation`."""

from __future__ import annotations

from tests.starvation.__main__ import SAMPLE, SCENARIOS, run


def test_I24_the_overdue_alarm_fires_within_two_intervals() -> None:
    """A lock in SQLite, one in PostgreSQL, a hung worker, a mandate's limit: each alarms in time, and clears after."""
    lines: list[str] = []
    outcomes = run([kind for kind in SCENARIOS if kind.name in SAMPLE], jobs=len(SAMPLE), show=lines.append)
    assert [outcome.name for outcome in outcomes if not outcome.ok] == [], "\n".join(lines)
    assert {outcome.name for outcome in outcomes} == set(SAMPLE)


def test_there_are_twenty_distinct_scenarios_and_more() -> None:
    """Each has a name of its own and says in a sentence what happens; most end in the overdue alarm itself."""
    assert len({kind.name for kind in SCENARIOS}) == len({kind.sentence() for kind in SCENARIOS}) == len(SCENARIOS)
    assert all(kind.sentence().endswith(".") for kind in SCENARIOS)
    assert sum(kind.alarm == "DeadlineBreached" for kind in SCENARIOS) >= 20

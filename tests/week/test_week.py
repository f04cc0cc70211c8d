"""Two days of the service on a small register: what `python -m tests.week` shows on a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.week.__main__ import Size, faults, week

if TYPE_CHECKING:
    from tests import servers

SMALL = Size(tenants=60, datasets=4, rows=360, days=2, tick=3600, look=43_200)


def test_I26_no_slot_is_missed_and_nothing_is_left(
    postgres_server: servers.OwnPostgres | servers.ForeignPostgres,
) -> None:
    """Each night's logs go under the mandate, the verifier finds nothing overdue, memory and scrape stay small."""
    done = week(postgres_server.url, SMALL)
    assert faults(done, SMALL) == []
    assert done["results"] == ["booking: idle", "logs: applied", "offboarding: idle"]
    # Two tables of logs, one row in ninety a day and table, two nights.
    assert done["removed"]["logs"] == 2 * 2 * 360 // 90


def test_a_bad_week_fails() -> None:
    """Each fault that the command looks for is found in figures that have it."""
    good = {
        "days": [{"rss_mib": 100.0, "scrape_bytes": 10}, {"rss_mib": 101.0, "scrape_bytes": 10}],
        "bad": 0, "missed": 0, "overdue": 0, "unanswered": 0, "runs": {"logs": 2},
    }  # fmt: skip
    assert faults(good, SMALL) == []
    worse = [{"bad": 1}, {"missed": 1}, {"overdue": 1}, {"unanswered": 1}, {"runs": {"logs": 1}}]
    assert all(len(faults(good | one, SMALL)) == 1 for one in worse)
    fat = {"days": [*good["days"], {"rss_mib": 300.0, "scrape_bytes": 2_000_000}]}
    assert len(faults(good | fat, SMALL)) == 3

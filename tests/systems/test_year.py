"""A year of nights: no log record ever reaches ninety days, and none goes before its margin (I14, I15, I24).

The judge is plain Python over the rows as they were written: it knows no calendar of the product's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from lifecycle.flow import approve, reporting
from tests.systems.applications import LOGS_ONLY
from tests.systems.world import BERLIN, FIRST, Company, at, company, customer, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CEILING, MARGIN = 90, 3
GRANTED = date(2027, 10, 1)
BEGINS = GRANTED - timedelta(days=1)
"""A Thursday. The year that follows holds both changes of the clock and a leap day."""
EXPIRES = date(2028, 10, 1)
WARNED = EXPIRES - timedelta(days=30)
ENDS = date(2028, 11, 15)
NIGHT = time(2, 30)
"""An hour that the spring change skips and the autumn change has twice."""
FAILED = frozenset(BEGINS + timedelta(days=days) for days in (40, 75, 133, 201, 298, 340))
SITE = "airport"
EVERY = timedelta(hours=7, minutes=13)


@dataclass
class Judge:
    """Every row ever written, by table and key, with its day in Berlin; and when each was last seen."""

    parking: Company
    written: dict[tuple[str, int], date] = field(default_factory=dict)
    moment: datetime = field(default=at(BEGINS) - timedelta(days=89))
    youngest_gone: int = 10_000
    oldest_seen: int = 0
    looks: int = 0

    def write_until(self, until: datetime) -> None:
        """Let the application write what falls before that moment."""
        texts, numbers = [], []
        while self.moment < until:
            key = len(self.written)
            stamp = self.moment.astimezone(ZoneInfo("UTC"))
            if key % 2:
                numbers.append((key, SITE, int(stamp.timestamp())))
            else:
                texts.append((key, utc(stamp)))
            self.written[("sms_journal" if key % 2 else "executions"), key] = stamp.astimezone(BERLIN).date()
            self.moment += EVERY
        for table, rows in (("executions", texts), ("sms_journal", numbers)):
            if rows:
                self.parking.write(table, *rows)

    def there(self) -> set[tuple[str, int]]:
        """Read what the application still has."""
        return {
            (table, key)
            for table in ("executions", "sms_journal")
            for key in self.parking.column(f"SELECT id FROM {table}")
        }

    def look(self, day: date) -> None:
        """Judge the application's rows as they lie there on that day."""
        self.looks += 1
        ages = [(day - self.written[row]).days for row in self.there()]
        self.oldest_seen = max(self.oldest_seen, *ages)

    def saw_go(self, before: set[tuple[str, int]], day: date) -> int:
        """Judge what a run removed; return how many rows."""
        gone = before - self.there()
        self.youngest_gone = min(self.youngest_gone, *((day - self.written[row]).days for row in gone), 10_000)
        return len(gone)


@pytest.fixture
def parking(tmp_path: Path) -> Iterator[Company]:
    """A company whose only promise is the ninety days of clause 5.7."""
    tenant = customer(LOGS_ONLY, SITE, parameters={"booking_retention": "P6M"})
    with company(tmp_path / "year", LOGS_ONLY, BEGINS, tenant) as found:
        yield found


def test_I15_a_year_of_nights_never_leaves_a_log_record_of_ninety_days(parking: Company) -> None:
    """At each local midnight and right before each run the oldest record is younger than ninety days.

    Nights fail now and then, one at a time; the clock changes twice, and February has a 29th.
    """
    judge = Judge(parking)
    judge.write_until(at(BEGINS))
    parking.go(GRANTED, NIGHT)
    judge.write_until(parking.clock.now())
    parking.authorise("logs")
    results: dict[date, str] = {}
    day = GRANTED
    while day < EXPIRES:
        day += timedelta(days=1)
        judge.write_until(at(day, time(0)))
        judge.look(day)
        judge.write_until(at(day, NIGHT))
        if day in FAILED:
            continue
        parking.clock.set(at(day, NIGHT))
        judge.look(day)
        before = judge.there()
        (turn,) = parking.turns()
        results[day] = turn.result
        judge.saw_go(before, day)
    print(judge.looks, judge.oldest_seen, judge.youngest_gone, set(results.values()))

"""A year of nights: no log record ever reaches ninety days, and none goes before its margin (I14, I15, I24).

The judge is plain Python over the rows as they were written: it knows no calendar of the product's.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.mandate import Mandate
from lifecycle.flow import approve, registers, reporting
from tests.systems.applications import LOGS_ONLY
from tests.systems.world import BERLIN, FIRST, Company, at, company, customer

if TYPE_CHECKING:
    from collections.abc import Iterator

CEILING, MARGIN = 90, 3
GRANTED = date(2027, 10, 1)
"""The year that follows holds both changes of the clock (31 October, 26 March) and a leap day."""
EXPIRES = date(2028, 10, 1)
WARNED = EXPIRES - timedelta(days=30)
NIGHT = time(2, 30)
"""An hour that the spring change skips and the autumn change has twice."""
FAILED = frozenset(GRANTED + timedelta(days=days) for days in (40, 75, 133, 150, 201, 298, 340))
EVERY = timedelta(hours=9, minutes=41)
ONE_DAY = timedelta(days=1)
SITE = "airport"
SHARED_MEMORY = Path("/dev/shm")


@dataclass
class Judge:
    """Every row ever written with its day in Berlin, and the extremes of what was seen and what went."""

    parking: Company
    written: dict[int, date] = field(default_factory=dict)
    moment: datetime = field(default=at(GRANTED) - timedelta(days=89))
    oldest_seen: int = 0
    youngest_gone: int = CEILING
    looks: int = 0
    gone: int = 0

    def write_until(self, until: datetime) -> None:
        """Let the application write what falls before that moment."""
        rows = []
        while self.moment < until:
            stamp = int(self.moment.timestamp())
            rows.append((len(self.written), SITE, stamp))
            self.written[len(self.written)] = datetime.fromtimestamp(stamp, BERLIN).date()
            self.moment = (self.moment.astimezone(UTC) + EVERY).astimezone(BERLIN)
        if rows:
            self.parking.write("sms_journal", *rows)

    def there(self) -> set[int]:
        """Read which rows the application still has."""
        return set(self.parking.column("SELECT id FROM sms_journal"))

    def look(self, day: date) -> set[int]:
        """Judge the rows as they lie there on that day; return them."""
        there = self.there()
        self.looks += 1
        self.oldest_seen = max(self.oldest_seen, *((day - self.written[row]).days for row in there))
        return there

    def night(self, day: date) -> str:
        """Look at midnight and right before the run, let the night run, and judge what it removed."""
        self.write_until(at(day, time(0)))
        self.look(day)
        self.write_until(at(day, NIGHT))
        before = self.look(day)
        if day in FAILED:
            return "failed"
        self.parking.clock.set(at(day, NIGHT))
        ((_, result),) = self.parking.tick()
        ages = [(day - self.written[row]).days for row in before - self.there()]
        self.gone += len(ages)
        self.youngest_gone = min(self.youngest_gone, *ages, CEILING)
        return result


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the machine has one: a year is ten thousand commits, and no disk is under test."""
    if not os.access(SHARED_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def parking(memory: Path) -> Iterator[Company]:
    """A company whose only promise is the ninety days of clause 5.7."""
    tenant = customer(LOGS_ONLY, SITE, parameters={"booking_retention": "P6M"})
    with company(memory / "year", LOGS_ONLY, GRANTED - ONE_DAY, tenant) as found:
        yield found


def _mandate(parking: Company) -> Mandate:
    (mandate,) = registers.every(parking.line.state, "mandate", Mandate)
    return mandate


def _renew(parking: Company) -> Mandate:
    return approve.renew(parking.line, _mandate(parking).id, FIRST, parking.key(FIRST))


def test_I15_a_year_of_nights_never_leaves_a_log_record_of_ninety_days(parking: Company) -> None:
    """At each local midnight and right before each run the oldest record is younger than ninety days.

    Single nights fail, the clock changes twice, February has a 29th, and the mandate is renewed a night too late.
    """
    judge = Judge(parking)
    parking.go(GRANTED, NIGHT)
    judge.write_until(parking.clock.now())
    parking.authorise("logs")
    judge.gone += len(judge.written) - len(judge.there())

    results = {}
    day = GRANTED
    while day < EXPIRES + 2 * ONE_DAY:
        day += ONE_DAY
        results[day] = judge.night(day)
        if day == EXPIRES:
            assert results[day] == "observing", "twelve months after the grant the rule only observes"
            assert _renew(parking).expires_on == date(2029, 10, 1)

    assert date(2028, 2, 29) in results
    assert {results[change] for change in (date(2027, 10, 31), date(2028, 3, 26))} == {"applied"}
    assert set(results.values()) == {"applied", "failed", "observing"}
    assert (len(results), judge.looks) == (368, 2 * 368)
    assert judge.oldest_seen < CEILING
    assert judge.youngest_gone == CEILING - MARGIN
    assert judge.gone + len(judge.there()) == len(judge.written) > 1_000


def test_a_mandate_that_nobody_renews_ends_in_an_alarm_before_the_ceiling(parking: Company) -> None:
    """The renewal is asked for thirty days ahead; then the rule observes, and status counts down to the breach."""
    judge = Judge(parking)
    parking.go(GRANTED, NIGHT)
    judge.write_until(parking.clock.now())
    parking.authorise("logs")
    assert _mandate(parking).expires_on == EXPIRES

    # Eleven months on; the nights in between are another test's story.
    parking.go(WARNED - ONE_DAY)
    judge.moment = parking.clock.now() - timedelta(days=80)
    parking.tick()
    judge.write_until(parking.clock.now())
    assert "lifecycle mandate renew" not in parking.cli("status")
    parking.go(WARNED)
    assert f"ends on {EXPIRES}; `lifecycle mandate renew {_mandate(parking).id}`" in parking.cli("status")

    # The last covered night, and the first one without: the rule observes, and the next ceiling is named.
    parking.nights(WARNED, EXPIRES - ONE_DAY)
    parking.go(EXPIRES)
    assert parking.tick() == [("logs", "observing")]
    oldest = min(judge.written[row] for row in judge.there())
    answer = parking.cli("status")
    assert answer.startswith(f"Yes: nothing is overdue. The next ceiling is {oldest + timedelta(days=CEILING)}.")
    assert "parking-reminder/logs only observes: no mandate" in answer

    # The margin is used up: the record of ninety days is a breach, and says so.
    breach = oldest + timedelta(days=CEILING)
    assert breach == EXPIRES + MARGIN * ONE_DAY
    parking.go(breach - ONE_DAY)
    assert reporting.status(parking.line).scanned.breached is False
    parking.go(breach)
    assert parking.cli("status", code=5).startswith("No: ")
    assert parking.json("status", code=5)["answer"] == "breached"

    # Signed again, the same template covers the same rule.
    assert _renew(parking).expires_on == date(2029, 10, 4)
    assert parking.tick() == [("logs", "applied")]
    assert parking.json("status")["answer"] == "kept"


def test_I13_quiet_nights_are_no_outage(parking: Company) -> None:
    """Nothing was due for five nights, but each of them looked at the clock: the sixth runs without anybody's word."""
    written = [(0, SITE, int((at(GRANTED) - timedelta(days=100)).timestamp()))]
    written.append((1, SITE, int((at(GRANTED) - timedelta(days=81)).timestamp())))
    parking.write("sms_journal", *written)
    parking.go(GRANTED)
    assert parking.authorise("logs").deleted == 1
    nights = []
    for number in range(1, 7):
        parking.clock.set(at(GRANTED + number * ONE_DAY))
        nights += parking.tick()
    assert nights == [("logs", "idle")] * 5 + [("logs", "applied")]
    assert parking.column("SELECT id FROM sms_journal") == []

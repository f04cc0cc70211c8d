"""Parking reminder's story: logs of ninety days at every moment, bookings after the controller's own period."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.flow import instructing, offboard
from lifecycle.flow.instructing import Given
from tests.systems.applications import PARKING_ANONYMOUS, PARKING_REMINDER
from tests.systems.layers import anonymise_bookings
from tests.systems.world import FIRST, Company, at, company, customer, local_days, utc, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.core.tenant import Tenant

START = date(2026, 8, 31)
AIRPORT, STATION = "airport", "station"
HALF_A_YEAR, A_MONTH = "P6M", "P30D"


def site(name: str, retention: str) -> Tenant:
    """A controller with its own period for bookings."""
    return customer(PARKING_REMINDER, name, parameters={"booking_retention": retention})


@pytest.fixture
def parking(tmp_path: Path) -> Iterator[Company]:
    """Two controllers; each set its own period. Bookings ended 0 to 290 days ago, logs are up to 145 days old."""
    tenants = [site(AIRPORT, HALF_A_YEAR), site(STATION, A_MONTH)]
    with company(tmp_path / "parking", PARKING_REMINDER, START, *tenants) as found:
        for base, name in ((0, AIRPORT), (1000, STATION)):
            _furnish(found, name, base)
        found.write("executions", *((i, utc(at(START) - timedelta(days=5 * i))) for i in range(30)))
        yield found


def _furnish(parking: Company, name: str, base: int) -> None:
    now = at(START)
    ends = [utc(now - timedelta(days=10 * i)) for i in range(30)]
    parking.write("bookings", *((base + i, name, end) for i, end in enumerate(ends)))
    parking.write("drivers", *((base + i, name, base + i, "+490000", end) for i, end in enumerate(ends)))
    sent = [int((now - timedelta(days=5 * i)).timestamp()) for i in range(30)]
    parking.write("sms_journal", *((base + i, name, moment) for i, moment in enumerate(sent)))
    parking.write("invoices", *((f"{name}-{year}", name, f"{year}-03-04") for year in (2016, 2017, 2018, 2025)))


def _ends(parking: Company, name: str) -> list[date]:
    return sorted(local_days(parking.column("SELECT booked_until FROM bookings WHERE site = ?", name)))


def test_the_story_of_parking_reminder(parking: Company) -> None:
    """Each controller's own period, the logs' ninety days, and an end without any agreed window."""
    assert dict(parking.tick()) == {"booking": "observing", "logs": "observing"}

    # Logs, those of the sub-processor too, and whoever's they are.
    parking.authorise("logs")
    for table, column in (("sms_journal", "at"), ("executions", "started_at")):
        assert len(parking.rows(f"SELECT {column} FROM {table}")) == (36 if table == "sms_journal" else 18)
    oldest = min(local_days(parking.column("SELECT started_at FROM executions")))
    assert oldest == START - timedelta(days=85)

    # Bookings stay through the last day of the controller's period: six months of 31 August end on the last of
    # February, thirty days are thirty days. The invoices are the operator's own and follow their statute.
    parking.authorise("booking")
    parking.nights(START, date(2026, 9, 1))
    assert _ends(parking, AIRPORT)[0] == date(2026, 3, 4)
    assert _ends(parking, STATION)[0] == date(2026, 8, 11)
    kept = parking.column("SELECT issued_on FROM invoices WHERE site = ? ORDER BY 1", STATION)
    assert kept == ["2018-03-04", "2025-03-04"]

    # By an instruction in text form the controller shortens its period; the rule takes the rest without a new mandate.
    tenant = parking.tenant(AIRPORT)
    given = Given("set-parameter", "operations", "text", reference="mail of 1 September")
    received = instructing.receive(parking.line, tenant, given, recorded_by=FIRST)
    instructing.decide(parking.line, tenant, received.id, "accepted", recorded_by=FIRST)
    offboard.sync(parking.line, [site(AIRPORT, "P3M"), site(STATION, A_MONTH)])
    parking.nights(date(2026, 9, 1), date(2026, 9, 4))
    assert _ends(parking, AIRPORT)[0] == date(2026, 6, 12)
    assert _ends(parking, STATION)[0] == date(2026, 8, 11)

    # The contract ends on 30 September. No window and no number of days are agreed: thirty days by the Data Act, then
    # "without delay", which is the operator's reading.
    parking.go(date(2026, 9, 30))
    offboard.end(parking.line, parking.tenant(AIRPORT), ends_on=date(2026, 9, 30))
    line = offboard.view(parking.line, parking.tenant(AIRPORT)).timeline
    assert (line.due_from, line.delete_by) == (date(2026, 10, 31), date(2026, 11, 13))
    assert [w.label for w in line.windows] == ["statute"]

    # The window does not stop the booking's own period: it expires before the window closes, and that is said.
    parking.nights(date(2026, 10, 8), date(2026, 10, 10))
    assert _ends(parking, AIRPORT)[0] == date(2026, 7, 12)
    package = parking.export(AIRPORT)
    assert {name: len(rows) for name, rows in package.items()} == {"bookings": 6, "drivers": 6}
    told = parking.json("explain", AIRPORT, "bookings", "--start", "2026-07-20")
    assert told["datasets"][0]["conflicts"] == [
        "the record expires before the window of Art. 25(2)(g) and (h) Regulation (EU) 2023/2854 closes"
    ]

    parking.go(date(2026, 10, 30))
    parking.not_yet(AIRPORT, "open; deletion is due from 2026-10-31")
    parking.go(date(2026, 10, 31))
    neighbour = parking.everything("site", STATION)
    gone = parking.let_go(AIRPORT)
    assert {table: len(rows) for table, rows in parking.everything("site", AIRPORT).items() if rows} == {"invoices": 2}
    assert parking.everything("site", STATION) == neighbour
    facts = parking.certify(gone)
    assert (facts["title"], facts["completeness"]) == ("Löschnachweis", "final-with-residue")
    assert withheld(facts) == {"invoices": [(1, "2027-01-01"), (1, "2034-01-01")]}
    assert parking.state(AIRPORT) == "remainder"


def test_the_period_for_bookings_has_no_default(tmp_path: Path) -> None:
    """Clause 3.5 leaves the period to the controller: without it the tenant is not even registered."""
    tenant = customer(PARKING_REMINDER, AIRPORT)
    with (
        pytest.raises(Refused, match="booking_retention") as refusal,
        company(tmp_path / "parking", PARKING_REMINDER, START, tenant),
    ):
        pass
    assert refusal.value.guard == "parameter-missing"


def test_a_parameter_that_no_clause_knows_is_refused(tmp_path: Path) -> None:
    """A period that the agreement does not leave to the controller binds nothing."""
    tenant = customer(PARKING_REMINDER, AIRPORT, parameters={"booking_retention": "P6M", "log_retention": "P1Y"})
    with (
        pytest.raises(InvalidDocument, match="declares no parameter 'log_retention'"),
        company(tmp_path / "parking", PARKING_REMINDER, START, tenant),
    ):
        pass


def _told_apart(parking: Company, table: str, column: str, value: str) -> tuple[list[date], list[date]]:
    """Return the ends of the bookings whose column has that value, and of the others."""
    rows = parking.rows(f"SELECT booked_until, {column} FROM {table} WHERE site = ?", AIRPORT)
    ends = {True: list[str](), False: list[str]()}
    for end, found in rows:
        ends[(found or "").startswith(value)].append(end)
    return sorted(local_days(ends[True])), sorted(local_days(ends[False]))


def test_the_story_of_bookings_that_are_anonymised(tmp_path: Path) -> None:
    """Clause 3.5 grants either: after the period rows stay and name nobody; those of the statute are untouched."""
    root = tmp_path / "parking"
    tenants = [site(AIRPORT, A_MONTH)]
    with company(root, PARKING_ANONYMOUS, START, *tenants, policies=anonymise_bookings) as parking:
        now = at(START)
        ends = [utc(now - timedelta(days=10 * i)) for i in range(30)]
        parking.write("bookings", *((i, AIRPORT, f"B-{i}", end, end, 1234 + i) for i, end in enumerate(ends)))
        parking.write("drivers", *((i, AIRPORT, i, f"Driver {i}", f"+49{i}", end) for i, end in enumerate(ends)))
        years = (2016, 2017, 2018, 2025)
        parking.write("invoices", *((f"{year}", AIRPORT, "Jane Roe", f"{year}-03-04") for year in years))
        parking.tick()

        # Booking's end and thirty days: the rows stay, the numbers are tokens, drivers have no name and no booking.
        ran = parking.authorise("booking")
        assert (ran.outcome, ran.clean) == ("done", True)
        done, open_ = _told_apart(parking, "bookings", "number", "anon~")
        assert (done[-1], open_[0], len(done) + len(open_)) == (date(2026, 7, 22), date(2026, 8, 1), 30)
        assert _told_apart(parking, "drivers", "name", "anonymised") == (done, open_)
        late = "SELECT DISTINCT booking_id, mobile FROM drivers WHERE name = 'anonymised'"
        assert parking.rows(late) == [(None, None)]
        assert {price % 500 for price in parking.column("SELECT price FROM bookings WHERE number LIKE 'anon~%'")} == {0}

        # The operator's own invoices follow their statute: eight years from the end of the year.
        named = parking.column("SELECT number FROM invoices WHERE contact = 'Jane Roe' ORDER BY 1")
        assert named == ["2018", "2025"]

        # The certificate counts them as anonymised, apart from deleted ones.
        planned = next(p for p in parking.json("plan", "--list")["plans"] if p["state"] == "done")
        facts = parking.certify_hash(planned["hash"])
        counts = {row["dataset"]: (row["method"], row["anonymised"], row["deleted"]) for row in facts["datasets"]}
        assert counts == {
            "bookings": ("anonymise", len(done), 0),
            "drivers": ("anonymise", len(done), 0),
            "invoices": ("anonymise", 2, 0),
        }

        # The nights go on by mandate; ten days later one more booking is due, and only that one changes.
        parking.nights(START, date(2026, 9, 10))
        later, _ = _told_apart(parking, "bookings", "number", "anon~")
        assert later == [*done, date(2026, 8, 1), date(2026, 8, 11)][: len(later)]
        assert len(later) > len(done)

        # A form that comes late writes a name back: it is due again, and not for long.
        parking.change("UPDATE drivers SET name = 'Driver 29', mobile = '+4929' WHERE id = 29")
        parking.nights(date(2026, 9, 10), date(2026, 9, 11))
        assert parking.rows("SELECT name, mobile FROM drivers WHERE id = 29") == [("anonymised", None)]

        # At the contract's end everything goes, anonymised or not, but for what the statute keeps.
        parking.go(date(2026, 9, 30))
        offboard.end(parking.line, parking.tenant(AIRPORT), ends_on=date(2026, 9, 30))
        parking.go(date(2026, 10, 31))
        parking.certify(parking.let_go(AIRPORT))
        left = {table: len(rows) for table, rows in parking.everything("site", AIRPORT).items() if rows}
        assert left == {"invoices": 2}


def test_anonymising_needs_to_be_told_how(tmp_path: Path) -> None:
    """A policy that anonymises datasets which do not say what becomes of their columns is refused with its place."""
    root = tmp_path / "parking"
    with (
        pytest.raises(InvalidDocument, match="anonymises 'bookings', and nothing says how"),
        company(root, PARKING_REMINDER, START, site(AIRPORT, A_MONTH), policies=anonymise_bookings),
    ):
        pass

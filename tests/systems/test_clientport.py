"""ClientPort's story: own ceiling for server logs, the Data Act's thirty days, deletion, remainder under a statute."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.flow import offboard
from tests.systems.applications import CLIENTPORT
from tests.systems.world import Company, at, company, customer, local_days, utc, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 4, 20)
LEAVES, STAYS = "linde", "linde-sued"


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Company]:
    """Two portals with the same kind of rows; logs are up to 120 days old."""
    tenants = [customer(CLIENTPORT, name, contract_start=date(2024, 1, 1)) for name in (LEAVES, STAYS)]
    with company(tmp_path / "clientport", CLIENTPORT, START, *tenants) as found:
        for base, name in ((0, LEAVES), (1000, STAYS)):
            _furnish(found, name, base, at(START))
        yield found


def _furnish(portal: Company, name: str, base: int, now: datetime) -> None:
    portal.write("portals", (name, f"Portal {name}", utc(now - timedelta(days=800))))
    portal.write("portal_users", *((base + i, name, f"user{base + i}@example.com") for i in range(3)))
    portal.write("credentials", *((base + i, "argon2") for i in range(3)))
    portal.write(
        "tickets", *((base + i, name, base + i % 3, "Subject", utc(now - timedelta(days=i))) for i in range(6))
    )
    portal.write("comments", *((base + i, base + i // 2, "Body") for i in range(12)))
    portal.write("request_log", *((base + i, name, "192.0.2.1", utc(now - timedelta(days=10 * i))) for i in range(13)))
    portal.write("invoices", *((f"{name}-{year}", name, f"{year}-03-04") for year in range(2016, 2027)))


def test_the_story_of_clientport(portal: Company) -> None:
    """From the first log that expires to the certificate after the last backup."""
    # Logs: nothing goes before somebody has approved the rule; then no record reaches ninety days.
    assert portal.tick() == [("server-logs", "observing")]
    assert len(portal.rows("SELECT * FROM request_log")) == 26
    assert portal.authorise("server-logs").deleted == 8
    oldest = min(local_days(portal.column("SELECT at FROM request_log")))
    assert oldest == START - timedelta(days=80)

    # Notice, and the contract's end on 30 June. No window is agreed; the Data Act gives thirty days to fetch the data.
    portal.go(date(2026, 5, 20))
    offboard.notice(portal.line, portal.tenant(LEAVES), notice_on=date(2026, 5, 20), ends_on=date(2026, 6, 30))
    portal.not_yet(LEAVES, "open; deletion is due from 2026-07-31")
    portal.go(date(2026, 7, 1))
    assert portal.state(LEAVES) == "ended"
    assert portal.tick() == [("server-logs", "applied")], "an open window does not stop a record's own ceiling"
    package = portal.export(LEAVES)
    assert {name: len(rows) for name, rows in package.items()} == {
        "portals": 1, "portal-users": 3, "tickets": 6, "comments": 12,
    }  # fmt: skip
    assert STAYS not in str(package)

    # The window is open through its last day and not an hour longer.
    portal.go(date(2026, 7, 30))
    portal.not_yet(LEAVES, "open; deletion is due from 2026-07-31")
    portal.go(date(2026, 7, 31))
    neighbour = portal.everything("portal_id", STAYS)
    leaving = portal.let_go(LEAVES)
    left = portal.everything("portal_id", LEAVES)
    assert {name: len(rows) for name, rows in left.items() if rows} == {"invoices": 9}
    assert portal.everything("portal_id", STAYS) == neighbour
    assert portal.column("SELECT id FROM portals") == [STAYS]
    assert portal.rows("SELECT * FROM comments WHERE ticket_id NOT IN (SELECT id FROM tickets)") == []

    # The operator's invoices stay as long as its own books must; those of 2016 and 2017 had ended.
    assert portal.column("SELECT issued_on FROM invoices WHERE portal_id = ? ORDER BY 1", LEAVES)[0] == "2018-03-04"
    provisional = portal.certify(leaving)
    assert (provisional["title"], provisional["completeness"]) == ("Löschbestätigung", "provisional")
    assert withheld(provisional) == {"invoices": [(1, f"{year + 9}-01-01") for year in range(2018, 2027)]}
    assert provisional["approvals"] == ["op-one", "op-two"]
    assert portal.state(LEAVES) == "deleted"

    # A week later the last backup is overwritten: the final certificate, with its remainder.
    portal.go(date(2026, 8, 8))
    final = portal.certify(leaving)
    assert (final["completeness"], final["supersedes"]) == ("final-with-residue", provisional["certificate"])
    assert portal.state(LEAVES) == "remainder"

    # The invoice of 2018 is due again once its eight years are over, and not a day before.
    portal.go(date(2026, 12, 31))
    assert portal.plan_leaving(LEAVES).plan.expected() == 0
    portal.go(date(2027, 1, 1))
    assert portal.let_go(LEAVES).plan.expected() == 1
    assert len(portal.column("SELECT number FROM invoices WHERE portal_id = ?", LEAVES)) == 8
    assert len(portal.column("SELECT number FROM invoices WHERE portal_id = ?", STAYS)) == 11

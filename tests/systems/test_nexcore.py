"""nexcore's story: an individual agreement prevails over the standard one; statutes outlive both."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Refused
from lifecycle.flow import instructing, offboard
from lifecycle.flow.instructing import Given
from tests.systems.applications import NEXCORE
from tests.systems.layers import add_individual
from tests.systems.world import FIRST, Company, at, company, customer, utc, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 3, 4)
END = date(2026, 3, 31)
STANDARD, INDIVIDUAL, STAYS = "alster", "hafen", "speicher"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Company]:
    """Three customers: one without a licence, one with an individual agreement, one that stays."""
    tenants = [
        customer(NEXCORE, STANDARD),
        customer(NEXCORE, INDIVIDUAL, individual="nexcore-hafen", licence="active full-user licence"),
        customer(NEXCORE, STAYS, licence="active full-user licence"),
    ]
    with company(tmp_path / "nexcore", NEXCORE, START, *tenants, policies=add_individual) as found:
        for base, name in ((0, STANDARD), (1000, INDIVIDUAL), (2000, STAYS)):
            _furnish(found, name, base)
        yield found


def _furnish(cloud: Company, name: str, base: int) -> None:
    now = at(START)
    cloud.write("customers", *((base + i, name, f"buyer{base + i}@example.com") for i in range(3)))
    cloud.write("orders", *((base + i, name, base + i % 3, utc(now - timedelta(days=i))) for i in range(6)))
    cloud.write("vouchers", *((base + i, name, base + i % 6, "2026-03-04") for i in range(8)))
    ages = range(0, 100, 10)
    stamps = [int((now - timedelta(days=age)).timestamp() * 1000) for age in ages]
    cloud.write("activity_log", *((base + i, name, stamp) for i, stamp in enumerate(stamps)))
    cloud.write(
        "own_vouchers", *((f"{name}-{made}", name, made) for made in ("2017-06-30", "2018-06-30", "2026-03-04"))
    )


def _left(cloud: Company, name: str) -> dict[str, int]:
    return {table: len(rows) for table, rows in cloud.everything("client_id", name).items() if rows}


def test_the_story_of_nexcore(cloud: Company) -> None:
    """Each figure is that of the layer that prevails for this customer."""
    # Only the individual agreement names a period for the activity log: it binds that customer's rows alone.
    assert cloud.authorise("activity").deleted == 7
    assert {name: _left(cloud, name)["activity_log"] for name in (STANDARD, INDIVIDUAL, STAYS)} == {
        STANDARD: 10, INDIVIDUAL: 3, STAYS: 10,
    }  # fmt: skip

    # Both contracts end on 31 March: thirty days through 30 April by the standard, sixty by the individual agreement.
    cloud.go(END)
    for name in (STANDARD, INDIVIDUAL):
        offboard.end(cloud.line, cloud.tenant(name), ends_on=END)
    standard = offboard.view(cloud.line, cloud.tenant(STANDARD)).timeline
    individual = offboard.view(cloud.line, cloud.tenant(INDIVIDUAL)).timeline
    assert (standard.window_end, individual.window_end) == (date(2026, 4, 30), date(2026, 5, 30))

    # The licence decides what is offered, not whether the data stays.
    assert standard.licence_note is not None
    assert "a complete export is offered instead" in standard.licence_note
    assert individual.licence_note is None

    # A doubtful instruction is suspended until the controller confirms it.
    given = Given("delete-earlier", "it-lead", "ticket", reference="T-7")
    doubtful = instructing.receive(cloud.line, cloud.tenant(STANDARD), given, recorded_by=FIRST)
    states = [
        instructing.decide(cloud.line, cloud.tenant(STANDARD), doubtful.id, state, recorded_by=FIRST).state
        for state in ("suspended", "withdrawn")
    ]
    assert states == ["suspended", "withdrawn"]
    cloud.go(date(2026, 4, 30))
    cloud.not_yet(STANDARD, "open; deletion is due from 2026-05-01")
    assert {name: len(rows) for name, rows in cloud.export(STANDARD).items()} == {
        "customers": 3, "orders": 6, "vouchers": 8,
    }  # fmt: skip

    # 1 May: the customer's own vouchers were returned and go; the operator's stay for eight years after their year.
    cloud.go(date(2026, 5, 1))
    others = {name: cloud.everything("client_id", name) for name in (INDIVIDUAL, STAYS)}
    gone = cloud.let_go(STANDARD)
    assert _left(cloud, STANDARD) == {"own_vouchers": 2}
    assert {name: cloud.everything("client_id", name) for name in (INDIVIDUAL, STAYS)} == others
    facts = cloud.certify(gone)
    assert (facts["title"], facts["completeness"]) == ("Lösch-/Vernichtungsnachweis", "provisional")
    assert withheld(facts) == {"own-vouchers": [(1, "2027-01-01"), (1, "2035-01-01")]}
    assert {group["duty_holder"] for group in facts["withheld"]} == {"processor"}

    # Sixty days are sixty days.
    cloud.not_yet(INDIVIDUAL, "open; deletion is due from 2026-05-31")
    cloud.go(date(2026, 5, 31))
    cloud.let_go(INDIVIDUAL)
    assert _left(cloud, INDIVIDUAL) == {"own_vouchers": 2}

    # Backups follow with their cycle of 35 days, as agreed: the second certificate.
    cloud.go(date(2026, 6, 6))
    assert cloud.certify(gone)["completeness"] == "final-with-residue"
    assert cloud.state(STANDARD) == "remainder"

    # The voucher of 4 March 2026 is deletable from 1 January 2035, and then the customer's file can be closed.
    cloud.go(date(2034, 12, 31))
    assert cloud.plan_leaving(STANDARD).plan.expected() == 1, "that of 2018"
    cloud.go(date(2035, 1, 1))
    last = cloud.let_go(STANDARD)
    assert last.plan.expected() == 2
    assert _left(cloud, STANDARD) == {}
    assert withheld(cloud.certify(last)) == {}
    cloud.go(date(2035, 2, 6))
    assert cloud.certify(last)["completeness"] == "final"
    assert cloud.state(STANDARD) == "closed"
    assert _left(cloud, STAYS) == {
        "customers": 3, "orders": 6, "vouchers": 8, "activity_log": 10, "own_vouchers": 3,
    }  # fmt: skip


def test_layers_that_contradict_each_other_are_refused_where_no_order_decides(tmp_path: Path) -> None:
    """Take the agreement's order away, and nobody guesses which of two export windows binds."""

    def without_order(policies: Path) -> None:
        add_individual(policies)
        path = policies / "agreements" / "nexcore.yaml"
        known = "order: [individual, standard, service-agreement, toms, specification]"
        assert known in path.read_text()
        path.write_text(path.read_text().replace(known, "order: unknown"))

    tenant = customer(NEXCORE, INDIVIDUAL, individual="nexcore-hafen")
    with (
        pytest.raises(Refused, match="no order decides") as refusal,
        company(tmp_path / "nexcore", NEXCORE, START, tenant, policies=without_order),
    ):
        pass
    assert refusal.value.guard == "precedence-unknown"

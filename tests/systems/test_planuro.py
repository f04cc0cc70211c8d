"""Planuro's story: ninety days to pick the data up, ended earlier by an instruction of the controller."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from lifecycle.core.errors import Refused
from lifecycle.flow import instructing, offboard
from lifecycle.flow.instructing import Given
from tests.systems.applications import PLANURO
from tests.systems.world import FIRST, Company, at, company, customer, utc, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 3, 2)
END = date(2026, 3, 31)
HURRIED, PATIENT, STAYS = "atlas", "birch", "cedar"


@pytest.fixture
def planner(tmp_path: Path) -> Iterator[Company]:
    """Three companies; two of them will leave on the same day."""
    tenants = [customer(PLANURO, name, authorised=("office",)) for name in (HURRIED, PATIENT, STAYS)]
    with company(tmp_path / "planuro", PLANURO, START, *tenants) as found:
        for base, name in ((0, HURRIED), (1000, PATIENT), (2000, STAYS)):
            _furnish(found, name, base)
        yield found


def _furnish(planner: Company, name: str, base: int) -> None:
    now = at(START)
    planner.write("pl_users", *((base + i, name, f"user{base + i}@example.com", None) for i in range(4)))
    planner.write("pl_plans", *((base + i, name, "Plan", utc(now)) for i in range(3)))
    planner.write("pl_plan_entries", *((base + i, base + i % 3, "Entry") for i in range(9)))
    planner.write("pl_activity", *((base + i, name, int(now.timestamp()) - i * 86400) for i in range(200)))
    planner.write("pl_billing", *((base + i, name, f"{year}-11-05") for i, year in enumerate((2015, 2017, 2025))))


def _left(planner: Company, name: str) -> dict[str, int]:
    return {table: len(rows) for table, rows in planner.everything("company_id", name).items() if rows}


def test_the_story_of_planuro(planner: Company) -> None:
    """Two contracts end on the same day: one controller waits for the window, the other one ends it by instruction."""
    # The agreement names no period for logs: nothing is invented, no rule binds them during the contract.
    assert planner.tick() == []
    assert _left(planner, STAYS)["pl_activity"] == 200

    planner.go(date(2026, 3, 31))
    for name in (HURRIED, PATIENT):
        offboard.end(planner.line, planner.tenant(name), ends_on=END)
    line = offboard.view(planner.line, planner.tenant(PATIENT)).timeline
    assert [(w.label, w.source, w.last_day) for w in line.windows] == [
        ("clause", "§ 10(1)", date(2026, 6, 29)),
        ("statute", "Art. 25(2)(g) and (h) Regulation (EU) 2023/2854", date(2026, 4, 30)),
    ]
    assert (line.due_from, line.delete_by) == (date(2026, 6, 30), date(2026, 7, 13))
    planner.not_yet(HURRIED, "open; deletion is due from 2026-06-30")

    # A stranger's instruction is recorded and rejected; an oral one may not delete before it is confirmed in text.
    planner.go(date(2026, 4, 29))
    tenant = planner.tenant(HURRIED)
    with pytest.raises(Refused, match="not name this person") as refusal:
        instructing.receive(planner.line, tenant, Given("delete-earlier", "intern", "text"), recorded_by=FIRST)
    assert refusal.value.guard == "not-authorised"
    oral = instructing.receive(planner.line, tenant, Given("delete-earlier", "office", "oral"), recorded_by=FIRST)
    with pytest.raises(Refused, match="oral instruction may not delete"):
        instructing.decide(planner.line, tenant, oral.id, "accepted", recorded_by=FIRST)

    # Before the contract's data is gone it is fetched.
    package = planner.export(HURRIED)
    assert {name: len(rows) for name, rows in package.items()} == {"accounts": 4, "plans": 3, "plan-entries": 9}

    # Confirmed on 4 May, the instruction ends the window that day. It lowers the window, never a statute's duty.
    planner.go(date(2026, 5, 4))
    instructing.decide(planner.line, tenant, oral.id, "confirmed", recorded_by=FIRST)
    offboard.waive_window(planner.line, planner.tenant(HURRIED), waived_on=date(2026, 5, 4))
    planner.not_yet(HURRIED, "open; deletion is due from 2026-05-05")
    planner.go(date(2026, 5, 5))
    others = {name: planner.everything("company_id", name) for name in (PATIENT, STAYS)}
    hurried = planner.let_go(HURRIED)
    assert _left(planner, HURRIED) == {"pl_billing": 1}
    assert {name: planner.everything("company_id", name) for name in (PATIENT, STAYS)} == others
    assert len(planner.rows("SELECT * FROM pl_plan_entries")) == 18
    facts = planner.certify(hurried)
    assert (facts["title"], facts["completeness"]) == ("Löschbestätigung", "provisional")
    assert withheld(facts) == {"billing": [(1, "2034-01-01")]}

    # The other controller has its ninety days whole.
    planner.not_yet(PATIENT, "open; deletion is due from 2026-06-30")
    planner.go(date(2026, 6, 29))
    planner.not_yet(PATIENT, "open; deletion is due from 2026-06-30")
    planner.go(date(2026, 6, 30))
    patient = planner.let_go(PATIENT)
    assert _left(planner, PATIENT) == {"pl_billing": 1}
    planner.go(date(2026, 7, 15))
    facts = planner.certify(patient)
    assert facts["completeness"] == "final-with-residue"
    assert (planner.state(PATIENT), planner.state(STAYS)) == ("remainder", "active")

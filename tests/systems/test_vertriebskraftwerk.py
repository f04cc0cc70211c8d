"""Vertriebskraftwerk's story: silence is no choice; deletion counts from the choice, return from the delivery."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from lifecycle.flow import offboard
from tests.systems.applications import VERTRIEBSKRAFTWERK
from tests.systems.world import Company, at, company, customer, utc, withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 5, 4)
END = date(2026, 5, 31)
DELETES, RETURNS, STAYS = "mandate-7", "mandate-8", "mandate-70"


@pytest.fixture
def forms(tmp_path: Path) -> Iterator[Company]:
    """Three controllers with forms, answers three tables deep, contacts and the mapping of reference ids."""
    tenants = [customer(VERTRIEBSKRAFTWERK, name) for name in (DELETES, RETURNS, STAYS)]
    with company(tmp_path / "forms", VERTRIEBSKRAFTWERK, START, *tenants) as found:
        for base, name in ((0, DELETES), (1000, RETURNS), (2000, STAYS)):
            _furnish(found, name, base)
        yield found


def _furnish(forms: Company, name: str, base: int) -> None:
    forms.write("forms", *((base + i, name, "Form") for i in range(2)))
    forms.write("form_submissions", *((base + i, base + i % 2, utc(at(START))) for i in range(6)))
    forms.write("form_answers", *((base + i, base + i % 6, "Answer") for i in range(18)))
    forms.write("contacts", *((base + i, name, f"lead{base + i}@example.com") for i in range(5)))
    forms.write("reference_ids", *((f"r-{base + i}", name, base + i) for i in range(5)))
    forms.write("letters", *((base + i, name, f"{year}-02-01") for i, year in enumerate((2018, 2019, 2020, 2026))))


def _left(forms: Company, name: str) -> dict[str, int]:
    return {table: len(rows) for table, rows in forms.everything("mandate_id", name).items() if rows}


def test_the_story_of_vertriebskraftwerk(forms: Company) -> None:
    """Nobody deletes on silence; the choice starts the period; a promised return is delivered before."""
    for name in (DELETES, RETURNS):
        offboard.notice(forms.line, forms.tenant(name), notice_on=START, ends_on=END)
    forms.go(date(2026, 6, 1))
    assert [forms.state(name) for name in (DELETES, RETURNS, STAYS)] == ["awaiting-choice", "awaiting-choice", "active"]

    # The Data Act's thirty days pass and nobody answers: still nothing is deleted. The wait has the operator's ceiling.
    forms.go(date(2026, 7, 8))
    forms.not_yet(DELETES, "the controller's choice between deletion and return is awaited")
    waiting = offboard.view(forms.line, forms.tenant(DELETES)).timeline
    assert (waiting.awaiting_choice, waiting.due_from, waiting.delete_by) == (True, None, date(2026, 8, 29))

    # One controller chooses deletion: the period counts from that day.
    forms.go(date(2026, 7, 10))
    offboard.choose(forms.line, forms.tenant(DELETES), "delete", form="text")
    assert forms.state(DELETES) == "ended"
    chosen = offboard.view(forms.line, forms.tenant(DELETES)).timeline
    assert (chosen.due_from, chosen.delete_by) == (date(2026, 7, 11), date(2026, 7, 24))
    forms.not_yet(DELETES, "open; deletion is due from 2026-07-11")

    # The other one wants its data back: nothing goes before it was delivered and could be inspected.
    offboard.choose(forms.line, forms.tenant(RETURNS), "return", form="text")
    forms.not_yet(RETURNS, "a promised return has not been delivered")
    package = forms.export(RETURNS)
    assert {name: len(rows) for name, rows in package.items()} == {
        "forms": 2, "submissions": 6, "answers": 18, "contacts": 5,
    }  # fmt: skip
    forms.not_yet(RETURNS, "open; deletion is due from 2026-07-25")

    forms.go(date(2026, 7, 11))
    others = {name: forms.everything("mandate_id", name) for name in (RETURNS, STAYS)}
    deleted = forms.let_go(DELETES)
    assert _left(forms, DELETES) == {"letters": 2}, "letters of six years, the operator's own duty"
    assert {name: forms.everything("mandate_id", name) for name in (RETURNS, STAYS)} == others
    assert len(forms.rows("SELECT * FROM form_answers")) == 36
    facts = forms.certify(deleted)
    assert (facts["title"], facts["completeness"]) == ("Löschnachweis", "final-with-residue")
    assert withheld(facts) == {"letters": [(1, "2027-01-01"), (1, "2033-01-01")]}
    mapping = next(one for one in facts["datasets"] if one["dataset"] == "reference-ids")
    assert (mapping["category"], mapping["deleted"], mapping["remaining"]) == ("ai-mapping", 5, 0)

    forms.go(date(2026, 7, 24))
    forms.not_yet(RETURNS, "open; deletion is due from 2026-07-25")
    forms.go(date(2026, 7, 25))
    returned = forms.let_go(RETURNS)
    assert forms.certify(returned)["completeness"] == "final-with-residue"
    assert [forms.state(name) for name in (DELETES, RETURNS, STAYS)] == ["remainder", "remainder", "active"]
    assert _left(forms, STAYS) == {"forms": 2, "contacts": 5, "reference_ids": 5, "letters": 4}


def test_a_wait_beyond_the_operators_ceiling_is_a_violation(forms: Company) -> None:
    """Ninety days after the contract's end the wait is over: status says that this tenant should be gone."""
    offboard.end(forms.line, forms.tenant(DELETES), ends_on=END)
    forms.go(date(2026, 8, 28))
    assert forms.json("status")["late_tenants"] == []
    forms.go(date(2026, 8, 29))
    late = forms.json("status", code=5)
    assert (late["answer"], late["late_tenants"]) == ("breached", [forms.line.alias(DELETES)])
    forms.not_yet(DELETES, "the controller's choice between deletion and return is awaited")

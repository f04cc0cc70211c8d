"""A stranger's schema, read: shared budgets (ihatemoney, Alembic, on SQLite), whose histories have no foreign keys.

Tenants are named by texts, a history stands beside each table, and one link table has no key at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.applications import live
from tests.acceptance.helpdesk.databases import ask, now
from tests.acceptance.operated import Operated
from tests.acceptance.reviewing import Review

if TYPE_CHECKING:
    from datetime import datetime

HISTORIES = ("bill_version", "billowers_version", "person_version", "project_version")
REVIEW = Review(
    category="usage-data",
    categories={
        "project": "master-data",
        "person": "master-data",
        # What a bill once said: kept for as long as the operator keeps its logs.
        "bill_version": "technical-data",
    },
    not_personal={
        "alembic_version": "The application's own migrations.",
        "billowers": "Links bills and members by number. It has no key, so that nothing can be deleted from it.",
    },
)
HISTORY = "SELECT id, transaction_id, creation_date FROM bill_version"


@dataclass(slots=True)
class Budgets:
    """The walk over one database: what was there before and after, what the commands said."""

    url: str
    deployment: Operated
    now: datetime
    groups: list[str]
    decide: list[str] = field(default_factory=list)
    draft: str = ""
    coverage: dict[str, Any] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    before: set[tuple[object, ...]] = field(default_factory=set)
    applied: dict[str, Any] = field(default_factory=dict)
    after: set[tuple[object, ...]] = field(default_factory=set)


@pytest.fixture(scope="module")
def budgets(tmp_path_factory: pytest.TempPathFactory) -> Budgets:
    """Three groups' bills, drafted, reviewed, and their old history deleted."""
    folder = tmp_path_factory.mktemp("budgets")
    (folder / "budgets.sqlite").touch()
    url = f"sqlite:///{folder / 'budgets.sqlite'}"
    moment = now(url)
    groups = live("budgets", url, moment)["groups"]
    seen = Budgets(url, Operated(folder / "deployment", url, "budgets"), moment, groups)
    said, seen.draft = seen.deployment.draft("project.id")
    seen.decide = said["decide"]
    seen.deployment.review(REVIEW.of(seen.draft))
    seen.deployment.run("store", "prepare", "--run")
    seen.deployment.enrol({group: group for group in groups})
    seen.coverage, seen.findings = seen.deployment.run("coverage"), seen.deployment.run("doctor")["findings"]
    seen.before = set(ask(url, HISTORY))
    seen.applied = seen.deployment.keep("server-logs")
    seen.after = set(ask(url, HISTORY))
    return seen


def test_histories_are_tied_to_their_tenants_by_name(budgets: Budgets) -> None:
    """No foreign key leads from them anywhere: the draft counts what names suggest, and says that it is no more."""
    for history in HISTORIES:
        part = _part(budgets.draft, history)
        assert "3 tenants, though no foreign key says so: by name only (proposed)" in part
        assert any(line.startswith(f"{history}: no foreign key leads to a tenant") for line in budgets.decide)
    assert "tenant: {by: column, column: project_id" in _part(budgets.draft, "person_version")
    assert "{column: payer_id, table: person, key: id}" in _part(budgets.draft, "bill_version")


def test_a_table_without_a_key_is_named_with_what_it_keeps(budgets: Budgets) -> None:
    """It cannot be a dataset, and its references hold the rows of others."""
    (left_out,) = [line for line in budgets.decide if line.startswith("billowers:")]

    assert left_out == (
        "billowers: left out, it has no primary key, yet references bill, person: "
        "give it one, or what it references cannot go"
    )


def test_texts_without_an_offset_are_asked_about(budgets: Budgets) -> None:
    """A time of day that does not say where: the reviewer is asked whether it is UTC."""
    assert "issued_at, encoding: iso-text}" in _part(budgets.draft, "transaction")
    assert "without a zone: utc or local?" in _part(budgets.draft, "transaction")


def test_a_members_name_is_a_persons_name(budgets: Budgets) -> None:
    """A column that is only called `name` names a person where the table says so, in its history too."""
    for table in ("person", "person_version"):
        assert "{column: name, holds: name}" in _part(budgets.draft, table)


def test_a_few_corrections_make_it_green(budgets: Budgets) -> None:
    """Categories and two tables that are not personal: every table is classified, nothing is in the way of plans."""
    assert (budgets.coverage["complete"], budgets.coverage["gaps"]) == (True, [])
    assert not [finding for finding in budgets.findings if finding["fatal"]]
    assert not REVIEW.changes


def test_old_history_is_gone_and_the_bills_are_whole(budgets: Budgets) -> None:
    """Ninety days after a bill was entered what it once said is gone; younger history and every bill are there."""
    old = {row for row in budgets.before if str(row[2]) <= (budgets.now - timedelta(days=90)).date().isoformat()}

    assert budgets.applied["outcome"] == "done"
    assert budgets.before - budgets.after == old
    assert old
    assert budgets.after
    ((bills, payers),) = ask(budgets.url, "SELECT count(*), count(DISTINCT payer_id) FROM bill")
    assert (bills, payers) == (30, 12)


def test_I11_a_group_whose_rows_a_keyless_table_holds_is_refused_not_half_deleted(budgets: Budgets) -> None:
    """Who owes a bill stands in the table without a key: the end of a contract is refused, and nothing changes."""
    leaver = budgets.groups[0]
    counted = "SELECT (SELECT count(*) FROM bill), (SELECT count(*) FROM person), (SELECT count(*) FROM billowers)"
    before = ask(budgets.url, counted)
    budgets.deployment.end(leaver, budgets.now)
    refused = budgets.deployment.run("plan", "--tenant", leaver, "--by", "op-three", code=4)["error"]

    assert refused["guard"] == "contested"
    assert ask(budgets.url, counted) == before


def _part(text: str, dataset: str) -> str:
    return " ".join(text.split(f"- id: {dataset}  #", 1)[1].split("\n  - id: ", 1)[0].replace("\n    #", "").split())

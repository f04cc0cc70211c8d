"""A stranger's schema, read: the bookkeeping of many firms (django-ledger on PostgreSQL), from draft to certificate.

Its references run in a circle, most of its tables have several ways to a firm, and some of those are almost empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.acceptance.applications import live
from tests.acceptance.helpdesk.databases import ask, now
from tests.acceptance.operated import Operated
from tests.acceptance.reviewing import Review

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

TENANTS = "django_ledger_entitymodel.uuid"
STAGED = "django_ledger_stagedtransactionmodel"
FRAMEWORKS = "The framework's own; names no natural person."
REVIEW = Review(
    category="master-data",
    categories={
        "auth_user": "auth-data",
        "django_session": "auth-data",
        "django_admin_log": "usage-data",
        "django_ledger_customermodel": "communication-data",
        "django_ledger_vendormodel": "communication-data",
        "django_ledger_billmodel": "documents",
        "django_ledger_invoicemodel": "documents",
        "django_ledger_estimatemodel": "documents",
        "django_ledger_purchaseordermodel": "documents",
        "django_ledger_receiptmodel": "documents",
        # What a bank statement left behind after it was read.
        STAGED: "technical-data",
    },
    not_personal=dict.fromkeys(
        ("auth_group", "auth_group_permissions", "auth_permission", "django_content_type", "django_migrations"),
        FRAMEWORKS,
    ),
    changes={
        # Two paths tie; the journal owns its lines, the chart of accounts only sorts them.
        "django_ledger_transactionmodel": {
            "tenant": {
                "by": "path",
                "path": [
                    {"column": "journal_entry_id", "table": "django_ledger_journalentrymodel", "key": "uuid"},
                    {"column": "ledger_id", "table": "django_ledger_ledgermodel", "key": "uuid"},
                ],
                "column": "entity_id",
            }
        },
        # The firm and its chart of accounts reference each other.
        "django_ledger_entitymodel": {"detach": ["default_coa_id"]},
        STAGED: {"detach": ["parent_id"]},
    },
)
# Whose rows these are, by hand.
OWNED = {
    "django_ledger_entitymodel": "SELECT uuid, uuid FROM django_ledger_entitymodel",
    "django_ledger_customermodel": "SELECT entity_model_id, uuid FROM django_ledger_customermodel",
    "django_ledger_vendormodel": "SELECT entity_model_id, uuid FROM django_ledger_vendormodel",
    "django_ledger_accountmodel": "SELECT c.entity_id, a.uuid FROM django_ledger_accountmodel a"
    " JOIN django_ledger_chartofaccountmodel c ON c.uuid = a.coa_model_id",
    "django_ledger_itemtransactionmodel": "SELECT i.entity_id, t.uuid FROM django_ledger_itemtransactionmodel t"
    " JOIN django_ledger_itemmodel i ON i.uuid = t.item_model_id",
    "django_ledger_transactionmodel": "SELECT l.entity_id, t.uuid FROM django_ledger_transactionmodel t"
    " JOIN django_ledger_journalentrymodel j ON j.uuid = t.journal_entry_id"
    " JOIN django_ledger_ledgermodel l ON l.uuid = j.ledger_id",
    STAGED: "SELECT b.entity_model_id, s.uuid FROM django_ledger_stagedtransactionmodel s"
    " JOIN django_ledger_importjobmodel i ON i.uuid = s.import_job_id"
    " JOIN django_ledger_bankaccountmodel b ON b.uuid = i.bank_account_model_id",
}


@dataclass(slots=True)
class Books:
    """The walk over one database: what the application says of itself, what the commands said."""

    url: str
    deployment: Operated
    now: datetime
    firms: list[dict[str, Any]]
    decide: list[str] = field(default_factory=list)
    draft: str = ""
    coverage: dict[str, Any] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, dict[str, set[object]]] = field(default_factory=dict)
    lines: dict[str, Any] = field(default_factory=dict)
    between: dict[str, dict[str, set[object]]] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    after: dict[str, dict[str, set[object]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def books(
    postgres_server: servers.OwnPostgres | servers.ForeignPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Books]:
    """Three firms' books, drafted, reviewed, old bank lines deleted, and one firm gone."""
    with servers.fresh_database(postgres_server.url) as url:
        moment = now(url)
        firms = live("ledger", url, moment)["firms"]
        deployment = Operated(tmp_path_factory.mktemp("books") / "deployment", url, "ledger")
        seen = Books(url, deployment, moment, firms)
        said, seen.draft = deployment.draft(TENANTS)
        seen.decide = said["decide"]
        deployment.review(REVIEW.of(seen.draft))
        deployment.run("store", "prepare", "--run")
        deployment.enrol({firm["id"]: firm["name"] for firm in firms})
        seen.coverage, seen.findings = deployment.run("coverage"), deployment.run("doctor")["findings"]
        seen.before = _owned(url)
        seen.lines = deployment.keep("server-logs")
        seen.between = _owned(url)
        _leave(seen)
        seen.after = _owned(url)
        yield seen


def _leave(seen: Books) -> None:
    leaver = seen.firms[0]["id"]
    seen.deployment.end(leaver, seen.now)
    plan = seen.deployment.run("plan", "--tenant", leaver, "--by", "op-three")["plans"][0]["hash"]
    seen.deployment.sign(plan, "op-one", "op-two")
    seen.left = seen.deployment.carry_out(plan)
    seen.certificate = seen.deployment.run("certificate", "issue", plan)


def _owned(url: str) -> dict[str, dict[str, set[object]]]:
    """The rows of each firm, table by table, by queries written by hand."""
    found: dict[str, dict[str, set[object]]] = {}
    for table, query in OWNED.items():
        for firm, row in ask(url, query):
            found.setdefault(str(firm), {}).setdefault(table, set()).add(row)
    return found


def test_the_firms_table_is_the_first_candidate(books: Books, tmp_path) -> None:
    """A framework that ends every table with `model` hides nothing; accounts of persons come behind."""
    stranger = Operated(tmp_path / "stranger", books.url, "stranger")
    refused = stranger.run("init", str(stranger.folder), *_named(), code=2)["error"]["advice"]

    assert "Candidates: django_ledger_entitymodel.uuid" in refused


def test_paths_are_counted_and_the_widest_is_proposed(books: Books) -> None:
    """A line of an order reaches its firm by six ways; only the article reaches all rows."""
    line = _part(books.draft, "django_ledger_itemtransactionmodel")
    _, *ways = re.split(r" path \d+: ", line.partition(" tenant: ")[0])
    (proposed,) = [way for way in ways if "(proposed)" in way]
    reached = {way.split(" reaches ")[0]: int(way.split(" reaches ")[1].split()[0]) for way in ways}

    assert len(ways) == 6
    assert proposed.startswith("item_model_id > django_ledger_itemmodel.entity_id reaches")
    assert "3 tenants (proposed)" in proposed
    assert max(reached, key=lambda way: reached[way]) == "item_model_id > django_ledger_itemmodel.entity_id"
    assert sorted(reached.values())[-2] < max(reached.values())


def test_where_no_row_speaks_a_reference_that_may_be_empty_is_not_proposed(books: Books) -> None:
    """No receipt exists yet: its customer may be empty, its ledger never is."""
    receipt = _part(books.draft, "django_ledger_receiptmodel")

    assert "reaches 0 of 0 rows" in receipt
    assert "- {column: ledger_model_id, table: django_ledger_ledgermodel, key: uuid}" in receipt


def test_a_person_is_asked_only_what_no_count_decides(books: Books) -> None:
    """One tie is left, and the circle of firm and chart of accounts is named."""
    ties = [line for line in books.decide if "two paths are equally long" in line]

    assert [line.split(":")[0] for line in ties] == ["django_ledger_transactionmodel"]
    assert any("django_ledger_chartofaccountmodel, django_ledger_entitymodel" in line for line in books.decide)


def test_persons_and_their_banks_are_seen(books: Books) -> None:
    """Suppliers by name, addresses with a number behind them, and accounts at a bank."""
    vendor = _part(books.draft, "django_ledger_vendormodel")

    for column in ("vendor_name, holds: name", "address_1, holds: other", "account_number, holds: other"):
        assert f"{{column: {column}}}" in vendor


def test_a_few_corrections_make_it_green(books: Books) -> None:
    """Every table is classified, and nothing is in the way of plans."""
    assert (books.coverage["complete"], books.coverage["gaps"]) == (True, [])
    assert not [finding for finding in books.findings if finding["fatal"]]
    assert len(REVIEW.changes) == 3


def test_old_lines_of_bank_statements_are_gone_and_young_ones_stay(books: Books) -> None:
    """Ninety days after they were read, those of all firms together; the parts of a split line go with it."""
    for firm in books.firms:
        gone = books.before[firm["id"]][STAGED] - books.between[firm["id"]][STAGED]
        assert len(gone) == firm["old"] > 0
        assert len(books.between[firm["id"]][STAGED]) == firm["imported"] - firm["old"] > 0
    assert books.lines["outcome"] == "done"
    for shares, kept in zip(books.before.values(), books.between.values(), strict=True):
        assert {t: rows for t, rows in shares.items() if t != STAGED} == {
            t: rows for t, rows in kept.items() if t != STAGED
        }


def test_a_firm_leaves_and_no_other_has_changed(books: Books) -> None:
    """The circle is opened, thirty tables are emptied of one firm; the books of the others are whole."""
    leaver = books.firms[0]["id"]

    assert (books.left["outcome"], books.left["clean"]) == ("done", True)
    assert leaver not in books.after
    assert books.after == {firm: rows for firm, rows in books.between.items() if firm != leaver}
    assert books.certificate["statement"]["completeness"] == "final"


def _named() -> list[str]:
    return ["--deployment", "x", "--origin", "lifecycle.example.com/x", "--from", "env:APPLICATION_DATABASE"]


def _part(text: str, dataset: str) -> str:
    return " ".join(text.split(f"- id: {dataset}  #", 1)[1].split("\n  - id: ", 1)[0].replace("\n    #", "").split())

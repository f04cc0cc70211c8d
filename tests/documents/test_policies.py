"""The policies that ship: complete, true to their sources' clause numbers, and readable by editors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lifecycle.core.agreement import Agreement
from lifecycle.core.hours import Hours
from lifecycle.core.period import Period, floor_ends, year_end
from lifecycle.documents import load, load_policy, load_tenants, validate

POLICIES = Path(__file__).parents[2] / "policies"
NAMES = ("clientport", "planuro", "vertriebskraftwerk", "nexcore", "parking-reminder")


def _numbers(chapter: str, *ranges: tuple[int, int]) -> list[str]:
    return [chapter.format(main, sub) for main, last in ranges for sub in range(1, last + 1)]


CLAUSES = {
    "clientport": {
        "Präambel",
        *(f"§ {n}" for n in range(1, 12)),
        *_numbers("§ {}({})", (1, 3), (5, 6), (6, 3), (7, 2), (9, 2), (10, 3), (11, 3)),
    },
    "planuro": {
        *(f"§ {n}" for n in range(1, 12)),
        *_numbers("§ {}({})", (1, 3), (2, 3), (3, 2), (5, 2), (6, 2), (9, 2), (10, 2)),
        *(f"Anlage {n}" for n in range(1, 4)),
    },
    "vertriebskraftwerk": {
        *(str(n) for n in range(1, 16)),
        *_numbers("{}.{}", (1, 5), (2, 2), (4, 2), (6, 3), (7, 3), (11, 3), (12, 3), (13, 2), (15, 2)),
    },
    "nexcore": {
        *(f"Geltung und Rangfolge {n}" for n in range(1, 5)),
        "6",
        *_numbers("{}.{}", (1, 3), (2, 3), (3, 4), (4, 3), (5, 3), (7, 4), (8, 2), (9, 3), (10, 3), (11, 4), (12, 3)),
    },
    "parking-reminder": {
        "10",
        *_numbers("{}.{}", (1, 3), (2, 3), (3, 5), (4, 8), (5, 7), (6, 3), (7, 5), (8, 6), (9, 5)),
        *(f"Anhang 1 Nr. {n}" for n in range(1, 13)),
    },
}
"""The clause numbers that each agreement has."""

SPOKEN = {
    "clientport": (
        "Präambel|§ 1(2)|§ 3|§ 5(1)|§ 5(5)|§ 5(6)|§ 6(2)|§ 6(3)|§ 7(1)|§ 7(2)|§ 8|§ 9(1)|§ 9(2)|§ 10(1)|§ 10(2)|§ 10(3)"
    ),
    "planuro": (
        "§ 1(2)|§ 1(3)|§ 2(2)|§ 3(2)|§ 5(1)|§ 6(1)|§ 6(2)|§ 8|§ 9(1)|§ 9(2)|§ 10(1)|§ 10(2)|Anlage 1|Anlage 2|Anlage 3"
    ),
    "vertriebskraftwerk": "1.2|2.1|2.2|6.1|6.3|7.1|7.2|7.3|8|9|10|11.1|11.3|12.1|12.2|13.1|14",
    "nexcore": (
        "Geltung und Rangfolge 3|Geltung und Rangfolge 4|"
        "1.3|10.2|2.2|7.3|3.4|11.3|4.1|10.1|10.3|7.2|8.1|9.2|11.1|11.2|11.4"
    ),
    "parking-reminder": (
        "1.2|9.5|1.3|5.1|3.2|3.5|4.2|4.4|5.5|5.6|5.7|6.2|6.3|7.2|9.2|Anhang 1 Nr. 4|Anhang 1 Nr. 6|Anhang 1 Nr. 7|"
        "Anhang 1 Nr. 8|Anhang 1 Nr. 9|Anhang 1 Nr. 10|Anhang 1 Nr. 11"
    ),
}
"""The clauses that speak of deletion, retention, export, backup, notice, choice, precedence, persons, place, audits."""


def agreement(name: str) -> Agreement:
    document = load(POLICIES / "agreements" / f"{name}.yaml").document
    assert isinstance(document, Agreement)
    return document


def _clauses(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _clauses(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _clauses(inner, key)
    elif isinstance(value, str) and (key == "source" or key.endswith("clause")):
        yield from value.split(", ")


@pytest.mark.parametrize("name", NAMES)
def test_each_clause_number_exists_in_the_agreement(name: str):
    """A figure stands under a clause that the agreement has: nothing is invented under a clause number."""
    used = set(_clauses(agreement(name).model_dump(mode="json", exclude_none=True)))
    assert used
    assert used <= CLAUSES[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_clause_that_promises_something_is_in_the_policy(name: str):
    """What it says of deletion, export, backups, notices, choice and rank is in the policy, by its clause."""
    used = set(_clauses(agreement(name).model_dump(mode="json", exclude_none=True)))
    assert set(SPOKEN[name].split("|")) <= used


def test_the_policies_directory_is_valid_as_a_whole():
    """`lifecycle validate policies/` finds no problem, and warns of each backup cycle that is not agreed."""
    report = validate(POLICIES)
    assert report.ok, "\n".join(map(str, report.problems))
    warned = {Path(w.file).stem for w in report.warnings if w.what == "backup cycle not agreed"}
    assert warned == set(NAMES) - {"nexcore"}
    assert not [w for w in report.warnings if "has no dataset" in w.what]


@pytest.mark.parametrize("name", NAMES)
def test_each_example_inventory_makes_a_policy_with_its_own_agreement(name: str):
    """A deployment runs by one inventory; the agreements it serves are the ones it names."""
    policy = load_policy(POLICIES, inventory=POLICIES / "inventories" / f"{name}.yaml")
    assert [found.id for found in policy.agreements] == [name]
    assert re.fullmatch("sha256:[0-9a-f]{64}", policy.digest)


def test_each_figure_that_no_clause_names_is_a_reading_or_the_operators_own():
    """Only three figures of the five agreements are numbers of days for deletion or pick-up: 90, 90 and 30."""
    figures = {
        (name, rule.id, str(term), rule.clause)
        for name in NAMES
        for rule in agreement(name).rules
        for term in (rule.keep, rule.gone_by)
        if isinstance(term, Period)
    }
    assert figures == {
        ("clientport", "server-logs", "P90D", None),
        ("parking-reminder", "logs", "P90D", "5.7, Anhang 1 Nr. 6"),
    }
    windows = {(name, str(window.keep), window.clause) for name in NAMES for window in agreement(name).windows}
    assert windows == {("planuro", "P90D", "§ 10(1)"), ("nexcore", "P30D", "11.2")}


def test_breach_clocks_are_hours_where_a_clause_names_them():
    """nexcore promises 24 hours, the parking reminder 72; elsewhere the operator's reading applies."""
    clocks = {name: agreement(name).promises.notices.breach.at_most for name in NAMES}  # type: ignore[union-attr]
    assert clocks == {
        "clientport": None,
        "planuro": None,
        "vertriebskraftwerk": None,
        "nexcore": Hours(24),
        "parking-reminder": Hours(72),
    }


def test_silence_means_deletion_except_where_the_agreement_says_nothing():
    """Vertriebskraftwerk has no default for the choice: silence never deletes there."""
    assert {name: agreement(name).choice.default for name in NAMES} == {
        "clientport": "delete",
        "planuro": "delete",
        "vertriebskraftwerk": None,
        "nexcore": "delete",
        "parking-reminder": "delete",
    }


def test_only_nexcore_agrees_a_backup_delay_and_suspends_on_doubt():
    """Elsewhere the backup cycle is not agreed, and a doubtful instruction is told, not suspended."""
    assert [name for name in NAMES if agreement(name).backups.delay_agreed] == ["nexcore"]
    assert [name for name in NAMES if agreement(name).on_doubt == "suspend"] == ["nexcore"]


def test_categories_of_annexes_that_are_not_at_hand_are_marked():
    """What the text does not name is an assumption, and says so."""
    assumed = {name: any(category.assumed for category in agreement(name).categories) for name in NAMES}
    assert assumed == {
        "clientport": False,
        "planuro": False,
        "vertriebskraftwerk": True,
        "nexcore": True,
        "parking-reminder": False,
    }


def test_statutory_floors_by_the_day_of_evaluation():
    """An invoice of 2017: ten years while the old text held, eight since 2025; first deletable on 2026-01-01."""
    statutes = load(POLICIES / "statutes" / "de.yaml").document
    floors = [floor for floor in statutes.floors if "invoice" in floor.kinds and not floor.only_for]  # type: ignore[union-attr]

    def binding(day: date) -> list[str]:
        return [str(f.period) for f in floors if (f.valid_from or day) <= day <= (f.valid_until or day)]

    assert binding(date(2024, 12, 31)) == ["P10Y"]
    assert binding(date(2025, 1, 1)) == ["P8Y"]
    assert floor_ends(year_end(date(2017, 5, 4)), Period.parse("P8Y")) == date(2026, 1, 1)
    assert floor_ends(year_end(date(2026, 3, 4)), Period.parse("P8Y")) == date(2035, 1, 1)


def test_banks_keep_ten_years_for_vouchers():
    """The eight years do not bind banks, insurers and investment firms; a floor of ten does."""
    statutes = load(POLICIES / "statutes" / "de.yaml").document
    financial = {f.id: str(f.period) for f in statutes.floors if f.only_for}  # type: ignore[union-attr]
    assert financial == {"vouchers-financial": "P10Y", "invoices-financial": "P10Y"}
    assert {f.id for f in statutes.floors if f.except_for} == {"vouchers", "invoices"}  # type: ignore[union-attr]


def test_the_example_register_holds_one_tenant_of_each_agreement():
    """The register is valid against the agreements: required parameters are set."""
    tenants = load_tenants(POLICIES / "tenants.example.yaml").tenants
    assert [tenant.agreement for tenant in tenants] == list(NAMES)


@pytest.mark.parametrize("path", sorted(POLICIES.rglob("*.yaml")), ids=lambda path: path.stem)
def test_each_policy_names_a_schema_that_is_there(path: Path):
    """The first line tells the editor where the schema of this kind lies."""
    header = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])
    assert header is not None
    schema = json.loads((path.parent / header[1]).read_text())
    kind = YAML(typ="safe", pure=True).load(path)["lifecycle"]
    assert schema["title"] == f"lifecycle {kind}"

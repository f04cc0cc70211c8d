"""Selections are data: closed, never empty by accident, readable without ids, comparable without their days."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lifecycle.core.selection import (
    AllOf,
    AnyOf,
    Before,
    Bound,
    GroupScope,
    IsNull,
    Not,
    OneOf,
    Scope,
    Selection,
    TenantScope,
    WholeScope,
    describe,
    template,
)

ALIAS = "t-" + "abcd2345" * 2
SCOPES: tuple[Scope, ...] = (TenantScope(tenant=ALIAS), GroupScope(groups=("g-1", "g-2")), WholeScope())

columns = st.sampled_from(["status", "kind", "archived_at"])
values = st.lists(st.sampled_from(["open", "closed", 1, 2, True]), min_size=1, max_size=3).map(tuple)
leaves = st.builds(OneOf, column=columns, values=values) | st.builds(IsNull, column=columns)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(Not, inner=inner) | st.builds(AllOf, inner=some) | st.builds(AnyOf, inner=some)


conditions = st.recursive(leaves, _nested, max_leaves=6)


def before(day: date, time: str = "collection", **more: Any) -> Before:
    values = {"time": time, "day": day, "zone": "Europe/Berlin", "not_before": date(1971, 1, 1), "not_after": day}
    return Before(**{**values, **more})


@given(st.sampled_from(SCOPES), st.lists(conditions, max_size=3), st.dates())
def test_I02_a_selection_survives_its_own_text(scope: Scope, only: list[Any], day: date) -> None:
    """Written as JSON and read strictly, it is the same selection: the approved plan is the executed one."""
    selection = Selection(dataset="log", scope=scope, due=(before(day),), only=tuple(only))
    assert Selection.model_validate_json(selection.model_dump_json()) == selection


@pytest.mark.parametrize(
    "bad",
    [
        {"scope": {"kind": "groups", "groups": []}},
        {"scope": {"kind": "groups", "groups": [""]}},
        {"scope": {"kind": "tenant", "tenant": ""}},
        {"scope": {"kind": "tenant", "tenant": "*"}},
        {"scope": {"kind": "tenant", "tenant": "acme"}},
        {"scope": {"kind": "all"}},
        {"scope": None},
        {"dataset": ""},
        {"dataset": "*"},
        {"only": [{"kind": "one-of", "column": "status", "values": []}]},
        {"only": [{"kind": "one-of", "column": "", "values": ["a"]}]},
        {"only": [{"kind": "one-of", "column": "status", "values": [None]}]},
        {"only": [{"kind": "one-of", "column": "status", "values": [1.5]}]},
        {"only": [{"kind": "all", "inner": []}]},
        {"only": [{"kind": "any", "inner": []}]},
        {"only": [{"kind": "sql", "text": "1=1"}]},
        {"only": [{"kind": "not", "inner": {"kind": "before"}}]},
        {"surplus": 1},
    ],
)
def test_I05_an_empty_or_unknown_part_is_an_error(bad: dict[str, Any]) -> None:
    """No empty tenant, group, list or condition ever means "all", and no text of the database's language enters."""
    fine: dict[str, Any] = {"dataset": "log", "scope": {"kind": "whole"}}
    assert Selection.model_validate_json(json.dumps(fine)).dataset == "log"
    with pytest.raises(ValidationError):
        Selection.model_validate_json(json.dumps({**fine, **bad}))


@given(st.sampled_from(SCOPES), st.lists(conditions, max_size=3), st.dates())
def test_I23_a_description_names_no_tenant(scope: Scope, only: list[Any], day: date) -> None:
    """Plans and logs show the selection in words: dataset, cutoff, conditions, but neither alias nor group."""
    text = describe(Selection(dataset="log", scope=scope, due=(before(day),), only=tuple(only)))
    assert ALIAS not in text
    assert "g-1" not in text
    assert str(day) in text
    assert text.startswith("log of ")


def test_a_description_tells_every_part() -> None:
    """Scope, cutoff, conditions, the children that keep a row, and whether holds are passed over."""
    selection = Selection(
        dataset="customers",
        scope=GroupScope(groups=("g-1",)),
        due=(before(date(2026, 1, 1)),),
        only=(
            Not(inner=IsNull(column="archived_at")),
            AnyOf(inner=(OneOf(column="status", values=("closed",)), IsNull(column="status"))),
            AllOf(inner=(OneOf(column="kind", values=(1, 2)),)),
        ),
        unreferenced_by=("invoices", "tickets"),
        respect_holds=False,
    )
    assert describe(selection) == (
        "customers of one group of tenants; collection on or before 2026-01-01 (Europe/Berlin); "
        "not (archived_at is null); (status in 'closed' or status is null); (kind in 1, 2); "
        "no row left in invoices, tickets; held ones included"
    )
    assert describe(Selection(dataset="log", scope=WholeScope())) == "log of no tenant, all rows"
    assert describe(Selection(dataset="log", scope=SCOPES[0])) == "log of one tenant"
    assert describe(Selection(dataset="log", scope=SCOPES[1])) == "log of 2 groups of tenants"


@given(st.dates(), st.dates(), st.lists(conditions, max_size=2))
def test_I02_a_template_is_the_same_every_day(one: date, other: date, only: list[Any]) -> None:
    """Another day, other groups, another order of cutoffs: the same template; a mandate lives on."""
    first = Selection(dataset="log", scope=SCOPES[1], due=(before(one), before(one, "issued")), only=tuple(only))
    second = Selection(
        dataset="log",
        scope=GroupScope(groups=("g-9",)),
        due=(before(other, "issued"), before(other)),
        only=tuple(only),
    )
    assert template(first) == template(second)
    assert "g-1" not in json.dumps(template(first))


def test_I02_a_wider_predicate_has_another_template() -> None:
    """A condition less, a cutoff less, another zone, an earlier believable day, another scope: the mandate ends."""
    day = date(2026, 1, 1)
    base = Selection(dataset="log", scope=SCOPES[1], due=(before(day),), only=(IsNull(column="kind"),))
    for change in (
        {"only": ()},
        {"due": ()},
        {"due": (before(day, zone="UTC"),)},
        {"due": (before(day, not_before=date(1960, 1, 1)),)},
        {"due": (before(day, "created"),)},
        {"scope": WholeScope()},
        {"scope": SCOPES[0]},
        {"dataset": "other"},
        {"unreferenced_by": ("invoices",)},
        {"respect_holds": False},
    ):
        assert template(base.model_copy(update=change)) != template(base)


def test_I23_a_bound_selection_does_not_show_its_tenant() -> None:
    """The register's id travels in memory only; no representation tells it."""
    bound = Bound(Selection(dataset="log", scope=SCOPES[0]), tenant="beta-customer")
    assert "beta-customer" not in repr(bound)
    assert bound.tenant == "beta-customer"

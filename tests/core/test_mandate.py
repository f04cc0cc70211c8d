"""A mandate covers the same rule again, on another day and for more tenants, and nothing wider."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.mandate import LIFE_MONTHS, Mandate, declaration, expiry, is_part, template_of
from lifecycle.core.plan import CascadeCount, Detach, StoreBinding
from lifecycle.core.selection import GroupScope, IsNull, OneOf, WholeScope
from tests.core.plans import DIGEST, before, plan, selection, step

RULE = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def mandate(**more: Any) -> Mandate:
    values: dict[str, Any] = {
        "id": "m-1",
        "agreement": "portal",
        "rule": "logs",
        "template_hash": DIGEST,
        "most_items": 1_000,
        "operator": "op-one",
        "signature": "x",
        "granted_on": date(2026, 3, 1),
        "expires_on": date(2027, 3, 1),
        "plan_hash": DIGEST,
    }
    return Mandate.model_validate({**values, **more})


@pytest.mark.parametrize(
    ("day", "live", "soon"),
    [
        (date(2026, 2, 28), False, False),
        (date(2026, 3, 1), True, False),
        (date(2027, 1, 29), True, False),
        (date(2027, 1, 30), True, True),
        (date(2027, 2, 28), True, True),
        (date(2027, 3, 1), False, False),
    ],
)
def test_a_mandate_lives_from_its_first_day_to_the_day_before_its_end(day: date, live: bool, soon: bool) -> None:
    """Twelve months, and for the last thirty days it says so."""
    assert (mandate().live(day), mandate().expires_soon(day)) == (live, soon)


def test_a_revoked_mandate_never_lives() -> None:
    """Neither before nor after the day on which it was revoked."""
    revoked = mandate(revoked_on=date(2026, 6, 1))
    days = [date(2026, 5, 1), date(2026, 6, 1), date(2027, 2, 20)]
    assert not any(revoked.live(day) or revoked.expires_soon(day) for day in days)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_a_mandate_ends_twelve_months_later(day: date) -> None:
    """Same day of the year, clipped to the month's end, whatever leap years do."""
    end = expiry(day)
    assert LIFE_MONTHS == 12
    assert (end.year, end.month) == (day.year + 1, day.month)
    assert end.day == (28 if (day.month, day.day) == (2, 29) else day.day)


SAME = {
    "another day": plan(step(selection=selection(before(date(2026, 1, 1), not_after=date(2026, 4, 1))))),
    "another group": plan(step(selection=selection(scope=GroupScope(groups=("g-9",))))),
    "more groups": plan(step(selection=selection(scope=GroupScope(groups=("g-1", "g-2", "g-3"))))),
    "more tenants in a second step": plan(
        step(), step(id="s002", selection=selection(before(date(2025, 1, 1)), scope=GroupScope(groups=("g-2",))))
    ),
    "another count and limit": plan(step(expected=900, limit=1_000)),
    "another moment": plan(step(), created_at=plan().created_at + timedelta(days=1)),
    "another version of the agreement with the same rule": plan(step(), agreement_versions=("2026-01", "2026-02")),
}
DIFFERENT = {
    "another rule text": (plan(step()), OTHER),
    "another rule": (plan(step(), rule="others"), RULE),
    "another agreement": (plan(step(), agreement="planuro"), RULE),
    "a wider predicate": (plan(step(selection=selection(only=()))), RULE),
    "another predicate": (plan(step(selection=selection(only=(OneOf(column="kind", values=("b",)),)))), RULE),
    "another time column": (plan(step(selection=selection(before(time="end")))), RULE),
    "another zone": (plan(step(selection=selection(before(zone="UTC")))), RULE),
    "earlier times believed": (plan(step(selection=selection(before(not_before=date(1900, 1, 1))))), RULE),
    "no cutoff": (plan(step(selection=selection().model_copy(update={"due": ()}))), RULE),
    "all tenants at once": (plan(step(selection=selection(scope=WholeScope()))), RULE),
    "parents no longer spared": (plan(step(selection=selection(unreferenced_by=("files",)))), RULE),
    "another dataset": (plan(step(dataset="files", selection=selection(dataset="files"))), RULE),
    "another store": (plan(step(store="second")), RULE),
    "another action": (plan(step(action=Detach(columns=("parent_id",)))), RULE),
    "a new cascade": (
        plan(step(cascade=(CascadeCount(dataset="files", effect="delete", expected=0),))),
        RULE,
    ),
    "a further step": (plan(step(), step(id="s002", dataset="files", selection=selection(dataset="files"))), RULE),
    "another schema": (
        plan(step(), stores=(StoreBinding(store="main", fingerprint=DIGEST, used_schema=OTHER),)),
        RULE,
    ),
    "another database": (
        plan(step(), stores=(StoreBinding(store="main", fingerprint=OTHER, used_schema=DIGEST),)),
        RULE,
    ),
}
NARROW = plan(step(selection=selection(only=(OneOf(column="kind", values=("a",)), IsNull(column="kept_until")))))


@pytest.mark.parametrize("name", SAME)
def test_a_mandate_covers_the_same_rule_on_another_day(name: str) -> None:
    """Days, groups, tenants and counts are not part of what was approved for good."""
    assert template_of(SAME[name], RULE, {}) == template_of(plan(step()), RULE, {})


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_mandate_does_not_cover_anything_else(name: str) -> None:
    """What could delete more, elsewhere or otherwise needs a signature of its own."""
    changed, rule = DIFFERENT[name]
    base = NARROW if "predicate" in name else plan(step())
    assert template_of(changed, rule, {}) != template_of(base, RULE, {})


DECLARED = Dataset(
    id="logs",
    store="main",
    table="log",
    category="log",
    key=("id",),
    tenant=Tenancy(by="table", pattern="log_{tenant}"),
    times={"collection": TimeColumn(column="at", encoding="utc")},
)
REDECLARED: dict[str, dict[str, Any]] = {
    "another table": {"table": "letter"},
    "another schema": {"schema_": "archive"},
    "another key": {"key": ("number",)},
    "another pattern": {"tenant": Tenancy(by="table", pattern="letter_{tenant}")},
    "another tenant column": {"tenant": Tenancy(by="column", column="owner")},
    "another column behind the time": {"times": {"collection": TimeColumn(column="opened", encoding="utc")}},
    "another encoding": {"times": {"collection": TimeColumn(column="at", encoding="local", zone="UTC")}},
    "earlier times believed": {
        "times": {"collection": TimeColumn(column="at", encoding="utc", not_before=date(1900, 1, 1))}
    },
}


@pytest.mark.parametrize("name", REDECLARED)
def test_I02_a_mandate_does_not_cover_rows_that_are_declared_in_another_way(name: str) -> None:
    """The plan's text is the same; the inventory has come to mean other rows by it."""
    changed = DECLARED.model_copy(update=REDECLARED[name])
    mandated = template_of(plan(step()), RULE, {"logs": declaration(DECLARED)})
    assert template_of(plan(step()), RULE, {"logs": declaration(changed)}) != mandated


def test_a_mandate_outlives_what_only_describes_the_rows() -> None:
    """A further known column, a note: the same rows are meant."""
    changed = DECLARED.model_copy(update={"columns": ("id", "at"), "note": "as agreed", "export": False})
    mandated = template_of(plan(step()), RULE, {"logs": declaration(DECLARED)})
    assert template_of(plan(step()), RULE, {"logs": declaration(changed)}) == mandated


def test_the_order_of_steps_and_cascades_does_not_matter() -> None:
    """The same steps listed in another order are the same approval."""
    files = step(id="s002", dataset="files", selection=selection(dataset="files"))
    paths = [CascadeCount(dataset=name, effect="delete", expected=n) for n, name in enumerate(("a", "b"))]
    one = plan(step(cascade=tuple(paths)), files)
    two = plan(files, step(cascade=tuple(reversed(paths))))
    assert template_of(one, RULE, {}) == template_of(two, RULE, {})


def two_stores() -> dict[str, Any]:
    """Return the template of a rule over two stores."""
    bindings = tuple(StoreBinding(store=name, fingerprint=DIGEST, used_schema=DIGEST) for name in ("main", "side"))
    return template_of(plan(step(id="s001", store="main"), step(id="s002", store="side"), stores=bindings), RULE, {})


def test_I27_a_plan_without_some_stores_is_part_of_its_mandate() -> None:
    """A store that does not answer is left out; nothing else may be missing, and nothing may be added or changed."""
    mandated = two_stores()

    def only(name: str) -> dict[str, Any]:
        return {
            **mandated,
            "stores": [one for one in mandated["stores"] if one["store"] == name],
            "steps": [one for one in mandated["steps"] if one["store"] == name],
        }

    assert is_part(mandated, mandated)
    assert is_part(only("main"), mandated)
    assert is_part(only("side"), mandated)
    assert not is_part({**only("main"), "steps": []}, mandated)
    assert not is_part({**only("main"), "steps": mandated["steps"]}, mandated)
    assert not is_part({**only("main"), "rule_digest": OTHER}, mandated)
    assert not is_part({**mandated, "stores": [], "steps": []}, mandated)
    assert not is_part(mandated, only("main"))

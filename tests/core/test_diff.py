"""What a change of the documents does: earlier, later, unclear; widening is marked, removal deletes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.core.diff import Change, Documents, compare
from lifecycle.core.period import Period
from tests.core.world import BOOKING, END, LOGS, RETENTION, WINDOW, agreement, dataset, invoices, operator, statutes

READINGS = operator().readings
DATASETS = (dataset("access", "log", "collection"), dataset("stays", "booking", "booking-end"), invoices())


def side(*rules: dict[str, Any], datasets: Any = DATASETS, readings: Any = READINGS, **more: Any) -> Documents:
    """One side: an agreement with these rules over three datasets."""
    law = more.pop("law", ())
    return Documents((agreement(*rules, **more),), law, readings, datasets)


def one(old: Documents, new: Documents) -> Change:
    """The only change."""
    found = compare(old, new)
    assert len(found) == 1, found
    return found[0]


def test_the_same_documents_say_the_same() -> None:
    """Nothing changes between equals, whatever they hold."""
    full = side(LOGS, BOOKING, END, windows=(WINDOW,), parameters={"retention": RETENTION}, law=statutes())
    assert compare(full, full) == ()
    assert compare(Documents(), Documents()) == ()


@pytest.mark.parametrize(
    ("rule", "changed", "field", "effect"),
    [
        (LOGS, {"gone_by": "P60D"}, "gone_by", "earlier"),
        (LOGS, {"gone_by": "P91D"}, "gone_by", "later"),
        ({**LOGS, "gone_by": "P12W"}, {"gone_by": "P84D"}, "gone_by", "none"),
        (LOGS, {"keep": "P30D"}, "keep", "later"),
        ({**LOGS, "keep": "P30D"}, {"keep": None}, "keep", "earlier"),
        ({**LOGS, "keep": "P30D"}, {"keep": "P20D"}, "keep", "earlier"),
        ({**LOGS, "keep": "P30D"}, {"gone_by": None}, "gone_by", "later"),
        ({**LOGS, "keep": "P30D", "gone_by": None}, {"gone_by": "P90D"}, "gone_by", "earlier"),
        (LOGS, {"clause": "5.8"}, "clause", "none"),
        (LOGS, {"category": ("log", "booking")}, "category", "earlier"),
        ({**LOGS, "category": ("log", "booking")}, {"category": ("log",)}, "category", "later"),
        (LOGS, {"category": ("booking",)}, "category", "unclear"),
        (LOGS, {"category": "all"}, "category", "unclear"),
        (LOGS, {"start": {"event": "login"}}, "start", "unclear"),
        (LOGS, {"action": "anonymise", "anonymise_clause": "5.7"}, "action", "unclear"),
        (BOOKING, {"keep": {"parameter": "other"}}, "keep", "unclear"),
        (BOOKING, {"gone_by": {"parameter": "retention"}}, "gone_by", "unclear"),
    ],
)
def test_each_figure_of_a_rule_moves_rows_one_way(
    rule: dict[str, Any], changed: dict[str, Any], field: str, effect: str
) -> None:
    """Shorter is earlier, a floor gone too; what nobody can order is said to be unclear, and counts as widening."""
    new = {name: value for name, value in {**rule, **changed}.items() if value is not None}
    old = {name: value for name, value in rule.items() if value is not None}
    found = one(side(old), side(new))
    assert (found.kind, found.field, found.effect) == ("changed", field, effect)
    assert found.widens == (effect in {"earlier", "unclear"})


def test_new_and_removed_rules_name_their_datasets() -> None:
    """A new rule widens; a removed one does not: its rows stay."""
    added = one(side(), side(LOGS))
    assert (added.kind, added.effect, added.datasets) == ("new", "earlier", ("access",))
    assert added.subject == "portal@2026-01 rule logs"
    assert "gone_by P90D" in (added.new or "")
    removed = one(side(LOGS), side())
    assert (removed.kind, removed.effect, removed.widens) == ("removed", "later", False)


def test_the_operators_readings_move_every_rule_that_uses_them() -> None:
    """A shorter reading is an earlier end; without an operator document its name stands for it."""
    long, short = (READINGS.model_copy(update={"without_delay": Period(days=days)}) for days in (20, 10))
    found = one(side(END, readings=long), side(END, readings=short))
    assert (found.field, found.effect, found.old) == ("gone_by", "earlier", "P20D (reading without_delay)")
    assert set(found.datasets) == {"access", "stays", "invoices"}
    named = one(side(readings=None), side(END, readings=None))
    assert "gone_by reading without_delay" in (named.new or "")
    with_parameter = one(side(BOOKING, readings=long), side(BOOKING, readings=short))
    assert (with_parameter.field, with_parameter.effect) == ("gone_by", "earlier")


def test_windows_parameters_and_terms() -> None:
    """A pick-up period keeps; bounds and terms that nobody can order are unclear; an own rule says why."""
    kept = one(side(), side(windows=(WINDOW,)))
    assert (kept.kind, kept.effect) == ("new", "later")
    assert one(side(windows=(WINDOW,)), side(windows=({**WINDOW, "keep": "P30D"},))).effect == "earlier"
    bounds = compare(side(parameters={"retention": RETENTION}), side(parameters={"retention": {"clause": "4.4"}}))
    assert {(change.field, change.effect) for change in bounds} == {("at_least", "unclear"), ("at_most", "unclear")}
    assert one(side(), side(zone="UTC")).effect == "unclear"
    own = {**{k: v for k, v in LOGS.items() if k != "clause"}, "own": "Nobody else says"}
    assert {change.effect for change in compare(side(LOGS), side(own))} == {"none"}


def test_statutes_and_datasets() -> None:
    """A floor that goes frees rows; a dataset that gains a record is kept longer, another table is unclear."""
    law = statutes()
    gone = compare(side(law=law), side())
    assert {change.effect for change in gone} <= {"earlier"}
    free = dataset("invoices", "billing", "issued")
    kept = one(side(datasets=(free,)), side(datasets=(invoices(),)))
    assert (kept.field, kept.effect, kept.datasets) == ("statutory", "later", ("invoices",))
    assert one(side(datasets=(invoices(),)), side(datasets=(free,))).effect == "earlier"
    moved = free.model_copy(update={"table": "other", "schema_": "archive"})
    assert (one(side(datasets=(free,)), side(datasets=(moved,))).new, kept.widens) == ("archive.other", False)


def test_what_widens_comes_first() -> None:
    """A reader of a long list sees first what lets rows go."""
    old = side(LOGS, {**END, "id": "a-end"}, windows=(WINDOW,))
    new = side({**LOGS, "gone_by": "P30D"}, windows=({**WINDOW, "keep": "P100D"},))
    assert [change.widens for change in compare(old, new)] == [True, False, False]

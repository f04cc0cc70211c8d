"""Layers, parameters and labels: what one tenant's agreement says in the end, and who lost."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.core.effective import Figure, Part
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.layering import effective
from lifecycle.core.period import Period
from tests.core.world import BOOKING, END, LOGS, RETENTION, WINDOW, agreement, individual, policy, tenant

ORDER = {"order": ("individual", "standard"), "source": "3-4"}
SHORT_LOGS = {**LOGS, "clause": "2.1", "gone_by": "P30D"}


def by_id(items: Any) -> dict[str, Any]:
    return {item.id: item for item in items}


def test_a_plain_agreement_binds_as_it_stands() -> None:
    """Without an individual layer and parameters, the rules carry the clauses' figures and the base layer's name."""
    found = effective(policy(agreement(LOGS, END, windows=(WINDOW,))), tenant())
    assert (found.agreement, found.version, found.individual) == ("portal", "2026-01", None)
    logs = by_id(found.rules)["logs"]
    assert logs.gone_by == Figure((Part(Period(days=90), "clause", "5.7"),))
    assert (str(logs.gone_by), logs.gone_by.label, logs.source, logs.layer) == ("P90D", "clause", "5.7", "standard")
    assert logs.keep is None
    assert by_id(found.rules)["end"].category == ("log", "booking", "billing", "content")
    assert by_id(found.windows)["pick-up"].keep == Period(days=90)
    assert [rule.id for rule in found.record_rules("log")] == ["logs"]
    assert [rule.id for rule in found.offboarding_rules("log")] == ["end"]
    assert found.record_rules("content") == ()


def test_a_reading_is_shown_as_the_operators_reading() -> None:
    """ "Without delay" has no number in the text: the figure is labelled a reading, never a clause."""
    end = by_id(effective(policy(agreement(END)), tenant()).rules)["end"]
    assert end.gone_by.label == "reading"
    assert end.gone_by.source == "without_delay"
    assert end.gone_by.periods == (Period(days=14),)


def test_the_operators_own_rule_is_labelled_a_reading() -> None:
    """A rule without a clause says so: its figure is the operator's."""
    own = {
        "id": "own",
        "own": "no clause speaks of drafts",
        "category": ("log",),
        "start": "collection",
        "gone_by": "P1Y",
    }
    rule = effective(policy(agreement(own)), tenant()).rules[0]
    assert rule.gone_by is not None
    assert rule.gone_by.label == "reading"
    assert rule.source == "the operator's own rule"


def test_a_parameter_gives_floor_and_ceiling_with_its_clause() -> None:
    """The controller's period is the floor; the operator's reading is added to it for the ceiling."""
    chosen = tenant(parameters={"retention": "P6M"})
    rule = effective(policy(agreement(BOOKING, parameters={"retention": RETENTION})), chosen).rules[0]
    assert rule.keep == Figure((Part(Period(months=6), "controller", "retention (4.4)"),))
    assert rule.gone_by is not None
    assert str(rule.gone_by) == "P6M + P14D"
    assert rule.gone_by.source == "retention (4.4) + without_delay"
    assert rule.gone_by.label == "controller"
    assert rule.gone_by.least_days() == 6 * 28 + 14
    assert rule.start == "booking-end"


def test_a_missing_required_parameter_is_refused() -> None:
    """There is no default period: the tenant's rules are refused until the controller has set it."""
    with pytest.raises(Refused) as caught:
        effective(policy(agreement(BOOKING, parameters={"retention": RETENTION})), tenant("beta-customer"))
    assert caught.value.guard == "parameter-missing"
    assert "beta-customer" not in caught.value.message + caught.value.advice()


def test_an_optional_parameter_that_is_not_set_binds_nothing() -> None:
    """A rule whose optional figure is missing does not bind: what has no period is not deleted."""
    optional = {**RETENTION, "required": False}
    found = effective(policy(agreement(BOOKING, LOGS, parameters={"retention": optional})), tenant())
    assert found.unset == ("booking",)
    assert [rule.id for rule in found.rules] == ["logs"]


@pytest.mark.parametrize("value", ["P1D", "P4W", "P27D", "P29D", "P30D", "P3Y", "P731D", "P24M1D"])
def test_a_parameter_outside_its_bounds_is_an_error(value: str) -> None:
    """At least a month and at most two years, whatever day the period is counted from."""
    with pytest.raises(InvalidDocument, match=r"P1M and at most P2Y"):
        effective(
            policy(agreement(BOOKING, parameters={"retention": RETENTION})), tenant(parameters={"retention": value})
        )


@pytest.mark.parametrize("value", ["P1M", "P31D", "P24M", "P2Y", "P700D", "P6M"])
def test_a_parameter_at_its_bounds_is_accepted(value: str) -> None:
    """Bounds are inclusive."""
    chosen = tenant(parameters={"retention": value})
    found = effective(policy(agreement(BOOKING, parameters={"retention": RETENTION})), chosen)
    assert found.parameters == (("retention", value),)


@pytest.mark.parametrize(("bound", "value"), [("at_least", "P1D"), ("at_most", "P9Y")])
def test_one_bound_alone_holds_too(bound: str, value: str) -> None:
    """A parameter may have only a lower or only an upper bound."""
    one = {"clause": "4.4", bound: "P1Y"}
    with pytest.raises(InvalidDocument, match=r"wants at (least|most) P1Y$"):
        effective(policy(agreement(BOOKING, parameters={"retention": one})), tenant(parameters={"retention": value}))
    fine = tenant(parameters={"retention": "P1Y"})
    assert effective(policy(agreement(BOOKING, parameters={"retention": one})), fine).unset == ()


def test_an_unknown_parameter_of_the_tenant_is_an_error() -> None:
    """A misspelt parameter is not ignored."""
    with pytest.raises(InvalidDocument, match="declares no parameter 'retentoin'"):
        effective(policy(agreement(LOGS)), tenant(parameters={"retentoin": "P1Y"}))


def test_a_rule_with_an_undeclared_parameter_is_an_error() -> None:
    """A rule cannot count by a figure that no one may set."""
    with pytest.raises(InvalidDocument, match="not declared"):
        effective(policy(agreement(BOOKING)), tenant())


def test_an_individual_agreement_wins_where_the_order_says_so() -> None:
    """Rule by rule: the individual figure binds, the standard one is remembered as overridden, the rest stands."""
    documents = agreement(LOGS, END, windows=(WINDOW,), precedence=ORDER), individual(SHORT_LOGS)
    found = effective(policy(*documents), tenant(individual="portal-extra"))
    logs = by_id(found.rules)["logs"]
    assert (str(logs.gone_by), logs.layer, logs.clause) == ("P30D", "individual", "2.1")
    assert found.individual == "portal-extra@2026-01"
    assert [(o.id, o.layer, o.gone_by, o.keep, o.to_layer) for o in logs.overridden] == [
        ("logs", "standard", "P90D", None, "individual")
    ]
    assert found.overridden == logs.overridden
    assert "end" in by_id(found.rules)
    assert "pick-up" in by_id(found.windows)


def test_the_order_belongs_to_the_agreement() -> None:
    """Where the agreement puts itself above individual layers, its figure stays."""
    order = {"order": ("standard", "individual")}
    documents = agreement(LOGS, precedence=order), individual(SHORT_LOGS)
    logs = by_id(effective(policy(*documents), tenant(individual="portal-extra")).rules)["logs"]
    assert (str(logs.gone_by), logs.layer) == ("P90D", "standard")
    assert logs.overridden[0].gone_by == "P30D"


@pytest.mark.parametrize("order", ["unknown", ("standard", "toms"), ("individual", "toms")])
def test_a_real_conflict_without_an_order_is_refused(order: object) -> None:
    """No order, or one that leaves a layer out, decides nothing: refused, not guessed."""
    documents = agreement(LOGS, precedence={"order": order}), individual(SHORT_LOGS)
    with pytest.raises(Refused) as caught:
        effective(policy(*documents), tenant(individual="portal-extra"))
    assert caught.value.guard == "precedence-unknown"


def test_layers_that_agree_need_no_order() -> None:
    """The same figures under another clause number are no conflict; new rules and windows are added."""
    extra = {**LOGS, "id": "drafts", "category": ("content",), "clause": "2.3"}
    documents = (
        agreement(LOGS, END, windows=(WINDOW,)),
        individual({**LOGS, "clause": "2.1"}, {**END, "clause": "2.2"}, extra, windows=({**WINDOW, "clause": "2.4"},)),
    )
    found = effective(policy(*documents), tenant(individual="portal-extra"))
    assert found.overridden == ()
    assert by_id(found.rules)["drafts"].layer == "individual"
    assert by_id(found.rules)["logs"].clause == "5.7"


def test_an_individual_agreement_may_replace_the_standard() -> None:
    """In the mode `replaces` nothing of the standard agreement is left, and everything that fell is named."""
    order = {**ORDER, "individual": "replaces"}
    documents = agreement(LOGS, END, windows=(WINDOW,), precedence=order), individual(SHORT_LOGS)
    found = effective(policy(*documents), tenant(individual="portal-extra"))
    assert [rule.id for rule in found.rules] == ["logs"]
    assert found.windows == ()
    assert {(o.what, o.id) for o in found.overridden} == {("rule", "logs"), ("rule", "end"), ("window", "pick-up")}
    assert by_id(found.overridden)["end"].gone_by == "without_delay"
    assert by_id(found.overridden)["pick-up"].keep == "P90D"


def test_a_replacing_layer_that_ranks_lower_adds_nothing() -> None:
    """Where the standard agreement comes first, a layer that would replace it is overridden whole."""
    order = {"order": ("standard", "individual"), "individual": "replaces"}
    extra = {**SHORT_LOGS, "id": "drafts"}
    found = effective(policy(agreement(LOGS, precedence=order), individual(extra)), tenant(individual="portal-extra"))
    assert [rule.id for rule in found.rules] == ["logs"]
    assert [o.id for o in found.overridden] == ["drafts"]


def test_a_window_of_the_individual_agreement_wins() -> None:
    """Window by window, as rule by rule."""
    documents = agreement(END, windows=(WINDOW,), precedence=ORDER), individual(windows=({**WINDOW, "keep": "P30D"},))
    found = effective(policy(*documents), tenant(individual="portal-extra"))
    assert found.windows[0].keep == Period(days=30)
    assert found.windows[0].overridden[0].keep == "P90D"


def test_single_values_follow_the_order_too() -> None:
    """Choice, Data Act and zone of the higher layer bind; a silent layer changes nothing."""
    off = {"applies": False, "reason": "no data processing service"}
    base = agreement(LOGS, precedence=ORDER, data_act=off)
    silent = effective(policy(base, individual()), tenant(individual="portal-extra"))
    assert silent.data_act.applies is False
    assert silent.overridden == ()
    loud = individual(choice={"ask": True}, zone="Europe/Vienna")
    found = effective(policy(base, loud), tenant(individual="portal-extra"))
    assert found.choice.default is None
    assert found.zone == "Europe/Vienna"
    assert {o.what for o in found.overridden} == {"choice", "zone"}


def test_a_lost_parameter_figure_is_named_by_its_parameter() -> None:
    """What was overridden is shown as the document has it, parameters by name."""
    keep_only = {**BOOKING, "gone_by": None}
    fixed = {**BOOKING, "keep": "P1M", "gone_by": "P3M"}
    base = agreement(BOOKING, {**keep_only, "id": "short"}, parameters={"retention": RETENTION}, precedence=ORDER)
    found = effective(
        policy(base, individual(fixed, {**fixed, "id": "short"})),
        tenant(individual="portal-extra", parameters={"retention": "P6M"}),
    )
    lost = by_id(found.overridden)
    assert (lost["booking"].keep, lost["booking"].gone_by) == ("retention", "retention + without_delay")
    assert (lost["short"].keep, lost["short"].gone_by) == ("retention", None)


def test_a_parameter_may_be_declared_by_the_individual_layer() -> None:
    """The layer that wins also sets the bounds."""
    loose = {"clause": "2.2", "at_most": "P5Y"}
    base = agreement(BOOKING, parameters={"retention": RETENTION}, precedence=ORDER)
    chosen = tenant(individual="portal-extra", parameters={"retention": "P4Y"})
    found = effective(policy(base, individual(parameters={"retention": loose})), chosen)
    assert found.rules[0].keep is not None
    assert found.rules[0].keep.source == "retention (2.2)"


@pytest.mark.parametrize(
    "more",
    [
        {"agreement": "other"},
        {"agreement_version": "2027-01"},
        {"individual": "nothing"},
        {"individual": "other-extra"},
        {"individual": "portal"},
    ],
)
def test_a_tenant_bound_to_nothing_is_an_error(more: dict[str, Any]) -> None:
    """An agreement, version or layer that is not there, or amends another one, is never replaced by a guess."""
    documents = agreement(LOGS), individual(id="other-extra", amends="else")
    with pytest.raises(InvalidDocument) as caught:
        effective(policy(*documents), tenant("beta-customer", **more))
    assert "beta-customer" not in caught.value.message


def test_a_tenant_without_a_version_needs_it_once_there_are_two() -> None:
    """Several versions may be in force; which one binds must be said."""
    documents = agreement(LOGS), agreement(SHORT_LOGS, version="2027-01")
    with pytest.raises(InvalidDocument, match="more than one"):
        effective(policy(*documents), tenant())
    found = effective(policy(*documents), tenant(agreement_version="2027-01"))
    assert str(found.rules[0].gone_by) == "P30D"

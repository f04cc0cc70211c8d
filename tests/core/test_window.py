"""The window of one datum: every floor and ceiling with its reason, and what rank makes of them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.core.hold import Hold
from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.obligation import rule_obligations
from lifecycle.core.offboarding import offboarding_obligations
from lifecycle.core.policy import Policy
from lifecycle.core.tenant import Tenant
from lifecycle.core.window import Reason, Window, deletable, window_of
from tests.core.world import (
    BOOKING,
    BOOKINGS,
    CONTENT,
    END,
    LOG,
    LOGS,
    RETENTION,
    WINDOW,
    agreement,
    dataset,
    floor,
    hold,
    individual,
    invoices,
    policy,
    statutes,
    tenant,
)

MARCH = date(2026, 3, 31)
DAY = timedelta(days=1)


def look(
    world: Policy,
    table: Dataset,
    one: Tenant,
    starts: dict[str, date],
    *,
    today: date = MARCH,
    holds: tuple[Hold, ...] = (),
    **more: Any,
) -> Window:
    return window_of(effective(world, one), world, table, one, starts, today, holds, **more)


def binding(window: Window) -> list[tuple[str, date | None]]:
    return [(reason.kind, reason.day) for reason in window.reasons if reason.binds]


def reason(window: Window, source: str) -> Reason:
    return next(r for r in window.reasons if source in r.source)


def test_a_log_has_a_ceiling_and_goes_a_margin_ahead() -> None:
    """Written on 1 January, gone before 1 April begins; a run takes it three days earlier."""
    window = look(policy(agreement(LOGS, END)), LOG, tenant(), {"collection": date(2026, 1, 1)})
    assert (window.earliest, window.latest, window.due) == (date(2026, 1, 1), date(2026, 4, 1), date(2026, 3, 29))
    first = window.reasons[0]
    assert (first.kind, first.period, first.start, first.label, first.source) == (
        "ceiling",
        "P90D",
        "collection",
        "clause",
        "5.7",
    )
    assert (first.rule, first.layer, first.binds) == ("logs", "standard", True)
    assert window.conflict == ()
    later = look(policy(agreement(LOGS)), LOG, tenant(), {"collection": date(2026, 1, 1)}, margin_days=10)
    assert later.due == date(2026, 3, 22)


def test_what_counts_from_an_end_that_is_not_known_is_mentioned() -> None:
    """During the contract the offboarding rule and the pick-up period stand there without a day."""
    window = look(policy(agreement(END, windows=(WINDOW,))), CONTENT, tenant(), {})
    assert (window.earliest, window.latest, window.due) == (None, None, None)
    assert [(r.kind, r.day, r.binds) for r in window.reasons] == [("floor", None, False), ("ceiling", None, False)]
    assert all("not known" in str(r.note) for r in window.reasons)
    assert not deletable(window, date.max)


def test_a_parameter_gives_both_ends() -> None:
    """Six months from the booking's end are the floor, fourteen days more the ceiling; both sources are named."""
    world = policy(agreement(BOOKING, parameters={"retention": RETENTION}))
    one = tenant(parameters={"retention": "P6M"})
    window = look(world, BOOKINGS, one, {"booking-end": date(2025, 8, 31)})
    assert (window.earliest, window.due, window.latest) == (date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 14))
    assert [(r.label, r.source, r.period) for r in window.reasons] == [
        ("controller", "3.5: retention (4.4)", "P6M"),
        ("controller", "3.5: retention (4.4) + without_delay", "P6M + P14D"),
    ]
    assert not deletable(window, date(2026, 2, 28))
    assert deletable(window, date(2026, 3, 1))


def test_I09_an_unknown_start_never_comes_due() -> None:
    """Undatable: the floor has no end, the ceiling no day; deletable never."""
    world = policy(agreement(BOOKING, parameters={"retention": RETENTION}))
    window = look(world, BOOKINGS, tenant(parameters={"retention": "P6M"}), {})
    assert (window.earliest, window.latest, window.due) == (None, None, None)
    assert [(r.kind, r.day, r.binds) for r in window.reasons] == [("floor", None, True), ("ceiling", None, False)]
    assert "undatable" in str(window.reasons[0].note)


def test_I14_the_pick_up_window_of_thirty_days_runs_through_the_30th_of_april() -> None:
    """Contract end 31 March: deletable from 1 May on, gone before 14 May begins."""
    window = look(policy(agreement(END)), CONTENT, tenant(contract_end=MARCH), {"collection": date(2026, 1, 1)})
    assert (window.earliest, window.due, window.latest) == (date(2026, 5, 1), date(2026, 5, 1), date(2026, 5, 14))
    assert not deletable(window, date(2026, 4, 30))


def test_a_records_own_period_runs_on_inside_an_open_window() -> None:
    """A log reaches its 90 days while the pick-up period is open: it goes, and the conflict says so beforehand."""
    world = policy(agreement(LOGS, END, windows=(WINDOW,)))
    window = look(world, LOG, tenant(contract_end=MARCH), {"collection": date(2026, 3, 1)})
    assert (window.latest, window.due) == (date(2026, 5, 30), date(2026, 5, 27))
    assert window.conflict == ("the record expires before the window of 10(1) closes",)
    assert not reason(window, "10(1)").binds
    assert reason(window, "Art. 25").binds
    assert not deletable(window, date(2026, 5, 26))


def test_a_log_that_is_young_at_the_end_goes_with_the_rest() -> None:
    """Its own 90 days would come after the window: offboarding takes it first."""
    world = policy(agreement(LOGS, END))
    window = look(world, LOG, tenant(contract_end=MARCH), {"collection": MARCH})
    assert (window.earliest, window.due, window.latest) == (date(2026, 5, 1), date(2026, 5, 1), date(2026, 5, 14))
    assert window.conflict == ()


def test_a_longer_floor_of_a_rule_ends_with_the_contract() -> None:
    """A purpose that was to last a year does not outlast the contract's end."""
    world = policy(agreement(BOOKING, END, parameters={"retention": RETENTION}))
    one = tenant(contract_end=MARCH, parameters={"retention": "P1Y"})
    window = look(world, BOOKINGS, one, {"booking-end": date(2026, 3, 1)})
    assert (window.earliest, window.due, window.latest) == (date(2026, 5, 1), date(2026, 5, 1), date(2026, 5, 14))
    assert reason(window, "retention (4.4)").note == "ends with the contract"
    assert window.conflict == ()


def test_a_ceiling_prevails_over_a_longer_contractual_floor() -> None:
    """Rank, not silence: the floor is shown as beaten, the conflict is told."""
    long = {"id": "long", "clause": "6.1", "category": ("log",), "start": "collection", "keep": "P1Y"}
    window = look(policy(agreement(LOGS, long)), LOG, tenant(), {"collection": date(2026, 1, 1)})
    assert (window.latest, window.due) == (date(2026, 4, 1), date(2026, 3, 29))
    assert reason(window, "6.1").note == "the ceiling prevails"
    assert window.conflict == ("a ceiling prevails over the longer floor of rule long",)


def test_I08_the_voucher_of_march_2026_is_free_on_the_first_of_january_2035() -> None:
    """The processor's invoice survives the contract's end; afterwards it goes by itself, without delay."""
    world = policy(agreement(END), datasets=(invoices(),))
    starts = {"issued": date(2026, 3, 4)}
    window = look(world, invoices(), tenant(contract_end=MARCH), starts)
    assert (window.earliest, window.due, window.latest) == (date(2035, 1, 1), date(2035, 1, 1), date(2035, 1, 15))
    assert window.conflict == ("a statutory floor prevails over the ceiling; deletion follows once it ends",)
    beaten = reason(window, "without_delay")
    assert (beaten.binds, beaten.note) == (False, "the statutory floor prevails")
    ground = reason(window, "§ 147(3) AO")
    assert (ground.label, ground.duty_holder, ground.start, ground.day) == (
        "statute",
        "processor",
        "issued, year-end",
        date(2035, 1, 1),
    )
    during = look(world, invoices(), tenant(), starts)
    assert (during.earliest, during.due) == (date(2035, 1, 1), None)
    assert not deletable(during, date(2036, 1, 1))


def test_I08_the_invoice_of_2017_is_free_on_the_first_of_january_2026() -> None:
    """Eight years hold by the day of evaluation; the ten years of the older text are mentioned, not in force."""
    world = policy(agreement(END), datasets=(invoices(),))
    one = tenant(contract_end=date(2025, 10, 31))
    window = look(world, invoices(), one, {"issued": date(2017, 6, 1)}, today=date(2025, 12, 1))
    assert (window.earliest, window.due) == (date(2026, 1, 1), date(2026, 1, 1))
    old = next(r for r in window.reasons if r.period == "P10Y")
    assert (old.binds, old.note) == (False, "not in force on this day")
    assert look(world, invoices(), one, {"issued": date(2017, 6, 1)}, today=date(2024, 12, 1)).earliest == date(
        2028, 1, 1
    )


def test_I08_a_floor_that_ends_before_the_ceiling_is_no_conflict() -> None:
    """The statute only moves the first possible day."""
    world = policy(agreement(END), datasets=(invoices(),))
    window = look(
        world,
        invoices(),
        tenant(contract_end=date(2025, 11, 25)),
        {"issued": date(2017, 6, 1)},
        today=date(2025, 12, 1),
    )
    assert (window.earliest, window.due, window.latest) == (date(2026, 1, 1), date(2026, 1, 1), date(2026, 1, 8))
    assert window.conflict == ()


def test_a_controllers_statutory_floor_never_binds_the_processor() -> None:
    """During the contract through the parameter only; after its end not at all: the data is returned."""
    world = policy(agreement(END), datasets=(invoices("controller"),))
    starts = {"issued": date(2026, 3, 4)}
    during = reason(look(world, invoices("controller"), tenant(), starts), "§ 147(3) AO")
    assert (during.binds, during.duty_holder) == (False, "controller")
    assert "parameter or instruction" in str(during.note)
    ended = look(world, invoices("controller"), tenant(contract_end=MARCH), starts, today=date(2026, 4, 1))
    assert "returned" in str(reason(ended, "§ 147(3) AO").note)
    assert (ended.earliest, ended.due) == (date(2026, 5, 1), date(2026, 5, 1))


def test_I08_a_record_without_its_statutory_start_is_kept() -> None:
    """Nobody can say when its year ended: kept, and told."""
    world = policy(agreement(END), datasets=(invoices(),))
    window = look(world, invoices(), tenant(contract_end=MARCH), {})
    assert (window.earliest, window.latest, window.due) == (None, None, None)
    assert window.conflict == ("a statutory floor whose end is not known prevails",)
    assert "not known" in str(reason(window, "§ 147(3) AO").note)


def test_I08_an_open_tax_year_keeps_a_record_beyond_its_period() -> None:
    """Before the period's end the calendar day stands with a note; after it the floor has no end."""
    law = statutes(floor(period="P8Y", runs_on_while_tax_open=True))
    world = policy(agreement(END), datasets=(invoices(),), law=law, tax_final_through=2015)
    one = tenant(contract_end=MARCH)
    before = look(world, invoices(), one, {"issued": date(2017, 6, 1)}, today=date(2025, 12, 31))
    assert before.earliest == date(2026, 5, 1)
    assert "final through 2015" in str(reason(before, "§ 147(3) AO").note)
    after = look(world, invoices(), one, {"issued": date(2017, 6, 1)}, today=date(2026, 6, 1))
    assert (after.earliest, after.due) == (None, None)
    final = look(world, invoices(), one, {"issued": date(2015, 6, 1)}, today=date(2026, 6, 1))
    assert final.due == date(2026, 5, 1)


def test_I07_a_hold_keeps_everything_until_its_release() -> None:
    """A floor without an end: nothing is deletable, the ceiling is suspended, the conflict is told."""
    world = policy(agreement(LOGS))
    starts = {"collection": date(2026, 1, 1)}
    held = look(world, LOG, tenant(), starts, holds=(hold(),))
    assert (held.earliest, held.latest, held.due) == (None, None, None)
    assert held.conflict == ("a hold (hold h-1 (legal-order)) suspends the ceiling",)
    assert (held.reasons[-1].kind, held.reasons[-1].label, held.reasons[-1].note) == ("hold", "hold", "proceedings")
    assert not deletable(held, date(2030, 1, 1))
    no_ceiling = look(world, CONTENT, tenant(), starts, holds=(hold(),))
    assert no_ceiling.conflict == ()


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        ({"tenant": "other"}, False),
        ({"datasets": ("bookings",)}, False),
        ({"datasets": ("log", "bookings")}, True),
        ({"released_on": MARCH, "released_by": "op-1"}, False),
        ({"released_on": date(2026, 4, 1), "released_by": "op-1"}, True),
        ({"set_on": date(2027, 1, 1)}, True),
    ],
)
def test_I07_a_hold_binds_its_tenant_its_datasets_and_its_time(more: dict[str, Any], holds: bool) -> None:
    """Another tenant's, another dataset's or a released hold keeps nothing; one that is recorded keeps at once."""
    window = look(policy(agreement(LOGS)), LOG, tenant(), {"collection": date(2026, 1, 1)}, holds=(hold(**more),))
    assert (window.due is None) is holds


def test_the_layer_that_lost_is_shown() -> None:
    """`explain` names the overridden figures of this category, and only those."""
    order = {"order": ("individual", "standard")}
    base = agreement(LOGS, {**BOOKING, "keep": "P1Y", "gone_by": None}, END, windows=(WINDOW,), precedence=order)
    own = individual(
        {**LOGS, "gone_by": "P30D"},
        {**BOOKING, "keep": "P1M", "gone_by": None},
        windows=({**WINDOW, "keep": "P10D"},),
        zone="Europe/Vienna",
    )
    window = look(policy(base, own), LOG, tenant(individual="portal-extra"), {"collection": date(2026, 3, 1)})
    assert window.latest == MARCH
    lost = [(r.kind, r.period, r.rule, r.note) for r in window.reasons if "prevails" in str(r.note)]
    assert lost == [
        ("ceiling", "P90D", "logs", "the layer individual prevails"),
        ("floor", "P90D", None, "the layer individual prevails"),
    ]


def test_rows_of_no_tenant_know_no_contract_end() -> None:
    """Shared rows have their rules and nothing else."""
    shared = dataset("shared", "log", "collection", tenant={"by": "none"})
    world = policy(agreement(LOGS, END), datasets=(shared,))
    window = look(world, shared, tenant(contract_end=MARCH), {"collection": date(2026, 3, 1)})
    assert (window.due, window.latest) == (date(2026, 5, 27), date(2026, 5, 30))
    assert len(window.reasons) == 1


def test_a_category_that_no_rule_names_is_never_deleted() -> None:
    """No default deletes."""
    window = look(policy(agreement(LOGS)), CONTENT, tenant(), {"collection": date(2000, 1, 1)})
    assert (window.earliest, window.latest, window.due, window.reasons) == (None, None, None, ())
    assert not deletable(window, date.max)


def test_while_the_choice_is_awaited_only_own_periods_end() -> None:
    """A log goes at its ceiling, the rest waits for the choice."""
    world = policy(agreement(LOGS, END, choice={"ask": True}))
    one = tenant(contract_end=MARCH)
    log = look(world, LOG, one, {"collection": date(2026, 3, 1)})
    assert (log.due, log.latest) == (date(2026, 5, 27), date(2026, 5, 30))
    content = look(world, CONTENT, one, {"collection": date(2026, 3, 1)})
    assert (content.earliest, content.due, content.latest) == (None, None, date(2026, 6, 29))


def test_I34_a_promised_return_keeps_the_data() -> None:
    """Until delivery the floor has no end; delivered, it ends with the inspection period."""
    world = policy(agreement(END))
    one = tenant(contract_end=MARCH, choice="return")
    assert look(world, CONTENT, one, {}).due is None
    assert look(world, CONTENT, one, {}, returned_on=date(2026, 4, 30)).due == date(2026, 5, 15)


periods = st.sampled_from(["P1D", "P10D", "P30D", "P60D", "P90D", "P1M", "P3M", "P6M", "P1Y"])
rules = st.lists(st.tuples(st.sampled_from(["keep", "gone_by", "both"]), periods), min_size=1, max_size=3)


@settings(max_examples=100)
@given(
    rules,
    st.dates(date(2025, 9, 1), date(2026, 6, 30)),
    st.none() | st.dates(date(2025, 12, 1), date(2026, 6, 30)),
    st.booleans(),
    st.sampled_from(["Europe/Berlin", "Africa/Cairo", "Pacific/Kiritimati"]),
)
def test_I14_the_window_agrees_with_what_the_runs_do(
    terms: list[tuple[str, str]], start: date, end: date | None, statutory: bool, zone: str
) -> None:
    """Day by day: the first day on which a shared pass or the offboarding selects a record is the window's due day."""
    documents = [
        {
            "id": f"rule-{number}",
            "clause": "1",
            "category": ("log",),
            "start": "collection",
            **({} if kind == "gone_by" else {"keep": period}),
            **({} if kind == "keep" else {"gone_by": "P2Y" if kind == "both" else period}),
        }
        for number, (kind, period) in enumerate(terms)
        if not (kind == "gone_by" and period == "P1D")
    ]
    record = {"kind": "letter", "holder": "processor", "start": "collection"}
    table = dataset("log", "log", "collection", statutory=(record,) if statutory else ())
    law = statutes(floor(kinds=("letter",), period="P3M", starts="day"))
    world = policy(agreement(*documents, END, zone=zone), datasets=(table,), law=law)
    one = tenant(contract_end=end)
    bound = effective(world, one)

    def selected(today: date) -> bool:
        passes = rule_obligations(world, [one], today)
        steps = offboarding_obligations(world, one, bound, today)
        return any(all(start <= before.day for before in found.due) for found in (*passes, *steps))

    window = window_of(bound, world, table, one, {"collection": start}, start)
    span = [start + n * DAY for n in range(760)]
    low, high = 0, len(span)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if selected(span[middle]) else (middle + 1, high)
    first = span[low] if low < len(span) else None
    # A record that arrives after its tenant's deletion is due at once (I33).
    assert first == (None if window.due is None else max(window.due, start))
    if first is not None:
        assert deletable(window, first)
        assert all(selected(first + n * DAY) for n in (1, 40))
        assert not any(selected(first - n * DAY) for n in (1, 40) if first - n * DAY >= start)


def test_I08_a_floor_that_ends_on_the_ceilings_own_day_is_a_conflict() -> None:
    """Gone before the day begins and kept through the day before cannot both be: the statute prevails."""
    world = policy(agreement(END), datasets=(invoices(),))
    one = tenant(contract_end=date(2025, 11, 18))
    window = look(world, invoices(), one, {"issued": date(2017, 6, 1)}, today=date(2025, 12, 1))
    assert (window.earliest, window.latest) == (date(2026, 1, 1), date(2026, 1, 15))
    assert len(window.conflict) == 1

"""The contract's end: windows, choice, waiver, what remains, and the states on the way."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.errors import Refused
from lifecycle.core.layering import effective
from lifecycle.core.offboarding import (
    OffboardingStep,
    Progress,
    Timeline,
    next_state,
    offboarding_obligations,
    timeline,
)
from lifecycle.core.policy import Policy
from lifecycle.core.tenant import Tenant
from tests.core.world import (
    BOOKINGS,
    CONTENT,
    END,
    LOG,
    LOGS,
    WINDOW,
    agreement,
    dataset,
    floor,
    invoices,
    policy,
    statutes,
    tenant,
)

MARCH = date(2026, 3, 31)
NO_ACT: dict[str, Any] = {"data_act": {"applies": False, "reason": "not a data processing service"}}
ASK: dict[str, Any] = {"choice": {"ask": True}}


def line_of(world: Policy, one: Tenant, today: date = MARCH, **more: Any) -> Timeline:
    return timeline(world, effective(world, one), one, today, **more)


def steps_of(world: Policy, one: Tenant, today: date, **more: Any) -> list[OffboardingStep]:
    return offboarding_obligations(world, one, effective(world, one), today, **more)


def test_without_an_end_there_is_no_timeline() -> None:
    """An active contract has no window, no due day and no steps."""
    world = policy(agreement(END, windows=(WINDOW,)))
    line = line_of(world, tenant())
    assert (line.contract_end, line.window_end, line.due_from, line.delete_by) == (None, None, None, None)
    assert (line.state, line.windows, line.reasons) == ("active", (), ())
    assert not line.is_due(date.max)
    assert not line.is_late(date.max)
    assert steps_of(world, tenant(), date(2030, 1, 1)) == []


def test_I14_thirty_days_after_the_31st_of_march_run_through_the_30th_of_april() -> None:
    """The Data Act's window; deletion from 1 May, gone before 14 May begins (P14D after the window's last day)."""
    line = line_of(policy(agreement(END)), tenant(contract_end=MARCH))
    assert [(w.id, w.label, w.last_day) for w in line.windows] == [("retrieval", "statute", date(2026, 4, 30))]
    assert (line.window_end, line.due_from, line.delete_by) == (date(2026, 4, 30), date(2026, 5, 1), date(2026, 5, 14))
    assert not line.is_due(date(2026, 4, 30))
    assert line.is_due(date(2026, 5, 1))
    assert not line.is_late(date(2026, 5, 13))
    assert line.is_late(date(2026, 5, 14))


def test_the_longest_window_counts() -> None:
    """Ninety days of pick-up outlast the Data Act's thirty; both are reasons, each with its label."""
    line = line_of(policy(agreement(END, windows=(WINDOW,))), tenant(contract_end=MARCH))
    assert {w.id: w.last_day for w in line.windows} == {"pick-up": date(2026, 6, 29), "retrieval": date(2026, 4, 30)}
    assert line.due_from == date(2026, 6, 30)
    assert [(r.kind, r.label, r.source, r.day) for r in line.reasons] == [
        ("floor", "clause", "10(1)", date(2026, 6, 30)),
        ("floor", "statute", "Art. 25(2)(g) Data Act", date(2026, 5, 1)),
        ("ceiling", "reading", "1.2: without_delay", date(2026, 7, 13)),
    ]


def test_the_data_act_is_switched_off_with_its_reason() -> None:
    """Without a window deletion counts from the contract's end; the reason of the switch stays visible."""
    line = line_of(policy(agreement(END, **NO_ACT)), tenant(contract_end=MARCH))
    assert (line.windows, line.window_end) == ((), MARCH)
    assert (line.due_from, line.delete_by) == (date(2026, 4, 1), date(2026, 4, 14))
    off = line.reasons[0]
    assert (off.binds, off.day, off.note) == (False, None, "switched off: not a data processing service")


def test_the_data_act_holds_from_its_first_day_on() -> None:
    """A window that closed before 12 September 2025 never knew it."""
    world = policy(agreement(END))
    assert line_of(world, tenant(contract_end=date(2025, 8, 12))).windows == ()
    assert len(line_of(world, tenant(contract_end=date(2025, 8, 13))).windows) == 1


@pytest.mark.parametrize(
    ("waived", "last", "by_instruction"),
    [
        (date(2026, 3, 1), MARCH, True),
        (date(2026, 4, 10), date(2026, 4, 10), True),
        (date(2026, 6, 29), date(2026, 6, 29), False),
        (date(2027, 1, 1), date(2026, 6, 29), False),
    ],
)
def test_a_waiver_ends_the_windows_earlier(waived: date, last: date, by_instruction: bool) -> None:
    """On the waiver's day, never before the contract's end, never later than the window itself."""
    line = line_of(policy(agreement(END, windows=(WINDOW,))), tenant(contract_end=MARCH, window_waived_on=waived))
    assert line.window_end == last
    assert line.windows[0].waived is by_instruction
    assert (line.reasons[0].note is not None) is by_instruction


def test_a_right_that_cannot_be_waived_stays() -> None:
    """The tenant's instruction ends only what it may end."""
    right = statutes()[1].retrieval[0].model_copy(update={"waivable": False})
    law = (statutes()[0], statutes()[1].model_copy(update={"retrieval": (right,)}))
    one = tenant(contract_end=MARCH, window_waived_on=MARCH)
    assert line_of(policy(agreement(END, windows=(WINDOW,)), law=law), one).window_end == date(2026, 4, 30)


def test_without_a_choice_nothing_is_deleted_where_one_is_awaited() -> None:
    """No default in the agreement: the state waits, only the wait's own ceiling runs."""
    world = policy(agreement(END, **ASK))
    line = line_of(world, tenant(contract_end=MARCH), date(2026, 5, 1))
    assert (line.awaiting_choice, line.state) == (True, "awaiting-choice")
    assert (line.due_from, line.delete_by) == (None, date(2026, 6, 29))
    assert steps_of(world, tenant(contract_end=MARCH), date(2026, 12, 1)) == []
    assert [(r.kind, r.day, r.binds) for r in line.reasons] == [
        ("floor", date(2026, 5, 1), True),
        ("ceiling", None, False),
        ("ceiling", date(2026, 6, 29), True),
    ]


def test_deletion_counts_from_the_choice() -> None:
    """Chosen after the window: due the day after, gone without delay, the wait's ceiling as outer bound."""
    world = policy(agreement(END, **ASK))
    early = line_of(world, tenant(contract_end=MARCH, choice="delete", choice_on=date(2026, 4, 2)))
    assert (early.due_from, early.delete_by) == (date(2026, 5, 1), date(2026, 5, 14))
    late = line_of(world, tenant(contract_end=MARCH, choice="delete", choice_on=date(2026, 5, 20)))
    assert (late.due_from, late.delete_by, late.awaiting_choice) == (date(2026, 5, 21), date(2026, 6, 3), False)
    last = line_of(world, tenant(contract_end=MARCH, choice="delete", choice_on=date(2026, 6, 20)))
    assert last.delete_by == date(2026, 6, 29)
    undated = line_of(world, tenant(contract_end=MARCH, choice="delete"))
    assert undated.due_from == date(2026, 5, 1)


def test_I34_a_promised_return_waits_for_its_delivery() -> None:
    """Nothing is deleted before the export was delivered and the time to inspect it has passed."""
    world = policy(agreement(END))
    one = tenant(contract_end=MARCH, choice="return")
    waiting = line_of(world, one)
    assert waiting.due_from is None
    assert "not delivered" in str(waiting.reasons[1].note)
    assert steps_of(world, one, date(2026, 12, 1)) == []
    assert line_of(world, one, returned_on=date(2026, 4, 10)).due_from == date(2026, 5, 1)
    assert line_of(world, one, returned_on=date(2026, 4, 25)).due_from == date(2026, 5, 10)
    assert line_of(world, one, returned_on=date(2026, 3, 1)).windows[-1].last_day == date(2026, 4, 14)


def test_a_ceiling_from_the_contracts_end_prevails_over_a_longer_window() -> None:
    """Rank: a clause that counts from the end itself does not wait for the pick-up period; the conflict is told."""
    strict = {**END, "start": "contract-end", "gone_by": "P30D"}
    world = policy(agreement(strict, windows=(WINDOW,)))
    line = line_of(world, tenant(contract_end=MARCH))
    assert (line.due_from, line.delete_by) == (date(2026, 4, 27), date(2026, 4, 30))
    assert line.conflicts
    hasty = policy(agreement({**strict, "gone_by": "P1D"}))
    assert line_of(hasty, tenant(contract_end=MARCH)).due_from == date(2026, 4, 1)
    fitting = policy(agreement({**strict, "gone_by": "P60D"}))
    assert line_of(fitting, tenant(contract_end=MARCH)).conflicts == ()


def test_an_offboarding_rule_may_hold_a_floor_of_its_own() -> None:
    """Kept for a while after the window, then deleted; a floor behind its own ceiling gives way."""
    kept = {**END, "keep": "P5D"}
    world = policy(agreement(kept), datasets=(LOG,))
    one = tenant(contract_end=MARCH)
    assert steps_of(world, one, date(2026, 5, 5)) == []
    step = steps_of(world, one, date(2026, 5, 6))[0]
    assert (step.due_from, step.delete_by) == (date(2026, 5, 6), date(2026, 5, 14))
    line = line_of(world, one)
    assert [(r.kind, r.rule, r.day) for r in line.reasons if r.rule] == [
        ("floor", "end", date(2026, 5, 6)),
        ("ceiling", "end", date(2026, 5, 14)),
    ]
    long = policy(agreement({**END, "keep": "P60D"}), datasets=(LOG,))
    assert steps_of(long, one, date(2026, 5, 1))[0].due_from == date(2026, 5, 1)
    only_kept = policy(agreement({**END, "keep": "P60D", "gone_by": None}), datasets=(LOG,))
    assert steps_of(only_kept, one, date(2026, 6, 29)) == []
    assert steps_of(only_kept, one, date(2026, 6, 30))[0].delete_by is None


def test_every_dataset_of_the_agreement_has_its_step() -> None:
    """All categories; rows of no tenant and categories of other agreements are left out."""
    shared = dataset("shared", "log", "collection", tenant={"by": "none"})
    foreign = dataset("foreign", "elsewhere", "collection")
    world = policy(agreement(LOGS, END), datasets=(LOG, BOOKINGS, CONTENT, shared, foreign))
    one = tenant(contract_end=MARCH)
    assert steps_of(world, one, date(2026, 4, 30)) == []
    assert [s.dataset for s in steps_of(world, one, date(2026, 4, 30), preview=True)] == ["log", "bookings", "content"]
    steps = steps_of(world, one, date(2026, 5, 1))
    assert [(s.dataset, s.store, s.category, s.due, s.kept) for s in steps] == [
        ("log", "main", "log", (), ()),
        ("bookings", "main", "booking", (), ()),
        ("content", "main", "content", (), ()),
    ]
    assert {(s.rule, s.clause, s.own, s.action) for s in steps} == {("end", "1.2", False, "delete")}


def test_the_strictest_rule_of_a_category_gives_its_name() -> None:
    """Two offboarding rules over one category end in one step, named after the shorter promise."""
    own = {"id": "own", "own": "drafts have no clause", "category": ("log",), "start": "window-end", "keep": "P1D"}
    short = {**END, "id": "short", "category": ("log",), "gone_by": "P7D"}
    world = policy(agreement(END, own, short), datasets=(LOG, CONTENT))
    steps = steps_of(world, tenant(contract_end=MARCH), date(2026, 5, 2))
    assert {s.dataset: s.rule for s in steps} == {"log": "short", "content": "end"}


def test_I08_the_processors_floor_survives_the_contracts_end() -> None:
    """Its invoices stay until the statute lets them go, each with ground, holder and end; the others are selected."""
    world = policy(agreement(END), datasets=(invoices(),))
    step = steps_of(world, tenant(contract_end=MARCH), date(2026, 5, 1))[0]
    assert [(b.time, b.day) for b in step.due] == [("issued", date(2017, 12, 31))]
    (ground,) = step.kept
    assert (ground.ground, ground.label, ground.duty_holder) == ("§ 147(3) AO", "statute", "processor")
    assert (ground.time, ground.cutoff, ground.ends_on) == ("issued", date(2017, 12, 31), date(2035, 1, 1))


def test_I08_the_remainder_goes_by_itself_once_the_floor_ends() -> None:
    """On 1 January 2035 the invoice of the contract's last year is selected by the same step."""
    world = policy(agreement(END), datasets=(invoices(),))
    one = tenant(contract_end=MARCH, state="remainder")
    for today, through in ((date(2034, 12, 31), 2025), (date(2035, 1, 1), 2026)):
        assert steps_of(world, one, today)[0].due[0].day == date(through, 12, 31)


def test_I08_a_controllers_floor_does_not_survive_the_contracts_end() -> None:
    """Books inside tenant content are returned, not kept: every row is selected."""
    world = policy(agreement(END), datasets=(invoices("controller"),))
    step = steps_of(world, tenant(contract_end=MARCH), date(2026, 5, 1))[0]
    assert (step.due, step.kept) == ((), ())


def test_I08_an_open_tax_year_leaves_the_end_open() -> None:
    """While the year's assessment is open nobody can say when its records are free."""
    law = statutes(floor(period="P8Y", runs_on_while_tax_open=True))
    world = policy(agreement(END), datasets=(invoices(),), law=law, tax_final_through=2020)
    one = tenant(contract_end=MARCH)
    assert steps_of(world, one, date(2026, 5, 1))[0].kept[0].ends_on == date(2035, 1, 1)
    assert steps_of(world, one, date(2036, 5, 1))[0].kept[0].ends_on is None
    assert steps_of(world, one, date(2036, 5, 1))[0].due[0].day == date(2020, 12, 31)


def test_I08_a_statute_that_no_document_knows_stops_the_offboarding() -> None:
    """Declared as a statute's records, and no statute speaks of them: refused."""
    world = policy(agreement(END), datasets=(invoices(),), law=statutes(floor(kinds=("book",), period="P10Y")))
    with pytest.raises(Refused) as caught:
        steps_of(world, tenant(contract_end=MARCH), date(2026, 5, 1))
    assert caught.value.guard == "statute-missing"


def test_a_licence_decides_the_offer_not_the_floor() -> None:
    """Without the licence the export is offered in another way; the window is as long."""
    world = policy(agreement(END, windows=({**WINDOW, "licence": "full user"},)))
    without = line_of(world, tenant(contract_end=MARCH))
    licensed = line_of(world, tenant(contract_end=MARCH, licence="full user"))
    assert without.licence_note is not None
    assert "full user" in without.licence_note
    assert licensed.licence_note is None
    assert without.window_end == licensed.window_end


@pytest.mark.parametrize(
    ("state", "dates", "today", "expected"),
    [
        ("active", {}, MARCH, "active"),
        ("active", {"notice_on": date(2026, 4, 1)}, MARCH, "active"),
        ("active", {"notice_on": MARCH}, MARCH, "notice"),
        ("active", {"contract_end": MARCH}, MARCH, "notice"),
        ("notice", {"contract_end": MARCH}, date(2026, 4, 1), "ended"),
        ("active", {"contract_end": MARCH}, date(2026, 4, 1), "ended"),
        ("notice", {}, MARCH, "active"),
        ("ended", {}, MARCH, "active"),
        ("ended", {"contract_end": date(2027, 3, 31)}, MARCH, "notice"),
        ("awaiting-choice", {}, MARCH, "active"),
    ],
)
def test_until_the_first_change_the_dates_give_the_state(
    state: str, dates: dict[str, date], today: date, expected: str
) -> None:
    """Notice, end, immediate termination, renewal and withdrawal; the last day still belongs to the contract."""
    assert next_state(tenant(state=state, **dates), today, awaiting_choice=False) == expected


def test_a_choice_made_leads_from_waiting_to_ended() -> None:
    """The state waits while the choice is awaited and moves on once it is made."""
    one = tenant(state="ended", contract_end=MARCH)
    assert next_state(one, date(2026, 4, 1), awaiting_choice=True) == "awaiting-choice"
    waiting = tenant(state="awaiting-choice", contract_end=MARCH)
    assert next_state(waiting, date(2026, 4, 1), awaiting_choice=False) == "ended"


@pytest.mark.parametrize(
    ("state", "progress", "expected"),
    [
        ("ended", Progress(started=True), "deleting"),
        ("active", Progress(started=True), "deleting"),
        ("deleting", Progress(started=True), "deleting"),
        ("deleting", Progress(started=True, verified=True), "deleted"),
        ("deleted", Progress(started=True, verified=True), "deleted"),
        ("deleted", Progress(started=True, verified=True, copies_clean=True, remaining=2), "remainder"),
        ("deleted", Progress(started=True, verified=True, copies_clean=True), "closed"),
        ("remainder", Progress(remaining=2), "remainder"),
        ("remainder", Progress(), "closed"),
        ("closed", Progress(remaining=2), "closed"),
        ("ended", Progress(started=True, verified=True, copies_clean=True), "closed"),
    ],
)
def test_after_the_first_change_only_progress_moves_the_state(state: str, progress: Progress, expected: str) -> None:
    """Deleting, deleted with copies pending, a statutory remainder, closed."""
    one = tenant(state=state, contract_end=MARCH)
    assert next_state(one, date(2026, 6, 1), awaiting_choice=False, progress=progress) == expected


ORDER = ("active", "notice", "ended", "awaiting-choice", "deleting", "deleted", "remainder", "closed")


@given(
    st.sampled_from(ORDER[4:]),
    st.none() | st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    st.dates(date(2026, 1, 1), date(2027, 1, 1)),
    st.builds(
        Progress,
        started=st.booleans(),
        verified=st.booleans(),
        copies_clean=st.booleans(),
        remaining=st.integers(0, 2),
    ),
)
def test_nothing_leads_back_once_deletion_has_begun(
    state: str, end: date | None, today: date, progress: Progress
) -> None:
    """No date and no withdrawn notice makes a tenant that is being deleted active again."""
    after = next_state(tenant(state=state, contract_end=end), today, awaiting_choice=False, progress=progress)
    assert ORDER.index(after) >= ORDER.index(state)


def test_a_ceiling_on_the_first_day_after_the_window_leaves_no_day() -> None:
    """Gone before 1 May begins, and kept through 30 April: the ceiling prevails, a margin ahead."""
    strict = {**END, "start": "contract-end", "gone_by": "P31D"}
    line = line_of(policy(agreement(strict)), tenant(contract_end=MARCH))
    assert (line.due_from, line.delete_by, len(line.conflicts)) == (date(2026, 4, 28), date(2026, 5, 1), 1)


def test_a_floor_up_to_the_ceilings_own_day_gives_way() -> None:
    """Thirteen days kept and fourteen at most leave no day between: deletion begins with the window's end."""
    world = policy(agreement({**END, "keep": "P13D"}), datasets=(LOG,))
    assert steps_of(world, tenant(contract_end=MARCH), date(2026, 5, 1))[0].due_from == date(2026, 5, 1)

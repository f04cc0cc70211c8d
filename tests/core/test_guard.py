"""Limits and clocks decide with a reason; a limit of zero deletes zero."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.guard import (
    EARLIEST,
    HARD_CAP,
    Anchor,
    Limit,
    PastRun,
    against_high_water,
    batch_allowance,
    check_change,
    check_limit,
    effective_now,
    late_allowance,
    wall_against_monotonic,
    within_history,
    within_mandate,
)
from lifecycle.core.selection import Before, GroupScope, Selection, TenantScope, WholeScope

NOW = datetime(2026, 6, 1, 2, tzinfo=UTC)
counts = st.integers(0, 10**9)


@given(counts, counts)
def test_I04_what_exceeds_the_limit_is_refused(expected: int, limit: int) -> None:
    """A plan passes exactly when its count is within the limit and the cap."""
    assert check_limit(expected, limit).allowed == (expected <= min(limit, HARD_CAP))


@given(counts, st.integers(0, 100))
def test_I04_zero_deletes_zero(population: int, percent: int) -> None:
    """0 items and 0 percent both let nothing through, whatever the dataset holds."""
    assert Limit(0, percent).items(population) == 0
    assert Limit(population, 0).items(population) == 0
    assert not check_limit(1, Limit(1000, 0).items(1000)).allowed


@given(counts, counts, st.integers(0, 100))
def test_I04_a_percentage_rounds_down(absolute: int, population: int, percent: int) -> None:
    """Neither the count nor the share is exceeded, not even by a fraction."""
    items = Limit(absolute, percent).items(population)
    assert items <= absolute
    assert items * 100 <= population * percent
    assert Limit(10**12, 100).items(population) == population


@pytest.mark.parametrize(("absolute", "percent"), [(-1, 10), (5, -1), (5, 101)])
def test_I04_a_limit_outside_its_range_is_no_limit(absolute: int, percent: int) -> None:
    """101 percent and negative counts are errors, not "no limit"."""
    with pytest.raises(InvalidDocument):
        Limit(absolute, percent)


@pytest.mark.parametrize("numbers", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_I04_negative_counts_are_errors(numbers: tuple[int, int, int]) -> None:
    """A count below zero is a fault of the caller, never a pass."""
    with pytest.raises(InvalidDocument):
        check_limit(*numbers)


def test_I04_a_refusal_names_guard_reason_and_advice() -> None:
    """Whoever is called at night reads which guard refused and what to do."""
    for decision, guard in (
        (check_limit(11, 10), "limit"),
        (check_limit(11, 100, cap=10), "cap"),
        (within_mandate(11, 10), "mandate-limit"),
        (within_mandate(11, 100, cap=10), "mandate-limit"),
    ):
        with pytest.raises(Refused) as caught:
            decision.require()
        assert caught.value.guard == guard
        assert "11" in caught.value.message
        assert caught.value.advice() == decision.advice


def test_I04_what_is_within_a_mandate_passes() -> None:
    """A plan of exactly the mandate's count runs."""
    decision = within_mandate(10, 10)
    decision.require()
    assert decision.allowed


@given(counts, counts)
def test_I04_each_batch_may_change_what_is_left(planned: int, done: int) -> None:
    """Planned minus done; once more than planned is done, nothing may follow."""
    if done <= planned:
        assert batch_allowance(planned, done) == planned - done
    else:
        with pytest.raises(Refused) as caught:
            batch_allowance(planned, done)
        assert caught.value.guard == "batch-allowance"


@pytest.mark.parametrize(("planned", "done"), [(-1, 0), (0, -1)])
def test_I04_a_batch_of_negative_counts_is_an_error(planned: int, done: int) -> None:
    """Counts never go below zero."""
    with pytest.raises(InvalidDocument):
        batch_allowance(planned, done)


@given(counts)
def test_I04_late_rows_stay_under_a_limit(planned: int) -> None:
    """Rows inserted meanwhile may go along, but never more than were planned, and none where none was."""
    late = late_allowance(planned)
    assert 0 <= late <= planned
    assert late <= max(100, planned // 100)


def test_I04_a_negative_plan_allows_no_late_rows() -> None:
    """Counts never go below zero."""
    with pytest.raises(InvalidDocument):
        late_allowance(-1)


runs = st.lists(st.builds(PastRun, st.integers(0, 10**6), st.integers(1, 90)), min_size=7, max_size=40)


@given(counts, runs, st.integers(1, 90), st.integers(1, 5), st.integers(0, 5000))
def test_I04_a_run_is_held_against_the_rules_history(
    expected: int, past: list[PastRun], due_days: int, factor: int, floor: int
) -> None:
    """It passes exactly up to factor times median per due day times due days, and always up to the floor."""
    per_day = sorted(run.items / run.due_days for run in past)
    middle = (per_day[(len(past) - 1) // 2] + per_day[len(past) // 2]) / 2
    most = max(floor, factor * middle * due_days)
    if abs(expected - most) > 1:
        assert within_history(expected, past, due_days, factor, floor).allowed == (expected <= most)
    assert within_history(floor, past, due_days, factor, floor).allowed


def test_I04_three_times_the_usual_stops_a_run() -> None:
    """A thousand a night, and three thousand once: allowed; one more stops, and says how it was counted."""
    past = [PastRun(1000)] * 27 + [PastRun(50_000)]
    assert within_history(3000, past, 1).allowed
    stopped = within_history(3001, past, 1)
    assert (stopped.guard, stopped.allowed) == ("history", False)
    assert "3001 items are more than 3000" in stopped.reason
    assert "by hand" in stopped.advice


def test_I04_after_an_outage_as_many_days_are_allowed_as_were_missed() -> None:
    """Three days down, three days' items; a past run over many days counts by the day."""
    past = [PastRun(7000, 7)] * 14
    assert within_history(9000, past, 3).allowed
    assert not within_history(9001, past, 3).allowed


def test_I04_small_runs_never_stop_for_their_history() -> None:
    """A rule that never had anything to do may still do up to the floor; above it somebody looks."""
    past = [PastRun(0)] * 28
    assert within_history(1000, past, 1).allowed
    assert not within_history(1001, past, 1).allowed
    assert not within_history(1, past, 1, 3, 0).allowed


def test_I04_six_runs_are_no_history() -> None:
    """Before the seventh run the mandate's own limit rules, and the decision says so."""
    decision = within_history(10**6, [PastRun(1)] * 6, 1)
    assert decision.allowed
    assert "no history" in decision.reason
    assert not within_history(10**6, [PastRun(1)] * 7, 1).allowed


@pytest.mark.parametrize("numbers", [(-1, 1, 3, 0), (0, 0, 3, 0), (0, 1, -1, 0), (0, 1, 3, -1)])
def test_I04_a_history_of_odd_numbers_is_an_error(numbers: tuple[int, int, int, int]) -> None:
    """Counts never go below zero, and each run has a due day."""
    expected, due_days, factor, floor = numbers
    with pytest.raises(InvalidDocument):
        within_history(expected, [], due_days, factor, floor)


@pytest.mark.parametrize(("items", "due_days"), [(-1, 1), (0, 0)])
def test_I04_a_past_run_that_cannot_have_been_is_an_error(items: int, due_days: int) -> None:
    """Fewer than no items, or no due day, are faults of the record."""
    with pytest.raises(InvalidDocument):
        PastRun(items, due_days)


def before() -> Before:
    day = date(2026, 1, 1)
    return Before(time="collection", day=day, zone="UTC", not_before=date(1971, 1, 1), not_after=day)


def test_I05_a_change_over_many_tenants_needs_a_cutoff() -> None:
    """Without a cutoff a group or a whole dataset would mean "all"; only one tenant's offboarding has none."""
    for scope in (GroupScope(groups=("g-1",)), WholeScope()):
        assert not check_change(Selection(dataset="log", scope=scope)).allowed
        assert check_change(Selection(dataset="log", scope=scope, due=(before(),))).allowed
    assert check_change(Selection(dataset="log", scope=TenantScope(tenant="t-" + "a" * 16))).allowed


def test_I07_a_selection_that_passes_over_holds_only_counts() -> None:
    """Such a selection shows how many rows a hold keeps; it never changes one."""
    selection = Selection(dataset="log", scope=WholeScope(), due=(before(),), respect_holds=False)
    assert check_change(selection).guard == "holds"
    assert not check_change(selection).allowed


seconds = st.integers(-300, 300).map(lambda s: timedelta(seconds=s))


@given(st.lists(seconds, min_size=1, max_size=4), st.none() | seconds)
def test_I12_effective_now_is_the_least_clock(stores: list[timedelta], ntp: timedelta | None) -> None:
    """The earliest clock counts, so that a fast one deletes nothing early; a minute's spread is the most."""
    clocks = [NOW, *(NOW + shift for shift in stores), *([] if ntp is None else [NOW + ntp])]
    found = effective_now(NOW, [NOW + shift for shift in stores], None if ntp is None else NOW + ntp)
    assert found.now == min(clocks)
    assert found.spread == max(clocks) - min(clocks)
    assert found.decision.allowed == (found.spread <= timedelta(seconds=60))


def test_I12_clocks_that_disagree_stop_the_run() -> None:
    """Sixty seconds apart is allowed, sixty-one is not; other offsets of the same instant are the same time."""
    berlin = timezone(timedelta(hours=2))
    assert effective_now(NOW, (NOW + timedelta(seconds=60)).astimezone(berlin)).require() == NOW
    with pytest.raises(Refused) as caught:
        effective_now(NOW, NOW, NOW - timedelta(seconds=61)).require()
    assert caught.value.guard == "clock-spread"


def test_I12_a_naive_clock_is_refused() -> None:
    """A clock without an offset could be any time."""
    with pytest.raises(InvalidDocument):
        effective_now(NOW, NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("shift", "second", "signed", "guard"),
    [
        (timedelta(seconds=-5), None, False, None),
        (timedelta(seconds=-6), None, False, "clock-behind"),
        (timedelta(seconds=-6), timedelta(0), True, "clock-behind"),
        (timedelta(0), None, False, None),
        (timedelta(hours=50), None, False, None),
        (timedelta(hours=50, seconds=1), None, False, "clock-ahead"),
        (timedelta(days=4), timedelta(seconds=60), False, None),
        (timedelta(days=4), timedelta(seconds=-60), False, None),
        (timedelta(days=4), timedelta(seconds=61), False, "clock-ahead"),
        (timedelta(days=4), timedelta(seconds=61), True, None),
        (timedelta(days=4), None, True, None),
    ],
)
def test_I13_now_follows_the_latest_time_on_record(
    shift: timedelta, second: timedelta | None, signed: bool, guard: str | None
) -> None:
    """Not behind by more than 5 s; not ahead by more than 50 h unless a second clock or an operator vouches for it."""
    now = NOW + shift
    decision = against_high_water(now, NOW, second=None if second is None else now + second, signed=signed)
    assert decision.allowed is (guard is None)
    if guard is not None:
        assert decision.guard == guard


def test_I13_the_first_run_has_no_earlier_time() -> None:
    """A new deployment starts wherever its clocks agree."""
    assert against_high_water(NOW, None).allowed


def test_I13_a_host_without_its_clock_never_runs() -> None:
    """1970 is no present, also before any time is on record, and whoever vouches for it."""
    for now in (datetime(1970, 1, 1, tzinfo=UTC), EARLIEST - timedelta(seconds=1)):
        decision = against_high_water(now, None, second=now, signed=True)
        assert (decision.guard, decision.allowed) == ("clock-behind", False)
    assert against_high_water(EARLIEST, None).allowed


@pytest.mark.parametrize(("wall", "passed", "drift"), [(0, 0, 0), (100, 96, 4), (96, 100, 4), (-10, 5, 15)])
def test_drift_is_what_the_wall_clock_was_moved_by(wall, passed, drift):
    """Seconds by the wall against seconds that have passed, in either direction."""
    since = Anchor(NOW, 1000.0)
    assert since.drift(Anchor(NOW + timedelta(seconds=wall), 1000.0 + passed)) == drift


def test_I13_an_anchor_holds_while_both_clocks_pass_alike() -> None:
    """A moment by both clocks: five seconds' difference later on is allowed, six are not; a naive time is an error."""
    since = Anchor(NOW, 1000.0)
    hour = timedelta(hours=1)
    assert since.held(NOW.astimezone(timezone(hour)) + hour, 4600.0).allowed
    assert since.held(NOW + hour + timedelta(seconds=5), 4600.0).allowed
    assert since.held(NOW + hour - timedelta(seconds=6), 4600.0).guard == "clock-drift"
    with pytest.raises(InvalidDocument):
        since.held(NOW.replace(tzinfo=None), 1000.0)


@pytest.mark.parametrize(
    ("wall", "monotonic", "allowed"),
    [(100.0, 100.0, True), (105.0, 100.0, True), (95.0, 100.0, True), (106.0, 100.0, False), (-3600.0, 10.0, False)],
)
def test_I13_a_clock_set_during_a_run_stops_it(wall: float, monotonic: float, allowed: bool) -> None:
    """Wall and monotonic time may drift by 5 s, in either direction."""
    assert wall_against_monotonic(wall, monotonic).allowed is allowed


def test_I13_an_unreadable_drift_is_no_agreement() -> None:
    """Not a number is not within the bound."""
    assert not wall_against_monotonic(float("nan"), 1.0).allowed

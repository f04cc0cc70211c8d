"""Jobs that wait: a night's budget over a backlog, maintenance windows, flags; they go on without a new approval."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import Paused
from lifecycle.core.schedule import Schedule
from lifecycle.core.settings import RuleClass, ScheduleSettings
from lifecycle.core.span import Span
from lifecycle.core.throttle import Throttle
from lifecycle.flow import brakes, cycle, execute, pending, slots
from lifecycle.flow.journal import decoded, read_job
from lifecycle.flow.reporting import status
from lifecycle.flow.verify import job_of
from lifecycle.ports.clock import SimulatedClock
from lifecycle.stores.paced import PATIENCE_SECONDS, PacedStore
from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.flow.deployment import Deployment
    from tests.portal import World

RULE = ("clientport", "server-logs")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NIGHTLY = Schedule.of(
    ScheduleSettings(default="nightly", classes={"nightly": RuleClass(every=Span(86_400), at="02:00")})
)


@pytest.fixture
def clock(world: World) -> SimulatedClock:
    """Shortly after the nightly slot has begun."""
    return SimulatedClock((world.now + DAY).replace(hour=2, minute=10, second=0, microsecond=0))


@pytest.fixture
def opened(world: World, clock: SimulatedClock) -> Iterator[Deployment]:
    """A process under that clock whose rules run nightly."""
    with world.open(clock=clock) as deployment:
        yield replace(deployment, schedule=NIGHTLY)


def budgeted(deployment: Deployment, rows: int) -> Deployment:
    """Give each night a budget."""
    return replace(deployment, limits=replace(deployment.limits, rows_per_night=rows))


def throttled(deployment: Deployment, clock: SimulatedClock, **settings: Any) -> Deployment:
    """Throttle the store as wiring does; resting moves the simulated clock."""
    store = PacedStore(
        deployment.stores["main"],
        Throttle(**settings),
        clock=clock,
        folder=deployment.folder,
        datasets=["access-log"],
        rest=lambda seconds: clock.advance(timedelta(seconds=seconds)),
    )
    return replace(deployment, stores={"main": store}, throttled=frozenset({"main"}))  # type: ignore[dict-item]


def ticked(deployment: Deployment) -> list[str]:
    """Tick as the service does and return how the log rule's turns ended."""
    return [turn.result for turn in cycle.tick(deployment, scheduled=True) if turn.rule == RULE[1]]


def deleted(deployment: Deployment, plan: str) -> int:
    """Return what the plan's job has deleted by its receipts."""
    return read_job(deployment, job_of(plan)).done


def events(deployment: Deployment, kind: str) -> int:
    """Count entries of the log."""
    return sum(entry["type"] == kind for _, entry in decoded(deployment.state.entries()))


# ---- a budget per night ----------------------------------------------------------------------------------------------


def test_a_backlog_is_taken_night_by_night_under_one_approval(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """The job pauses at the budget, goes on the next night past the plan's 72 hours, and ends done and clean."""
    plan = made.plan_rule(world, opened)
    first = budgeted(opened, 7)
    assert ticked(first)[0] == "paused"
    expected = next(brakes.running(first)).backlog.expected
    assert deleted(first, plan) == 7
    assert expected > 4 * 7
    nights = 1
    while deleted(first, plan) < expected:
        clock.set(slots_next(clock))
        before = deleted(first, plan)
        ticked(first)
        nights += 1
        assert deleted(first, plan) - before <= 7
    assert nights == -(-expected // 7)
    assert clock.now() > (world.now + DAY) + timedelta(hours=72)
    assert read_job(first, job_of(plan)).outcome == "done"
    assert (events(first, "plan.approved"), events(first, "job.started"), events(first, "job.finished")) == (1, 1, 1)
    assert events(first, "guard.refused") == 0
    assert not list(pending.pending(first))
    assert first.state.get("job", f"{job_of(plan)}/night") is None


def slots_next(clock: SimulatedClock) -> Any:
    """Return ten minutes past the next two o'clock."""
    return (clock.now() + DAY).replace(hour=2, minute=10)


def test_a_night_is_not_spent_twice_by_restarts_and_retries(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """However often it is ticked, started by hand or tried again within a night, the budget is one."""
    plan = made.plan_rule(world, opened)
    first = budgeted(opened, 6)
    ticked(first)
    for _ in range(4):
        clock.advance(HOUR)
        ticked(first)
        with pytest.raises(Paused) as error:
            execute.apply(first, plan)
        assert error.value.guard == "budget"
    assert deleted(first, plan) == 6


def test_a_resting_job_is_no_trouble_of_its_rule(world: World, opened: Deployment, clock: SimulatedClock) -> None:
    """For a week the rule's own turns step back behind it, and nothing is parked, failed or counted as refused."""
    made.plan_rule(world, opened)
    first = budgeted(opened, 2)
    for _ in range(7):
        ticked(first)
        clock.set(slots_next(clock))
    state = slots.read(first, *RULE)
    assert state is None or state.trouble is None or not state.trouble.parked
    assert all(one.marker.failures == 0 for one in pending.pending(first))


def test_status_shows_the_backlog_its_nights_and_who_approved_it(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """How far it is, when the last row goes at this pace, what it waits for; the breach itself is still one."""
    del clock
    plan = made.plan_rule(world, opened)
    first = budgeted(opened, 10)
    ticked(first)
    found = status(first)
    one = found.running[0]
    assert (one.plan_hash, one.approved_by, one.backlog.done) == (plan, ("op-one",), 10)
    left = one.backlog.expected - 10
    assert one.backlog.nights == -(-left // 10)
    assert one.gone_on == first.clock.now().date() + timedelta(days=one.backlog.nights or 0)
    assert one.waits is not None
    assert "budget" in one.waits
    assert sum(seen.overdue for seen in found.looked.rules) > 0


# ---- throttles -------------------------------------------------------------------------------------------------------


def test_nothing_starts_outside_a_window_and_it_starts_when_it_opens(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """A mandate's turn waits in its slot without a failure, and is taken once the window is open."""
    made.plan_rule(world, opened, mandate=True)
    assert ticked(opened) in (["applied"], ["applied", "idle"])
    made.insert(world, "access_log", made.old_logs(world, 20))
    clock.set(slots_next(clock))
    closed = throttled(opened, clock, windows=("04:00-05:00",))
    assert ticked(closed) == ["paused"]
    assert status(closed).braked["main"] is not None
    state = slots.read(closed, *RULE)
    assert state is not None
    assert state.trouble is not None
    assert (state.trouble.guard, state.trouble.parked, state.trouble.failures) == ("window", False, 0)
    clock.set(clock.now().replace(hour=4, minute=5))
    assert ticked(closed) == ["applied"]
    state = slots.read(closed, *RULE)
    assert state is not None
    assert state.trouble is None
    assert events(closed, "guard.refused") == 0


def test_a_turn_that_waits_for_a_flag_is_planned_once(world: World, opened: Deployment, clock: SimulatedClock) -> None:
    """Each minute asks what holds it back, not the tables: a busy server is not counted through again and again."""
    made.plan_rule(world, opened, mandate=True)
    ticked(opened)
    made.insert(world, "access_log", made.old_logs(world, 20))
    clock.set(slots_next(clock))
    flag = opened.folder / "busy"
    flag.touch()
    held = throttled(opened, clock, flag_file="busy")
    planned = events(held, "plan.created")
    for _ in range(5):
        assert ticked(held) == ["paused"]
        clock.advance(2 * brakes.EASED)
    assert events(held, "plan.created") == planned + 1
    flag.unlink()
    assert ticked(held) == ["applied"]
    assert events(held, "plan.created") == planned + 2


def test_a_window_that_closes_pauses_the_job_between_two_batches(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """What is announced is settled; the rest waits for the next window, and no row is changed in between."""
    plan = made.plan_rule(world, opened)
    clock.advance(timedelta(seconds=40))
    slow = throttled(opened, clock, windows=("02:00-02:11",), rows_per_second=1)
    assert ticked(slow)[0] == "paused"
    done = deleted(slow, plan)
    assert 0 < done < next(brakes.running(slow)).backlog.expected
    assert not list(slow.state.items("intent"))
    clock.advance(HOUR)
    assert ticked(slow)[0] == "paused"
    assert deleted(slow, plan) == done


def test_a_rate_is_kept_over_the_whole_job(world: World, opened: Deployment, clock: SimulatedClock) -> None:
    """At two rows a second a job of n rows takes at least n/2 - 1 seconds of the clock, and no batch is larger."""
    plan = made.plan_rule(world, opened)
    began = clock.now()
    assert ticked(throttled(opened, clock, rows_per_second=2))[0] == "applied"
    rows = deleted(opened, plan)
    assert (clock.now() - began).total_seconds() >= rows / 2 - 1
    assert read_job(opened, job_of(plan)).numbers >= rows / 2


def test_a_flag_file_pauses_after_some_patience_and_its_end_lets_go_on(
    world: World, opened: Deployment, clock: SimulatedClock
) -> None:
    """A flag that appears while a job runs is waited for some seconds, then the job rests; without it, it goes on."""
    plan = made.plan_rule(world, opened)
    flag = opened.folder / "calm"
    held = throttled(opened, clock, flag_file="calm", rows_per_second=3)
    store = held.stores["main"]
    cut, seen = store.cut, []

    def flagging(*arguments: Any) -> Any:
        if len(seen) == 2:
            flag.touch()
        seen.append(clock.now())
        return cut(*arguments)

    store.cut = flagging  # type: ignore[method-assign]
    assert ticked(held)[0] == "paused"
    assert (clock.now() - seen[-1]).total_seconds() >= PATIENCE_SECONDS
    done = deleted(held, plan)
    assert done > 0
    flag.unlink()
    clock.advance(timedelta(minutes=2))
    assert ticked(held)[0] == "applied"
    assert read_job(held, job_of(plan)).outcome == "done"
    assert done < deleted(held, plan)


@pytest.mark.parametrize("signal", [{"replica_lag": Span(5)}, {"autovacuum": True}, {"active_sessions": 3}])
def test_a_signal_that_nobody_can_read_holds_back(
    world: World, opened: Deployment, clock: SimulatedClock, signal: dict[str, Any]
) -> None:
    """A SQLite file tells of no load: whoever asks for it there has nothing changed, and status says why."""
    plan = made.plan_rule(world, opened)
    held = throttled(opened, clock, **signal)
    assert ticked(held)[0] == "paused"
    brake = status(held).braked["main"]
    assert brake is not None
    assert brake.cause == "unreadable"
    assert read_job(held, job_of(plan)).started is None


def test_a_flag_in_a_folder_that_cannot_be_looked_into_holds_back(opened: Deployment, clock: SimulatedClock) -> None:
    """Not there and not readable are two things."""
    (opened.folder / "file").touch()
    assert [
        store.held_back() and store.held_back().cause  # type: ignore[union-attr]
        for store in (throttled(opened, clock, flag_file=path).stores["main"] for path in ("none", "file", "file/flag"))
    ] == [None, "flag", "unreadable"]

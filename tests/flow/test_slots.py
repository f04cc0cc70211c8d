"""Turns from state: each slot once, what was missed made up for once, and nobody's trouble stops another (I26, I27)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core.errors import Refused, Transient
from lifecycle.core.schedule import Schedule
from lifecycle.core.settings import GuardSettings, RuleClass, ScheduleSettings
from lifecycle.core.span import Span
from lifecycle.flow import approve, controls, cycle, execute, offboard, pending, planning, plans, slots
from lifecycle.flow.journal import decoded, read_job
from lifecycle.flow.verify import job_of
from lifecycle.ports.clock import SimulatedClock
from tests import portal
from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.flow.cycle import Turn
    from lifecycle.flow.deployment import Deployment
    from tests.portal import World

RULE = ("clientport", "server-logs")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = Schedule.of(ScheduleSettings(default="hourly", classes={"hourly": RuleClass(every=Span(3600))}))
OURS = 5_000_000


class PowerCut(BaseException):
    """The process is gone: nothing of ours may catch it."""


@contextmanager
def opened(world: World, clock: SimulatedClock, **replaced: Any) -> Iterator[Deployment]:
    """Start a process under this clock; the rule's turn comes hourly."""
    failpoint = replaced.pop("failpoint", None)
    options: dict[str, Any] = {"clock": clock} | ({"failpoint": failpoint} if failpoint else {})
    with world.open(**options) as deployment:
        yield replace(deployment, **{"schedule": HOURLY, **replaced})


@pytest.fixture
def clock(world: World) -> SimulatedClock:
    """A little after noon of the next day: in the middle of a slot, and never near a local midnight."""
    return SimulatedClock((world.now + DAY).replace(hour=12, minute=10, second=0, microsecond=0))


def ticked(deployment: Deployment) -> list[Turn]:
    """Tick as the daemon does, and return the log rule's turns."""
    return [turn for turn in cycle.tick(deployment, scheduled=True) if turn.rule == RULE[1]]


def results(deployment: Deployment) -> list[str]:
    """Return how those turns ended; a refusal by its guard."""
    return [
        turn.error.guard if turn.result == "refused" and isinstance(turn.error, Refused) else turn.result
        for turn in ticked(deployment)
    ]


def log_rule(deployment: Deployment) -> slots.Due | None:
    """Return the rule's turn if it has come."""
    found = [due for due in slots.due(deployment, deployment.clock.now()) if (due.agreement, due.rule) == RULE]
    return found[0] if found else None


def state_of(deployment: Deployment) -> slots.RuleState:
    """Return where the rule's schedule stands."""
    found = slots.read(deployment, *RULE)
    assert found is not None
    return found


def expire(world: World, number: int, first: int = OURS) -> None:
    """Write rows that had to be gone long ago."""
    old = portal.stamp(world.now - 300 * DAY)
    made.insert(world, "access_log", [(first + i, "acme2", "192.0.2.9", old) for i in range(number)])


def left(world: World) -> int:
    """Count those rows."""
    return int(world.rows(f"SELECT count(*) FROM access_log WHERE id >= {OURS}")[0][0])


def mandated(world: World, clock: SimulatedClock) -> None:
    """Let the rule's first plan be signed with a mandate and carried out, and an hour pass."""
    with opened(world, clock) as deployment:
        made.plan_rule(world, deployment, mandate=True)
        assert results(deployment) in (["applied"], ["applied", "idle"])
    clock.advance(HOUR)


def entries(deployment: Deployment, kind: str) -> int:
    """Count the log's entries of a kind."""
    return sum(entry["type"] == kind for _, entry in decoded(deployment.state.entries()))


# ---- slots ----------------------------------------------------------------------------------------------------------


def test_I26_a_slot_is_claimed_once(world: World, clock: SimulatedClock) -> None:
    """Of two who found the same slot due, one takes it; a rule that has had its turn is not due again."""
    with opened(world, clock) as deployment:
        due = log_rule(deployment)
        assert due is not None
        assert (due.slot, due.missed, due.again) == (clock.now().replace(minute=0), 0, False)
        with deployment.state.exclusive() as epoch:
            assert slots.claim(deployment, due, epoch, clock.now())
            assert not slots.claim(deployment, due, epoch, clock.now())
            slots.ended(deployment, due, clock.now(), "idle")
        assert log_rule(deployment) is None
        assert (state_of(deployment).state, state_of(deployment).result) == ("done", "idle")


def test_I26_a_dead_leaders_slot_is_entered_again_and_not_a_second_time(world: World, clock: SimulatedClock) -> None:
    """Its successor's turn is the same slot, with the time at which it was begun, under an epoch of its own."""
    with opened(world, clock) as deployment:
        due = log_rule(deployment)
        assert due is not None
        with deployment.state.exclusive() as first:
            slots.claim(deployment, due, first, clock.now())
        begun = clock.now()
        clock.advance(5 * MINUTE)
        again = log_rule(deployment)
        assert again is not None
        assert (again.slot, again.number, again.missed, again.again) == (due.slot, due.number, 0, True)
        with deployment.state.exclusive() as second:
            assert slots.claim(deployment, again, second, clock.now())
        state = state_of(deployment)
        assert (state.begun_at, state.epoch, state.missed) == (begun, second, 0)
        assert second > first


def test_I26_missed_slots_are_counted_once_and_made_up_for_by_one_turn(world: World, clock: SimulatedClock) -> None:
    """Five hours away: four slots missed, one turn; the count stays in the state and is not added again."""
    mandated(world, clock)
    with opened(world, clock) as deployment:
        assert [turn.missed for turn in ticked(deployment)] == [0]
        clock.advance(5 * HOUR)
        assert [turn.missed for turn in ticked(deployment)] == [4]
        assert ticked(deployment) == []
        clock.advance(HOUR)
        assert [(turn.missed, turn.result) for turn in ticked(deployment)] == [(0, "idle")]
        assert state_of(deployment).missed == 4


def test_I13_a_clock_that_goes_back_brings_no_slot_a_second_time(world: World, clock: SimulatedClock) -> None:
    """The slots of the hour before are over, whatever the clock shows."""
    with opened(world, clock) as deployment:
        assert len(ticked(deployment)) == 1
        clock.jump(-2 * HOUR)
        assert log_rule(deployment) is None


def test_a_rule_that_binds_nobody_is_idle(world: World, clock: SimulatedClock) -> None:
    """Its slot is done without a turn: nothing waits, and nothing is late, for a rule that concerns nobody."""
    with opened(world, clock) as deployment:
        turns = cycle.tick(deployment, scheduled=True)
        assert RULE in {(turn.agreement, turn.rule) for turn in turns}
        silent = slots.every(deployment)["clientport", "offboarding"]
        assert (silent.state, silent.result, silent.succeeded_at) == ("done", "idle", clock.now())
        assert slots.due(deployment, clock.now()) == []


def test_a_turn_waits_while_another_process_is_at_work(world: World, clock: SimulatedClock) -> None:
    """The slot is not claimed, no trouble is noted, and the next tick takes it."""
    mandated(world, clock)
    expire(world, 3)
    with opened(world, clock) as deployment, opened(world, clock) as other:
        with other.state.exclusive():
            assert results(deployment) == ["waiting"]
            assert log_rule(deployment) is not None
        assert (left(world), state_of(deployment).trouble) == (3, None)
        assert results(deployment) == ["applied"]
    assert left(world) == 0


def test_I28_a_stop_is_no_trouble_of_the_rule(world: World, clock: SimulatedClock) -> None:
    """While everything is stopped no turn is taken; after the resume the slot's turn comes, with nothing held against
    the rule."""
    mandated(world, clock)
    expire(world, 3)
    with opened(world, clock) as deployment:
        controls.stop(deployment, None)
        with pytest.raises(Refused) as refusal:
            ticked(deployment)
        assert refusal.value.guard == "stopped"
        controls.resume(deployment, None)
        assert results(deployment) == ["applied"]
        assert state_of(deployment).trouble is None


def test_I28_a_stop_bit_of_the_store_alone_leaves_the_slot_open(world: World, clock: SimulatedClock) -> None:
    """The turn ends as waiting; once the bit is gone its begun job goes on, and with it the slot is done."""
    mandated(world, clock)
    expire(world, 3)
    with opened(world, clock) as deployment:
        deployment.stores["main"].set_stop(stopped=True)
        assert results(deployment) == ["waiting"]
        assert left(world) == 3
        deployment.stores["main"].set_stop(stopped=False)
        assert results(deployment) == ["applied"]
        assert (log_rule(deployment), state_of(deployment).result) == (None, "applied")
    assert left(world) == 0


def test_what_a_dead_process_left_open_waits_for_the_writer_as_well(world: World, clock: SimulatedClock) -> None:
    """A tick comes to its end while an operator applies a plan for hours: it is no failed tick, it deletes nothing."""
    mandated(world, clock)
    expire(world, 23)
    cut_off(world, clock)
    rest = left(world)
    with opened(world, clock) as deployment, opened(world, clock) as other:
        with other.state.exclusive():
            assert set(results(deployment)) == {"waiting"}
        assert left(world) == rest
        assert results(deployment) == ["applied"]
    assert left(world) == 0


# ---- failures -------------------------------------------------------------------------------------------------------


def broken(world: World) -> Any:
    """Take the store's database away for a while; what lies there instead is none."""
    path = Path(world.url.removeprefix("sqlite:///"))

    @contextmanager
    def away() -> Iterator[None]:
        kept = path.with_suffix(".kept")
        path.rename(kept)
        path.write_bytes(b"no database, and nothing that resembles one\n" * 100)
        try:
            yield
        finally:
            kept.rename(path)

    return away()


def test_I27_a_failing_rule_is_tried_again_ever_later_and_parked_after_three(
    world: World, clock: SimulatedClock
) -> None:
    """One minute, two, four, within the slot; from the third failure on it counts as parked, and success ends it."""
    mandated(world, clock)
    expire(world, 3)
    with broken(world):
        for failures, minutes in ((1, 1), (2, 2), (3, 4)):
            with opened(world, clock) as deployment:
                assert results(deployment) == ["failed"]
                trouble = state_of(deployment).trouble
                assert trouble is not None
                assert (trouble.failures, trouble.parked) == (failures, failures == 3)
                assert trouble.retry_at == clock.now() + minutes * MINUTE
                assert ticked(deployment) == []
            clock.advance(minutes * MINUTE)
    with opened(world, clock) as deployment:
        assert results(deployment) == ["applied"]
        assert state_of(deployment).trouble is None
    assert left(world) == 0


def test_a_trouble_keeps_its_beginning_and_says_what_to_do(world: World, clock: SimulatedClock) -> None:
    """`since` is the first failure of the row, `at` the last one; guard, message and advice are the last one's."""
    mandated(world, clock)
    began = clock.now()
    with broken(world):
        for _ in range(2):
            with opened(world, clock) as deployment:
                ticked(deployment)
                trouble = state_of(deployment).trouble
            clock.advance(HOUR)
    assert trouble is not None
    assert (trouble.since, trouble.at) == (began, began + HOUR)
    assert trouble.guard == "transient"
    assert trouble.message
    assert trouble.advice


def test_a_refusal_that_only_a_person_ends_waits_for_the_next_slot(world: World, clock: SimulatedClock) -> None:
    """An undeclared trigger heals by nobody's waiting: not tried within the slot, tried in the next one."""
    mandated(world, clock)
    made.execute(world, "CREATE TRIGGER keeps AFTER DELETE ON access_log BEGIN SELECT 1; END")
    with opened(world, clock) as deployment:
        assert results(deployment) == ["unsafe-schema"]
        trouble = state_of(deployment).trouble
        assert trouble is not None
        assert trouble.retry_at is None
        clock.advance(30 * MINUTE)
        assert ticked(deployment) == []
        made.execute(world, "DROP TRIGGER keeps")
        clock.advance(30 * MINUTE)
        assert results(deployment) == ["idle"]
        assert state_of(deployment).trouble is None


def test_what_heals_by_itself_is_tried_within_the_slot(world: World, clock: SimulatedClock) -> None:
    """A clock that stands behind the record is asked again after a minute."""
    mandated(world, clock)
    with opened(world, clock) as deployment:
        assert results(deployment) == ["idle"]
        clock.advance(HOUR)
        ahead = replace(deployment, clock=SimulatedClock(clock.now() + 10 * MINUTE))
        controls.raise_mark(ahead, ahead.clock.now())
        assert results(deployment) == ["clock-behind"]
        clock.advance(MINUTE - timedelta(seconds=1))
        assert ticked(deployment) == []
        clock.advance(10 * MINUTE)
        assert results(deployment) == ["idle"]


def test_waits_double_up_to_an_hour() -> None:
    """A minute, doubled with each failure in a row; never more than an hour, however many there were."""
    assert [slots.wait(n) // MINUTE for n in (1, 2, 3, 6, 7, 8, 1_000)] == [1, 2, 4, 32, 60, 60, 60]


@contextmanager
def with_side(world: World, folder: Path) -> Iterator[Path]:
    """Add a second store with four old logs of its own, before any mandate, and yield its file."""
    folder.mkdir()
    path = folder / "side.db"
    url = f"sqlite:///{path}"
    with portal.raw(url) as connection:
        connection.execute("CREATE TABLE access_log (id INTEGER PRIMARY KEY, portal_id TEXT, ip TEXT, at TEXT)")
    side = portal.World(world.folder, url, world.now)
    expire(side, 4)
    inventory = world.folder / "inventory.yaml"
    text = inventory.read_text().replace(
        "datasets:\n",
        "  - {id: side, kind: sql, address: {file: side.url}, place: {country: DE}}\n"
        "datasets:\n"
        "  - {id: side-log, store: side, table: access_log, category: technical-data, key: [id],\n"
        "     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: iso-text}}}\n",
        1,
    )
    inventory.write_text(text)
    (world.folder / "side.url").write_text(url + "\n")
    (world.folder / "side.url").chmod(0o600)
    with world.open() as deployment:
        deployment.stores["side"].prepare(deployment.id)
    yield path


def test_I27_a_store_that_is_down_does_not_keep_the_others_rows(
    world: World, clock: SimulatedClock, tmp_path: Path
) -> None:
    """The mandate covers the rest of its stores alone; the turn is partial; other rows go when their store is up."""
    with with_side(world, tmp_path / "side") as path:
        side = portal.World(world.folder, f"sqlite:///{path}", world.now)
        mandated(world, clock)
        expire(world, 3)
        expire(side, 2, OURS + 100)
        assert (left(world), left(side)) == (3, 2)
        with broken(side), opened(world, clock) as deployment:
            assert results(deployment) == ["partial"]
            assert left(world) == 0
            assert state_of(deployment).trouble is not None
        clock.advance(HOUR)
        with opened(world, clock) as deployment:
            assert results(deployment) == ["applied"]
        assert left(side) == 0


# ---- guards of a run ------------------------------------------------------------------------------------------------


def learned(world: World, clock: SimulatedClock, deployment: Deployment) -> None:
    """Let eight hours pass in which two rows went each."""
    for _ in range(8):
        expire(world, 2)
        assert results(deployment) == ["applied"]
        clock.advance(HOUR)


def test_I04_far_more_than_ever_stops_for_the_rules_history(world: World, clock: SimulatedClock) -> None:
    """Two a run, then a hundred: refused by name and shown; signed by hand it runs, and the rule has learned."""
    mandated(world, clock)
    with opened(world, clock, guards=GuardSettings(history_floor=20)) as deployment:
        learned(world, clock, deployment)
        assert [run.items for run in state_of(deployment).history[-8:]] == [2] * 8
        expire(world, 100)
        [turn] = ticked(deployment)
        assert isinstance(turn.error, Refused)
        assert (turn.result, turn.error.guard, left(world)) == ("refused", "history", 100)
        trouble = state_of(deployment).trouble
        assert trouble is not None
        assert (trouble.guard, trouble.retry_at) == ("history", None)
        assert turn.plan is not None
        approve.approve(deployment, turn.plan.hash, "op-one", world.key("op-one"))
        assert results(deployment) == ["applied"]
        assert state_of(deployment).history[-1].items == 100
        assert state_of(deployment).trouble is None
    assert left(world) == 0


def test_I04_days_without_a_run_may_bring_their_rows(world: World, clock: SimulatedClock) -> None:
    """What is due after two days is held against twice a day's rows."""
    mandated(world, clock)
    with opened(world, clock, guards=GuardSettings(history_floor=0)) as deployment:
        learned(world, clock, deployment)
        state = state_of(deployment)
        assert state.succeeded_at is not None
        assert [slots.due_days(state, state.succeeded_at + hours * HOUR) for hours in (0, 20, 48, 240)] == [1, 1, 2, 10]
        clock.advance(2 * DAY - HOUR)
        expire(world, 6)
        assert results(deployment) == ["applied"]
    assert left(world) == 0


def test_the_history_keeps_as_many_runs_as_the_settings_say(world: World, clock: SimulatedClock) -> None:
    """Older ones fall out: the guard's median is of the last ones."""
    mandated(world, clock)
    with opened(world, clock, guards=GuardSettings(history_runs=7)) as deployment:
        learned(world, clock, deployment)
        assert [run.items for run in state_of(deployment).history] == [2] * 7


def test_I03_the_cycle_in_which_a_mandate_was_granted_is_only_watched(world: World, clock: SimulatedClock) -> None:
    """Rows of the same slot are planned and stay (shadow); from the next slot on they go; without the guard at once."""
    with opened(world, clock) as deployment:
        made.plan_rule(world, deployment, mandate=True)
        assert results(deployment)[0] == "applied"
        expire(world, 3)
        [turn] = [turn for turn in cycle.tick(deployment) if turn.rule == RULE[1]]
        assert (turn.result, left(world)) == ("shadow", 3)
        assert turn.plan is not None
        assert turn.plan.plan.expected() == 3
        bold = replace(deployment, guards=GuardSettings(shadow=False))
        [turn] = [turn for turn in cycle.tick(bold) if turn.rule == RULE[1]]
        assert (turn.result, left(world)) == ("applied", 0)
        expire(world, 2)
        clock.advance(HOUR)
        assert results(deployment) == ["applied"]
    assert left(world) == 0


def test_I02_a_rule_without_a_mandate_observes(world: World, clock: SimulatedClock) -> None:
    """Its turns plan and delete nothing; observing is neither a success nor a trouble."""
    with opened(world, clock) as deployment:
        assert results(deployment) == ["observing"]
        state = state_of(deployment)
        assert (state.result, state.succeeded_at, state.trouble) == ("observing", None, None)


# ---- what was approved or begun -------------------------------------------------------------------------------------


def test_an_approved_offboarding_is_carried_out_by_the_next_tick(world: World, clock: SimulatedClock) -> None:
    """Two signatures are enough for the tick; it takes what plain Python finds, and its marker goes."""
    before = made.read(world)
    with opened(world, clock) as deployment:
        plan = made.plan_leave(world, deployment)
        assert [one.plan_hash for one in pending.pending(deployment)] == [plan]
        turns = cycle.tick(deployment, scheduled=True)
        assert ("offboarding", "applied") in {(turn.rule, turn.result) for turn in turns}
        assert list(pending.pending(deployment)) == []
        assert read_job(deployment, job_of(plan)).outcome == "done"
    there = made.read(world)
    gone = {(table, key) for table in made.TABLES for key in before[table] if key not in there[table]}
    assert gone == made.leaving(before, clock.now())


def test_I02_an_offboarding_with_one_signature_is_not(world: World, clock: SimulatedClock) -> None:
    """Half an approval is none: nothing is marked, nothing goes."""
    before = made.read(world)
    with opened(world, clock) as deployment:
        planned = planning.plan_offboarding(deployment, offboard.find(deployment, portal.LEAVER), author=made.AUTHOR)
        approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
        assert list(pending.pending(deployment)) == []
        assert {turn.rule for turn in cycle.tick(deployment, scheduled=True)} == {RULE[1]}
    assert made.read(world) == before


def test_an_approved_plan_that_expired_is_forgotten(world: World, clock: SimulatedClock) -> None:
    """Four days later nobody carries it out: it would be another day's plan."""
    with opened(world, clock) as deployment:
        plan = made.plan_leave(world, deployment)
        with deployment.state.transaction() as tx:
            pending.mark(tx, plan)
        for _ in range(4):
            clock.advance(DAY)
            controls.raise_mark(deployment, clock.now())
        told = [turn for turn in cycle.tick(deployment, scheduled=True) if turn.rule == "offboarding"]
        assert [(turn.result, getattr(turn.error, "guard", None)) for turn in told] == [("refused", "plan-expired")]
        assert list(pending.pending(deployment)) == []
        assert read_job(deployment, job_of(plan)).started is None


def test_a_marker_keeps_why_it_failed_and_waits(world: World, clock: SimulatedClock) -> None:
    """A plan that fails is tried after a minute, then two; marking it again forgets nothing."""
    with opened(world, clock) as deployment:
        with deployment.state.transaction() as tx:
            pending.mark(tx, "sha256:" + "0" * 64)
        for failures, minutes in ((1, 1), (2, 2)):
            [one] = pending.pending(deployment)
            assert not one.waits(clock.now())
            pending.failed(deployment, one, Transient("the store does not answer"), clock.now())
            with deployment.state.transaction() as tx:
                pending.mark(tx, one.plan_hash)
            [one] = pending.pending(deployment)
            assert (one.marker.failures, one.marker.guard) == (failures, "transient")
            assert one.waits(clock.now() + minutes * MINUTE - timedelta(seconds=1))
            clock.advance(minutes * MINUTE)
        with deployment.state.transaction() as tx:
            pending.forget(tx, one.plan_hash)
        assert list(pending.pending(deployment)) == []


def cut_off(world: World, clock: SimulatedClock, at: str = "batch.committed") -> None:
    """Let the process die at a failpoint: by default after a batch of the rule's job was committed."""

    def failpoint(name: str) -> None:
        if name == at:
            raise PowerCut

    with pytest.raises(PowerCut), opened(world, clock, failpoint=failpoint) as deployment:
        cycle.tick(deployment, scheduled=True)


def test_I16_a_begun_job_goes_on_before_anything_new(world: World, clock: SimulatedClock) -> None:
    """Killed after a commit: the next tick reads the receipt and finishes the same job; no second plan is made."""
    mandated(world, clock)
    expire(world, 23)
    cut_off(world, clock)
    assert 0 < left(world) < 23
    with opened(world, clock) as deployment:
        plans, jobs = entries(deployment, "plan.created"), entries(deployment, "job.started")
        [one] = pending.pending(deployment)
        [turn] = ticked(deployment)
        assert turn.ran is not None
        assert (turn.result, turn.ran.job, turn.ran.deleted) == ("applied", job_of(one.plan_hash), 23)
        assert (log_rule(deployment), state_of(deployment).history[-1].items) == (None, 23)
        assert (entries(deployment, "plan.created"), entries(deployment, "job.started")) == (plans, jobs)
        assert list(pending.pending(deployment)) == []
    assert left(world) == 0


def test_I11_a_begun_job_that_can_never_go_on_ends_as_refused(world: World, clock: SimulatedClock) -> None:
    """The schema changed under it: it is ended, its receipts stand, and the rule is planned anew."""
    mandated(world, clock)
    expire(world, 23)
    cut_off(world, clock)
    rest = left(world)
    made.execute(world, "ALTER TABLE access_log ADD COLUMN agent TEXT")
    with opened(world, clock) as deployment:
        [one] = pending.pending(deployment)
        assert results(deployment) == ["schema-changed", "observing"]
        job = read_job(deployment, job_of(one.plan_hash))
        assert (job.outcome, job.done) == ("refused", 23 - rest)
        assert entries(deployment, "batch.receipt") > 0
    assert left(world) == rest


def test_I27_a_begun_job_that_cannot_go_on_yet_keeps_its_rule_and_no_other(world: World, clock: SimulatedClock) -> None:
    """While its store is away its rule waits for it, told as such; the job goes on once the store is back."""
    mandated(world, clock)
    expire(world, 23)
    cut_off(world, clock)
    with broken(world), opened(world, clock) as deployment:
        turns = cycle.tick(deployment, scheduled=True)
        assert [(turn.rule, turn.result) for turn in turns][-1] == (RULE[1], "waiting")
        trouble = state_of(deployment).trouble
        assert trouble is not None
        assert "begun job" in trouble.message
        assert slots.every(deployment)["clientport", "offboarding"].state == "done"
    clock.advance(HOUR)
    with opened(world, clock) as deployment:
        assert ticked(deployment)[0].result == "applied"
    assert left(world) == 0


def test_reports_come_as_turns_end(world: World, clock: SimulatedClock) -> None:
    """Whoever listens hears of each turn, in order, and the tick returns the same."""
    mandated(world, clock)
    heard: list[Turn] = []
    with opened(world, clock) as deployment:
        assert cycle.tick(deployment, report=heard.append, scheduled=True) == heard
    assert [turn.rule for turn in heard] == [RULE[1]]


# ---- what a reviewer broke ------------------------------------------------------------------------------------------


def test_I26_a_turn_that_came_to_its_end_is_not_tried_again_at_once(world: World, clock: SimulatedClock) -> None:
    """After a failure a rule that only observes plans once more, and then waits for its next slot."""
    with opened(world, clock) as deployment:
        with broken(world):
            assert results(deployment) == ["failed"]
        clock.advance(2 * MINUTE)
        assert results(deployment) == ["observing"]
        plans = entries(deployment, "plan.created")
        for _ in range(10):
            clock.advance(timedelta(seconds=30))
            assert results(deployment) == []
        assert entries(deployment, "plan.created") == plans


def test_I21_a_job_that_died_before_its_verification_is_verified(world: World, clock: SimulatedClock) -> None:
    """Killed between the job's end and the look of fresh eyes: the next tick looks, and no second job begins."""
    mandated(world, clock)
    expire(world, 5)
    cut_off(world, clock, "job.finished")
    with opened(world, clock) as deployment:
        [one] = pending.pending(deployment)
        assert read_job(deployment, job_of(one.plan_hash)).verification is None
        jobs = entries(deployment, "job.started")
        assert results(deployment)[0] == "applied"
        verified = read_job(deployment, job_of(one.plan_hash)).verification
        assert verified is not None
        assert verified.clean
        assert entries(deployment, "job.started") == jobs
        assert list(pending.pending(deployment)) == []


def test_I26_a_slot_has_one_job_whoever_enters_it_again(world: World, clock: SimulatedClock) -> None:
    """Dead after verification, before the turn was noted: rows that came meanwhile wait for the next slot."""
    mandated(world, clock)
    expire(world, 5)
    cut_off(world, clock, "verify.done")
    expire(world, 3, OURS + 100)
    with opened(world, clock) as deployment:
        jobs = entries(deployment, "job.started")
        cycle.tick(deployment, scheduled=True)
        assert entries(deployment, "job.started") == jobs
        assert state_of(deployment).state == "done"
        clock.advance(HOUR)
        assert results(deployment) == ["applied"]
    assert left(world) == 0


def test_I27_a_plan_whose_store_left_the_documents_stops_nothing_else(
    world: World, clock: SimulatedClock, tmp_path: Path
) -> None:
    """An approved plan over a store that the inventory has no more is refused; every rule has its turn."""
    before = (world.folder / "inventory.yaml").read_text()
    with with_side(world, tmp_path / "side"), opened(world, clock) as deployment:
        planned = planning.plan_rule(deployment, *RULE, author="lifecycle")
        assert planned is not None
        approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
    (world.folder / "inventory.yaml").write_text(before)
    with opened(world, clock) as deployment:
        turns = cycle.tick(deployment, scheduled=True)
        assert [getattr(turn.error, "guard", turn.result) for turn in turns] == ["policy-changed", "observing"]


def test_I02_no_mandate_over_what_nobody_counted(world: World, clock: SimulatedClock) -> None:
    """A plan with a parked step may be approved, and grants nothing beyond itself."""
    with opened(world, clock) as deployment:
        planned = planning.plan_rule(deployment, *RULE, author="lifecycle")
        assert planned is not None
        parked = planned.plan.model_copy(
            update={"steps": tuple(s.model_copy(update={"parked": True}) for s in planned.plan.steps), "id": "p-parked"}
        )
        plan_hash = plans.freeze(deployment, parked)
        with pytest.raises(Refused) as refused:
            approve.approve(deployment, plan_hash, "op-one", world.key("op-one"), grant_mandate=True)
        assert refused.value.guard == "parked"


def test_I04_a_mandate_alone_does_not_carry_an_unusual_plan_out_by_hand_either(
    world: World, clock: SimulatedClock
) -> None:
    """`apply` asks for the rule's past as a tick does; a signature over the very plan is exempt."""
    mandated(world, clock)
    guards = GuardSettings(history_floor=5)
    with opened(world, clock, guards=guards) as deployment:
        learned(world, clock, deployment)
        expire(world, 60)
        planned = planning.plan_rule(deployment, *RULE, author="lifecycle")
        assert planned is not None
        with pytest.raises(Refused) as refused:
            execute.apply(deployment, planned.hash)
        assert refused.value.guard == "history"
        approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
        assert execute.apply(deployment, planned.hash).outcome == "done"
    assert left(world) == 0


def test_I04_a_rule_that_runs_in_part_learns_nothing_from_the_days_it_runs(
    world: World, clock: SimulatedClock, tmp_path: Path
) -> None:
    """One store is away for days: what the other one brings each turn is its usual size, not that of all those days."""
    with with_side(world, tmp_path / "side") as path:
        side = portal.World(world.folder, f"sqlite:///{path}", world.now)
        mandated(world, clock)
        with opened(world, clock, guards=GuardSettings(history_floor=5)) as deployment, broken(side):
            for _ in range(9):
                expire(world, 2)
                assert results(deployment) == ["partial"]
                clock.advance(DAY)
                controls.raise_mark(deployment, clock.now())
            expire(world, 100)
            assert results(deployment) == ["history"]
        assert left(world) == 100


def test_I13_an_outage_of_a_store_is_no_jump_of_the_clock(world: World, clock: SimulatedClock) -> None:
    """Time is kept while the only store is away: three days later nobody has to sign."""
    mandated(world, clock)
    with opened(world, clock) as deployment:
        with broken(world):
            for _ in range(72):
                clock.advance(HOUR)
                cycle.tick(deployment, scheduled=True)
        expire(world, 2)
        clock.advance(HOUR)
        assert results(deployment) == ["applied"]


def test_I26_the_last_signature_and_the_marker_are_one(world: World, clock: SimulatedClock) -> None:
    """What was signed is carried out, also when the disk was full right after the signature."""
    with opened(world, clock) as deployment:
        planned = planning.plan_rule(deployment, *RULE, author="lifecycle")
        assert planned is not None
        (world.folder / "checkpoint").unlink()
        (world.folder / "checkpoint").mkdir()
        with pytest.raises(Transient):
            approve.approve(deployment, planned.hash, "op-one", world.key("op-one"))
        (world.folder / "checkpoint").rmdir()
        assert [one.plan_hash for one in pending.pending(deployment)] == [planned.hash]

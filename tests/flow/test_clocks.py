"""The clock matrix: whatever a clock shows, nothing goes early, and who stopped the run is in the log (I12, I13)."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lifecycle.core import guard
from lifecycle.core.errors import Refused, Transient
from lifecycle.core.settings import ClockSettings
from lifecycle.flow import controls, cycle, execute, offboard, planning
from lifecycle.flow.journal import decoded
from lifecycle.ports.clock import NoSecondClock, SimulatedClock, SystemClock
from lifecycle.wiring import clocks
from tests import portal
from tests.flow import world as made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment
    from lifecycle.ports.clock import SecondClock
    from tests.flow.world import Line

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RULE = ("clientport", "server-logs")


# ---- a world with one night behind it -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A deployment whose first night is done. `before`: the rows that were there then; `now`: when that was."""

    world: portal.World
    home: Path
    before: made.Tables
    now: datetime

    @contextmanager
    def open(self, shown: SimulatedClock, **replaced: Any) -> Iterator[Deployment]:
        """Start a process under this clock, which the store on the same host shows too."""
        with self.world.open(clock=shown) as deployment:
            yield replace(deployment, **replaced)

    def gone(self) -> set[made.Key]:
        """Return what was deleted since."""
        there = {row[0] for row in self.world.rows("SELECT id FROM access_log")}
        return {("access_log", key) for key in self.before["access_log"] if key not in there}

    def due(self, moment: datetime) -> set[made.Key]:
        """Return what may be gone at the true time, by plain Python from the rows: more is early."""
        return made.due_logs(self.before, moment)


def build(home: Path, now: datetime) -> Site:
    """Make a portal whose present is `now`, hold one tenant's rows, and let the first night pass under a mandate."""
    home.mkdir()
    url = f"sqlite:///{home}/app.db"
    portal.create_application(url, now, logs=6)
    folder = home / "deployment"
    folder.mkdir()
    world = portal.create_deployment(folder, url, now)
    made.insert(world, "access_log", made.odd_logs(now))
    settings = folder / "lifecycle.yaml"
    settings.write_text(settings.read_text() + "limits: {least_batch: 8, first_batch: 8, most_batch: 8}\n")
    with world.open(clock=SimulatedClock(now)) as deployment:
        made.hold(deployment, made.HELD, "access-log")
        assert execute.apply(deployment, made.plan_rule(world, deployment, mandate=True)).clean
        # The next nights have something to do: whole days' rows that a wrong day would take along.
        made.insert(world, "access_log", [(2_000_000 + row[0], *row[1:]) for row in made.odd_logs(now)[:12]])
        assert [turn.result for turn in cycle.tick(deployment, scheduled=True)] in (["applied"], ["shadow"], ["idle"])
    rows = {row[0]: row for row in world.rows("SELECT * FROM access_log")}
    return Site(world, home, {"access_log": rows}, now)


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site at ten in the morning, so that an hour more or less is the same day; use `site`."""
    today = SystemClock().now().replace(hour=10, minute=0, second=0, microsecond=0)
    return build(tmp_path_factory.mktemp("clocks") / "home", today)


@pytest.fixture
def site(first_night: Site) -> Iterator[Site]:
    """The site after its first night; put back afterwards."""
    with made.restored(first_night.world, first_night.home):
        yield first_night


@dataclass(frozen=True)
class Follows:
    """A second clock that shows what the host shows."""

    clock: SimulatedClock

    def read(self) -> datetime:
        return self.clock.now()


@dataclass(frozen=True)
class Shows:
    """A second clock that shows a given time."""

    time: datetime | None

    def read(self) -> datetime | None:
        return self.time


def night(deployment: Deployment, watch: controls.DriftGuard | None = None) -> list[str]:
    """Let what is due take its turn, as the daemon does; return each turn's result, or the guard that stopped all."""
    try:
        if watch is not None:
            watch.check(deployment)
        return [
            turn.error.guard if isinstance(turn.error, Refused) else turn.result
            for turn in cycle.tick(deployment, scheduled=True)
        ]
    except Refused as refusal:
        return [refusal.guard]


def refusals(deployment: Deployment) -> list[str]:
    """Return the guards that the log names, as often as it does."""
    return [entry["guard"] for _, entry in decoded(deployment.state.entries()) if entry["type"] == "guard.refused"]


# ---- the matrix -----------------------------------------------------------------------------------------------------

JUMPS = {
    "+1 h": HOUR,
    "+1 d": DAY,
    "+400 d": 400 * DAY,
    "+10 y": 3652 * DAY,
    "-1 h": -HOUR,
    "-400 d": -400 * DAY,
    "epoch 0": None,
}
"""How far somebody sets the clock; None: to 1970."""

ONE_CLOCK = {
    "+400 d": "clock-ahead",
    "+10 y": "clock-ahead",
    "-400 d": "clock-behind",
    "epoch 0": "clock-behind",
}
"""What stops a new process that has no clock but its host's. An hour or a day passes: the named limit of one clock."""


def step(name: str, true: datetime) -> timedelta:
    """Return how far the clock is off."""
    jump = JUMPS[name]
    return EPOCH - true if jump is None else jump


def recovers(site: Site, deployment: Deployment, shown: SimulatedClock, true: datetime) -> None:
    """The clock is put right, and another process begins: the night is made up for, exactly what is due goes."""
    shown.jump(true - shown.now())
    assert night(deployment) == ["applied"]
    assert site.gone() == site.due(true)


@pytest.mark.parametrize("name", JUMPS)
def test_I13_a_living_process_sees_every_jump(site: Site, name: str) -> None:
    """Monotonic time tells that somebody set the clock: nothing runs until it is right; then the night is made up."""
    true, shown = SimulatedClock(site.now), SimulatedClock(site.now)
    with site.open(shown) as deployment:
        watch = controls.DriftGuard(deployment)
        assert night(deployment, watch) == []
        for clock in (true, shown):
            clock.advance(DAY)
        shown.jump(step(name, true.now()))
        assert night(deployment, watch) == ["clock-drift"]
        assert night(deployment, watch) == ["clock-drift"]
        assert refusals(deployment) == ["clock-drift"]
        assert site.gone() == set()
        shown.jump(-step(name, true.now()))
        assert night(deployment, watch) == ["applied"]
    assert site.gone() == site.due(true.now())


@pytest.mark.parametrize("name", ONE_CLOCK)
def test_I13_a_new_process_with_one_clock_refuses_what_is_far(site: Site, name: str) -> None:
    """Across a restart the mark on record stops it: more than fifty hours ahead, or behind. Then the night is made."""
    true = site.now + DAY
    shown = SimulatedClock(true + step(name, true))
    with site.open(shown) as deployment:
        assert night(deployment) == night(deployment) == [ONE_CLOCK[name]]
        assert refusals(deployment) == [ONE_CLOCK[name]]
        assert site.gone() == set()
        recovers(site, deployment, shown, true)


@pytest.mark.parametrize("name", ["+1 h", "-1 h"])
def test_I13_an_hour_is_no_other_day(site: Site, name: str) -> None:
    """With one clock, across a restart, an hour passes unseen: due is counted in local days, so nothing goes early."""
    true = site.now + DAY
    with site.open(SimulatedClock(true + step(name, true))) as deployment:
        assert night(deployment) == ["applied"]
    assert site.gone() == site.due(true)


def test_I13_a_day_ahead_is_the_limit_of_one_clock(site: Site) -> None:
    """Across a restart a day passes unseen: what goes is within the fifty hours, days before its ceiling."""
    true = site.now + DAY
    shown = SimulatedClock(true + DAY)
    with site.open(shown) as deployment:
        assert night(deployment) == ["applied"]
        assert site.gone() == site.due(true + DAY) <= site.due(true + guard.JUMP_AHEAD)
        shown.jump(-DAY)
        assert night(deployment) == ["clock-behind"]
        shown.advance(2 * DAY)
        night(deployment)
    assert site.gone() == site.due(true + 2 * DAY)


@pytest.mark.parametrize("name", JUMPS)
def test_I12_a_second_clock_sees_every_jump(site: Site, name: str) -> None:
    """With a second clock that is right, a new process on a wrong one deletes nothing; then the night is made up."""
    true = site.now + DAY
    shown = SimulatedClock(true + step(name, true))
    with site.open(shown) as deployment:
        for clock in ("second", "ntp"):
            assert night(replace(deployment, **{clock: Shows(true)})) == ["clock-spread"]
        assert refusals(deployment) == ["clock-spread"]
        assert site.gone() == set()
        recovers(site, deployment, shown, true)


def test_I12_a_wrong_second_clock_deletes_nothing_either(site: Site) -> None:
    """Which of two clocks is wrong nobody can tell: nothing runs until they agree."""
    true = SimulatedClock(site.now + DAY)
    with site.open(true) as deployment:
        for name in JUMPS:
            wrong = Shows(true.now() + step(name, true.now()))
            assert night(replace(deployment, second=wrong)) == ["clock-spread"]
        assert refusals(deployment) == ["clock-spread"]
    assert site.gone() == set()


def test_I13_epoch_zero_on_the_first_day_selects_nothing(line: Line) -> None:
    """A host that starts without a clock, before any time is on record: nothing is due in 1970."""
    with line.world.open(clock=SimulatedClock(EPOCH)) as deployment:
        assert night(deployment) == ["clock-behind"]
        assert refusals(deployment) == ["clock-behind"]
        assert controls.marked_at(deployment) is None or controls.marked_at(deployment) > EPOCH + DAY
    assert line.gone() == set()


def test_I13_no_wrong_clock_ends_a_window(site: Site) -> None:
    """A contract that ended today: a living process plans no deletion of it however far the clock is set."""
    clock = SimulatedClock(site.now)
    with site.open(clock) as deployment:
        watch = controls.DriftGuard(deployment)
        tenant = offboard.end(deployment, offboard.find(deployment, portal.LEAVER), ends_on=site.now.date())
        for name in JUMPS:
            clock.jump(step(name, site.now))
            with pytest.raises(Refused):
                watch.check(deployment)
            with pytest.raises(Refused):
                planning.plan_offboarding(deployment, tenant, author=made.AUTHOR)
            clock.jump(site.now - clock.now())


# ---- a database's clock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [61, -61, 86400, -400 * 86400], ids=lambda seconds: f"{seconds:+} s")
def test_I12_a_wrong_database_clock_stops_the_run(site: Site, wrong: int) -> None:
    """A store's server more than a minute away from this host: nothing is planned there, and the log says so."""
    true = SimulatedClock(site.now + DAY)
    server = SimulatedClock(true.now() + timedelta(seconds=wrong))
    with site.open(server, clock=true) as deployment:
        assert night(deployment) == ["clock-spread"]
        assert set(refusals(deployment)) == {"clock-spread"}
        assert site.gone() == set()
        true.advance(2 * HOUR)
        recovers(site, deployment, server, true.now())


def test_I12_the_latest_day_has_begun_everywhere(site: Site) -> None:
    """Half a minute past midnight with a database half a minute behind: it is still yesterday."""
    midnight = datetime.combine(site.now.date() + DAY, datetime.min.time(), made.ZONE).astimezone(UTC)
    shown = midnight + timedelta(seconds=30)
    with site.open(SimulatedClock(midnight - timedelta(seconds=10)), clock=SimulatedClock(shown)) as deployment:
        planned = planning.plan_rule(deployment, *RULE, author=made.AUTHOR)
        assert planned is not None
        assert planned.plan.expected() == len(site.due(midnight - HOUR))
    with site.open(SimulatedClock(shown)) as deployment:
        execute.apply(deployment, made.plan_rule(site.world, deployment))
    assert site.gone() == site.due(shown) != site.due(midnight - HOUR)


def test_I12_the_same_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """A real server's clock against a host's that is set wrong: an hour or ten years, nothing goes."""
    world = made.tempting(tmp_path / "deployment", postgres_url, logs=10)
    with world.open() as deployment:
        made.hold(deployment, made.HELD, "access-log")
        plan = made.plan_rule(world, deployment, mandate=True)
        line = made.Line(world, plan, "", made.read(world))
        present = SystemClock().now()
        for name in JUMPS:
            wrong = replace(deployment, clock=SimulatedClock(present + step(name, present)))
            with pytest.raises(Refused) as refused:
                execute.apply(wrong, plan)
            assert refused.value.guard == "clock-spread"
        assert line.gone() == set()
        assert execute.apply(deployment, plan).clean
    assert line.gone() == line.must_go("rule")


# ---- jumps while a run is under way ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUMPS)
def test_I13_a_jump_between_two_batches_stops_the_job(site: Site, name: str) -> None:
    """The plan's days stand whatever the clock shows; the next batch does not begin. Later the job goes on."""
    true = site.now + DAY
    shown = SimulatedClock(true)
    seen: list[execute.Progress] = []

    def set_clock(progress: execute.Progress) -> None:
        if not seen:
            shown.jump(step(name, true))
        seen.append(progress)

    with site.open(shown) as deployment:
        turns = cycle.tick(deployment, scheduled=True, observe=set_clock)
        assert [turn.error.guard for turn in turns if isinstance(turn.error, Refused)] == ["clock-drift"]
        assert set(refusals(deployment)) == {"clock-drift"}
        assert len(seen) == 1
        assert set() < site.gone() < site.due(true)
        shown.jump(true + 2 * HOUR - shown.now())
        night(deployment)
    assert site.gone() == site.due(true)


def test_I13_five_seconds_are_allowed(site: Site) -> None:
    """A host that is kept in time by small steps is no alarm; six seconds are."""
    clock = SimulatedClock(site.now)
    with site.open(clock) as deployment:
        since = controls.anchor(deployment)
        clock.advance(HOUR)
        for seconds in (5, -10):
            clock.jump(timedelta(seconds=seconds))
            controls.refuse_drift(deployment, since)
        clock.jump(timedelta(seconds=-1))
        with pytest.raises(Refused) as refused:
            controls.refuse_drift(deployment, since)
    assert refused.value.guard == "clock-drift"


# ---- odd days -------------------------------------------------------------------------------------------------------


def last_sunday(year: int, month: int) -> date:
    """Return the day on which Europe's clocks change."""
    day = date(year, month, 31)
    return day - timedelta(days=(day.weekday() + 1) % 7)


def odd_days() -> dict[str, date]:
    """Return days to come on which a calendar or a clock is odd; the day after each is looked at too."""
    year = SystemClock().now().year + 1
    leap = next(one for one in range(year, year + 9) if one % 4 == 0 and (one % 100 != 0 or one % 400 == 0))
    return {
        "missing hour": last_sunday(year, 3),
        "hour that comes twice": last_sunday(year, 10),
        "leap day": date(leap, 2, 29),
        "year end": date(year, 12, 31),
    }


def midnight_of(day: date) -> datetime:
    """Return when a day begins in Berlin."""
    return datetime.combine(day, datetime.min.time(), made.ZONE).astimezone(UTC)


@pytest.mark.parametrize("name", odd_days())
def test_I14_on_an_odd_day_exactly_what_is_due_goes(name: str, tmp_path: Path) -> None:
    """From midnight to midnight, around each change of the clock: the days' rows go on their day, none before."""
    begins, ends = midnight_of(odd_days()[name]), midnight_of(odd_days()[name] + DAY)
    clock = SimulatedClock(begins - timedelta(hours=36))
    site = build(tmp_path / "home", clock.now())
    # Europe's clocks change at one o'clock UTC.
    change = datetime.combine(odd_days()[name], datetime.min.time(), UTC) + HOUR
    second = timedelta(seconds=1)
    changes = (change - second, change) if "hour" in name else (begins + HOUR,)
    counts = []
    with site.open(clock) as deployment:
        watch = controls.DriftGuard(deployment)
        for moment in (begins - second, begins, *changes, ends - second, ends):
            clock.set(moment)
            watch.check(deployment)
            assert {turn.result for turn in cycle.tick(deployment)} <= {"applied", "idle"}
            assert site.gone() == site.due(moment)
            counts.append(len(site.gone()))
    assert counts[0] < counts[1] == counts[-2] < counts[-1]


def test_I14_a_zone_that_changes_under_a_living_process_changes_nothing(line: Line) -> None:
    """Whoever sets TZ, before or in the middle of a run: neither what is due nor the present moves."""

    def move(_: object) -> None:
        os.environ["TZ"] = "America/Adak"
        time.tzset()

    before = os.environ.get("TZ")
    try:
        with line.world.open() as deployment:
            watch = controls.DriftGuard(deployment)
            os.environ["TZ"] = "Pacific/Kiritimati"
            time.tzset()
            watch.check(deployment)
            assert execute.apply(deployment, line.rule, observe=move).clean
            watch.check(deployment)
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
    assert line.gone() == line.must_go("rule")


# ---- outages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [3, 30, 400])
def test_I13_an_outage_is_made_up_for_where_a_second_clock_agrees(site: Site, days: int) -> None:
    """Three days down, or a year: nobody has to sign; one run makes up for all of them."""
    true = SimulatedClock(site.now + days * DAY)
    with site.open(true, second=Follows(true)) as deployment:
        # After a year the mandate has ended: then the rule plans again, and waits for a person.
        assert night(deployment) == (["applied"] if days < 365 else ["observing"])
        assert refusals(deployment) == []
    assert site.gone() == (site.due(true.now()) if days < 365 else set())


@pytest.mark.parametrize("second", [NoSecondClock(), Shows(None)], ids=["none", "silent"])
def test_I13_with_one_clock_an_outage_waits_for_a_signature(site: Site, second: SecondClock) -> None:
    """Three days down without a second clock, or with one that does not answer: first an operator signs."""
    true = SimulatedClock(site.now + 3 * DAY)
    with site.open(true, second=second) as deployment:
        assert night(deployment) == ["clock-ahead"]
        assert site.gone() == set()
        controls.accept_clock(deployment, "op-one", site.world.key("op-one"))
        true.advance(2 * HOUR)
        assert night(deployment) == ["applied"]
    assert site.gone() == site.due(true.now())


# ---- the watch over a living process --------------------------------------------------------------------------------


def test_I13_a_clock_that_was_put_right_needs_somebodys_word(site: Site) -> None:
    """A host whose clock was an hour slow is corrected: a second clock's agreement, or a signature, starts it again."""
    clock = SimulatedClock(site.now)
    with site.open(clock) as deployment:
        watch = controls.DriftGuard(deployment)
        clock.jump(HOUR)
        assert night(deployment, watch) == ["clock-drift"]
        watch.check(replace(deployment, second=Follows(clock)))
        watch.check(deployment)
        clock.jump(HOUR)
        assert night(deployment, watch) == ["clock-drift"]
        controls.accept_clock(deployment, "op-one", site.world.key("op-one"))
        watch.check(deployment)
        watch.check(deployment)
        # The signature was for that time, not for every other.
        clock.jump(HOUR)
        assert night(deployment, watch) == ["clock-drift"]
        # Asked every few seconds, the log is told of each of the three once.
        assert refusals(deployment) == ["clock-drift"] * 3


def test_I13_a_second_clock_that_disagrees_is_no_word(site: Site) -> None:
    """It must show what the host shows, within a minute; of two, both."""
    clock = SimulatedClock(site.now)
    with site.open(clock) as deployment:
        watch = controls.DriftGuard(deployment)
        clock.jump(HOUR)
        for others in ({"second": Shows(site.now)}, {"second": Follows(clock), "ntp": Shows(site.now)}):
            with pytest.raises(Refused):
                watch.check(replace(deployment, **others))
        watch.check(replace(deployment, second=Follows(clock), ntp=Follows(clock)))


def test_simulated_time_passes_for_both_clocks_alike() -> None:
    """What is advanced is time that passes; what jumps is only what the clock shows."""
    clock = SimulatedClock(EPOCH)
    clock.advance(DAY)
    clock.set(EPOCH + 2 * DAY)
    assert (clock.now(), clock.monotonic()) == (EPOCH + 2 * DAY, 2 * 86400)
    clock.jump(-DAY)
    assert (clock.now(), clock.monotonic()) == (EPOCH + DAY, 2 * 86400)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-DAY)


# ---- time servers ---------------------------------------------------------------------------------------------------

Answer = "Callable[[bytes], list[bytes]]"
NOW = datetime(2027, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)


def stamp(moment: datetime) -> bytes:
    """Write a moment as NTP does."""
    since = moment - datetime(1900, 1, 1, tzinfo=UTC)
    return struct.pack("!II", (since.days * 86400 + since.seconds) % 2**32, (since.microseconds << 32) // 10**6)


def packet(
    question: bytes, moment: datetime = NOW, *, leap: int = 0, mode: int = 4, stratum: int = 2, kiss: bytes = b"GPS\0"
) -> bytes:
    """Return a time server's answer."""
    head = struct.pack("!BBbb", leap << 6 | 4 << 3 | mode, stratum, 6, -20)
    return head + bytes(8) + kiss + stamp(moment) + question[40:48] + stamp(moment) + stamp(moment)


@contextmanager
def time_server(answer: Callable[[bytes], list[bytes]]) -> Iterator[tuple[str, int]]:
    """Serve on a port of its own; each question gets the packets that `answer` makes of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as served:
        served.bind(("127.0.0.1", 0))
        ended = threading.Event()

        def serve() -> None:
            while True:
                question, asker = served.recvfrom(512)
                if ended.is_set():
                    return
                for reply in answer(question):
                    served.sendto(reply, asker)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield served.getsockname()
        finally:
            ended.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", served.getsockname())
            thread.join()


def ask(*servers: tuple[str, int], seconds: float = 0.2) -> datetime | None:
    """Ask these servers once."""
    return clocks.TimeServers(servers, seconds=seconds).read()


def near(found: datetime | None, wanted: datetime) -> bool:
    """Tell whether an answer is right within the time that an answer may take."""
    return found is not None and abs(found - wanted) < timedelta(seconds=2)


@pytest.mark.parametrize(
    "moment", [NOW, datetime(2036, 2, 7, 6, 28, 15, tzinfo=UTC), datetime(2036, 2, 7, 6, 28, 17, tzinfo=UTC),
               datetime(2099, 12, 31, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC)], ids=str
)  # fmt: skip
def test_I12_a_time_server_is_asked(moment: datetime) -> None:
    """Its time is ours within the way's half, also after the counter begins anew in 2036."""
    questions: list[bytes] = []
    with time_server(lambda question: [questions.append(question) or packet(question, moment)]) as server:
        assert near(ask(server), moment)
        ask(server)
    assert all(len(question) == 48 and question[0] == 0b00_100_011 for question in questions)
    # What we send as our time is random: nobody learns ours, nobody guesses the answer.
    assert questions[0][40:] != questions[1][40:]
    assert questions[0][1:40] == bytes(39)


@pytest.mark.parametrize(
    "answer",
    [
        lambda q: [packet(bytes(48))],
        lambda q: [packet(q, leap=3)],
        lambda q: [packet(q, stratum=0, kiss=b"RATE")],
        lambda q: [packet(q, stratum=0, kiss=b"DENY")],
        lambda q: [packet(q, stratum=16)],
        lambda q: [packet(q, mode=3)],
        lambda q: [packet(q, mode=5)],
        lambda q: [packet(q)[:47]],
        lambda q: [packet(q)[:40] + bytes(8)],
        lambda q: [b""],
        lambda q: [],
    ],
    ids=["another's", "leap 3", "rate", "deny", "stratum 16", "client", "broadcast", "short", "no time", "empty",
         "silent"],
)  # fmt: skip
def test_I12_what_cannot_be_believed_is_no_clock(answer: Callable[[bytes], list[bytes]]) -> None:
    """Not our answer, not synchronised, a kiss-o'-death, cut off, or nothing at all: as if there were no server."""
    with time_server(answer) as server:
        assert ask(server, seconds=0.1) is None


def test_I12_a_forged_answer_does_not_keep_the_true_one_out() -> None:
    """Packets that do not carry our question's number are passed by."""
    with time_server(lambda q: [packet(bytes(48), EPOCH + 40_000 * DAY), b"?", packet(q)]) as server:
        assert near(ask(server), NOW)


def test_I12_of_several_servers_the_lower_middle_counts() -> None:
    """One that lies moves nothing; of two the earlier one rules; those that are silent or unknown do not count."""
    with (
        time_server(lambda q: [packet(q)]) as right,
        time_server(lambda q: [packet(q, NOW + HOUR)]) as fast,
        time_server(lambda q: [packet(q, NOW - DAY)]) as slow,
        time_server(lambda q: []) as silent,
    ):
        assert near(ask(fast, right, slow), NOW)
        assert near(ask(fast, right), NOW)
        assert near(ask(fast, silent, ("host.invalid", 123)), NOW + HOUR)


def test_I12_servers_are_asked_once_a_minute() -> None:
    """An answer is kept and goes on with the time that passes, and so is the lack of one."""
    asked: list[bytes] = []
    with time_server(lambda q: [asked.append(q) or packet(q)]) as server:
        kept = clocks.TimeServers([server])
        first, second = kept.read(), kept.read()
        assert first is not None
        assert second is not None
        assert first <= second
        assert len(asked) == 1
        forgetful = clocks.TimeServers([server], kept=0.0)
        forgetful.read()
        forgetful.read()
        assert len(asked) == 3
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()
    assert ask(nobody, seconds=5.0) is None


def test_I12_a_server_that_denies_is_not_asked_again() -> None:
    """A kiss-o'-death that says so ends the questions; one that asks for patience does not (RFC 5905, 7.4)."""
    asked: list[bytes] = []
    for kiss, count in ((b"DENY", 1), (b"RSTR", 1), (b"RATE", 2)):
        asked.clear()
        with time_server(lambda q, kiss=kiss: [asked.append(q) or packet(q, stratum=0, kiss=kiss)]) as server:
            servers = clocks.TimeServers([server], seconds=0.2, kept=0.0)
            assert (servers.read(), servers.read()) == (None, None)
        assert len(asked) == count


def test_I12_a_name_that_nobody_resolves_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks goes on after the time for an answer, and does not ask again while the first question hangs."""
    hangs, asked = threading.Event(), []

    def never(*_: object, **__: object) -> list[Any]:
        asked.append(1)
        hangs.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    servers = clocks.TimeServers([("ntp.example.com", 123)], seconds=0.05, kept=0.0)
    began = SystemClock().monotonic()
    assert (servers.read(), servers.read()) == (None, None)
    assert SystemClock().monotonic() - began < 2
    assert asked == [1]
    hangs.set()


@dataclass(frozen=True)
class Server:
    """The state of another host, or one that does not answer."""

    time: datetime | None
    answers: bool = True

    def second_clock(self) -> datetime | None:
        if not self.answers:
            raise Transient("the state does not answer")
        return self.time


def test_I13_the_states_server_is_a_second_clock_where_the_settings_say_so() -> None:
    """Only who runs it knows whether it is another host; while it does not answer it confirms nothing."""
    assert clocks.of_state(ClockSettings(state=True), Server(NOW)).read() == NOW
    assert clocks.of_state(ClockSettings(state=True), Server(NOW, answers=False)).read() is None
    assert clocks.of_state(ClockSettings(state=True), Server(None)).read() is None
    assert clocks.of_state(ClockSettings(), Server(NOW)).read() is None
    assert clocks.of_network(ClockSettings()).read() is None
    with time_server(lambda q: [packet(q)]) as (host, port):
        assert near(clocks.of_network(ClockSettings(ntp=(f"{host}:{port}",))).read(), NOW)


def test_I13_small_steps_over_months_add_up_only_with_one_clock(site: Site) -> None:
    """Four seconds a month are no reason to stop a service where a second clock says that the present is right."""
    clock = SimulatedClock(site.now)
    with site.open(clock) as deployment:
        watch, alone = controls.DriftGuard(deployment), controls.DriftGuard(deployment)
        for _ in range(6):
            clock.advance(30 * DAY)
            clock.jump(timedelta(seconds=4))
            watch.check(replace(deployment, second=Follows(clock)))
        with pytest.raises(Refused):
            alone.check(deployment)


@pytest.mark.parametrize("second", [NoSecondClock(), Shows(None), Shows(EPOCH)], ids=["none", "silent", "wrong"])
def test_I13_small_steps_are_forgotten_by_no_other_word(site: Site, second: SecondClock) -> None:
    """Without a clock that agrees the steps add up, and are refused together."""
    clock = SimulatedClock(site.now)
    with site.open(clock, second=second) as deployment:
        watch = controls.DriftGuard(deployment)
        for _ in range(2):
            clock.advance(DAY)
            clock.jump(timedelta(seconds=2))
            watch.check(deployment)
        clock.advance(DAY)
        clock.jump(timedelta(seconds=2))
        with pytest.raises(Refused) as refused:
            watch.check(deployment)
        assert refused.value.guard == "clock-drift"


def test_I13_steps_within_an_hour_are_held_together(site: Site) -> None:
    """Whoever sets the clock by seconds again and again is not followed: the watch begins anew once an hour at most."""
    clock = SimulatedClock(site.now)
    with site.open(clock, second=Shows(site.now)) as deployment:
        watch = controls.DriftGuard(deployment)
        clock.advance(HOUR)
        clock.jump(timedelta(seconds=4))
        watch.check(replace(deployment, second=Follows(clock)))
        for _ in range(2):
            clock.advance(timedelta(minutes=10))
            clock.jump(timedelta(seconds=2))
            watch.check(replace(deployment, second=Follows(clock)))
        clock.jump(timedelta(seconds=2))
        with pytest.raises(Refused):
            watch.check(deployment)

"""Time is cut into slots: each instant lies in exactly one, each local day has exactly one of a daily class."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.schedule import ANCHOR, Schedule, missed, next_start, slot_at, slot_start
from lifecycle.core.settings import DAILY, RuleClass, ScheduleSettings
from lifecycle.core.span import Span

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo")
TIMES = ("00:00", "00:30", "02:00", "02:30", "03:00", "23:59")
GAP, FOLD = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)
"""When Berlin's clocks change: 02:00 becomes 03:00, and 03:00 becomes 02:00."""

moments = st.integers(0, 100 * 365 * 86400).map(
    lambda seconds: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
)
spans = st.sampled_from([1, 7, 30, 60, 900, 3600, 5400, 86400, 7 * 86400]) | st.integers(1, 31 * 86400)
daily = st.builds(lambda at, zone: RuleClass(every=Span(86400), at=at, zone=zone), st.sampled_from(TIMES),
                  st.sampled_from(ZONES))  # fmt: skip
classes = daily | st.builds(lambda seconds: RuleClass(every=Span(seconds)), spans)


def naive_starts(at: str, zone: str, around: datetime) -> list[datetime]:
    """Walk the minutes of a week: a day's slot begins with the first minute that reads `at` or later on that day."""
    place, seen, starts = ZoneInfo(zone), set[date](), []
    moment = (around - timedelta(days=4)).replace(second=0, microsecond=0)
    while moment < around + timedelta(days=4):
        local = moment.astimezone(place)
        if local.strftime("%H:%M") >= at and local.date() not in seen:
            seen.add(local.date())
            starts.append(moment)
        moment += MINUTE
    return starts[1:]


@given(classes, moments)
def test_each_instant_lies_in_exactly_one_slot(kind: RuleClass, moment: datetime) -> None:
    """The slot begins at or before the instant, the next one after it; both are found again by their number."""
    slot = slot_at(kind, moment)
    begins = slot_start(kind, slot)
    assert begins <= moment < slot_start(kind, slot + 1) == next_start(kind, moment)
    assert slot_at(kind, begins) == slot
    assert slot_at(kind, moment.astimezone(ZoneInfo("Asia/Kathmandu"))) == slot


@given(classes, moments, st.timedeltas(timedelta(0), timedelta(days=800)))
def test_slots_follow_time(kind: RuleClass, moment: datetime, later: timedelta) -> None:
    """A later instant never lies in an earlier slot."""
    assert slot_at(kind, moment) <= slot_at(kind, moment + later)


@settings(max_examples=20)
@given(st.sampled_from(TIMES), st.sampled_from(ZONES), moments)
@example("02:30", "Europe/Berlin", GAP)
@example("02:30", "Europe/Berlin", FOLD)
@example("02:00", "Europe/Berlin", GAP)
@example("03:00", "Europe/Berlin", FOLD)
@example("00:00", "Africa/Cairo", datetime(2024, 4, 25, 22, tzinfo=UTC))
@example("00:30", "Africa/Cairo", datetime(2024, 4, 25, 22, tzinfo=UTC))
@example("02:00", "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC))
def test_a_daily_class_has_one_slot_on_each_local_day(at: str, zone: str, moment: datetime) -> None:
    """Minute by minute, a year's two odd days included, every day that the zone has begins one slot."""
    kind = RuleClass(every=Span(86400), at=at, zone=zone)
    starts = naive_starts(at, zone, moment)
    for start in starts:
        slot = slot_at(kind, start + timedelta(hours=1))
        assert abs(slot_start(kind, slot) - start) <= timedelta(hours=1)
        assert date.fromordinal(slot) == start.astimezone(ZoneInfo(zone)).date()
    numbers = [slot_at(kind, start + timedelta(hours=1)) for start in starts]
    assert len(set(numbers)) == len(starts)


def test_a_time_of_day_that_the_clock_skips_has_its_slot() -> None:
    """02:30 on the day of the missing hour begins at 03:30; in the hour that comes twice it begins once, at first."""
    kind = RuleClass(every=Span(86400), at="02:30", zone="Europe/Berlin")
    assert slot_start(kind, date(2027, 3, 28).toordinal()) == GAP + timedelta(minutes=30)
    assert slot_start(kind, date(2027, 10, 31).toordinal()) == FOLD - timedelta(minutes=30)
    for change in (GAP, FOLD):
        steps = [change - DAY + timedelta(minutes=number) for number in range(3 * 24 * 60)]
        numbers = list(dict.fromkeys(slot_at(kind, step) for step in steps))
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_day_that_the_zone_skipped_is_no_slot_of_its_own() -> None:
    """Samoa had no 30 December 2011: that slot has no length, and no instant lies in it."""
    kind = RuleClass(every=Span(86400), at="02:00", zone="Pacific/Apia")
    none = date(2011, 12, 30).toordinal()
    assert slot_start(kind, none) == slot_start(kind, none + 1)
    assert slot_at(kind, slot_start(kind, none)) == none + 1


@given(st.integers(1, 31 * 86400), moments)
def test_other_classes_count_from_one_anchor(seconds: int, moment: datetime) -> None:
    """Without a time of day a slot is a fixed span, the same for every replica, whenever it started."""
    kind = RuleClass(every=Span(seconds))
    assert slot_at(kind, moment) == (moment - ANCHOR) // timedelta(seconds=seconds)
    assert next_start(kind, moment) - slot_start(kind, slot_at(kind, moment)) == timedelta(seconds=seconds)


@pytest.mark.parametrize("kind", [DAILY, RuleClass(every=Span(60))])
def test_a_time_without_an_offset_has_no_slot(kind: RuleClass) -> None:
    """A naive time names no instant."""
    with pytest.raises(InvalidDocument):
        slot_at(kind, datetime(2026, 1, 1))  # noqa: DTZ001 - the fault under test


@pytest.mark.parametrize(
    ("last", "present", "count"), [(None, 9, 0), (9, 9, 0), (8, 9, 0), (7, 9, 1), (0, 9, 8), (12, 9, 0)]
)
def test_I26_slots_that_passed_are_counted(last: int | None, present: int, count: int) -> None:
    """What lies between the last finished slot and the present one was missed; a first run missed nothing."""
    assert missed(last, present) == count


@given(classes, classes, moments)
def test_a_rule_that_moved_to_another_class_stays_due(before: RuleClass, after: RuleClass, moment: datetime) -> None:
    """Numbers of two classes cannot be compared, starts can: after its next slot has begun the rule's turn has come."""
    last = slot_start(before, slot_at(before, moment))
    then = next_start(after, moment)
    assert slot_start(after, slot_at(after, then)) > last


def test_each_rule_has_one_class() -> None:
    """A rule that the settings name has its class, every other one the default; `daily` needs no definition."""
    hourly = RuleClass(every=Span(3600))
    named = Schedule.of(ScheduleSettings(classes={"often": hourly}, rules={"logs": "often"}))
    assert (named.class_of("logs"), named.class_of("other")) == (hourly, DAILY)
    other = Schedule.of(ScheduleSettings(classes={"often": hourly, "daily": hourly}, default="daily"))
    assert other.class_of("logs") == hourly

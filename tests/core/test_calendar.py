"""Days begin where the zone says; cutoffs are what a day-by-day simulation finds."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.core.calendar import (
    add,
    ceiling_cutoff,
    day_in,
    floor_cutoff,
    is_werktag,
    local_date,
    start_of_day,
    werktage_before,
    year_end_floor_cutoff,
    zone_known,
)
from lifecycle.core.errors import InvalidDocument
from lifecycle.core.period import Period

DAY = timedelta(days=1)
ZONES = (
    "Europe/Berlin",
    "Africa/Cairo",
    "America/Havana",
    "Asia/Beirut",
    "America/St_Johns",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Asia/Kathmandu",
    "UTC",
)
PERIODS = ("P1D", "P30D", "P90D", "P1M", "P3M", "P6M", "P1Y", "P8Y", "P2W3D", "P1M15D", "P1Y1M1W1D")


def walked_start(day: date, zone: str) -> datetime:
    """Walk minute by minute through two days and stop where the zone's clock first shows the day, or a later one."""
    place = ZoneInfo(zone)
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
    while instant.astimezone(place).date() < day:
        instant += timedelta(minutes=1)
    return instant


def naive_add(start: date, text: str) -> date:
    """Add an ISO period with nothing but the calendar module: months first, then days."""
    months, days, number = 0, 0, ""
    for sign in text[1:]:
        if sign.isdigit():
            number += sign
            continue
        months += int(number) * {"Y": 12, "M": 1}.get(sign, 0)
        days += int(number) * {"W": 7, "D": 1}.get(sign, 0)
        number = ""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(start.day, last)) + days * DAY


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", [2006, 2011, 2023, 2024])
def test_I14_a_day_begins_at_the_first_instant_with_its_date(zone: str, year: int) -> None:
    """Around every change of the zone's clock, midnight skipped or repeated, the walked minute is the computed one."""
    first = date(year, 1, 1)
    days = [first + number * DAY for number in range(365)]
    noon = [datetime(d.year, d.month, d.day, 12, tzinfo=ZoneInfo(zone)).utcoffset() for d in days]
    near = {days[i + j] for i in range(2, 363) if noon[i] != noon[i + 1] for j in (-1, 0, 1, 2)}
    for day in {*near, days[0], days[200]}:
        assert start_of_day(day, zone) == walked_start(day, zone)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Africa/Cairo", date(2023, 4, 28), datetime(2023, 4, 27, 22, tzinfo=UTC)),
        ("Asia/Beirut", date(2024, 3, 31), datetime(2024, 3, 30, 22, tzinfo=UTC)),
        ("America/Havana", date(2024, 3, 10), datetime(2024, 3, 10, 5, tzinfo=UTC)),
        ("America/Havana", date(2024, 11, 3), datetime(2024, 11, 3, 4, tzinfo=UTC)),
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),
        ("Pacific/Apia", date(2011, 12, 31), datetime(2011, 12, 30, 10, tzinfo=UTC)),
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
    ],
)
def test_I14_a_midnight_that_is_skipped_or_repeated_has_one_beginning(zone: str, day: date, expected: datetime) -> None:
    """Where midnight is skipped the day begins with the change; where it comes twice, with the first."""
    assert start_of_day(day, zone) == expected


@given(st.dates(date(1990, 1, 1), date(2060, 1, 1)), st.integers(0, 86_399), st.sampled_from(ZONES))
def test_I14_every_instant_lies_within_its_local_day(on: date, second: int, zone: str) -> None:
    """An instant is not before its local day begins; only a repeated hour may reach past the next day's beginning."""
    instant = datetime(on.year, on.month, on.day, tzinfo=UTC) + timedelta(seconds=second)
    day = local_date(instant, zone)
    assert start_of_day(day, zone) <= instant
    assert instant < start_of_day(day + DAY, zone) + timedelta(hours=1, minutes=1)


def test_I14_a_naive_time_has_no_local_date() -> None:
    """A time without an offset is refused, not taken for local or UTC."""
    with pytest.raises(InvalidDocument) as caught:
        local_date(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), "Europe/Berlin")
    assert "aware" in caught.value.advice()


def test_I14_an_instant_has_another_date_in_another_zone() -> None:
    """Late in the evening of UTC it is tomorrow in Berlin; a plain date is the same everywhere."""
    instant = datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    assert day_in(instant, "Europe/Berlin") == date(2026, 7, 1)
    assert day_in(instant, "UTC") == date(2026, 6, 30)
    assert day_in(date(2026, 6, 30), "Europe/Berlin") == date(2026, 6, 30)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Europe/Berlin", True),
        ("UTC", True),
        ("Europe/Bonn", False),
        ("localtime", False),
        ("../etc/passwd", False),
        ("europe/berlin", False),
        ("", False),
    ],
)
def test_I14_only_zones_of_the_database_are_known(name: str, *, known: bool) -> None:
    """A zone that depends on the machine, or is none, is not known."""
    assert zone_known(name) is known


@pytest.mark.parametrize("text", PERIODS)
@pytest.mark.parametrize("margin", [0, 3])
def test_I14_the_cutoff_is_what_a_day_by_day_simulation_finds(text: str, margin: int) -> None:
    """On each of 1,500 days every start through the cutoff is due by plain arithmetic, the next is not."""
    period = Period.parse(text)
    for today in (date(2023, 11, 1) + number * DAY for number in range(1500)):
        ceiling = ceiling_cutoff(today, period, margin)
        assert ceiling is not None
        assert naive_add(ceiling, text) <= today + margin * DAY < naive_add(ceiling + DAY, text)
        free = floor_cutoff(today, period)
        assert free is not None
        assert naive_add(free, text) < today <= naive_add(free + DAY, text)


@pytest.mark.parametrize("text", ["P90D", "P1M", "P1Y1M"])
def test_I14_the_due_dates_are_a_range_on_four_thousand_days(text: str) -> None:
    """Whatever was due stays due: the cutoff never moves back, and below it nothing is left out."""
    period = Period.parse(text)
    cutoffs = [ceiling_cutoff(date(2020, 1, 1) + n * DAY, period, 3) for n in range(4000)]
    assert all(one is not None and other is not None and one <= other for one, other in pairwise(cutoffs))
    today = date(2024, 3, 1)
    cutoff = ceiling_cutoff(today, period, 3)
    assert cutoff is not None
    due = [naive_add(cutoff + n * DAY, text) <= today + 3 * DAY for n in range(-2000, 2000)]
    assert due == sorted(due, reverse=True)


@settings(max_examples=300)
@given(
    st.dates(date(1990, 1, 1), date(2150, 12, 31)),
    st.lists(st.sampled_from(PERIODS), min_size=1, max_size=3),
    st.integers(0, 10),
)
def test_I14_periods_in_sequence_have_one_cutoff(today: date, texts: list[str], margin: int) -> None:
    """A parameter plus a reading are added one after the other; the cutoff is exact for the sum too."""
    periods = tuple(Period.parse(text) for text in texts)
    cutoff = ceiling_cutoff(today, periods, margin)
    assert cutoff is not None
    for day, due in ((cutoff, True), (cutoff + DAY, False)):
        end = day
        for text in texts:
            end = naive_add(end, text)
        assert (end <= today + margin * DAY) is due
        assert add(day, periods) == end


@settings(max_examples=200)
@given(st.dates(date(1990, 1, 1), date(2150, 12, 31)), st.sampled_from(["P6Y", "P8Y", "P10Y", "P3Y", "P18M", "P400D"]))
def test_I14_a_statutory_period_counts_from_the_years_end(today: date, text: str) -> None:
    """The cutoff is a year's last day: all of that year is free, nothing of the next."""
    cutoff = year_end_floor_cutoff(today, Period.parse(text))
    assert cutoff is not None
    assert (cutoff.month, cutoff.day) == (12, 31)
    assert naive_add(cutoff, text) < today
    assert naive_add(date(cutoff.year + 1, 12, 31), text) >= today


def test_I14_the_voucher_of_march_2026_is_free_on_the_first_of_january_2035() -> None:
    """Eight years from the end of 2026: kept through 2034-12-31."""
    for day, free in ((date(2034, 12, 31), False), (date(2035, 1, 1), True)):
        cutoff = year_end_floor_cutoff(day, Period(years=8))
        assert cutoff is not None
        assert (date(2026, 3, 4) <= cutoff) is free


def test_I14_the_invoice_of_2017_is_free_on_the_first_of_january_2026() -> None:
    """Eight years from the end of 2017: kept through 2025-12-31."""
    for day, free in ((date(2025, 12, 31), False), (date(2026, 1, 1), True)):
        cutoff = year_end_floor_cutoff(day, Period(years=8))
        assert cutoff is not None
        assert (date(2017, 12, 31) <= cutoff) is free


def test_I14_where_the_calendar_has_no_date_nothing_is_due() -> None:
    """A period longer than the years before today leaves no cutoff, rather than a wrong one."""
    assert ceiling_cutoff(date(150, 1, 1), Period(years=199), 3) is None
    assert ceiling_cutoff(date(199, 12, 31), Period(years=199), 0) is None
    assert floor_cutoff(date(150, 1, 1), Period(years=199)) is None
    assert year_end_floor_cutoff(date(150, 1, 1), Period(years=199)) is None
    assert year_end_floor_cutoff(date(201, 2, 1), Period(years=200)) is None
    assert year_end_floor_cutoff(date(202, 2, 1), Period(years=200)) == date(1, 12, 31)
    assert ceiling_cutoff(date(201, 1, 1), Period(years=200), 0) == date(1, 1, 1)


def test_an_audit_needs_ten_whole_werktage_of_notice() -> None:
    """Saturdays count, Sundays and holidays do not, neither does the day of the notice nor that of the audit."""
    may_day = date(2026, 5, 1)
    audit = date(2026, 5, 8)
    latest = werktage_before(audit, 10, {may_day})
    between = [latest + n * DAY for n in range(1, (audit - latest).days)]
    assert sum(day.weekday() != 6 and day != may_day for day in between) == 10
    assert latest == date(2026, 4, 24)
    assert is_werktag(date(2026, 5, 2), {may_day})
    assert not is_werktag(may_day, {may_day})
    assert not is_werktag(date(2026, 5, 3), ())


def test_a_notice_of_no_werktag_is_refused() -> None:
    """Zero or fewer days are no notice period."""
    with pytest.raises(InvalidDocument):
        werktage_before(date(2026, 5, 8), 0, ())

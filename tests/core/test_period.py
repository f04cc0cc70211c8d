"""Periods are calendar periods: read strictly, written back unchanged, added to dates."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lifecycle.core.period import Period, ceiling_day, floor_ends, year_end

REFUSED = (
    "",
    "0",
    "30",
    "030",
    "1:30",
    "0x1E",
    "1e1",
    "P",
    "PT",
    "P0D",
    "P0Y0M",
    "P-1D",
    "-P1D",
    "P1.5D",
    "P1,5D",
    "p30d",
    "P30d",
    " P30D",
    "P30D ",
    "30d",
    "30 days",
    "P1H",
    "PT24H",
    "P1DT1H",
    "P1D1M",
    "P1M1Y",
    "P1W1Y",
    "P٣D",
    "P３D",
    "P\u200b3D",
    "P3D\n",
    "P99999Y",
    "P201Y",
    "P99999D",
    "P1M/PT1M",
    "unlimited",
    "true",
    "null",
)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """Periods of every mixture of units, up to some years."""
    numbers = draw(st.tuples(*(st.integers(0, most) for most in (12, 40, 60, 800))).filter(any))
    return Period(*numbers)


@pytest.mark.parametrize("text", REFUSED)
def test_I14_a_text_that_is_no_calendar_period_is_refused(text: str) -> None:
    """Numbers without a unit, hours, other digits, blanks and empty periods are errors; nothing is guessed."""
    with pytest.raises(ValueError, match=r"period|200 years"):
        Period.parse(text)


@pytest.mark.parametrize("value", [30, 30.0, True, None, timedelta(days=30), ["P30D"], {"days": 30}])
def test_I14_only_text_is_read_as_a_period(value: object) -> None:
    """A number or a duration in a document never becomes a period."""
    with pytest.raises(ValidationError):
        TypeAdapter(Period).validate_python(value)


@given(periods())
def test_I14_a_period_is_written_back_as_it_was_read(period: Period) -> None:
    """The ISO text of a period reads as the same period, units kept apart: P3M stays three months, not ninety days."""
    assert Period.parse(str(period)) == period
    adapter = TypeAdapter(Period)
    assert adapter.validate_json(adapter.dump_json(period)) == period
    assert adapter.validate_python(period) == period


def test_I14_the_json_schema_speaks_of_text() -> None:
    """Editors are told the shape of a period's text."""
    schema = TypeAdapter(Period).json_schema()
    assert schema["type"] == "string"
    assert "P3M" in schema["examples"]


@given(periods(), st.dates(date(1900, 1, 1), date(2200, 12, 31)))
def test_I14_a_period_lies_within_its_own_bounds(period: Period, day: date) -> None:
    """No start makes a period shorter than its least or longer than its most number of days."""
    assert period.least_days() <= (period.after(day) - day).days <= period.most_days()


@given(periods(), st.dates(date(1900, 1, 1), date(2200, 12, 31)))
def test_I14_adding_a_period_keeps_the_order_of_days(period: Period, day: date) -> None:
    """A later start never ends earlier: the due dates are a range."""
    assert period.after(day) <= period.after(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("start", "text", "end"),
    [
        (date(2026, 1, 31), "P1M", date(2026, 2, 28)),
        (date(2024, 1, 31), "P1M", date(2024, 2, 29)),
        (date(2024, 2, 29), "P1Y", date(2025, 2, 28)),
        (date(2024, 2, 29), "P4Y", date(2028, 2, 29)),
        (date(2026, 3, 31), "P30D", date(2026, 4, 30)),
        (date(2026, 3, 31), "P1M2W", date(2026, 5, 14)),
        (date(2016, 2, 29), "P10Y", date(2026, 2, 28)),
    ],
)
def test_I14_months_and_years_are_clipped_to_the_months_end(start: date, text: str, end: date) -> None:
    """§ 188(3) BGB: where the day is missing, the period ends with the month; ten years are not 3650 days."""
    assert Period.parse(text).after(start) == end


def test_I14_a_floor_runs_through_its_last_day_and_a_ceiling_ends_before_it() -> None:
    """30 days after 31 March run through 30 April; gone within 30 days means gone before 30 April begins."""
    assert floor_ends(date(2026, 3, 31), Period(days=30)) == date(2026, 5, 1)
    assert ceiling_day(date(2026, 3, 31), Period(days=30)) == date(2026, 4, 30)
    assert year_end(date(2026, 3, 4)) == date(2026, 12, 31)

"""A night's budget: how much is left of it, how many nights a backlog takes, and which night it is."""

from __future__ import annotations

from datetime import UTC, date, datetime

from lifecycle.core.budget import Backlog, Night, next_night, night_of
from lifecycle.core.settings import RuleClass
from lifecycle.core.span import Span

DAILY = RuleClass(every=Span(86_400), at="02:00", zone="Europe/Berlin")
HOURLY = RuleClass(every=Span(3_600))


def test_a_night_takes_its_budget_and_no_more() -> None:
    """What earlier nights did does not count; a budget that was lowered meanwhile leaves nothing."""
    night = Night(number=1, before=1_000)
    assert [night.left(300, done) for done in (1_000, 1_299, 1_300, 1_400)] == [300, 1, 0, 0]


def test_a_backlog_says_how_many_nights_it_takes() -> None:
    """A started night counts whole; what is done already, nothing; without a budget nobody can say."""
    assert [Backlog(1_000, done, 300).nights for done in (0, 100, 101, 1_000, 1_010)] == [4, 3, 3, 0, 0]
    assert Backlog(1_000, 100, 300).gone_on(date(2026, 6, 15)) == date(2026, 6, 18)
    assert (Backlog(10, 0, None).nights, Backlog(10, 0, None).gone_on(date(2026, 6, 15))) == (None, None)


def test_a_night_is_a_slot_of_the_daily_class() -> None:
    """It begins at the class's time of day; a rule that runs hourly has the default's nights, not 24 budgets a day."""
    before, after = datetime(2026, 6, 14, 23, 59, tzinfo=UTC), datetime(2026, 6, 15, 0, 1, tzinfo=UTC)
    assert night_of(DAILY, after) == night_of(DAILY, before) + 1
    assert next_night(DAILY, before) == datetime(2026, 6, 15, tzinfo=UTC)
    assert night_of(HOURLY, datetime(2026, 6, 15, 3, tzinfo=UTC)) == night_of(
        HOURLY, datetime(2026, 6, 16, 1, tzinfo=UTC)
    )
    assert next_night(HOURLY, after) == datetime(2026, 6, 15, 2, tzinfo=UTC)

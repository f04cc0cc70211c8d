"""What holds changes back in a store: windows of the day, a flag, a busy server; what nobody can tell is the worst."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from lifecycle.core.errors import Paused
from lifecycle.core.span import Span
from lifecycle.core.throttle import Brake, Pressure, Throttle, braked

NIGHT = Throttle(windows=("22:00-05:30", "12:00-13:00"), zone="Europe/Berlin")
BUSY = Throttle(replica_lag=Span(10), autovacuum=True, active_sessions=20)
NOON = datetime(2026, 6, 15, 10, tzinfo=UTC)


def held(throttle: Throttle, now: datetime = NOON, *, flagged: bool | None = False, **told: Any) -> Brake | None:
    """Ask what holds back."""
    return braked(throttle, now, flagged=flagged, pressure=Pressure(**told) if told else None)


@pytest.mark.parametrize(
    ("hour", "minute", "is_open"),
    [(19, 59, False), (20, 0, True), (23, 0, True), (3, 29, True), (3, 30, False), (10, 0, True), (11, 0, False)],
)
def test_changes_are_made_inside_the_windows_of_the_local_day(hour: int, minute: int, is_open: bool) -> None:
    """22:00 to 05:30 in Berlin passes midnight; in summer it begins at 20:00 UTC and its end is not part of it."""
    assert (held(NIGHT, datetime(2026, 6, 15, hour, minute, tzinfo=UTC)) is None) == is_open


def test_a_closed_window_says_when_the_next_one_opens() -> None:
    """At two in the afternoon it is tonight at ten; after the last of the day it is tomorrow's first."""
    brake = held(NIGHT, datetime(2026, 6, 15, 12, tzinfo=UTC))
    assert brake is not None
    assert (brake.cause, brake.until) == ("window", datetime(2026, 6, 15, 20, tzinfo=UTC))
    assert brake.why == "outside its maintenance windows; the next opens on 2026-06-15 at 22:00"
    late = Throttle(windows=("01:00-02:00",))
    brake = held(late, datetime(2026, 12, 31, 3, tzinfo=UTC))
    assert brake is not None
    assert brake.until == datetime(2027, 1, 1, 1, tzinfo=UTC)


def test_without_windows_it_is_always_open() -> None:
    """No window is written: any time of day will do; nothing else holds back either."""
    assert held(Throttle()) is None
    assert not Throttle(rows_per_second=10).asks_the_server
    assert all(
        one.asks_the_server
        for one in (Throttle(replica_lag=Span(1)), Throttle(autovacuum=True), Throttle(active_sessions=0))
    )


def test_a_flag_holds_back_and_one_that_cannot_be_looked_for_does_too() -> None:
    """Unreadable means throttle."""
    assert [brake and brake.cause for brake in (held(Throttle(), flagged=f) for f in (False, True, None))] == [
        None,
        "flag",
        "unreadable",
    ]


QUIET = {"replica_lag": 0.0, "vacuuming": (), "active_sessions": 0}


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({}, None),
        ({"replica_lag": 10.0}, None),
        ({"replica_lag": 10.5}, "replica-lag"),
        ({"replica_lag": None}, "unreadable"),
        ({"vacuuming": ("ticket",)}, "autovacuum"),
        ({"vacuuming": None}, "unreadable"),
        ({"active_sessions": 20}, None),
        ({"active_sessions": 21}, "load"),
        ({"active_sessions": None}, "unreadable"),
    ],
)
def test_a_busy_server_holds_back_and_a_silent_one_too(told: dict[str, Any], cause: str | None) -> None:
    """Above its bound each signal holds back; at it, none does; one that is not told holds back."""
    brake = held(BUSY, **{**QUIET, **told})
    assert (brake and brake.cause) == cause


def test_only_signals_that_are_asked_for_count() -> None:
    """A server that tells nothing is no obstacle to who asks for nothing; without any answer, each one is."""
    assert held(Throttle(active_sessions=5), active_sessions=1) is None
    assert held(Throttle(autovacuum=True), vacuuming=()) is None
    brake = held(BUSY)
    assert brake is not None
    assert brake.cause == "unreadable"


@pytest.mark.parametrize(
    "wrong",
    [
        {"windows": ("22:00-22:00",)},
        {"windows": ("24:00-01:00",)},
        {"windows": ("22-05",)},
        {"zone": "Europe/Entenhausen"},
        {"rows_per_second": 0},
        {"replica_lag": 10},
        {"active_sessions": -1},
        {"flag_file": ""},
    ],
)
def test_what_would_hold_nothing_or_everything_back_is_refused(wrong: dict[str, Any]) -> None:
    """A window without length, a zone nobody knows, a rate of nothing."""
    with pytest.raises(ValidationError):
        Throttle.model_validate(wrong)


def test_a_pause_is_no_failure() -> None:
    """It has its own exit code and says that it goes on by itself."""
    paused = Paused("store main: it rests", guard="flag")
    assert (paused.exit_code, paused.guard, paused.until) == (3, "flag", None)
    assert "goes on by itself" in paused.advice()

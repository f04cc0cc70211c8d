"""Clocks: the only place that asks the machine for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Wall time in UTC and a monotonic reading in seconds. Both may be called from any thread."""

    def now(self) -> datetime:
        """Return the aware UTC time."""

    def monotonic(self) -> float:
        """Return seconds that never go back within the process."""


class SecondClock(Protocol):
    """A clock that does not follow this host's: of time servers, or of a database on another host (I12, I13)."""

    def read(self) -> datetime | None:
        """Return its aware UTC time now; None where there is none, or where it does not answer.

        Never raises, and waits two seconds for a network at most. May be called often and from any thread.
        """


class NoSecondClock:
    """There is no such clock: the host's own, and those of the stores, are all there is."""

    def read(self) -> None:
        """Return nothing."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since the machine started, those in which it slept included where the system counts them."""
        return time.clock_gettime(_ALSO_ASLEEP)


_ALSO_ASLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SimulatedClock:
    """A clock that stands until it is moved; for the demo and for tests."""

    def __init__(self, start: datetime) -> None:
        """Start at an aware time."""
        self._now = start.astimezone(UTC)
        self._seconds = 0.0

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that have passed in the simulation; none pass by themselves."""
        return self._seconds

    def advance(self, step: timedelta) -> None:
        """Let time pass."""
        if step < timedelta(0):
            msg = "simulated time does not run backwards; a clock that is set wrong is a jump"
            raise ValueError(msg)
        self._now += step
        self._seconds += step.total_seconds()

    def set(self, to: datetime) -> None:
        """Let time pass until then."""
        self.advance(to.astimezone(UTC) - self._now)

    def jump(self, step: timedelta) -> None:
        """Set the clock forward or back, as somebody does with a machine's: no time has passed."""
        self._now += step

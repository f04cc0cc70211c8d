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


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()


class SimulatedClock:
    """A clock that stands until it is moved; for the demo and for tests."""

    def __init__(self, start: datetime) -> None:
        """Start at an aware time."""
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the simulated time."""
        return self._now

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds: adaptive batch sizes measure real work."""
        return time.monotonic()

    def advance(self, step: timedelta) -> None:
        """Move forward."""
        if step < timedelta(0):
            msg = "a simulated clock does not go back"
            raise ValueError(msg)
        self._now += step

    def set(self, to: datetime) -> None:
        """Move to a later time."""
        self.advance(to.astimezone(UTC) - self._now)

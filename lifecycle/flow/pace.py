"""How large the next batch is: steered by time, halved on a lock or statement timeout, always within bounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lifecycle.flow.deployment import Limits

SMOOTHING = 0.4
GROWTH = 1.2
DOUBLING = 2.0
SHORT = 2
"""A batch of less than half the aimed duration is far too short: the next one may reach that half."""

TAIL = 1.25
"""What would leave less than a quarter of a batch behind takes it along: a batch has fixed costs."""

LEAP = 8.0
"""Growth from one batch to the next at most: what a far smaller batch measured says less and less."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The present batch size and the smoothed rate in items a second (0 = nothing measured yet)."""

    size: int
    limits: Limits
    rate: float = 0.0

    @classmethod
    def first(cls, limits: Limits) -> Pace:
        """Start small: the first batch measures."""
        return cls(limits.first_batch, limits)

    def after(self, items: int, seconds: float) -> Pace:
        """Steer towards the aimed duration; grow by a fifth at most, by more while a batch is far too short."""
        if items == 0 or seconds <= 0:
            return self
        measured = items / seconds
        rate = measured if self.rate == 0 else SMOOTHING * measured + (1 - SMOOTHING) * self.rate
        missing = self.limits.aim_seconds / (seconds * SHORT)
        growth = GROWTH if missing <= 1 else min(LEAP, max(DOUBLING, missing))
        wished = min(rate * self.limits.aim_seconds, self.size * growth)
        return replace(self, rate=rate, size=self._clamp(int(wished)))

    def piece(self, left: int) -> int:
        """Return the size of the next batch when this many items may still go."""
        return left if left <= min(self.size * TAIL, self.limits.most_batch) else self.size

    def slower(self) -> Pace:
        """Halve the size after a timeout."""
        return replace(self, size=self._clamp(self.size // 2))

    def _clamp(self, size: int) -> int:
        return max(self.limits.least_batch, min(self.limits.most_batch, size))

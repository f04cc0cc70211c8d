"""The story's days: counted so that its last day is the day on which the demo is watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = "Europe/Berlin"
NIGHT = time(3, 15)
"""When the nightly run starts; no clock change of this zone skips or repeats it."""

HOLD = 7
NOTICE = 8
CONTRACT_ENDS = 11
EXPORT = 12
DELETION = 42
LAST = 47
"""Days since the first one. A window of 30 days lies between the contract's end and the deletion, a backup cycle of
three days between the deletion and the last day."""


@dataclass(frozen=True, slots=True)
class Days:
    """The story's days. `end` is the instant at which it is told; every other moment lies before it."""

    end: datetime

    @property
    def today(self) -> date:
        """Return the last day of the story: the real one."""
        return self.end.astimezone(ZoneInfo(ZONE)).date()

    def day(self, number: int) -> date:
        """Return the story's day of that number; day 0 is the first."""
        return self.today - timedelta(days=LAST - number)

    def moment(self, number: int) -> datetime:
        """Return the instant of that day's nightly run; on the last day the present, if the night is still to come."""
        night = datetime.combine(self.day(number), NIGHT, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
        return min(night, self.end)

    def before(self, days: int) -> Iterator[date]:
        """Yield that many days before the first one, oldest first."""
        yield from (self.day(0) - timedelta(days=back) for back in range(days, 0, -1))

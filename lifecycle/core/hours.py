"""Hours (ISO 8601 `PT24H`): the unit of breach clocks. Never a calendar period, never added to a date.

Hours run through nights, weekends and holidays; `Period` counts local dates. Two types on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from lifecycle.core.span import IsoText

_SHAPE = re.compile(r"PT([1-9][0-9]{0,2})H", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Hours(IsoText):
    """A number of whole hours, 1 to 999."""

    hours: int

    PATTERN: ClassVar[str] = r"^PT[1-9][0-9]{0,2}H$"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("PT24H", "PT72H")

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read `PT72H`. Raises ValueError with what to write instead."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            msg = f"{text!r} is not a number of hours; write PT24H or PT72H"
            raise ValueError(msg)
        return cls(int(match[1]))

    def __str__(self) -> str:
        """Return the ISO 8601 text."""
        return f"PT{self.hours}H"

    def length(self) -> timedelta:
        """Return the exact length, to be added to an instant in UTC."""
        return timedelta(hours=self.hours)

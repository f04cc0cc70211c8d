"""Calendar periods (ISO 8601) on local dates; never a duration in seconds.

Floors run to 24:00 of their last day (§§ 187(1), 188 BGB). Ceilings count from the start's own date and must be met
before the day they name begins: they never round up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from dateutil.relativedelta import relativedelta

from lifecycle.core.span import IsoText

_SHAPE = re.compile(r"P(?=[0-9])(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?", re.ASCII)
_MOST_DAYS = 366 * 200
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period(IsoText):
    """Years, months, weeks and days kept apart, as the agreement names them. At least one day in all."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0

    PATTERN: ClassVar[str] = r"^P(?=[0-9])([0-9]{1,4}Y)?([0-9]{1,4}M)?([0-9]{1,4}W)?([0-9]{1,5}D)?$"
    EXAMPLES: ClassVar[tuple[str, ...]] = ("P90D", "P3M", "P8Y")

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read `P90D`, `P1Y6M`, `P2W`. Raises ValueError with what to write instead."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            hint = " hours belong to breach clocks, not to periods" if "T" in text else " write P90D, P3M, P1Y or P2W"
            msg = f"{text!r} is not a calendar period;{hint}"
            raise ValueError(msg)
        period = cls(*(int(part or 0) for part in match.groups()))
        if not period.least_days():
            msg = f"{text!r} is an empty period; a promise needs at least one day"
            raise ValueError(msg)
        if period.most_days() > _MOST_DAYS:
            msg = f"{text!r} is longer than 200 years; write the period the clause names"
            raise ValueError(msg)
        return period

    def __str__(self) -> str:
        """Return the ISO 8601 text."""
        parts = ((self.years, "Y"), (self.months, "M"), (self.weeks, "W"), (self.days, "D"))
        return "P" + "".join(f"{number}{unit}" for number, unit in parts if number)

    def after(self, day: date) -> date:
        """Return the day this period later; months and years are clipped to the month's end (§ 188(3) BGB)."""
        months = self.years * 12 + self.months
        return day + relativedelta(months=months) + timedelta(weeks=self.weeks, days=self.days)

    def least_days(self) -> int:
        """Return the fewest days this period can span."""
        return self.years * 365 + self.months * 28 + self.weeks * 7 + self.days

    def most_days(self) -> int:
        """Return the most days this period can span."""
        return self.years * 366 + self.months * 31 + self.weeks * 7 + self.days


def floor_ends(start: date, period: Period) -> date:
    """Return the first day on which a floor no longer binds: the day after its last day."""
    return period.after(start) + ONE_DAY


def ceiling_day(start: date, period: Period) -> date:
    """Return the day before whose beginning the datum must be gone."""
    return period.after(start)


def year_end(day: date) -> date:
    """Return 31 December of the day's year: the start of statutory periods (§ 147(4) AO, § 257(5) HGB)."""
    return date(day.year, 12, 31)

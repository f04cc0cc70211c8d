"""The story's frame: the folder, the clock, the application beside it, and the nights that pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from lifecycle.cli.demo import names
from lifecycle.cli.demo.application import Application
from lifecycle.cli.demo.calendar import CONTRACT_ENDS, LAST, Days
from lifecycle.cli.demo.facts import Facts
from lifecycle.cli.demo.stage import Stage
from lifecycle.cli.page import Page
from lifecycle.flow import cycle
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring.deployment import open_deployment

HERE = Path()
"""The demo works in its own folder: every command line is shown as it can be typed there."""

CEILING_DAYS = 90
WEEK = 7
TRUST = "handed-over/trust.yaml"


@dataclass(slots=True)
class Story:
    """Everything the scenes share. `night` is the last one that has passed; ages are in days, one for each night.

    `first_day`: digests of what the leaver's neighbours wrote before the story begins.
    """

    days: Days
    stage: Stage
    clock: SimulatedClock
    application: Application
    facts: Facts
    night: int = 0
    oldest: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    certificates: list[str] = field(default_factory=list)
    plan: str = ""
    first_day: dict[str, str] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """Return the story's present day."""
        return self.days.day(self.night)

    def nights(self, to: int) -> None:
        """Let time pass: the application writes its logs by day, `lifecycle run` has its turn each night."""
        self.stage.show(Page().line())
        with open_deployment(HERE, self.stage.options) as deployment:
            for number in range(self.night + 1, to + 1):
                self.application.work(self.today, without=names.LEAVER if self.night > CONTRACT_ENDS else None)
                self.clock.set(self.days.moment(number))
                turns = cycle.tick(deployment)
                self.night = number
                self.deleted.append(sum(turn.ran.deleted for turn in turns if turn.ran is not None))
                oldest = self.facts.oldest_log(names.HELD)
                self.oldest.append((self.today - oldest).days if oldest else 0)
                if number % WEEK == 0 or number == LAST:
                    self._week()

    def _week(self) -> None:
        start = (self.night - 1) // WEEK * WEEK
        deleted, oldest = self.deleted[start:], self.oldest[start:]
        held = self.facts.oldest_log(names.HELD, of_held=True)
        age = 0 if held is None else (self.today - held).days
        line = (
            f"{self.days.day(start + 1)} … {self.today}   {len(deleted)} nights   {sum(deleted):4} log records deleted"
            f"   the oldest left: {max(oldest)} days"
        )
        line += f"; held: {age} days" if age > max(oldest) else ""
        self.stage.show(Page().line(line, indent=2))

"""The story's frame: the folder, the clock, the application beside it, and the nights that pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from lifecycle.cli.demo import names
from lifecycle.cli.demo.application import Application
from lifecycle.cli.demo.calendar import CONTRACT_ENDS, LAST, Days
from lifecycle.cli.demo.facts import Facts
from lifecycle.cli.demo.stage import Stage
from lifecycle.cli.page import Page
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import cycle
from lifecycle.flow.certify import Certificate
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring import keys
from lifecycle.wiring.deployment import Options, open_deployment

CEILING_DAYS = 90
WEEK = 7
OPERATOR_KEYS = "operator-keys"
HANDED_OVER = "handed-over"
EXPORTS = "exports"


@dataclass(slots=True)
class Story:
    """Everything the scenes share. `night` is the last one that has passed."""

    folder: Path
    days: Days
    stage: Stage
    clock: SimulatedClock
    application: Application
    facts: Facts
    night: int = 0
    oldest: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[Deployment]:
        """Open the deployment as every verb does, but for the clock."""
        with open_deployment(self.folder, Options(clock=self.clock)) as deployment:
            yield deployment

    @property
    def today(self) -> date:
        """Return the story's present day."""
        return self.days.day(self.night)

    def key_of(self, operator: str) -> SigningKey:
        """Read an operator's private key, as `--key FILE` does."""
        return keys.signing_key(self.folder / OPERATOR_KEYS / f"{operator}.pem")

    def nights(self, to: int) -> None:
        """Let the nights pass: each has one tick of the product, each day new log records of the application."""
        with self.open() as deployment:
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
            f"   oldest {max(oldest)} days"
        )
        line += f"   under the hold {age} days" if age > max(oldest) else ""
        self.stage.page(Page().line(line, indent=2))



"""A budget per night: how much of a large backlog one night takes, and when it will be gone. Pure.

A night is a slot of the rule's daily class; rules that run more often, and offboardings, count by the default's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from lifecycle.core.schedule import slot_at, slot_start
from lifecycle.core.settings import DAILY, RuleClass


@dataclass(frozen=True, slots=True)
class Night:
    """One night's part of a job: the night's number, and how many items were done before it began."""

    number: int
    before: int

    def left(self, per_night: int, done: int) -> int:
        """Return how many more items this night may take."""
        return max(0, per_night - (done - self.before))


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far a job has come: items planned and done, and the most that a night takes (None: no budget)."""

    expected: int
    done: int
    per_night: int | None

    @property
    def nights(self) -> int | None:
        """Return how many nights what is left takes, this one's rest not counted in; None without a budget."""
        if self.per_night is None:
            return None
        return -(-max(0, self.expected - self.done) // self.per_night)

    def gone_on(self, today: date) -> date | None:
        """Return the day on which the last item goes if every night takes its budget; None without a budget."""
        return None if self.nights is None else today + timedelta(days=self.nights)


def night_of(rule_class: RuleClass, now: datetime) -> int:
    """Return the number of the night that holds the moment."""
    return slot_at(_daily(rule_class), now)


def next_night(rule_class: RuleClass, now: datetime) -> datetime:
    """Return when the next night begins."""
    return slot_start(_daily(rule_class), night_of(rule_class, now) + 1)


def _daily(rule_class: RuleClass) -> RuleClass:
    return rule_class if rule_class.at is not None else DAILY

"""When rules run: time cut into slots, one run in each. Pure; `moment` is an effective now (I12), in UTC or any offset.

A slot's number counts within its class alone: after a rule moved to another class, compare the starts of slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument
from lifecycle.core.settings import RuleClass, ScheduleSettings

ANCHOR = datetime(1970, 1, 1, tzinfo=UTC)
"""Where slots of classes without a time of day begin to count."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which class each rule belongs to."""

    settings: ScheduleSettings
    classes: Mapping[str, RuleClass]

    @classmethod
    def of(cls, settings: ScheduleSettings) -> Schedule:
        """Return the schedule that the settings describe."""
        return cls(settings, settings.by_name())

    def class_of(self, rule: str) -> RuleClass:
        """Return the class of a rule, by the rule's id; the default class where the settings do not name it."""
        return self.classes[self.settings.rules.get(rule, self.settings.default)]


def slot_at(rule_class: RuleClass, moment: datetime) -> int:
    """Return the number of the slot that holds the moment. Raises InvalidDocument for a naive time."""
    if rule_class.at is None:
        if moment.tzinfo is None:
            raise InvalidDocument("a time without its offset names no instant", advice="Pass an aware time (UTC).")
        return (moment - ANCHOR) // rule_class.every.length()
    day = local_date(moment, rule_class.zone)
    # Where the zone skipped or repeated time the day's slot may begin on what reads as the day before or after.
    number = day.toordinal() + 1
    while slot_start(rule_class, number) > moment:
        number -= 1
    return number


def slot_start(rule_class: RuleClass, slot: int) -> datetime:
    """Return the UTC instant at which the slot begins: of a daily class, the local day's `at`.

    An `at` that the clock skips begins by the offset from before the change (02:30 is 03:30 on that day); one that
    comes twice begins the first time. A day that the zone skipped whole begins when the next one does.
    """
    if rule_class.at is None:
        return ANCHOR + slot * rule_class.every.length()
    return _daily(rule_class.at, rule_class.zone, slot)


@lru_cache(maxsize=4096)
def _daily(at: str, zone: str, ordinal: int) -> datetime:
    return datetime.combine(date.fromordinal(ordinal), time.fromisoformat(at), ZoneInfo(zone)).astimezone(UTC)


def next_start(rule_class: RuleClass, moment: datetime) -> datetime:
    """Return the UTC instant at which the slot after the present one begins."""
    return slot_start(rule_class, slot_at(rule_class, moment) + 1)


def missed(last: int | None, present: int) -> int:
    """Return how many slots passed between the last finished one and the present one, neither counted.

    A rule that never ran has missed none; neither has one whose last slot is the present or a later one.
    """
    return 0 if last is None else max(0, present - last - 1)

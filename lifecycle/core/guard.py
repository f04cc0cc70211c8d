"""Limits and clocks: pure decisions with their reason and the next step (I4, I12, I13).

A decision is a value; `require` turns a refusal into the error. A limit of 0 deletes 0; there is no "no limit".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import median

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.selection import GroupScope, Selection, WholeScope

HARD_CAP = 10_000_000
"""Items that one job may change unless the operator raises it."""
LATE_PASSES = 2
"""Further passes over rows that were inserted behind the cursor; what is left then is residue."""
CLOCK_SPREAD = timedelta(seconds=60)
FALL_BACK = timedelta(seconds=5)
JUMP_AHEAD = timedelta(hours=50)
"""Two daily runs apart, one of them missed, with the hour of a clock change and an hour of jitter (ADR 8)."""
DRIFT_SECONDS = 5.0
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No entry of the log can be dated before; a host that lost its clock shows 1970."""
LEAST_HISTORY = 7
"""Past runs below which a rule has no history to be held against."""
HISTORY_FACTOR, HISTORY_FLOOR = 3, 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a guard lets the step pass, why, and what to do if not."""

    guard: str
    allowed: bool
    reason: str
    advice: str = ""

    def require(self) -> None:
        """Raise Refused with guard, reason and advice unless the step is allowed."""
        if not self.allowed:
            raise Refused(self.reason, guard=self.guard, advice=self.advice or None)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `absolute` items, and at most `percent` of what the dataset holds in scope, rounded down.

    Raises InvalidDocument outside 0 … and 0 … 100.
    """

    absolute: int
    percent: int = 100

    def __post_init__(self) -> None:
        """Refuse what is no limit."""
        if self.absolute < 0 or not 0 <= self.percent <= 100:
            raise InvalidDocument("a limit is a count from 0 and a percentage from 0 to 100")

    def items(self, population: int) -> int:
        """Return how many items of the population may be changed."""
        return min(self.absolute, population * self.percent // 100)


def check_limit(expected: int, limit: int, cap: int = HARD_CAP) -> Decision:
    """Decide whether the expected number of items is within the step's limit and the job's cap."""
    if min(expected, limit, cap) < 0:
        raise InvalidDocument("counts and limits are never negative")
    if expected > cap:
        return Decision(
            "cap",
            allowed=False,
            reason=f"{expected} items are more than one job may change ({cap})",
            advice="Split the work by a nightly budget, or let the operator raise the cap in the settings.",
        )
    if expected > limit:
        return Decision(
            "limit",
            allowed=False,
            reason=f"{expected} items are more than the limit of {limit}",
            advice="Look at the plan; if the number is right, make a plan with a higher limit and have it approved.",
        )
    return Decision("limit", allowed=True, reason=f"{expected} of at most {limit} items")


def within_mandate(expected: int, most_items: int, cap: int = HARD_CAP) -> Decision:
    """Decide whether a plan's count is within what the mandate lets one run change."""
    counted = check_limit(expected, most_items, cap)
    if counted.allowed:
        return counted
    return replace(counted, guard="mandate-limit", advice="Look at the plan and approve it by hand, if it is right.")


def batch_allowance(planned: int, done: int) -> int:
    """Return how many items the next batch may change: planned minus done.

    Raises Refused (guard `batch-allowance`) when more than planned is done.
    """
    if planned < 0 or done < 0:
        raise InvalidDocument("counts are never negative")
    if done > planned:
        raise Refused(
            f"{done} items are done and {planned} were planned",
            guard="batch-allowance",
            advice="Stop the job and compare receipts with the plan: more was changed than was approved.",
        )
    return planned - done


def late_allowance(planned: int) -> int:
    """Return how many late rows a step may change beyond its count: 1 %, at least 100, never more than was planned."""
    if planned < 0:
        raise InvalidDocument("counts are never negative")
    return min(planned, max(100, planned // 100))


@dataclass(frozen=True, slots=True)
class PastRun:
    """A rule's run that ended well: how many items it changed, over how many due days.

    Raises InvalidDocument for a negative count, or for no due day.
    """

    items: int
    due_days: int = 1

    def __post_init__(self) -> None:
        """Refuse what no run can have done."""
        if self.items < 0 or self.due_days < 1:
            raise InvalidDocument("a past run changed 0 items or more, over one due day at least")


def within_history(
    expected: int,
    runs: Sequence[PastRun],
    due_days: int,
    factor: int = HISTORY_FACTOR,
    floor: int = HISTORY_FLOOR,
) -> Decision:
    """Decide whether a run is like the rule's last ones (the settings say how many): I4's limit from history.

    It stops above `factor` × the median of items per due day × the due days since the last success, never at or below
    `floor`. With fewer than seven past runs the mandate's own limit rules alone.

    Raises InvalidDocument for negative counts, or for no due day.
    """
    if min(expected, factor, floor) < 0 or due_days < 1:
        raise InvalidDocument("counts are never negative, and a run has one due day at least")
    if len(runs) < LEAST_HISTORY:
        reason = f"{len(runs)} past runs are no history yet; the mandate's own limit rules"
        return Decision("history", allowed=True, reason=reason)
    usual = median(Fraction(run.items, run.due_days) for run in runs)
    most = max(floor, int(factor * usual * due_days))
    if expected > most:
        return Decision(
            "history",
            allowed=False,
            reason=f"{expected} items are more than {most}: {factor} times what the last {len(runs)} runs changed "
            f"on {due_days} day(s)",
            advice="Look at the plan; if the number is right, approve this plan by hand: the next runs learn from it.",
        )
    return Decision("history", allowed=True, reason=f"{expected} of at most {most} items, by the last {len(runs)} runs")


def check_change(selection: Selection) -> Decision:
    """Decide whether a selection may carry a change: never all rows of many tenants, never over a hold (I5, I7)."""
    if not selection.respect_holds:
        return Decision(
            "holds", allowed=False, reason="the selection passes over holds", advice="Such ones only count."
        )
    if isinstance(selection.scope, GroupScope | WholeScope) and not selection.due:
        return Decision(
            "no-cutoff",
            allowed=False,
            reason="a selection over many tenants has no cutoff",
            advice="Give the rule a period; only a tenant's own offboarding selects without one.",
        )
    return Decision("no-cutoff", allowed=True, reason="bounded by a cutoff or by one tenant")


@dataclass(frozen=True, slots=True)
class EffectiveNow:
    """The least of the clocks that were asked, and whether they agree."""

    now: datetime
    spread: timedelta
    decision: Decision

    def require(self) -> datetime:
        """Return the effective now, or raise Refused (guard `clock-spread`)."""
        self.decision.require()
        return self.now


def effective_now(local: datetime, store: datetime | Sequence[datetime], ntp: datetime | None = None) -> EffectiveNow:
    """Return the least of local, store and NTP clocks in UTC; a spread over 60 s is a refusal (I12).

    Raises InvalidDocument for a naive time.
    """
    stores = (store,) if isinstance(store, datetime) else tuple(store)
    clocks = [_utc(clock) for clock in (local, *stores, *(() if ntp is None else (ntp,)))]
    spread = max(clocks) - min(clocks)
    if spread > CLOCK_SPREAD:
        decision = Decision(
            "clock-spread",
            allowed=False,
            reason=f"the clocks are {spread.total_seconds():.0f} s apart, more than {CLOCK_SPREAD.total_seconds():.0f}",
            advice="Find out which clock is wrong: this host's, a store's server's or a time server's, and set it; "
            "nothing runs until they agree.",
        )
    else:
        decision = Decision("clock-spread", allowed=True, reason=f"{len(clocks)} clocks agree")
    return EffectiveNow(min(clocks), spread, decision)


def against_high_water(
    now: datetime, high_water: datetime | None, *, second: datetime | None = None, signed: bool = False
) -> Decision:
    """Decide whether now may follow the latest time on record (I13).

    It may not fall behind by more than 5 s, nor jump ahead by more than 50 h unless a second, independent clock agrees
    within 60 s or an operator has signed for it.
    """
    if _utc(now) < EARLIEST:
        return Decision(
            "clock-behind",
            allowed=False,
            reason=f"the clock shows a time before {EARLIEST.year}: the host has lost it",
            advice="Set the clock; the host's battery or its time service has failed.",
        )
    if high_water is None:
        return Decision("clock-high-water", allowed=True, reason="no earlier time is on record")
    ahead = _utc(now) - _utc(high_water)
    if ahead < -FALL_BACK:
        return Decision(
            "clock-behind",
            allowed=False,
            reason=f"the clock is {-ahead.total_seconds():.0f} s behind the latest time on record",
            advice="Correct the clock; if the recorded time is the wrong one, an operator must restore the state.",
        )
    if ahead <= JUMP_AHEAD:
        return Decision("clock-high-water", allowed=True, reason="the clock follows the latest time on record")
    if second is not None and abs(_utc(second) - _utc(now)) <= CLOCK_SPREAD:
        return Decision("clock-high-water", allowed=True, reason="a second clock confirms the jump")
    if signed:
        return Decision("clock-high-water", allowed=True, reason="an operator signed for the jump")
    return Decision(
        "clock-ahead",
        allowed=False,
        reason=f"the clock is {ahead.total_seconds() / 3600:.0f} h ahead of the latest time on record",
        advice="After a long outage: configure a second clock, or let an operator sign for the present time: "
        "`lifecycle resume --accept-clock --by OPERATOR --key FILE`.",
    )


@dataclass(frozen=True, slots=True)
class Anchor:
    """One moment by both clocks of a host: the wall clock, which can be set, and the monotonic one, which cannot."""

    wall: datetime
    monotonic: float

    def drift(self, later: Anchor) -> float:
        """Return by how many seconds the wall clock was moved against the time that has passed until then."""
        return abs((_utc(later.wall) - _utc(self.wall)).total_seconds() - (later.monotonic - self.monotonic))

    def held(self, wall: datetime, monotonic: float) -> Decision:
        """Decide whether both have passed alike since (I13)."""
        return wall_against_monotonic((_utc(wall) - _utc(self.wall)).total_seconds(), monotonic - self.monotonic)


def wall_against_monotonic(wall_seconds: float, monotonic_seconds: float) -> Decision:
    """Decide whether wall time and monotonic time have passed alike since a common moment: within 5 s (I13)."""
    drift = abs(wall_seconds - monotonic_seconds)
    if not drift <= DRIFT_SECONDS:
        return Decision(
            "clock-drift",
            allowed=False,
            reason=f"the clock moved by {drift:.0f} s against the time that has passed",
            advice="Someone set the clock. Correct it; if it is right now, let an operator sign: "
            "`lifecycle resume --accept-clock --by OPERATOR --key FILE`.",
        )
    return Decision("clock-drift", allowed=True, reason="wall and monotonic time agree")


def _utc(clock: datetime) -> datetime:
    if clock.tzinfo is None:
        raise InvalidDocument("a clock without an offset names no instant", advice="Pass an aware time (UTC).")
    return clock.astimezone(UTC)

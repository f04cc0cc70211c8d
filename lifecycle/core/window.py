"""The window (Löschfenster) of one datum: from when it may go, by when it must, with every reason, binding or not.

Rank: hold and statutory floor > ceiling > contractual (or Data Act) floor; what rank decides is reported. A record's
own period runs on inside an open export window; the contract's end cuts a longer contractual floor short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from lifecycle.core.calendar import add
from lifecycle.core.duty import duties
from lifecycle.core.effective import Effective, EffectiveRule, Figure, Lost
from lifecycle.core.hold import Hold
from lifecycle.core.inventory import Dataset
from lifecycle.core.obligation import DEFAULT_MARGIN_DAYS
from lifecycle.core.offboarding import Timeline, due_from, timeline
from lifecycle.core.period import ONE_DAY, Period
from lifecycle.core.policy import Policy
from lifecycle.core.reason import Label, Reason
from lifecycle.core.tenant import Tenant

__all__ = ["Label", "Reason", "Window", "deletable", "window_of"]


@dataclass(frozen=True, slots=True)
class Window:
    """`earliest`: the first day on which no floor keeps the datum; None while nobody can say.

    `latest`: the day before whose beginning it must be gone; None without a ceiling or while a hold suspends it.
    `due`: the first day on which a run deletes it, the margin counted in; None while nothing does. `conflict`: what
    rank had to decide.
    """

    earliest: date | None
    latest: date | None
    due: date | None
    reasons: tuple[Reason, ...]
    conflict: tuple[str, ...] = ()


def deletable(window: Window, day: date) -> bool:
    """Tell whether some rule deletes the datum and no floor forbids it on that day. Unknown means no."""
    return window.due is not None and window.earliest is not None and window.earliest <= day


def window_of(
    effective: Effective,
    policy: Policy,
    dataset: Dataset,
    tenant: Tenant,
    starts: Mapping[str, date],
    today: date,
    holds: Iterable[Hold] = (),
    *,
    margin_days: int = DEFAULT_MARGIN_DAYS,
    returned_on: date | None = None,
) -> Window:
    """Return the window of one datum of the dataset as it stands today.

    `starts`: the local dates of the datum's start times; one that is missing is undatable, and what counts from it
    never comes due (I9). Raises Refused as `duty.duties` does.
    """
    line = timeline(policy, effective, tenant, today, returned_on=returned_on)
    rules = effective.offboarding_rules(dataset.category)
    leaving = dataset.tenant.by != "none" and bool(rules)
    facts = _Facts(
        own=_own(effective.record_rules(dataset.category), starts),
        end=_of_end(effective, dataset, line) if leaving else (),
        statutory=tuple(_of_statutes(policy, dataset, starts, today, ended=_ended(tenant, today))),
        held=tuple(_of_holds(dataset, tenant, holds, today)),
        lost=tuple(r for lost in effective.overridden for r in _of_lost(lost, dataset.category)),
        start=min(starts.values(), default=None),
        leaves_on=due_from(line, rules) if leaving else None,
        gone_by=line.delete_by if leaving else None,
        ends=leaving and line.contract_end is not None,
        margin=timedelta(days=margin_days),
    )
    return _held(_kept(_contractual(facts), facts, policy.operator.readings.without_delay), facts)


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything that speaks of one datum, before rank decides. `own`: the reasons of each record rule."""

    own: tuple[tuple[Reason, ...], ...]
    end: tuple[Reason, ...]
    statutory: tuple[Reason, ...]
    held: tuple[Reason, ...]
    lost: tuple[Reason, ...]
    start: date | None
    leaves_on: date | None
    gone_by: date | None
    ends: bool
    margin: timedelta

    def own_of(self, kind: str) -> tuple[Reason, ...]:
        """Return the record rules' floors or ceilings."""
        return tuple(reason for rule in self.own for reason in rule if reason.kind == kind)

    def own_ceiling(self) -> date | None:
        """Return the least ceiling of the record rules."""
        return min((r.day for r in self.own_of("ceiling") if r.day is not None), default=None)

    def own_due(self) -> date | None:
        """Return the first day on which a record rule deletes: all floors over, or a ceiling a margin away."""
        floors = [reason.day for reason in self.own_of("floor")]
        free = None if None in floors else max((day for day in floors if day is not None), default=None)
        ceilings = [r.day - self.margin for r in self.own_of("ceiling") if r.day is not None]
        return min((*ceilings, *(() if free is None else (free,))), default=None)


def _contractual(facts: _Facts) -> Window:
    """Rank ceilings over contractual and retrieval floors; statutes and holds come after."""
    own_due, ceiling = facts.own_due(), facts.own_ceiling()
    latest = min((day for day in (ceiling, facts.gone_by) if day is not None), default=None)
    first = own_due is not None and (facts.leaves_on is None or own_due < facts.leaves_on)
    due = own_due if first else facts.leaves_on
    conflict: list[str] = []
    reasons: list[Reason] = []
    for reason in (*(r for rule in facts.own for r in rule), *facts.end):
        note, told = _loses(reason, due, first=first, ends=facts.ends)
        reasons.append(reason if note is None else replace(reason, binds=False, note=note))
        conflict.extend(told)
    floors = [r.day for r in reasons if r.kind == "floor" and r.binds and r.day is not None]
    # While a retrieval window is open nothing goes before its own period says so.
    earliest = due if due is None or facts.ends else max(floors, default=facts.start)
    return Window(earliest, latest, due, tuple(reasons), tuple(dict.fromkeys(conflict)))


def _loses(reason: Reason, due: date | None, *, first: bool, ends: bool) -> tuple[str | None, tuple[str, ...]]:
    """Return the note of a floor that gives way and what to report; (None, ()) for everything else."""
    if reason.kind != "floor" or not reason.binds or due is None or (reason.day is not None and reason.day <= due):
        return None, ()
    if reason.rule is None:
        return "the record's own period ends first", (
            f"the record expires before the window of {reason.source} closes",
        )
    if not first and ends:
        return "ends with the contract", ()
    return "the ceiling prevails", (f"a ceiling prevails over the longer floor of rule {reason.rule}",)


def _kept(window: Window, facts: _Facts, without_delay: Period) -> Window:
    """Let the statutory floors of the processor prevail; deletion follows by itself once they end (I8)."""
    reasons = (*window.reasons, *facts.statutory, *facts.lost)
    binding = [reason.day for reason in facts.statutory if reason.binds]
    if None in binding:
        told = "a statutory floor whose end is not known prevails"
        return replace(window, earliest=None, latest=None, due=None, reasons=reasons, conflict=(*window.conflict, told))
    free = max((day for day in binding if day is not None), default=None)
    if free is None:
        return replace(window, reasons=reasons)
    if window.due is None:
        return replace(window, earliest=free, reasons=reasons)
    later = replace(window, earliest=max(window.earliest or free, free), due=max(window.due, free), reasons=reasons)
    if window.latest is None or free < window.latest:
        return later
    told = "a statutory floor prevails over the ceiling; deletion follows once it ends"
    return replace(
        later,
        latest=without_delay.after(free),
        reasons=tuple(_deferred(reason, free) for reason in reasons),
        conflict=(*window.conflict, told),
    )


def _deferred(reason: Reason, free: date) -> Reason:
    if reason.kind == "ceiling" and reason.binds and reason.day is not None and reason.day <= free:
        return replace(reason, binds=False, note="the statutory floor prevails")
    return reason


def _held(window: Window, facts: _Facts) -> Window:
    """Let every hold suspend deletion: a floor without an end."""
    if not facts.held:
        return window
    told = () if window.latest is None else (f"a hold ({facts.held[0].source}) suspends the ceiling",)
    reasons = (*window.reasons, *facts.held)
    return Window(None, None, None, reasons, (*window.conflict, *told))


def _own(rules: Iterable[EffectiveRule], starts: Mapping[str, date]) -> tuple[tuple[Reason, ...], ...]:
    return tuple(tuple(_of_rule(rule, starts.get(rule.start))) for rule in rules)


def _of_rule(rule: EffectiveRule, start: date | None) -> Iterator[Reason]:
    note = "the start time is not known: undatable, never due" if start is None else rule.note
    if rule.keep is not None:
        day = None if start is None else add(start, rule.keep.periods) + ONE_DAY
        yield _reason("floor", day, rule, rule.keep, note)
    if rule.gone_by is not None:
        day = None if start is None else add(start, rule.gone_by.periods)
        yield replace(_reason("ceiling", day, rule, rule.gone_by, note), binds=start is not None)


def _reason(
    kind: Literal["floor", "ceiling"], day: date | None, rule: EffectiveRule, figure: Figure, note: str | None
) -> Reason:
    source = figure.source if figure.label == "clause" else f"{rule.source}: {figure.source}"
    return Reason(kind, day, str(figure), rule.start, figure.label, source, None, rule.id, rule.layer, note)


def _of_end(effective: Effective, dataset: Dataset, line: Timeline) -> tuple[Reason, ...]:
    """Return what the contract's end says; before an end is known, what it will say, without a day."""
    names = {rule.id for rule in effective.offboarding_rules(dataset.category)}
    if line.contract_end is not None:
        return tuple(reason for reason in line.reasons if reason.rule is None or reason.rule in names)
    note = "counts from the contract's end, which is not known"
    waiting = [
        Reason("floor", None, str(w.keep), "contract-end", "clause", w.clause, None, None, w.layer, note, binds=False)
        for w in effective.windows
    ]
    for rule in effective.offboarding_rules(dataset.category):
        waiting.extend(replace(reason, note=note, binds=False) for reason in _of_rule(rule, None))
    return tuple(waiting)


def _of_statutes(
    policy: Policy, dataset: Dataset, starts: Mapping[str, date], today: date, *, ended: bool
) -> Iterator[Reason]:
    for duty in duties(policy, dataset, today):
        start = starts.get(duty.record.start)
        day = None if start is None else duty.first_free_day(start)
        note = None
        if start is None:
            note = "the start time is not known: kept"
        elif duty.runs_on(start):
            note = f"runs on while the tax year {start.year} is open (final through {duty.open_after})"
            day = day if day is not None and day > today else None
        if duty.holder == "controller":
            note = (
                "the controller's duty ends here with the contract: the data is returned"
                if ended
                else "the controller's duty binds through its parameter or instruction only"
            )
        if not duty.in_force:
            note = "not in force on this day"
        yield Reason(
            "floor",
            day,
            str(duty.floor.period),
            f"{duty.record.start}, {duty.floor.starts}",
            "statute",
            duty.floor.citation,
            duty.holder,
            note=note,
            binds=duty.in_force and duty.holder == "processor",
        )


def _of_holds(dataset: Dataset, tenant: Tenant, holds: Iterable[Hold], today: date) -> Iterator[Reason]:
    for hold in holds:
        concerns = hold.tenant == tenant.id and (not hold.datasets or dataset.id in hold.datasets)
        if concerns and (hold.released_on is None or hold.released_on > today):
            yield Reason("hold", None, None, None, "hold", f"hold {hold.id} ({hold.basis})", note=hold.reason)


def _of_lost(lost: Lost, category: str) -> Iterator[Reason]:
    if lost.what == "rule" and category not in lost.category:
        return
    note = f"the layer {lost.to_layer} prevails"
    figures: tuple[tuple[Literal["floor", "ceiling"], str | None], ...] = (
        ("floor", lost.keep),
        ("ceiling", lost.gone_by),
    )
    for kind, period in figures:
        if period is not None:
            rule = lost.id if lost.what == "rule" else None
            yield Reason(
                kind, None, period, lost.start, "clause", lost.source, None, rule, lost.layer, note, binds=False
            )


def _ended(tenant: Tenant, today: date) -> bool:
    return tenant.contract_end is not None and tenant.contract_end < today

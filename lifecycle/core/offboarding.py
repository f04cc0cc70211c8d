"""The contract's end: until when the tenant may fetch its data, from when it is deleted, what remains and why.

A window runs through its last day; deletion is due from the day after the longest one (OBLIGATIONS rules 2 to 5).
A processor's statutory floor survives the end; a controller's does not: the data is returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from lifecycle.core.calendar import add
from lifecycle.core.duty import Duty, duties, processor_cutoffs
from lifecycle.core.effective import Effective, EffectiveRule
from lifecycle.core.inventory import Dataset
from lifecycle.core.obligation import DEFAULT_MARGIN_DAYS, before
from lifecycle.core.period import ONE_DAY
from lifecycle.core.policy import Policy
from lifecycle.core.reason import DutyHolder, Label, Reason
from lifecycle.core.selection import Before
from lifecycle.core.tenant import Tenant, TenantState


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """One pick-up period. `last_day`: the day through which it runs; None while a promised return is not delivered.

    `waived`: the tenant's instruction ended it earlier.
    """

    id: str
    label: Label
    source: str
    last_day: date | None
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The dates of one tenant's contract end. All are None before an end is known.

    `window_end`: the last day of the longest window, or the contract's last day. `counts_from`: the same, or the day of
    a later choice where one is awaited. `due_from`: the first day of deletion; None while a choice is awaited or a
    promised return is undelivered. `delete_by`: the day before whose beginning everything must be gone; while a choice
    is awaited, the ceiling of the wait.
    """

    contract_end: date | None
    windows: tuple[OpenWindow, ...]
    window_end: date | None
    counts_from: date | None
    due_from: date | None
    delete_by: date | None
    state: TenantState
    awaiting_choice: bool
    licence_note: str | None
    reasons: tuple[Reason, ...]
    conflicts: tuple[str, ...] = ()

    def is_due(self, today: date) -> bool:
        """Tell whether deletion may begin on that day."""
        return self.due_from is not None and self.due_from <= today

    def is_late(self, today: date) -> bool:
        """Tell whether the ceiling was reached by the beginning of that day."""
        return self.delete_by is not None and self.delete_by <= today


@dataclass(frozen=True, slots=True)
class KeptGround:
    """Why rows of a dataset remain: those whose `time` lies after `cutoff`.

    `ends_on`: the first day on which a row dated the contract's last day is free; None while it cannot be told.
    """

    ground: str
    label: Literal["statute"]
    duty_holder: DutyHolder
    ends_on: date | None
    time: str
    cutoff: date


@dataclass(frozen=True, slots=True)
class OffboardingStep:
    """All rows of the tenant in one dataset, but for those that `kept` explains; `due` holds one cutoff per floor."""

    dataset: str
    store: str
    category: str
    rule: str
    clause: str | None
    own: bool
    action: Literal["delete", "anonymise"]
    due: tuple[Before, ...]
    kept: tuple[KeptGround, ...]
    due_from: date
    delete_by: date | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened to an ended tenant's data, as the log says.

    `started`: the first change was made. `verified`: no residue. `copies_clean`: backups and sub-processors are clean.
    `remaining`: rows under a statutory floor.
    """

    started: bool = False
    verified: bool = False
    copies_clean: bool = False
    remaining: int = 0


def timeline(
    policy: Policy, effective: Effective, tenant: Tenant, today: date, *, returned_on: date | None = None
) -> Timeline:
    """Return the dates of the tenant's contract end as they stand today.

    `returned_on`: the day on which a chosen return (export) was delivered; the inspection period follows it (I34).
    """
    end = tenant.contract_end
    if end is None:
        state = next_state(tenant, today, awaiting_choice=False)
        return Timeline(None, (), None, None, None, None, state, awaiting_choice=False, licence_note=None, reasons=())
    windows = tuple(_windows(policy, effective, tenant, end, returned_on))
    known = [window.last_day for window in windows if window.last_day is not None]
    window_end = max((end, *known))
    awaiting = effective.choice.default is None and tenant.choice is None
    undelivered = len(known) < len(windows)
    rules = [rule for rule in effective.rules if rule.offboarding]
    base = _base(effective, tenant, window_end)
    promised = [day for rule in rules if (day := _ceiling(rule, base, end)) is not None and not awaiting]
    due_from = None if awaiting or undelivered else base + ONE_DAY
    conflicts: tuple[str, ...] = ()
    if due_from is not None and promised and min(promised) <= due_from:
        # Rank: a ceiling does not wait for a contractual window; the conflict is shown.
        due_from = max(end + ONE_DAY, min(promised) - timedelta(days=DEFAULT_MARGIN_DAYS))
        conflicts = ("a ceiling that counts from the contract's end prevails over the longer window",)
    waiting = () if effective.choice.default else (policy.operator.readings.choice_ceiling.after(end),)
    return Timeline(
        contract_end=end,
        windows=windows,
        window_end=window_end,
        counts_from=base,
        due_from=due_from,
        delete_by=min((*promised, *waiting), default=None),
        state=next_state(tenant, today, awaiting_choice=awaiting),
        awaiting_choice=awaiting,
        licence_note=_licence_note(effective, tenant),
        reasons=tuple(_reasons(policy, effective, rules, windows, base, end, awaiting=awaiting)),
        conflicts=conflicts,
    )


def offboarding_obligations(
    policy: Policy,
    tenant: Tenant,
    effective: Effective,
    today: date,
    *,
    returned_on: date | None = None,
    preview: bool = False,
) -> list[OffboardingStep]:
    """Return one step per dataset that the contract's end binds; none before it is due, unless only a preview is asked.

    Raises Refused (guard `statute-missing`) for records of a statute that no document holds. Datasets whose rows
    belong to no tenant are left to the rules.
    """
    line = timeline(policy, effective, tenant, today, returned_on=returned_on)
    found = []
    for dataset in policy.inventory.datasets:
        rules = effective.offboarding_rules(dataset.category)
        begins = due_from(line, rules) if rules and dataset.tenant.by != "none" else None
        if begins is not None and (preview or begins <= today):
            found.append(_step(policy, effective, dataset, rules, line, begins, today))
    return found


def next_state(tenant: Tenant, today: date, *, awaiting_choice: bool, progress: Progress = Progress()) -> TenantState:
    """Return the state that follows from dates, choice and progress; the same one when nothing moves it.

    active → notice → ended (or awaiting-choice) → deleting → deleted → remainder → closed. Before the first change an
    ended contract resumes when its end is withdrawn or moved; afterwards nothing leads back.
    """
    state = tenant.state
    if state in {"active", "notice", "ended", "awaiting-choice"} and not progress.started:
        return _by_dates(tenant, today, awaiting_choice=awaiting_choice)
    if state in {"active", "notice", "ended", "awaiting-choice"}:
        state = "deleting"
    if state == "deleting" and progress.verified:
        state = "deleted"
    if state == "deleted" and progress.copies_clean:
        state = "remainder"
    if state == "remainder" and not progress.remaining:
        state = "closed"
    return state


def _by_dates(tenant: Tenant, today: date, *, awaiting_choice: bool) -> TenantState:
    if tenant.contract_end is not None and tenant.contract_end < today:
        return "awaiting-choice" if awaiting_choice else "ended"
    notice_given = tenant.notice_on is not None and tenant.notice_on <= today
    return "notice" if notice_given or tenant.contract_end is not None else "active"


def _windows(
    policy: Policy, effective: Effective, tenant: Tenant, end: date, returned_on: date | None
) -> Iterator[OpenWindow]:
    waiver = date.max if tenant.window_waived_on is None else max(tenant.window_waived_on, end)
    for window in effective.windows:
        day = window.keep.after(end)
        yield OpenWindow(window.id, "clause", window.clause, min(day, waiver), waived=waiver < day)
    for floor in (floor for statutes in policy.statutes for floor in statutes.retrieval):
        day = floor.period.after(end)
        if effective.data_act.applies and floor.valid_from <= day:
            waived = floor.waivable and waiver < day
            yield OpenWindow(floor.id, "statute", floor.citation, waiver if waived else day, waived=waived)
    if tenant.choice == "return":
        inspection = policy.operator.readings.delivery_inspection
        through = None if returned_on is None else inspection.after(max(returned_on, end))
        yield OpenWindow("return", "reading", "delivery_inspection", through)


def _base(effective: Effective, tenant: Tenant, window_end: date) -> date:
    """Return the day from which deletion counts: the window's end, or a later choice where one is awaited."""
    if effective.choice.default is None and tenant.choice_on is not None:
        return max(window_end, tenant.choice_on)
    return window_end


def _counted_from(rule: EffectiveRule, base: date, end: date) -> date:
    return base if rule.start == "window-end" else end


def _ceiling(rule: EffectiveRule, base: date, end: date) -> date | None:
    return None if rule.gone_by is None else add(_counted_from(rule, base, end), rule.gone_by.periods)


def _reasons(
    policy: Policy,
    effective: Effective,
    rules: list[EffectiveRule],
    windows: tuple[OpenWindow, ...],
    base: date,
    end: date,
    *,
    awaiting: bool,
) -> Iterator[Reason]:
    layers = {window.id: window.layer for window in effective.windows}
    keeps = {window.id: str(window.keep) for window in effective.windows}
    keeps |= {floor.id: str(floor.period) for statutes in policy.statutes for floor in statutes.retrieval}
    for window in windows:
        day = None if window.last_day is None else window.last_day + ONE_DAY
        note = "ended earlier by the tenant's instruction" if window.waived else None
        if day is None:
            note = "the promised return is not delivered yet"
        layer = layers.get(window.id)
        yield Reason(
            "floor", day, keeps.get(window.id), "contract-end", window.label, window.source, layer=layer, note=note
        )
    if not effective.data_act.applies:
        for floor in (floor for statutes in policy.statutes for floor in statutes.retrieval):
            note = f"switched off: {effective.data_act.reason}"
            yield Reason(
                "floor", None, str(floor.period), "contract-end", "statute", floor.citation, note=note, binds=False
            )
    for rule in rules:
        yield from _rule_reasons(rule, base, end, awaiting=awaiting)
    if effective.choice.default is None:
        period = policy.operator.readings.choice_ceiling
        note = "the wait for the choice between deletion and return ends here" if awaiting else None
        yield Reason("ceiling", period.after(end), str(period), "contract-end", "reading", "choice_ceiling", note=note)


def _rule_reasons(rule: EffectiveRule, base: date, end: date, *, awaiting: bool) -> Iterator[Reason]:
    start = _counted_from(rule, base, end)
    note = "counts from the choice, which is awaited" if awaiting else rule.note
    if rule.keep is not None:
        day = None if awaiting else add(start, rule.keep.periods) + ONE_DAY
        yield Reason(
            "floor", day, str(rule.keep), rule.start, rule.keep.label, rule.keep.source, None, rule.id, rule.layer, note
        )
    if rule.gone_by is not None:
        day = None if awaiting else add(start, rule.gone_by.periods)
        yield Reason(
            "ceiling",
            day,
            str(rule.gone_by),
            rule.start,
            rule.gone_by.label,
            f"{rule.source}: {rule.gone_by.source}" if rule.gone_by.label == "reading" else rule.gone_by.source,
            rule=rule.id,
            layer=rule.layer,
            note=note,
            binds=not awaiting,
        )


def due_from(line: Timeline, rules: tuple[EffectiveRule, ...]) -> date | None:
    """Return the first day on which these offboarding rules delete; None while the timeline waits or has no end.

    A floor of theirs postpones it, unless their own ceiling cannot wait for it.
    """
    end, base = line.contract_end, line.counts_from
    if end is None or base is None or line.due_from is None:
        return None
    ceiling = min((_ceiling(rule, base, end) or date.max for rule in rules), default=date.max)
    floors = [add(_counted_from(rule, base, end), rule.keep.periods) + ONE_DAY for rule in rules if rule.keep]
    return max((line.due_from, *(day for day in floors if day < ceiling)))


def _step(
    policy: Policy,
    effective: Effective,
    dataset: Dataset,
    rules: tuple[EffectiveRule, ...],
    line: Timeline,
    begins: date,
    today: date,
) -> OffboardingStep:
    last_day = line.contract_end or begins
    # The rule that is named is the one with the strictest promise; several of one category all end in the same step.
    rule = min(rules, key=lambda r: (r.gone_by is None, r.gone_by.least_days() if r.gone_by else 0, r.id))
    cutoffs = processor_cutoffs(policy, dataset, today)
    return OffboardingStep(
        dataset=dataset.id,
        store=dataset.store,
        category=dataset.category,
        rule=rule.id,
        clause=rule.clause,
        own=rule.own is not None,
        action=rule.action,
        due=tuple(before(dataset, time, day, effective.zone, today) for time, day in sorted(cutoffs.items())),
        kept=tuple(_kept(duty, today, last_day) for duty in duties(policy, dataset, today) if _survives(duty)),
        due_from=begins,
        delete_by=line.delete_by,
    )


def _survives(duty: Duty) -> bool:
    return duty.in_force and duty.holder == "processor"


def _kept(duty: Duty, today: date, end: date) -> KeptGround:
    open_year = duty.runs_on(end)
    ends_on = None if open_year and duty.first_free_day(end) <= today else duty.first_free_day(end)
    return KeptGround(duty.floor.citation, "statute", duty.holder, ends_on, duty.record.start, duty.cutoff(today))


def _licence_note(effective: Effective, tenant: Tenant) -> str | None:
    needing = next((window for window in effective.windows if window.licence is not None), None)
    if needing is None or tenant.licence is not None:
        return None
    return (
        f"self-service export needs: {needing.licence} (clause {needing.clause}); none is recorded, so a complete "
        "export is offered instead; the window stays as long"
    )

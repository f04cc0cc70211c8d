"""Obligations: which rule binds which dataset for which groups of tenants, from which cutoff, because of what.

One obligation per rule, dataset and set of cutoffs, with every group that shares it: one pass serves many tenants.
What counts from the contract's end is in `offboarding`. Rank: statutory floor > ceiling > contractual floor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Literal

from lifecycle.core.calendar import Periods, add, ceiling_cutoff, day_in, floor_cutoff
from lifecycle.core.duty import processor_cutoffs
from lifecycle.core.effective import Effective, EffectiveRule, Figure
from lifecycle.core.errors import InvalidDocument, LifecycleError, Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.period import ONE_DAY
from lifecycle.core.policy import Policy
from lifecycle.core.selection import Before, GroupScope, Scope, WholeScope
from lifecycle.core.tenant import Tenant

DEFAULT_MARGIN_DAYS = 3
"""2 × one day between runs + one day for the longest run (I15)."""

_MARGIN_PROBE = date(2096, 1, 1)


@dataclass(frozen=True, slots=True)
class Obligation:
    """A rule that binds a dataset for groups of tenants (or for all its rows, `whole`) on one day.

    `due`: the cutoffs, one per start time, the statutory ones included; all must hold. `cutoff`: the rule's own.
    `overdue`: the same cutoffs without the margin: what they select has outlived its ceiling; empty without one.
    `grant`: the clause that grants anonymising, where it does.
    """

    agreement: str
    versions: tuple[str, ...]
    rule: str
    layer: str
    clause: str | None
    own: bool
    dataset: str
    store: str
    category: str
    action: Literal["delete", "anonymise"]
    groups: tuple[str, ...]
    start: str
    due: tuple[Before, ...]
    cutoff: date
    keep: Figure | None
    ceiling: Figure | None
    overdue: tuple[Before, ...] = ()
    conflicts: tuple[str, ...] = ()
    grant: str | None = None

    @property
    def whole(self) -> bool:
        """Tell whether the dataset belongs to no tenant and the rule binds all of its rows."""
        return not self.groups

    @property
    def scope(self) -> Scope:
        """Return whose rows the selection may touch."""
        return WholeScope() if self.whole else GroupScope(groups=self.groups)

    def deadline(self, oldest: date) -> date | None:
        """Return the day before whose beginning the item of that start date must be gone; None without a ceiling."""
        return None if self.ceiling is None else add(oldest, self.ceiling.periods)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """What binds nothing today because something is missing or refused; nothing is deleted on its account (I27).

    `tenant` is the register's id, for the caller's memory only.
    """

    error: LifecycleError
    rule: str | None = None
    dataset: str | None = None
    tenant: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Obligations of a day, each resolved tenant's group, and what could not be resolved."""

    obligations: tuple[Obligation, ...]
    groups: Mapping[str, str] = field(repr=False)
    unresolved: tuple[Unresolved, ...] = ()


def margin_needed(interval_days: int, longest_run_days: int) -> int:
    """Return how many days a run must be ahead of a ceiling: one may fail, the next may take its longest (I15)."""
    if interval_days < 1 or longest_run_days < 0:
        raise InvalidDocument(
            "runs are at least one day apart and never take less than none", advice="Check `schedule`."
        )
    return 2 * interval_days + longest_run_days


def check_margin(rule: EffectiveRule, margin_days: int) -> None:
    """Raise Refused (guard `margin`) when the rule leaves no room for the margin.

    A ceiling alone must be at least the margin away; between the end of a floor and the ceiling the margin must fit.
    """
    if rule.gone_by is None:
        return
    room = rule.gone_by.least_days() if rule.keep is None else _least_room(rule.keep.periods, rule.gone_by.periods)
    if margin_days > room:
        raise Refused(
            f"rule {rule.id}: a margin of {margin_days} days does not fit; the rule leaves {room}",
            guard="margin",
            advice="Run more often, so that the margin may shrink, or agree on a longer period; the ceiling stays.",
        )


def group_of(tenant: Tenant, effective: Effective) -> str:
    """Return the group of all tenants with this agreement, version, individual layer and parameters.

    Opaque and stable; the tenant's id has no part in it.
    """
    return _group(effective, {name: str(value) for name, value in tenant.parameters.items()})


def before(dataset: Dataset, time: str, day: date, zone: str, today: date) -> Before:
    """Return the condition "datable, and on or before that day" over one of the dataset's start times (I9)."""
    return Before(time=time, day=day, zone=zone, not_before=dataset.times[time].not_before, not_after=today)


def rule_obligations(
    policy: Policy, tenants: Iterable[Tenant], today: date, margin_days: int = DEFAULT_MARGIN_DAYS
) -> list[Obligation]:
    """Return the obligations of a day, or raise the first error of what cannot be resolved; `resolve` tells all."""
    resolution = resolve(policy, tenants, today, margin_days)
    for missing in resolution.unresolved:
        raise missing.error
    return list(resolution.obligations)


def resolve(
    policy: Policy, tenants: Iterable[Tenant], today: date, margin_days: int = DEFAULT_MARGIN_DAYS
) -> Resolution:
    """Return every obligation of a day, and what could not be resolved, so that one tenant does not stop the others.

    `today`: a plain date, or an aware instant, which each agreement's zone turns into its own date. Raises Refused
    (guard `tenants-empty`) for an empty register: it proves nothing (I5).
    """
    bound, groups, in_force, unresolved = _bind(policy, tenants)
    if not groups and not unresolved:
        raise Refused(
            "no tenant is registered",
            guard="tenants-empty",
            advice="Check the tenants document or its source; an empty register selects nothing.",
        )
    whole_known = not unresolved
    found: dict[tuple[object, ...], Obligation] = {}
    for dataset in policy.inventory.datasets:
        if dataset.tenant.by == "none":
            # An agreement that cannot be read may hold the longest floor: then nobody knows what is free.
            pool = tuple(one for group, one in bound if group in in_force)
            pools: list[tuple[tuple[str, ...], tuple[Effective, ...]]] = [((), pool)] if whole_known else []
        else:
            pools = [((group,), (one,)) for group, one in bound]
        for names, pool in pools:
            _collect(policy, dataset, names, pool, today, margin_days, found, unresolved)
    ordered = sorted(found.values(), key=lambda o: (o.agreement, o.rule, o.dataset, o.groups, o.cutoff, len(o.due)))
    return Resolution(tuple(ordered), groups, tuple(unresolved))


def _bind(
    policy: Policy, tenants: Iterable[Tenant]
) -> tuple[list[tuple[str, Effective]], dict[str, str], set[str], list[Unresolved]]:
    """Resolve each combination of documents and parameters once, however many tenants share it.

    Returns groups with what binds them, each tenant's group, the groups in force (not all closed), and the unresolved.
    """
    known: dict[object, tuple[str, Effective] | LifecycleError] = {}
    groups: dict[str, str] = {}
    in_force: set[str] = set()
    unresolved: list[Unresolved] = []
    for tenant in tenants:
        key = (tenant.agreement, tenant.agreement_version, tenant.individual, frozenset(tenant.parameters.items()))
        if key not in known:
            try:
                resolved = effective(policy, tenant)
                known[key] = (group_of(tenant, resolved), resolved)
            except (InvalidDocument, Refused) as error:
                known[key] = error
        outcome = known[key]
        if isinstance(outcome, LifecycleError):
            unresolved.append(Unresolved(outcome, tenant=tenant.id))
        else:
            groups[tenant.id] = outcome[0]
            if tenant.state != "closed":
                in_force.add(outcome[0])
    bound = {outcome[0]: outcome[1] for outcome in known.values() if not isinstance(outcome, LifecycleError)}
    return sorted(bound.items(), key=lambda item: item[0]), groups, in_force, unresolved


def _collect(
    policy: Policy,
    dataset: Dataset,
    groups: tuple[str, ...],
    pool: Sequence[Effective],
    today: date,
    margin_days: int,
    found: dict[tuple[object, ...], Obligation],
    unresolved: list[Unresolved],
) -> None:
    """Add the obligations of one dataset and pool of agreements to `found`, merging groups that share them."""
    bindings, blind = [], False
    for one in pool:
        for rule in one.record_rules(dataset.category):
            problem = _problem(dataset, rule, margin_days)
            if problem is None:
                bindings.append(_binding(one, rule, day_in(today, one.zone), margin_days))
                continue
            blind = blind or (rule.keep is not None and rule.start not in dataset.times)
            if all(u.rule != rule.id or u.dataset != dataset.id for u in unresolved):
                unresolved.append(Unresolved(problem, rule.id, dataset.id))
    if blind:
        # A floor whose start no column tells: only ceilings, which prevail over it, may still delete.
        bindings = [binding for binding in bindings if binding.floor is None]
    if not bindings:
        return
    try:
        statutory = processor_cutoffs(policy, dataset, bindings[0].today)
    except Refused as refusal:
        if all(u.error.message != refusal.message for u in unresolved):
            unresolved.append(Unresolved(refusal, dataset=dataset.id))
        return
    made = [o for b in bindings for o in _obligations(b, bindings, dataset, groups, statutory)]
    for obligation in made if groups else _greatest(made):
        _merge(found, obligation)


@dataclass(frozen=True, slots=True)
class _Binding:
    """One rule of one agreement on one day. `ceiling` counts the margin in, `breach` does not."""

    effective: Effective
    rule: EffectiveRule
    today: date
    floor: date | None
    ceiling: date | None
    breach: date | None


def _binding(one: Effective, rule: EffectiveRule, today: date, margin_days: int) -> _Binding:
    floor = None if rule.keep is None else floor_cutoff(today, rule.keep.periods) or date.min
    ceiling = None if rule.gone_by is None else ceiling_cutoff(today, rule.gone_by.periods, margin_days) or date.min
    breach = None if rule.gone_by is None else ceiling_cutoff(today, rule.gone_by.periods, 0) or date.min
    return _Binding(one, rule, today, floor, ceiling, breach)


def _problem(dataset: Dataset, rule: EffectiveRule, margin_days: int) -> LifecycleError | None:
    if rule.start not in dataset.times:
        return InvalidDocument(
            f"rule {rule.id} counts from {rule.start}, and dataset {dataset.id} names no such time",
            advice=f"Add {rule.start} to the dataset's `times`, or move the dataset to a category of another rule.",
        )
    try:
        check_margin(rule, margin_days)
    except Refused as refusal:
        return refusal
    return None


def _obligations(
    binding: _Binding,
    all_: Sequence[_Binding],
    dataset: Dataset,
    groups: tuple[str, ...],
    statutory: Mapping[str, date],
) -> Iterator[Obligation]:
    rule = binding.rule
    conflicts = tuple(_conflicts(binding, all_, statutory))
    overdue = {} if binding.breach is None else _least({rule.start: binding.breach}, statutory)
    for cutoffs in _cutoff_sets(binding, all_):
        due = _least(cutoffs, statutory)
        yield Obligation(
            agreement=binding.effective.agreement,
            versions=(binding.effective.version,),
            rule=rule.id,
            layer=rule.layer,
            clause=rule.clause,
            own=rule.own is not None,
            dataset=dataset.id,
            store=dataset.store,
            category=dataset.category,
            action=rule.action,
            groups=groups,
            start=rule.start,
            due=_befores(dataset, due, binding),
            cutoff=cutoffs[rule.start],
            keep=rule.keep,
            ceiling=rule.gone_by,
            overdue=_befores(dataset, overdue, binding),
            conflicts=conflicts,
            grant=rule.anonymise_clause,
        )


def _cutoff_sets(binding: _Binding, all_: Sequence[_Binding]) -> Iterator[dict[str, date]]:
    """Yield the sets of cutoffs under which the rule deletes: all floors over, or its ceiling a margin away.

    A ceiling alone waits for its margin only. Where another rule's floor is longer than the ceiling, the ceiling wins.
    """
    start, ceiling = binding.rule.start, binding.ceiling
    free: dict[str, date] = {}
    for other in all_ if binding.floor is not None else ():
        if other.floor is not None:
            free[other.rule.start] = min(other.floor, free.get(other.rule.start, other.floor))
    if ceiling is not None and free.keys() == {start}:
        free, ceiling = {start: max(free[start], ceiling)}, None
    if free:
        yield free
    if ceiling is not None:
        yield {start: ceiling}


def _conflicts(binding: _Binding, all_: Sequence[_Binding], statutory: Mapping[str, date]) -> Iterator[str]:
    """Yield what rank had to decide, in words without ids of tenants."""
    rule = binding.rule
    if binding.breach is None or binding.ceiling is None:
        return
    for other in all_:
        if other.floor is not None and other.rule.start == rule.start and other.floor < binding.ceiling:
            yield f"the ceiling of rule {rule.id} prevails over the longer floor of rule {other.rule.id}"
    if rule.start in statutory and statutory[rule.start] < binding.breach:
        yield f"a statutory floor prevails over the ceiling of rule {rule.id}"


def _least(cutoffs: Mapping[str, date], statutory: Mapping[str, date]) -> dict[str, date]:
    merged = dict(cutoffs)
    for time, day in statutory.items():
        merged[time] = min(day, merged.get(time, day))
    return merged


def _befores(dataset: Dataset, cutoffs: Mapping[str, date], binding: _Binding) -> tuple[Before, ...]:
    zone, today = binding.effective.zone, binding.today
    return tuple(before(dataset, time, day, zone, today) for time, day in sorted(cutoffs.items()))


def _greatest(made: Sequence[Obligation]) -> list[Obligation]:
    """Drop what another obligation of the same action and times selects as well: the least ceiling is left."""
    best: dict[tuple[object, ...], Obligation] = {}
    for obligation in made:
        key = (obligation.action, obligation.start, tuple(b.time for b in obligation.due))
        if key not in best or obligation.cutoff > best[key].cutoff:
            best[key] = obligation
    return list(best.values())


def _merge(found: dict[tuple[object, ...], Obligation], one: Obligation) -> None:
    key = (
        one.agreement,
        one.rule,
        one.dataset,
        one.due,
        one.clause,
        one.own,
        one.action,
        one.grant,
        one.keep,
        one.ceiling,
        one.whole,
    )
    other = found.get(key, one)
    found[key] = replace(
        other,
        versions=tuple(sorted({*other.versions, *one.versions})),
        groups=tuple(sorted({*other.groups, *one.groups})),
    )


@lru_cache(maxsize=1024)
def _least_room(keep: Periods, gone_by: Periods) -> int:
    """Return the fewest days between a floor's end and the ceiling, whatever day both are counted from.

    A ceiling that adds days to the very floor leaves those days; any other pair is tried from every day of eight years.
    """
    more = gone_by[len(keep) :]
    if gone_by[: len(keep)] == keep and all(not part.years and not part.months for part in more):
        return sum(part.least_days() for part in more) - 1
    days = (_MARGIN_PROBE + number * ONE_DAY for number in range(366 * 8))
    return min((add(day, gone_by) - add(day, keep)).days - 1 for day in days)


def _group(effective: Effective, parameters: Mapping[str, str]) -> str:
    key = [effective.agreement, effective.version, effective.individual, sorted(parameters.items())]
    return "g-" + hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).hexdigest()[:12]

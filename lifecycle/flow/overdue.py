"""What each rule left in each store: past its ceiling, due, next, undatable; counts and days, never values (I24)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import combinations

from lifecycle.core.calendar import add, start_of_day
from lifecycle.core.inventory import Dataset
from lifecycle.core.obligation import Obligation
from lifecycle.core.selection import GroupScope, Scope, WholeScope
from lifecycle.core.transform import Transform
from lifecycle.flow.eyes import Eyes, Failed, Present


@dataclass(frozen=True, slots=True)
class Seen:
    """One rule in one store.

    `ceiling_of_oldest`: the start of the local day by which the oldest overdue item had to be gone; `next_deadline`:
    the same of the oldest item that is left, overdue or not. `needed`: past the ceiling, but rows that stay reference
    it. `nobodys`: rows without a tenant where the inventory refuses them. `complete`: every dataset answered.
    """

    agreement: str
    rule: str
    store: str
    overdue: int
    ceiling_of_oldest: datetime | None
    next_deadline: datetime | None
    due: int
    needed: int
    undatable: int
    unattributed: int
    nobodys: int
    complete: bool


@dataclass(slots=True)
class _Sum:
    """What the datasets of one rule in one store add up to."""

    overdue: int = 0
    needed: int = 0
    due: int = 0
    undatable: int = 0
    late: list[datetime] = field(default_factory=list)
    ahead: list[datetime] = field(default_factory=list)
    unattributed: dict[str, int] = field(default_factory=dict)
    nobodys: dict[str, int] = field(default_factory=dict)
    complete: bool = True

    def seen(self, agreement: str, rule: str, store: str) -> Seen:
        """Return it as the look shows it."""
        return Seen(
            agreement=agreement,
            rule=rule,
            store=store,
            overdue=self.overdue,
            ceiling_of_oldest=min(self.late, default=None),
            next_deadline=min(self.ahead, default=None),
            due=self.due,
            needed=self.needed,
            undatable=self.undatable,
            unattributed=sum(self.unattributed.values()),
            nobodys=sum(self.nobodys.values()),
            complete=self.complete,
        )


def by_rule(
    present: Present, obligations: Sequence[Obligation], eyes: Mapping[str, Eyes], failed: Failed
) -> tuple[Seen, ...]:
    """Return what is left of each rule in each store, in a stable order; a store without eyes leaves it incomplete."""
    sums: dict[tuple[str, str, str], _Sum] = {}
    for sets in _by_ceiling(obligations):
        one = sets[0]
        total = sums.setdefault((one.agreement, one.rule, one.store), _Sum())
        if one.store not in eyes:
            total.complete = False
            continue
        try:
            _add(present, eyes[one.store], sets, total)
        except Exception as error:  # noqa: BLE001 - a poisoned dataset is named and hides no other (I27)
            total.complete = False
            failed(one.store, error, one.dataset, (one.agreement, one.rule))
    return tuple(total.seen(*key) for key, total in sorted(sums.items()))


def _by_ceiling(obligations: Sequence[Obligation]) -> list[list[Obligation]]:
    """Put together what binds a dataset by one rule with one ceiling: its sets of cutoffs, for whatever groups."""
    found: dict[object, list[Obligation]] = {}
    for one in obligations:
        key = (one.agreement, one.rule, one.dataset, one.start, one.ceiling, one.overdue, one.whole, one.action)
        found.setdefault(key, []).append(one)
    return list(found.values())


def _add(present: Present, eyes: Eyes, sets: Sequence[Obligation], total: _Sum) -> None:
    """Ask for everything that is left and datable; only where its oldest is old enough, for more."""
    one = sets[0]
    dataset, zone = present.policy.inventory.dataset(one.dataset), one.due[0].zone
    scope, below, undone = _scope(sets), _below(eyes, one), _undone(dataset, one)
    freed = present.freed(dataset, zone)
    left = {**freed, one.start: min(present.today(zone), freed.get(one.start, date.max))}
    # Rows of unknown tenants and of none are the dataset's, whichever groups are asked for: once is enough.
    known = dataset.id in total.unattributed
    seen = eyes.see(dataset, scope, present.befores(dataset, left, zone, one.start), undone=undone, narrow=known)
    total.undatable += seen.oddities.undatable
    if not known:
        total.unattributed[dataset.id] = seen.oddities.unattributed
        total.nobodys[dataset.id] = seen.oddities.null_tenant
    oldest = seen.oldest
    if oldest is None:
        return
    total.due += _due(eyes, sets, oldest)
    if one.ceiling is None:
        return

    def gone_by(day: date) -> datetime:
        ceiling = add(day, one.ceiling.periods) if one.ceiling else date.max
        return start_of_day(max(ceiling, present.freed_on(dataset, one.start, day, zone)), zone)

    breach = {b.time: min(b.day, freed.get(b.time, b.day)) for b in one.overdue}
    if oldest > breach[one.start]:
        total.ahead.append(gone_by(oldest))
        return
    conditions = present.befores(dataset, breach, zone, one.start)
    late = eyes.see(dataset, scope, conditions, undone=undone)
    free = eyes.see(dataset, scope, conditions, below) if below else late
    total.needed += max(0, late.items - free.items)
    total.overdue += free.items
    if free.oldest is not None:
        total.late.append(gone_by(free.oldest))
    left_oldest = free.oldest or _oldest_free(present, eyes, sets, left)
    if left_oldest is not None:
        total.ahead.append(gone_by(left_oldest))


def _oldest_free(present: Present, eyes: Eyes, sets: Sequence[Obligation], left: Mapping[str, date]) -> date | None:
    """Return the start date of the oldest item that no row that stays references."""
    one = sets[0]
    dataset, zone = present.policy.inventory.dataset(one.dataset), one.due[0].zone
    conditions = present.befores(dataset, left, zone, one.start)
    return eyes.see(dataset, _scope(sets), conditions, _below(eyes, one), undone=_undone(dataset, one)).oldest


def _below(eyes: Eyes, one: Obligation) -> frozenset[str]:
    """Return whose rows excuse a row that they reference: nobody's where rows stay and are anonymised."""
    return frozenset() if one.action == "anonymise" else eyes.children[one.dataset]


def _undone(dataset: Dataset, one: Obligation) -> tuple[Transform, ...]:
    """Return what is not overdue once it is done; rows of a dataset that says nothing about it are."""
    return dataset.transforms if one.action == "anonymise" else ()


def _scope(sets: Sequence[Obligation]) -> Scope:
    groups = sorted({group for one in sets for group in one.groups})
    return GroupScope(groups=tuple(groups)) if groups else WholeScope()


def _due(eyes: Eyes, sets: Sequence[Obligation], oldest: date) -> int:
    """Count what any of the sets selects; what two select counts once (a group has two sets at most)."""
    counts = [_selected(eyes, [one], one.scope) if _reaches(one, oldest) else 0 for one in sets]
    total = sum(counts)
    for (first, a), (second, b) in combinations(zip(sets, counts, strict=True), 2):
        common = tuple(sorted(set(first.groups) & set(second.groups)))
        if a and b and (common or first.whole):
            total -= _selected(eyes, [first, second], GroupScope(groups=common) if common else WholeScope())
    return total


def _reaches(one: Obligation, oldest: date) -> bool:
    return all(before.day >= oldest for before in one.due if before.time == one.start)


def _selected(eyes: Eyes, both: Sequence[Obligation], scope: Scope) -> int:
    dataset = next(dataset for dataset in eyes.datasets if dataset.id == both[0].dataset)
    due = [before for one in both for before in one.due]
    return eyes.see(dataset, scope, due, _below(eyes, both[0]), undone=_undone(dataset, both[0])).items

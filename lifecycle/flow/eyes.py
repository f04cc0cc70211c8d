"""The verifier's eyes on one store: our own register in hand, nothing of the executor's, nothing written (I35)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

from lifecycle.core.calendar import local_date
from lifecycle.core.duty import duties, processor_cutoffs
from lifecycle.core.inventory import Dataset
from lifecycle.core.obligation import before
from lifecycle.core.policy import Policy
from lifecycle.core.selection import Before, Bound, GroupScope, Scope, Selection
from lifecycle.core.transform import Transform
from lifecycle.flow.coverage import compare
from lifecycle.flow.relations import children_of
from lifecycle.ports.store import Ask, Catalogue, HoldRow, Register, Residue, Store, TenantRow

_ASKED = "g-asked"


class Failed(Protocol):
    """Hears of what could not be asked."""

    def __call__(self, store: str, error: Exception, dataset: str, rule: tuple[str, str] | None = None) -> None:
        """Take note of the error's class; `rule` is (agreement, rule), None for ended contracts."""


@dataclass(frozen=True, slots=True)
class Present:
    """The documents in force and the present: which days are due, and what statutes keep.

    `margin_days`: how long a run may take to follow a statute that let go. Nothing could be deleted a day before it
    did, so only what is still there that many days later is overdue.
    """

    policy: Policy
    now: datetime
    margin_days: int

    def today(self, zone: str) -> date:
        """Return the local day."""
        return local_date(self.now, zone)

    def freed(self, dataset: Dataset, zone: str) -> dict[str, date]:
        """Return for each start time the greatest date that no statute keeps, and kept none the margin ago.

        Raises Refused for records of a statute that no document holds: what is not known to be free is kept.
        """
        today = self.today(zone)
        late, now = (
            processor_cutoffs(self.policy, dataset, day) for day in (today - timedelta(days=self.margin_days), today)
        )
        return {time: min(day, late.get(time, day)) for time, day in now.items()}

    def freed_on(self, dataset: Dataset, start: str, day: date, zone: str) -> date:
        """Return the day by which an item of that start date must follow the statutes that count from that time."""
        binding = duties(self.policy, dataset, self.today(zone))
        mine = [d for d in binding if d.in_force and d.holder == "processor" and d.record.start == start]
        free = max((duty.first_free_day(day) for duty in mine), default=date.min)
        return free + timedelta(days=self.margin_days) if free > date.min else date.min

    def befores(
        self, dataset: Dataset, cutoffs: Mapping[str, date], zone: str, first: str | None
    ) -> tuple[Before, ...]:
        """Return the conditions; `first` is the time that the age of the oldest is told by."""
        ordered = sorted(cutoffs.items(), key=lambda cutoff: (cutoff[0] != first, cutoff[0]))
        return tuple(before(dataset, time, day, zone, self.today(zone)) for time, day in ordered)


@dataclass(frozen=True, slots=True)
class Eyes:
    """One store that answered, and what is needed to ask it. Mirrors are not trusted: the register comes along."""

    store: Store
    ask: Ask
    catalogue: Catalogue
    datasets: tuple[Dataset, ...]
    tenants: Sequence[TenantRow] = field(repr=False)
    holds: Sequence[HoldRow] = field(repr=False)
    children: Mapping[str, frozenset[str]]

    @classmethod
    def on(cls, store: Store, ask: Ask, policy: Policy, tenants: Sequence[TenantRow], holds: Sequence[HoldRow]) -> Eyes:
        """Look at a store's catalogue; `ask` is the store's open look. Raises as the store does."""
        catalogue, datasets = store.catalogue(), policy.inventory.in_store(store.id)
        return cls(store, ask, catalogue, datasets, tenants, holds, children_of(datasets, catalogue))

    def gaps(self, policy: Policy) -> int:
        """Return how many tables and columns the inventory does not classify, or the store does not have."""
        return len(compare(policy.inventory, self.store.id, self.catalogue))

    def stale(self) -> bool:
        """Tell whether the store's mirrors differ from the register. Raises Refused for a store without mirrors."""
        seen = self.store.mirrored()
        return set(seen.tenants) != set(self.tenants) or set(seen.holds) != set(self.holds)

    def held(self) -> set[str]:
        """Return the datasets that a hold names."""
        return {hold.dataset for hold in self.holds if hold.dataset is not None}

    def see(
        self,
        dataset: Dataset,
        scope: Scope,
        due: Iterable[Before],
        needed_by: Iterable[str] = (),
        *,
        undone: tuple[Transform, ...] = (),
        narrow: bool = True,
    ) -> Residue:
        """Count what nobody holds; `needed_by`: whose rows excuse a row that they reference. `narrow`: as in `Ask`.

        `undone`: only rows on which one of these transforms is not done.
        """
        selection = Selection(
            dataset=dataset.id,
            scope=scope,
            due=tuple(due),
            only=dataset.only,
            unreferenced_by=tuple(sorted(needed_by)),
            undone=undone,
        )
        return self.ask(Bound(selection), Register(self.tenants, self.holds), narrow=narrow)

    def left_of(
        self, tenants: Sequence[str], dataset: Dataset, due: Iterable[Before], needed_by: Iterable[str]
    ) -> Residue:
        """Count the rows of these tenants that nobody holds and no statute keeps, in one question."""
        asked = [TenantRow(tenant, _ASKED) for tenant in tenants]
        selection = Selection(
            dataset=dataset.id,
            scope=GroupScope(groups=(_ASKED,)),
            due=tuple(due),
            only=dataset.only,
            unreferenced_by=tuple(sorted(needed_by)),
        )
        return self.ask(Bound(selection), Register(asked, self.holds), narrow=True)

"""Statutory floors of a dataset's records: which text binds on the day of evaluation, whose duty it is, until when.

`processor` duties survive the contract's end; `controller` duties bind only during the contract and only through the
tenant's parameter or instruction (OBLIGATIONS "Whose duty"). Sources: § 147 AO with (3) s. 5, § 257 HGB, § 14b UStG.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lifecycle.core.calendar import floor_cutoff, year_end_floor_cutoff
from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, StatutoryRecord
from lifecycle.core.period import floor_ends, year_end
from lifecycle.core.policy import Policy
from lifecycle.core.reason import DutyHolder
from lifecycle.core.statute import StatutoryFloor


@dataclass(frozen=True, slots=True)
class Duty:
    """One statutory floor over a dataset's records; `open_after`: tax years after this one are not final."""

    record: StatutoryRecord
    floor: StatutoryFloor
    in_force: bool
    open_after: int | None = None

    @property
    def holder(self) -> DutyHolder:
        """Return whose duty it is."""
        return self.record.holder

    def first_free_day(self, start: date) -> date:
        """Return the first day on which the floor no longer binds a record of that start date, by calendar alone."""
        return floor_ends(year_end(start) if self.floor.starts == "year-end" else start, self.floor.period)

    def runs_on(self, start: date) -> bool:
        """Tell whether the record's tax year is not final: the period runs on (§ 147(3) AO)."""
        return self.open_after is not None and start.year > self.open_after

    def cutoff(self, today: date) -> date:
        """Return the greatest start date whose floor is over on that day."""
        count = year_end_floor_cutoff if self.floor.starts == "year-end" else floor_cutoff
        day = count(today, self.floor.period) or date.min
        return day if self.open_after is None else min(day, date(self.open_after, 12, 31))


def duties(policy: Policy, dataset: Dataset, today: date) -> tuple[Duty, ...]:
    """Return every floor of the policy that speaks of this dataset's records, in force today or not.

    Raises Refused (guard `statute-missing`) when the inventory declares records of a processor's duty of a kind for
    which no text is in force: what is not known to be free is kept.
    """
    found = tuple(duty for record in dataset.statutory for duty in _of(policy, record, today))
    for record in dataset.statutory:
        if record.holder == "processor" and not any(d.record == record and d.in_force for d in found):
            raise Refused(
                f"dataset {dataset.id} holds records of the kind {record.kind}, and no statute in force speaks of it",
                guard="statute-missing",
                advice="Add the statute's floor to policies/statutes, or correct the dataset's `statutory` entry.",
            )
    return found


def processor_cutoffs(policy: Policy, dataset: Dataset, today: date) -> dict[str, date]:
    """Return for each start time the greatest date that no floor of the processor keeps any more."""
    cutoffs: dict[str, date] = {}
    for duty in duties(policy, dataset, today):
        if duty.in_force and duty.holder == "processor":
            day = duty.cutoff(today)
            cutoffs[duty.record.start] = min(day, cutoffs.get(duty.record.start, day))
    return cutoffs


def _of(policy: Policy, record: StatutoryRecord, today: date) -> list[Duty]:
    industry = policy.operator.industry
    found = []
    for floor in (floor for statutes in policy.statutes for floor in statutes.floors):
        concerned = industry not in floor.except_for and (not floor.only_for or industry in floor.only_for)
        if record.kind in floor.kinds and record.holder in floor.holders and concerned:
            begun = floor.valid_from is None or floor.valid_from <= today
            in_force = begun and (floor.valid_until is None or today <= floor.valid_until)
            final = policy.operator.tax_final_through if floor.runs_on_while_tax_open else None
            found.append(Duty(record, floor, in_force, final))
    return found

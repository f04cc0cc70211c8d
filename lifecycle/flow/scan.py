"""Scanning: what is due, overdue, held, undatable; counts and ages, never values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import LifecycleError
from lifecycle.core.obligation import Obligation
from lifecycle.core.selection import Before, Bound, Selection
from lifecycle.flow.anonymising import undone
from lifecycle.flow.controls import effective_now
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.mirror import mirror
from lifecycle.flow.scopes import resolution
from lifecycle.ports.store import Counted, Oddities


@dataclass(frozen=True, slots=True)
class Finding:
    """What a scan saw of one obligation. `overdue`: items past their ceiling; `deadline`: of the oldest left."""

    obligation: Obligation
    due: Counted
    overdue: Counted
    held: int
    oddities: Oddities
    deadline: date | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """A scan of all obligations, and what could not be scanned or resolved, in words without tenants' ids."""

    at: datetime
    findings: tuple[Finding, ...]
    unresolved: tuple[str, ...]

    @property
    def breached(self) -> bool:
        """Return whether any item outlived its ceiling."""
        return any(finding.overdue.items for finding in self.findings)


def scan(deployment: Deployment) -> Scanned:
    """Count every obligation of today in its store.

    Raises Refused when the clocks disagree; a store that does not answer is reported and does not stop the others.
    """
    now = effective_now(deployment, sorted(deployment.stores))
    resolved = resolution(deployment, now)
    mirror(deployment, sorted(deployment.stores))
    findings: list[Finding] = []
    trouble = [unresolved.error.message for unresolved in resolved.unresolved]
    for obligation in resolved.obligations:
        try:
            findings.append(_look(deployment, obligation, now))
        except LifecycleError as error:
            trouble.append(f"{obligation.dataset}: {error.message}")
    return Scanned(now, tuple(findings), tuple(dict.fromkeys(trouble)))


def _look(deployment: Deployment, obligation: Obligation, now: datetime) -> Finding:
    store = deployment.stores[obligation.store]
    due = store.count(_bound(deployment, obligation, obligation.due))
    overdue = store.count(_bound(deployment, obligation, obligation.overdue)) if obligation.overdue else Counted(0)
    everything = store.count(_bound(deployment, obligation, obligation.due, respect_holds=False))
    oldest = store.count(_bound(deployment, obligation, _up_to_today(obligation, now))).oldest
    return Finding(
        obligation=obligation,
        due=due,
        overdue=overdue,
        held=everything.items - due.items,
        oddities=store.oddities(obligation.dataset, _bound(deployment, obligation, obligation.due)),
        deadline=obligation.deadline(oldest) if oldest else None,
    )


def _up_to_today(obligation: Obligation, now: datetime) -> tuple[Before, ...]:
    """Return a condition that every datable item meets: for the age of the oldest one."""
    own = [before for before in obligation.due if before.time == obligation.start]
    return tuple(before.model_copy(update={"day": local_date(now, before.zone)}) for before in own)


def _bound(
    deployment: Deployment, obligation: Obligation, due: Iterable[Before], *, respect_holds: bool = True
) -> Bound:
    dataset = deployment.policy.inventory.dataset(obligation.dataset)
    return Bound(
        Selection(
            dataset=obligation.dataset,
            scope=obligation.scope,
            due=tuple(due),
            only=dataset.only,
            undone=undone(dataset, obligation),
            respect_holds=respect_holds,
        )
    )

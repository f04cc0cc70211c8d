"""What a step leaves and why: by statute and year, by hold, undatable, or still referenced by what stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from lifecycle.core.calendar import local_date
from lifecycle.core.duty import Duty, duties
from lifecycle.core.obligation import Obligation
from lifecycle.core.offboarding import OffboardingStep
from lifecycle.core.plan import Withheld
from lifecycle.core.selection import Selection
from lifecycle.flow.binding import bind
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.mirror import holds
from lifecycle.ports.store import NOTHING_GOES, Going


def of_tenant(
    deployment: Deployment, step: OffboardingStep, selection: Selection, expected: int, at: tuple[datetime, Going]
) -> Iterator[Withheld]:
    """Yield why rows of an ended tenant stay; the counts add up to all its rows minus the expected ones."""
    now, leaving = at
    free = selection.model_copy(update={"respect_holds": False})
    everything = _count(deployment, free.model_copy(update={"due": (), "unreferenced_by": ()}))
    left = everything - expected
    if not left:
        return
    held = _count(deployment, free, leaving) - expected
    if held:
        yield _group(step.dataset, "a hold", "hold", held)
    due_but_referenced = _count(deployment, free.model_copy(update={"unreferenced_by": ()})) - expected - held
    if due_but_referenced:
        yield _group(step.dataset, "still referenced by records that stay", "referenced", due_but_referenced)
    left -= held + due_but_referenced
    for group in _by_statute(deployment, step, free, now):
        left -= group.count
        yield group
    if left > 0:
        yield _group(step.dataset, "no datable start time", "undatable", left)


def of_rule(
    deployment: Deployment, obligation: Obligation, selection: Selection, expected: int, leaving: Going
) -> Iterator[Withheld]:
    """Yield how many due rows a hold keeps in a shared pass; without any hold nothing is counted a second time."""
    if not holds(deployment):
        return
    held = _count(deployment, selection.model_copy(update={"respect_holds": False}), leaving) - expected
    if held > 0:
        yield _group(obligation.dataset, "a hold", "hold", held)


def _by_statute(deployment: Deployment, step: OffboardingStep, free: Selection, now: datetime) -> Iterator[Withheld]:
    """Split the rows that a processor's statute keeps by calendar year, so that each has the day it ends."""
    if not step.due:
        return
    time = min(step.due, key=lambda before: before.day)
    scope = free.model_copy(update={"unreferenced_by": ()})
    today = local_date(now, time.zone)
    binding = _binding(deployment, step.dataset, today)
    below = _count(deployment, scope.model_copy(update={"due": (time,)}))
    for year in range(max(time.day.year, time.not_before.year) + 1, today.year + 1):
        last = min(date(year, 12, 31), today)
        upto = _count(deployment, scope.model_copy(update={"due": (time.model_copy(update={"day": last}),)}))
        if upto > below:
            yield Withheld(
                dataset=step.dataset,
                ground=", ".join(sorted({duty.floor.citation for duty in binding})),
                label="statute",
                duty_holder="processor",
                count=upto - below,
                ends_on=_ends_on(binding, last),
            )
        below = upto


def _binding(deployment: Deployment, dataset: str, today: date) -> list[Duty]:
    entry = deployment.policy.inventory.dataset(dataset)
    return [d for d in duties(deployment.policy, entry, today) if d.in_force and d.holder == "processor"]


def _ends_on(binding: list[Duty], last: date) -> date | None:
    """Return the first day on which no duty binds records of that year any more; None while a tax year is open."""
    if any(duty.runs_on(last) for duty in binding):
        return None
    return max((duty.first_free_day(last) for duty in binding), default=None)


def _group(dataset: str, ground: str, label: str, count: int) -> Withheld:
    return Withheld.model_validate({"dataset": dataset, "ground": ground, "label": label, "count": count})


def _count(deployment: Deployment, selection: Selection, leaving: Going = NOTHING_GOES) -> int:
    store = deployment.policy.inventory.dataset(selection.dataset).store
    return deployment.stores[store].count(bind(deployment, selection), leaving).items

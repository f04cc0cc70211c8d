"""Weighing: did a job take more than was due? Receipts against counts that the executor had no hand in (I35).

Looking for what is left cannot see what should have stayed. So fresh eyes count before the first batch what is due and
how many rows there are, and again at the end: receipts that exceed what went of the due rows, while rows that had to
stay became fewer, are a deletion of too much. Before anything is changed, the executor's own count must equal the
fresh one.

An anonymising job leaves as many rows as there were: what is weighed is how many of them are not anonymised.

What it cannot see: too much deleted without a receipt, or hidden by as many rows inserted meanwhile, or in a job during
which holds changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import cast

from lifecycle.core.errors import Refused
from lifecycle.core.job import Job
from lifecycle.core.plan import Detach, Plan, Step
from lifecycle.evidence import canonical
from lifecycle.flow.binding import bind
from lifecycle.flow.controls import log_refusal
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint
from lifecycle.flow.linking import Linking
from lifecycle.ports.store import Ask

LOOKS = 3
"""How often two counts are taken again before a difference counts: the application writes between them."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One dataset at one moment: rows in all, rows due by the job's steps, and the version of its store's holds."""

    rows: int
    due: int
    holds: int

    @property
    def staying(self) -> int:
        """Return how many rows the job must not touch."""
        return self.rows - self.due


def weigh_before(deployment: Deployment, plan: Plan, job: str) -> dict[str, int]:
    """Compare the executor's counts with fresh ones, remember the fresh ones for the end, and return them by step.

    Raises Refused (guard `second-opinion`) when the executor would select another number than fresh eyes find due.
    """
    groups = _by_dataset(plan)
    # All rows before the due ones: rows inserted in between then excuse, they never accuse.
    rows = {dataset: _rows(deployment, steps) for dataset, steps in groups.items()}
    seen = second_opinions(deployment, plan.walked())
    weights = {
        dataset: asdict(Weight(rows[dataset], sum(_due(deployment, step, seen[step.id]) for step in steps), holds))
        for dataset, steps in groups.items()
        for holds in [_holds(deployment, steps)]
    }
    with deployment.state.transaction() as tx:
        tx.put("job", _name(job), canonical.encode(weights))
    return seen


def weigh_after(deployment: Deployment, plan: Plan, job: Job) -> None:
    """Compare receipts with what went, once: a later look could not tell the application's own deletions apart.

    Raises Refused: guard `survivors` when rows went that had to stay, `unreceipted` when no receipt names what went.
    """
    body = deployment.state.get("job", _name(job.id))
    if body is None or job.open:
        return
    before = {dataset: Weight(**weight) for dataset, weight in json.loads(body).items()}
    for dataset, steps in _by_dataset(plan).items():
        refusal = _compare(job, dataset, steps, before[dataset], _weight(deployment, steps))
        if refusal is not None:
            log_refusal(deployment, refusal, rule=plan.rule, job=job.id)
            checkpoint(deployment)
            raise refusal
    with deployment.state.transaction() as tx:
        tx.remove("job", _name(job.id))


def _name(job: str) -> str:
    return f"{job}/before"


def _by_dataset(plan: Plan) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in plan.walked():
        if not isinstance(step.action, Detach):
            found.setdefault(step.dataset, []).append(step)
    return found


def second_opinions(deployment: Deployment, steps: Iterable[Step]) -> dict[str, int]:
    """Return how many items fresh eyes find due for each step.

    Raises Refused (guard `second-opinion`) unless the executor's counts agree (I25).
    """
    by_store: dict[str, list[Step]] = {}
    for step in steps:
        by_store.setdefault(step.store, []).append(step)
    found: dict[str, int] = {}
    for name, mine in by_store.items():
        with deployment.stores[name].looking() as ask:
            found |= {step.id: _second_opinion(deployment, step, ask) for step in mine}
    return found


def _second_opinion(deployment: Deployment, step: Step, ask: Ask) -> int:
    store, bound = deployment.stores[step.store], bind(deployment, step.selection)
    fresh, counted = ask(bound, narrow=True).items, 0
    for _ in range(LOOKS):
        counted = store.count(bound).items
        if counted == fresh:
            return fresh
        earlier, fresh = fresh, ask(bound, narrow=True).items
        if min(earlier, fresh) <= counted <= max(earlier, fresh):
            return fresh
    raise Refused(
        f"step {step.id} ({step.dataset}) selects {counted} items, an independent count finds {fresh} due",
        guard="second-opinion",
        advice="Nothing was changed. Report this with the plan's file: one of two query builders is wrong.",
    )


def _weight(deployment: Deployment, steps: Iterable[Step]) -> Weight:
    """Count the due rows before all rows: the other way round than before the job, for the same reason."""
    known = list(steps)
    due = sum(_due(deployment, step) for step in known)
    return Weight(_rows(deployment, known), due, _holds(deployment, known))


def _rows(deployment: Deployment, steps: Sequence[Step]) -> int:
    """Count all rows; of an anonymising step those that are not anonymised: it takes from them as a deletion does."""
    return deployment.stores[steps[0].store].population(steps[0].dataset, steps[0].selection.undone)


def _holds(deployment: Deployment, steps: Sequence[Step]) -> int:
    return deployment.stores[steps[0].store].fence().hold_version


def _due(deployment: Deployment, step: Step, seen: int | None = None) -> int:
    """Count what is due, `seen` when that is known; a parent may become due when its last child goes, so it counts."""
    if step.selection.linked_by is not None:
        # An object may lose its last row to a later step, so it counts for each step that takes a row of it.
        return cast("Linking", deployment.stores[step.store]).referenced(bind(deployment, step.selection))
    if seen is not None and not step.selection.unreferenced_by:
        return seen
    free = step.selection.model_copy(update={"unreferenced_by": ()})
    return deployment.stores[step.store].residue(bind(deployment, free)).items


def _compare(job: Job, dataset: str, steps: Iterable[Step], before: Weight, after: Weight) -> Refused | None:
    if before.holds != after.holds:
        return None
    done = [job.progress(step.id) for step in steps]
    receipted, went = sum(progress.done for progress in done), before.due - after.due
    lost = before.staying - after.staying
    wrong = min(receipted - went, lost)
    if wrong > 0:
        return Refused(
            f"{wrong} rows of {dataset} went that were not due",
            guard="survivors",
            advice="Stop with `lifecycle stop`; the receipts' sealed lists name the rows. Restore them, then report.",
        )
    if not receipted and went + min(0, lost) > 0 and any(progress.batches for progress in done):
        return Refused(
            f"{went} due rows of {dataset} went, and no receipt names one",
            guard="unreceipted",
            advice="Find out who deleted them; the job gets no certificate. Plan again for what is left.",
        )
    return None

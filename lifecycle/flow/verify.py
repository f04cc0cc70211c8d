"""Fresh eyes: another connection and another query builder look for what a job should have removed (I21, I35).

This module never reads what the executor believes: it takes the plan's selections and asks the stores again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.core.events import VerificationDone
from lifecycle.core.plan import Delete, Plan, Step
from lifecycle.flow.binding import bind
from lifecycle.flow.coverage import complete
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint, read_job, record
from lifecycle.flow.plans import read_plan
from lifecycle.flow.weighing import weigh_after
from lifecycle.ports.store import Residue

VERIFIER = "residue-v1"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found per step, open batches, and whether the stores' coverage is complete."""

    found: tuple[tuple[Step, Residue], ...]
    unknown: int
    coverage_complete: bool

    @property
    def clean(self) -> bool:
        """Return whether nothing was left: no residue, no orphan, no open batch."""
        return not self.unknown and not any(residue.items or residue.orphans for _, residue in self.found)


def job_of(plan_hash: str) -> str:
    """Return the one job a plan can have: delivering a plan twice finds it."""
    return "j-" + plan_hash.removeprefix("sha256:")[:24]


def verify(deployment: Deployment, plan_hash: str) -> Verified:
    """Look at every step of a plan again, weigh its receipts, log what was found, and return it.

    Raises Refused (guards `survivors`, `unreceipted`) when the job took what it should not have: nothing is verified.
    """
    plan = read_plan(deployment, plan_hash)
    weigh_after(deployment, plan, read_job(deployment, job_of(plan_hash)))
    verified = look(deployment, plan, plan.walked(), job_of(plan_hash))
    _log(deployment, plan, plan_hash, verified)
    checkpoint(deployment)
    deployment.failpoint("verify.done")
    return verified


def look(deployment: Deployment, plan: Plan, steps: Sequence[Step], job: str) -> Verified:
    """Ask the stores, without logging."""
    found = tuple((step, deployment.stores[step.store].residue(bind(deployment, step.selection))) for step in steps)
    unknown = len(read_job(deployment, job).open)
    covered = all(complete(deployment, binding.store) for binding in plan.stores)
    return Verified(found, unknown, covered)


def check_level(deployment: Deployment, steps: Sequence[Step]) -> bool:
    """Count path datasets again before their parents' level starts: afterwards the path is gone and would say 0.

    Returns False, after logging what is left, when a parent must not be touched yet.
    """
    by_path = [step for step in steps if step.path_tenancy and isinstance(step.action, Delete)]
    if not by_path:
        return True
    found = [(step, deployment.stores[step.store].residue(bind(deployment, step.selection))) for step in by_path]
    # Orphans of earlier days keep the certificate back, not the parents: they have none among these.
    return not any(residue.items for _, residue in found)


def _log(deployment: Deployment, plan: Plan, plan_hash: str, verified: Verified) -> None:
    if verified.found:
        event = VerificationDone(
            job=job_of(plan_hash),
            verifier=VERIFIER,
            checks=tuple(_check(step, residue) for step, residue in verified.found),
            unknown=verified.unknown,
            coverage_complete=verified.coverage_complete,
            tenant=plan.tenant,
        )
        record(deployment, event)


def _check(step: Step, residue: Residue) -> dict[str, Any]:
    return {
        "step": step.id,
        "dataset": step.dataset,
        "store": step.store,
        "residue": residue.items,
        "orphans": residue.orphans,
        "undatable": residue.oddities.undatable,
        # A row without a tenant is nobody's either: no certificate over its dataset is final.
        "unattributed": residue.oddities.unattributed + residue.oddities.null_tenant,
        "contested": residue.oddities.contested,
    }

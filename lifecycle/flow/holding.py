"""Setting and releasing holds. A hold is active once every store of its scope mirrors it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.events import HoldReleased, HoldSet
from lifecycle.core.hold import Hold, HoldBasis
from lifecycle.core.tenant import Tenant
from lifecycle.flow import mirror, registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint, write

ALL = ("all",)


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a hold is set: basis, reason, the reference of its document, and when it is looked at again."""

    basis: HoldBasis
    reason: str
    reference: str | None = None
    review_on: date | None = None


def set_hold(
    deployment: Deployment, tenant: Tenant, ground: Ground, *, operator: str, datasets: tuple[str, ...] = ()
) -> Hold:
    """Write the hold into the register, then into every store of its scope, then into the log.

    Raises:
        InvalidDocument: an unknown dataset. LifecycleError: a store could not be written; the register keeps the hold,
        so the tenant is held whole by every run that starts from now on.
    """
    known = {dataset.id for dataset in deployment.policy.inventory.datasets}
    unknown = sorted(set(datasets) - known)
    if unknown:
        msg = f"no dataset {unknown[0]!r} in the inventory"
        raise InvalidDocument(msg, advice="Name datasets as the inventory does, or none to hold the tenant whole.")
    today = deployment.clock.now().date()
    serial = sum(1 for _ in deployment.state.items("hold"))
    hold = registers.build(
        Hold,
        {
            "id": "h-" + hashlib.sha256(f"{deployment.alias(tenant.id)}/{serial}".encode()).hexdigest()[:12],
            "tenant": tenant.id,
            "datasets": datasets,
            "basis": ground.basis,
            "reason": ground.reason,
            "reference": ground.reference,
            "set_on": today,
            "set_by": operator,
            "review_on": ground.review_on,
        },
        "the hold",
    )
    with deployment.state.transaction() as tx:
        registers.put(tx, "hold", hold.id, hold)
    return _activate(deployment, hold)


def release(deployment: Deployment, name: str, *, operator: str) -> Hold:
    """End a hold: register first, then the stores. Raises Refused when it is released already."""
    hold = registers.need(deployment, "hold", Hold, name)
    if hold.released_on is not None:
        raise Refused("the hold is released already", guard="already-there", advice="Nothing to do.")
    released = hold.model_copy(update={"released_on": deployment.clock.now().date(), "released_by": operator})
    event = HoldReleased(
        hold=hold.id, basis=hold.basis, datasets=hold.datasets or ALL, tenant=deployment.alias(hold.tenant)
    )
    with deployment.state.transaction() as tx:
        registers.put(tx, "hold", name, released)
        write(deployment, tx, event)
    _write_all(deployment)
    checkpoint(deployment)
    return released


def _activate(deployment: Deployment, hold: Hold) -> Hold:
    stores = _write_all(deployment)
    active = hold.model_copy(update={"mirrored_in": tuple(stores)})
    event = HoldSet(hold=hold.id, basis=hold.basis, datasets=hold.datasets or ALL, tenant=deployment.alias(hold.tenant))
    with deployment.state.transaction() as tx:
        registers.put(tx, "hold", hold.id, active)
        write(deployment, tx, event)
    checkpoint(deployment)
    return active


def _write_all(deployment: Deployment) -> list[str]:
    """Mirror every hold into every store; raise the first failure after trying all of them."""
    return sorted(mirror.mirror_holds(deployment, sorted(deployment.stores)))

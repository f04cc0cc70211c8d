"""Status: are we keeping our promises? A fold of registers, log and one scan; nothing is stored for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from lifecycle.core.errors import InvalidDocument, LifecycleError, Refused
from lifecycle.core.mandate import Mandate
from lifecycle.core.tenant import Tenant
from lifecycle.flow import offboard, registers
from lifecycle.flow.controls import refuse_if_stopped
from lifecycle.flow.coverage import gaps
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.intents import Intent
from lifecycle.flow.mirror import holds
from lifecycle.flow.offboard import Offboarding
from lifecycle.flow.scan import Scanned, scan
from lifecycle.flow.scopes import tenants


@dataclass(frozen=True, slots=True)
class Status:
    """One screen of facts. `stopped` and `scan_refused` are reasons in words, or None."""

    deployment: str
    stopped: str | None
    scanned: Scanned | None
    scan_refused: str | None
    mandates: tuple[Mandate, ...]
    holds: int
    open_batches: int
    tenants: int
    ending: tuple[Offboarding, ...]
    coverage_gaps: int
    log_size: int
    certificates: int


def status(deployment: Deployment) -> Status:
    """Gather the facts; a store that does not answer becomes a reason, not an exception."""
    stopped = scan_refused = None
    try:
        refuse_if_stopped(deployment)
    except LifecycleError as refusal:
        stopped = refusal.message
    scanned = None
    try:
        scanned = scan(deployment)
    except LifecycleError as error:
        scan_refused = error.message
    register = tenants(deployment)
    return Status(
        deployment=deployment.id,
        stopped=stopped,
        scanned=scanned,
        scan_refused=scan_refused,
        mandates=tuple(m for m in registers.every(deployment.state, "mandate", Mandate) if m.revoked_on is None),
        holds=len(holds(deployment)),
        open_batches=sum(1 for _ in registers.every(deployment.state, "intent", Intent)),
        tenants=len(register),
        ending=tuple(_ending(deployment, register)),
        coverage_gaps=_gaps(deployment),
        log_size=deployment.state.size(),
        certificates=sum(1 for _ in deployment.state.items("certificate")),
    )


def _ending(deployment: Deployment, register: list[Tenant]) -> Iterator[Offboarding]:
    for tenant in register:
        if tenant.contract_end is not None:
            # Whoever cannot be resolved stands in the scan's list already.
            with contextlib.suppress(InvalidDocument, Refused):
                yield offboard.view(deployment, tenant)


def _gaps(deployment: Deployment) -> int:
    found = 0
    for name in sorted(deployment.stores):
        try:
            found += len(gaps(deployment, name))
        except LifecycleError:
            found += 1
    return found

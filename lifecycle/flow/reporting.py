"""Status: are we keeping our promises? A fold of registers, log and one scan; nothing is stored for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lifecycle.core.errors import InvalidDocument, LifecycleError, Refused
from lifecycle.core.mandate import Mandate
from lifecycle.core.tenant import Tenant
from lifecycle.core.throttle import Brake
from lifecycle.flow import brakes, last_look, offboard, pending, registers, slots
from lifecycle.flow.approve import in_force
from lifecycle.flow.brakes import Running
from lifecycle.flow.controls import refuse_if_stopped
from lifecycle.flow.coverage import gaps
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.intents import Intent
from lifecycle.flow.look import Look, look
from lifecycle.flow.mirror import holds
from lifecycle.flow.offboard import Offboarding
from lifecycle.flow.pending import Pending
from lifecycle.flow.scan import Scanned, scan
from lifecycle.flow.scopes import tenants
from lifecycle.flow.slots import Due, RuleState
from lifecycle.flow.waiting import Waiting, waiting


@dataclass(frozen=True, slots=True)
class Status:
    """One screen of facts, as they were `at` that moment. `stopped` and `scan_refused` are reasons in words, or None.

    `looked`: what the separate verifier sees now, rows of ended contracts included (I24, I33).
    `turns`: where each (agreement, rule) stands in its schedule; `missed`: slots that passed since without a turn;
    `waiting`: plans that are authorised and not finished; `unsigned`: plans that wait for a signature;
    `following`: when each rule that binds somebody today has its next turn; `running`: those whose
    job has begun, with how far it is; `braked`: by throttled store, what holds changes back there just now.
    """

    deployment: str
    at: datetime
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
    turns: Mapping[tuple[str, str], RuleState]
    looked: Look
    missed: tuple[Due, ...]
    waiting: tuple[Pending, ...]
    unsigned: tuple[Waiting, ...]
    following: Mapping[tuple[str, str], datetime]
    running: tuple[Running, ...] = ()
    braked: Mapping[str, Brake | None] = field(default_factory=dict)


def status(deployment: Deployment) -> Status:
    """Gather the facts; a store that does not answer becomes a reason, not an exception."""
    at = deployment.clock.now()
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
        at=at,
        stopped=stopped,
        scanned=scanned,
        scan_refused=scan_refused,
        mandates=tuple(_mandates(deployment)),
        holds=len(holds(deployment)),
        open_batches=sum(1 for _ in registers.every(deployment.state, "intent", Intent)),
        tenants=len(register),
        ending=tuple(_ending(deployment, register)),
        coverage_gaps=_gaps(deployment),
        log_size=deployment.state.size(),
        certificates=sum(1 for _ in deployment.state.items("certificate")),
        turns=slots.every(deployment),
        looked=look(deployment, last_look.recall(deployment)),
        missed=tuple(_missed(deployment)),
        waiting=tuple(pending.pending(deployment)),
        unsigned=tuple(waiting(deployment)),
        following=_following(deployment, scanned, at),
        running=tuple(brakes.running(deployment)),
        braked=brakes.brakes(deployment),
    )


def _following(deployment: Deployment, scanned: Scanned | None, now: datetime) -> dict[tuple[str, str], datetime]:
    """Return the next turn of each rule that binds a dataset today, or that has had a turn worth telling."""
    bound = {(one.obligation.agreement, one.obligation.rule) for one in scanned.findings} if scanned else set()
    told = {name for name, state in slots.every(deployment).items() if state.succeeded_at or state.result != "idle"}
    wanted = (bound | told) & set(slots.declared(deployment))
    return {pair: slots.next_turn(deployment, *pair, now) for pair in sorted(wanted)}


def _mandates(deployment: Deployment) -> Iterator[Mandate]:
    """Yield the mandates that may still cover a plan: one whose operator was removed does not."""
    today = deployment.clock.now().date()
    for mandate in registers.every(deployment.state, "mandate", Mandate):
        if in_force(deployment, mandate, today):
            yield mandate


def _missed(deployment: Deployment) -> Iterator[Due]:
    """Yield the rules with slots that passed without a turn; not those whose last turn found that they bind nobody."""
    known = slots.every(deployment)
    for due in slots.due(deployment, deployment.clock.now()):
        state = known.get((due.agreement, due.rule))
        if due.missed and state is not None and (state.succeeded_at is not None or state.result != "idle"):
            yield due


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

"""What must hold before anything changes: kill switch, clocks, fences. Every refusal says why and is logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from lifecycle.core import guard
from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.events import GuardRefused, Resumed, Stopped
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow.deployment import Deployment, instant
from lifecycle.flow.journal import record, write
from lifecycle.ports.store import Store


def refuse_if_stopped(deployment: Deployment) -> None:
    """Raise Refused while the kill switch is on: by file, by our register, or because it cannot be read (I28)."""
    why = deployment.kill.stopped()
    if why is None and deployment.state.get("setting", "stopped") is not None:
        why = "database"
    if why is not None:
        raise Refused(
            f"everything is stopped ({why})",
            guard="stopped",
            advice="Find out who stopped it; then `lifecycle resume`.",
        )


def stop(deployment: Deployment, operator: str | None) -> None:
    """Stop before the next batch, everywhere: file, register, and the fence of each store that answers."""
    deployment.kill.stop()
    with deployment.state.transaction() as tx:
        tx.put("setting", "stopped", b"true")
        write(deployment, tx, Stopped(operator=operator, reason="operator"))
    _fences(deployment.stores.values(), stopped=True)


def resume(deployment: Deployment, operator: str | None) -> None:
    """Allow changes again. Raises Transient when a store's stop bit could not be cleared: it stays stopped there."""
    _fences(deployment.stores.values(), stopped=False)
    with deployment.state.transaction() as tx:
        tx.remove("setting", "stopped")
        write(deployment, tx, Resumed(operator=operator, reason="operator"))
    deployment.kill.resume()


def _fences(stores: Iterable[Store], *, stopped: bool) -> None:
    failed: list[LifecycleError] = []
    for store in stores:
        try:
            if store.probe().prepared:
                store.set_stop(stopped=stopped)
        except LifecycleError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def effective_now(deployment: Deployment, stores: Iterable[str]) -> datetime:
    """Return the least of our clock and the stores' own clocks (I12), checked against the high-water mark (I13).

    Raises:
        Refused: the clocks disagree by more than a minute, or time fell behind or jumped ahead of the mark.
    """
    clocks = [deployment.stores[name].probe().clock for name in stores]
    now = guard.effective_now(deployment.clock.now(), clocks).require()
    guard.against_high_water(now, _mark(deployment)).require()
    return now.replace(microsecond=0)


def _mark(deployment: Deployment) -> datetime | None:
    """Return the latest time on record: of a run, or of an operator's signed word."""
    bodies = [deployment.state.get("setting", name) for name in ("high-water", "clock-accepted")]
    return max((datetime.fromisoformat(json.loads(body)["at"]) for body in bodies if body), default=None)


def accept_clock(deployment: Deployment, operator: str, key: SigningKey) -> None:
    """Record an operator's word that the present time is right after a long outage.

    Raises InvalidDocument for an unknown operator, Refused for another key than theirs.
    """
    if deployment.operator(operator, deployment.clock.now().date()).public_key != key.public.public_key:
        raise Refused("the key file is not this operator's key", guard="wrong-key")
    with deployment.state.transaction() as tx:
        tx.put("setting", "clock-accepted", json.dumps({"at": instant(deployment.clock.now())}).encode())
        write(deployment, tx, Resumed(operator=operator, reason="operator"))


def raise_mark(deployment: Deployment, now: datetime) -> None:
    """Persist the high-water mark of effective time; it never goes back."""
    mark = _mark(deployment)
    if mark is None or mark < now:
        with deployment.state.transaction() as tx:
            tx.put("setting", "high-water", json.dumps({"at": instant(now)}).encode())


def log_refusal(deployment: Deployment, refusal: Refused, *, rule: str | None = None, job: str | None = None) -> None:
    """Write the guard's refusal into the log."""
    record(deployment, GuardRefused(guard=refusal.guard, rule=rule, job=job))

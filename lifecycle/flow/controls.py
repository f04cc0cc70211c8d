"""What must hold before anything changes: kill switch, clocks, fences. Every refusal says why and is logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from lifecycle.core import guard
from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.events import GuardRefused, Resumed, Stopped
from lifecycle.core.guard import Anchor
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow.deployment import Deployment, instant
from lifecycle.flow.journal import record, write
from lifecycle.ports.state import Transaction
from lifecycle.ports.store import Store

ANCHOR_SECONDS = 3600.0
"""How often the watch over the clock may begin anew while nothing is wrong."""
_SMALL_STEP = 0.5
"""Seconds below which a second clock is not asked."""


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


def stop(deployment: Deployment, operator: str | None, *, reason: str = "operator") -> None:
    """Stop before the next batch, everywhere: file, register, and the fence of each store that answers.

    Every way is tried, whatever becomes of the others. `reason`: operator, or signal; a signal that is repeated is
    logged once.

    Raises:
        NotStopped: some of the ways could not be taken; the others are. Repeating is safe.
    """
    failed: dict[str, Exception] = {}
    for way, taken in (
        ("file", deployment.kill.stop),
        ("database", lambda: _register_stop(deployment, operator, reason)),
        ("fence", lambda: _fences(deployment.stores.values(), stopped=True)),
    ):
        try:
            taken()
        except Exception as error:  # noqa: BLE001  # whatever keeps us from one way must not keep us from the next
            failed[way] = error
    if failed:
        raise NotStopped(tuple(failed)) from next(iter(failed.values()))


class NotStopped(Transient):
    """The kill switch could not be set by every way. `ways`: those that failed, of file, database, fence."""

    def __init__(self, ways: tuple[str, ...]) -> None:
        """Name the ways."""
        super().__init__(
            f"the kill switch could not be set by: {', '.join(ways)}",
            advice="Mend the cause and stop again; if it must stop now, end every replica.",
        )
        self.ways = ways


def _register_stop(deployment: Deployment, operator: str | None, reason: str) -> None:
    with deployment.state.transaction() as tx:
        if operator is None and tx.get("setting", "stopped") is not None:
            return
        tx.put("setting", "stopped", b"true")
        write(deployment, tx, Stopped(operator=operator, reason=reason))


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
    """Return the least of our clock, the stores' own, and each second clock that answers (I12).

    It is checked against the high-water mark (I13): a jump ahead passes where a second clock agrees with the rest.

    Raises:
        Refused: the clocks disagree by more than a minute, or time fell behind or jumped ahead of the mark.
    """
    local = deployment.clock.now()
    clocks = [deployment.stores[name].probe().clock for name in stores]
    others = _others(deployment)
    now = guard.effective_now(local, [*clocks, *others]).require()
    guard.against_high_water(now, marked_at(deployment), second=min(others, default=None)).require()
    return now.replace(microsecond=0)


def _others(deployment: Deployment) -> list[datetime]:
    """Ask the clocks that do not follow this host's; those that do not answer are left out."""
    return [clock for clock in (deployment.second.read(), deployment.ntp.read()) if clock is not None]


def anchor(deployment: Deployment) -> Anchor:
    """Return the present by the wall clock and the monotonic one, for `refuse_drift`."""
    return Anchor(deployment.clock.now(), deployment.clock.monotonic())


def refuse_drift(deployment: Deployment, since: Anchor) -> None:
    """Raise Refused (guard `clock-drift`) when the clock was set since then (I13). Cheap: ask before each batch."""
    since.held(deployment.clock.now(), deployment.clock.monotonic()).require()


class DriftGuard:
    """Watches a process' wall clock for as long as the process lives (I13).

    Once the clock was set nothing may run, until a second clock agrees with it or an operator has signed for it.
    Steps too small to be refused are forgotten, once an hour at most, where a second clock agrees with the present:
    they would add up over months. With one clock they do. A reload hands in another deployment; the watch goes on.
    """

    def __init__(self, deployment: Deployment) -> None:
        """Begin to watch."""
        self._since = anchor(deployment)
        self._asked = self._since.monotonic
        self._signed = deployment.state.get("setting", "clock-accepted")
        self._refused = False

    def check(self, deployment: Deployment) -> None:
        """To be called between runs. Raises Refused (guard `clock-drift`), which is logged, until somebody vouches."""
        signed = deployment.state.get("setting", "clock-accepted")
        present = anchor(deployment)
        try:
            self._since.held(present.wall, present.monotonic).require()
        except Refused as refusal:
            if signed == self._signed and not _confirmed(deployment, present.wall):
                self._refused = True
                log_refusal(deployment, refusal)
                raise
            self._since = present
        else:
            self._forget_small_steps(deployment, present)
        # A signature from before the clock was set says nothing about what it was set to.
        self._signed = signed
        if self._refused:
            self._refused = False
            _forget_refusal(deployment)

    def _forget_small_steps(self, deployment: Deployment, present: Anchor) -> None:
        """Begin to watch anew from a present that a clock which does not follow this host's confirms."""
        if present.monotonic - self._asked < ANCHOR_SECONDS or self._since.drift(present) < _SMALL_STEP:
            return
        self._asked = present.monotonic
        if _confirmed(deployment, present.wall):
            self._since = present


def _confirmed(deployment: Deployment, wall: datetime) -> bool:
    others = _others(deployment)
    return bool(others) and guard.effective_now(wall, others).decision.allowed


def marked_at(deployment: Deployment) -> datetime | None:
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
    mark = marked_at(deployment)
    if mark is None or mark < now or deployment.state.get("setting", _CLOCK_REFUSED) is not None:
        with deployment.state.transaction() as tx:
            raise_mark_within(deployment, tx, now)


def raise_mark_within(deployment: Deployment, tx: Transaction, now: datetime) -> None:
    """Do what `raise_mark` promises in a transaction that does more; the clocks are right again, too."""
    mark = marked_at(deployment)
    if mark is None or mark < now:
        tx.put("setting", "high-water", json.dumps({"at": instant(now)}).encode())
    tx.remove("setting", _CLOCK_REFUSED)


def log_refusal(deployment: Deployment, refusal: Refused, *, rule: str | None = None, job: str | None = None) -> None:
    """Write the guard's refusal into the log; of a clock that stops everything only once, until it is right again."""
    event = GuardRefused(guard=refusal.guard, rule=rule, job=job)
    if not refusal.guard.startswith("clock-") or rule is not None or job is not None:
        record(deployment, event)
        return
    with deployment.state.transaction() as tx:
        if tx.get("setting", _CLOCK_REFUSED) != refusal.guard.encode():
            tx.put("setting", _CLOCK_REFUSED, refusal.guard.encode())
            write(deployment, tx, event)


def _forget_refusal(deployment: Deployment) -> None:
    """Note that the clocks are right again: the next refusal is another one."""
    if deployment.state.get("setting", _CLOCK_REFUSED) is not None:
        with deployment.state.transaction() as tx:
            tx.remove("setting", _CLOCK_REFUSED)


_CLOCK_REFUSED = "clock-refused"
"""The register's name of the guard that stopped everything: a tick asks every few seconds, the log is told once."""

"""Plans that are authorised and not finished: they are carried out, or gone on with, before anything new begins.

A marker stands in the state from the moment enough signatures are there (or a job starts) until the job has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lifecycle.core.errors import LifecycleError
from lifecycle.core.value import Line, Text, Value
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.slots import guard_of, wait, waits
from lifecycle.ports.state import Transaction

_PREFIX = "open/"


class Marker(Value):
    """How often carrying a plan out failed in a row, when it is tried again, and why it failed.

    `paused`: nothing failed; it waits for a throttle or for the next night's budget.
    """

    failures: int = 0
    paused: bool = False
    retry_at: datetime | None = None
    guard: Line | None = None
    message: Text | None = None
    advice: Text | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """One such plan."""

    plan_hash: str
    marker: Marker

    def waits(self, now: datetime) -> bool:
        """Return whether it failed and is not tried again yet."""
        return waits(self.marker.retry_at, now)


def mark(tx: Transaction, plan_hash: str) -> None:
    """Note that a plan may be carried out; noting it again is fine."""
    if tx.get("job", _PREFIX + plan_hash) is None:
        registers.put(tx, "job", _PREFIX + plan_hash, Marker())


def forget(tx: Transaction, plan_hash: str) -> None:
    """Note that a plan's job has ended, or never will begin."""
    tx.remove("job", _PREFIX + plan_hash)


def read(deployment: Deployment, plan_hash: str) -> Marker | None:
    """Return a plan's marker, or None where it is finished."""
    return registers.load(deployment.state, "job", Marker, _PREFIX + plan_hash)


def pending(deployment: Deployment) -> Iterator[Pending]:
    """Yield them in the order of their hashes."""
    for name, body in list(deployment.state.items("job", _PREFIX)):
        yield Pending(name.removeprefix(_PREFIX), registers.parse("job", Marker, name, body))


def failed(deployment: Deployment, one: Pending, error: LifecycleError, now: datetime) -> None:
    """Keep why it failed and try later, where it is still to be tried: a minute, doubled each time, an hour at most."""
    count = one.marker.failures + 1
    _keep(deployment, one, error, Marker(failures=count, retry_at=now + wait(count)))


def paused(deployment: Deployment, one: Pending, error: LifecycleError, until: datetime) -> None:
    """Keep why it waits, and until when: no failure is counted."""
    _keep(deployment, one, error, Marker(paused=True, retry_at=until))


def _keep(deployment: Deployment, one: Pending, error: LifecycleError, base: Marker) -> None:
    told = {"guard": guard_of(error), "message": error.message[:2000], "advice": error.advice()[:2000]}
    marker = base.model_copy(update=told)
    with deployment.state.transaction() as tx:
        if tx.get("job", _PREFIX + one.plan_hash) is not None:
            registers.put(tx, "job", _PREFIX + one.plan_hash, marker)

"""Slots: whether a rule's turn has come, derived from state and never from a timer (I26).

Time is cut into slots per rule class (`core.schedule`). A slot is claimed in one transaction under the writer's epoch:
of several processes one claims it, and whoever takes over from a dead one enters the same slot again instead of a
second one. Slots that passed while nothing ran are counted and made up for by one run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lifecycle.core.errors import Corrupt, LifecycleError, Refused
from lifecycle.core.guard import PastRun
from lifecycle.core.schedule import missed, next_start, slot_at, slot_start
from lifecycle.core.value import Digest, Line, Text, Value
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.state import Transaction

FLEETING = frozenset({"stopped", "not-leader", "stale-epoch"})
"""Refusals that say nothing about the rule: its turn comes again with the next tick."""

HEALING = frozenset(
    {"clock-spread", "clock-behind", "clock-ahead", "clock-drift", "read-only"}
    | {"not-prepared", "address", "privilege"}
)
"""Refusals that end without a new plan or signature: tried again within the slot, further and further apart."""

PARKED_AFTER = 3
"""Failures in a row after which a rule counts as parked: shown and alarmed, still tried (I27)."""

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=1)


class Trouble(Value):
    """Why a rule's last turn was refused or failed, and what to do; gone with the next turn that ends well."""

    guard: Line
    message: Text
    advice: Text
    since: datetime
    at: datetime
    failures: int
    retry_at: datetime | None = None

    @property
    def parked(self) -> bool:
        """Return whether it failed so often that somebody should look."""
        return self.failures >= PARKED_AFTER


class Run(Value):
    """One past run: how many items it removed, over how many due days."""

    items: int
    due_days: int


class RuleState(Value):
    """Where a rule's schedule stands. `slot` is the beginning of the last slot that was claimed.

    `plan`: what the slot carries out, from before its job may begin: whoever takes over finds what was done.
    `succeeded_at`: the end of the last turn after which nothing that may go was left; `missed`: slots that passed
    without a turn, in all; `ran_at`: the last turn that found out how much is due; `history`: the runs by mandate or
    signature, one a slot, oldest first.
    """

    slot: datetime
    state: Literal["begun", "done"]
    epoch: int
    begun_at: datetime
    ended_at: datetime | None = None
    succeeded_at: datetime | None = None
    result: str | None = None
    plan: Digest | None = None
    missed: int = 0
    ran_at: datetime | None = None
    history: tuple[Run, ...] = ()
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A rule whose turn has come: its present slot, how many slots passed before it, whether it is re-entered."""

    agreement: str
    rule: str
    slot: datetime
    number: int
    missed: int
    again: bool


def read(deployment: Deployment, agreement: str, rule: str) -> RuleState | None:
    """Return where a rule's schedule stands; None before its first turn."""
    return registers.load(deployment.state, "rule", RuleState, _name(agreement, rule))


def every(deployment: Deployment) -> dict[tuple[str, str], RuleState]:
    """Return where all rules' schedules stand, by (agreement, rule)."""
    found: dict[tuple[str, str], RuleState] = {}
    for name, body in deployment.state.items("rule"):
        if name.endswith(_SUFFIX):
            agreement, rule = name.removesuffix(_SUFFIX).split("/", 1)
            found[agreement, rule] = registers.parse("rule", RuleState, name, body)
    return found


def declared(deployment: Deployment) -> list[tuple[str, str]]:
    """Return every (agreement, rule) of the documents, whether it binds somebody today or not."""
    return sorted({(a.amends or a.id, rule.id) for a in deployment.policy.agreements for rule in a.rules})


def due(deployment: Deployment, now: datetime) -> list[Due]:
    """Return the rules whose turn has come, in a stable order. Reads registers only."""
    known = every(deployment)
    found = (_due(deployment, key, known.get(key), now) for key in declared(deployment))
    return [one for one in found if one is not None]


def present(deployment: Deployment, agreement: str, rule: str, now: datetime) -> Due:
    """Return the rule's present slot whether its turn has come or not: for a run that a person asked for."""
    due_now = _due(deployment, (agreement, rule), read(deployment, agreement, rule), now, asked=True)
    assert due_now is not None  # noqa: S101 - asked for
    return due_now


def _due(
    deployment: Deployment, key: tuple[str, str], state: RuleState | None, now: datetime, *, asked: bool = False
) -> Due | None:
    agreement, rule = key
    rule_class = deployment.schedule.class_of(rule)
    number = slot_at(rule_class, now)
    start = slot_start(rule_class, number)
    if state is None:
        return Due(agreement, rule, start, number, missed=0, again=False)
    if start > state.slot:
        return Due(agreement, rule, start, number, missed(slot_at(rule_class, state.slot), number), again=False)
    retry = state.trouble.retry_at if state.trouble else None
    if asked or (not waits(retry, now) and (state.state == "begun" or retry is not None)):
        return Due(agreement, rule, state.slot, number, missed=0, again=True)
    return None


def next_turn(deployment: Deployment, agreement: str, rule: str, now: datetime) -> datetime:
    """Return when the rule's turn comes next: now where it has come, the next try after a failure, or its next slot."""
    state = read(deployment, agreement, rule)
    if _due(deployment, (agreement, rule), state, now) is not None:
        return now
    following = next_start(deployment.schedule.class_of(rule), now)
    retry = state.trouble.retry_at if state is not None and state.trouble is not None else None
    return min(retry, following) if retry is not None and waits(retry, now) else following


def claim(deployment: Deployment, turn: Due, epoch: int, now: datetime) -> bool:
    """Take a slot and return True; False when another process has taken it since it was found due.

    To be called by the holder of the writer's lock: the transaction refuses a superseded epoch (I20).
    """
    with deployment.state.transaction() as tx:
        found = _read(tx, turn.agreement, turn.rule)
        if found is not None and found.slot >= turn.slot and not turn.again:
            return False
        base = found or RuleState(slot=turn.slot, state="begun", epoch=epoch, begun_at=now)
        _write(
            tx,
            turn,
            base,
            slot=turn.slot,
            state="begun",
            epoch=epoch,
            begun_at=now if found is None or not turn.again else found.begun_at,
            # Only of a turn that never ended: whoever asks for another one in the same slot gets a new plan.
            plan=found.plan if found is not None and turn.again and found.state == "begun" else None,
            missed=base.missed + turn.missed,
        )
    return True


def carries(deployment: Deployment, turn: Due, plan_hash: str) -> None:
    """Note which plan the slot carries out, before its job may begin: a slot never has two jobs."""
    with deployment.state.transaction() as tx:
        _write(tx, turn, _claimed(tx, turn), plan=plan_hash)


def ran(deployment: Deployment, turn: Due, now: datetime, items: int) -> None:
    """Note how much a run took: one entry of history for each slot, however often it is entered."""
    with deployment.state.transaction() as tx:
        found = _read(tx, turn.agreement, turn.rule)
        if found is None:
            return
        days = due_days(found, now)
        history = found.history
        if turn.again and found.ran_at is not None and found.ran_at >= found.slot and history:
            items, days, history = history[-1].items + items, history[-1].due_days, history[:-1]
        history = (*history, Run(items=items, due_days=days))[-deployment.guards.history_runs :]
        _write(tx, turn, found, history=history, ran_at=now)


def ended(deployment: Deployment, turn: Due, now: datetime, result: str) -> None:
    """Note that a turn ended: `result` is its word; only a clean one counts as a success and ends its trouble."""
    clean = result in {"applied", "idle"}
    with deployment.state.transaction() as tx:
        found = _claimed(tx, turn)
        update: dict[str, object] = {"state": "done", "ended_at": now, "result": result}
        if clean:
            update |= {"succeeded_at": now, "ran_at": now, "trouble": None}
        elif result in {"observing", "shadow", "paused"}:
            update["trouble"] = None
        elif found.trouble is not None:
            # The turn came to its end: what is left waits for the next slot, it is not tried every few seconds.
            update["trouble"] = found.trouble.model_copy(update={"retry_at": None})
        _write(tx, turn, found, **update)


def failed(deployment: Deployment, turn: Due, now: datetime, result: str, error: LifecycleError) -> None:
    """Keep why a turn was refused or failed. What can heal is tried again, each time later; the rest next slot."""
    with deployment.state.transaction() as tx:
        found = _read(tx, turn.agreement, turn.rule)
        if found is None:
            return
        before = found.trouble
        count = before.failures + 1 if before else 1
        guard = guard_of(error)
        heals = not isinstance(error, Refused) or guard in HEALING
        trouble = Trouble(
            guard=guard,
            message=error.message[:2000],
            advice=error.advice()[:2000],
            since=before.since if before else now,
            at=now,
            failures=count,
            retry_at=now + wait(count) if heals else None,
        )
        _write(tx, turn, found, state="done", ended_at=now, result=result, trouble=trouble, plan=None)


def paused(deployment: Deployment, turn: Due, now: datetime, error: LifecycleError, until: datetime) -> None:
    """Keep why a turn could not begin yet: no failure is counted, and the slot is entered again then."""
    trouble = Trouble(
        guard=guard_of(error),
        message=error.message[:2000],
        advice=error.advice()[:2000],
        since=now,
        at=now,
        failures=0,
        retry_at=until,
    )
    with deployment.state.transaction() as tx:
        found = _claimed(tx, turn)
        _write(tx, turn, found, state="done", ended_at=now, result="paused", trouble=trouble, plan=None)


def idle(deployment: Deployment, turns: list[Due], epoch: int, now: datetime) -> None:
    """Note in one transaction that these rules bind nobody today: their slots are done."""
    with deployment.state.transaction() as tx:
        for turn in turns:
            found = _read(tx, turn.agreement, turn.rule)
            base = found or RuleState(slot=turn.slot, state="done", epoch=epoch, begun_at=now)
            done = {"slot": turn.slot, "state": "done", "ended_at": now, "succeeded_at": now, "result": "idle"}
            _write(tx, turn, base, **done, trouble=None)


def wait(failures: int) -> timedelta:
    """Return how long to wait after so many failures in a row: a minute, doubled each time, an hour at most."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(failures - 1, 10)))


def waits(retry_at: datetime | None, now: datetime) -> bool:
    """Tell whether something is not tried again yet.

    A moment further away than any wait was written under a clock that was wrong.
    """
    return retry_at is not None and timedelta(0) < retry_at - now <= _LONGEST_WAIT


def guard_of(error: LifecycleError) -> str:
    """Return the word under which an error is kept: the guard that refused, or the error's class."""
    return error.guard if isinstance(error, Refused) else type(error).__name__.lower()


def past_runs(state: RuleState | None) -> tuple[PastRun, ...]:
    """Return a rule's history as the guard reads it."""
    return tuple(PastRun(run.items, run.due_days) for run in state.history) if state else ()


def due_days(state: RuleState | None, now: datetime) -> int:
    """Return how many days' items a run has to remove: whole days since the last run or success, at least one."""
    last = max((moment for moment in (state.succeeded_at, state.ran_at) if moment), default=None) if state else None
    return 1 if last is None else max(1, round((now - last) / timedelta(days=1)))


_SUFFIX = "/slot"


def _name(agreement: str, rule: str) -> str:
    return f"{agreement}/{rule}{_SUFFIX}"


def _read(tx: Transaction, agreement: str, rule: str) -> RuleState | None:
    name = _name(agreement, rule)
    body = tx.get("rule", name)
    return None if body is None else registers.parse("rule", RuleState, name, body)


def _claimed(tx: Transaction, turn: Due) -> RuleState:
    found = _read(tx, turn.agreement, turn.rule)
    if found is None:
        raise Corrupt("a rule's slot went on that nobody claimed")
    return found


def _write(tx: Transaction, turn: Due, before: RuleState, /, **changed: object) -> None:
    registers.put(tx, "rule", _name(turn.agreement, turn.rule), before.model_copy(update=changed))

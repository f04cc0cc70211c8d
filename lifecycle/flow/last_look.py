"""The last look, kept in our state: a restart, or another leader, forgets no ceiling of a store that is down (I24)."""

from __future__ import annotations

from datetime import datetime

from lifecycle.core.value import Value
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.late import Offboarded
from lifecycle.flow.look import Look
from lifecycle.flow.overdue import Seen

_NAME = "last-look"


class _Left(Value):
    """What was seen in one store: of a rule, or of ended contracts where `rule` is missing. Counts and days only."""

    store: str
    agreement: str | None = None
    rule: str | None = None
    overdue: int
    due: int = 0
    undatable: int = 0
    ceiling_of_oldest: datetime | None
    next_deadline: datetime | None


class _Last(Value):
    """A look, as far as a later one needs it."""

    at: datetime
    left: tuple[_Left, ...]


def keep(deployment: Deployment, found: Look, before: Look | None) -> None:
    """Write down what a look saw; nothing when the one before saw the same. Raises as the state does."""
    present = _of(found)
    if before is None or _of(before) != present:
        with deployment.state.transaction() as tx:
            registers.put(tx, "setting", _NAME, _Last(at=found.at, left=present))


def recall(deployment: Deployment) -> Look | None:
    """Return the last look of whoever looked last, incomplete throughout; None before the first. Raises as `load`."""
    last = registers.load(deployment.state, "setting", _Last, _NAME)
    if last is None:
        return None
    return Look(
        at=last.at,
        rules=tuple(_seen(one) for one in last.left if one.rule is not None),
        offboarding=tuple(
            Offboarded(one.store, one.overdue, one.ceiling_of_oldest, one.next_deadline, complete=False)
            for one in last.left
            if one.rule is None
        ),
        leaving=(),
        gaps={},
        spread_seconds=0.0,
        stale=(),
        unanswered=(),
        unbound=(),
        disagreements=(),
    )


def _seen(one: _Left) -> Seen:
    return Seen(
        agreement=one.agreement or "",
        rule=one.rule or "",
        store=one.store,
        overdue=one.overdue,
        ceiling_of_oldest=one.ceiling_of_oldest,
        next_deadline=one.next_deadline,
        due=one.due,
        needed=0,
        undatable=one.undatable,
        unattributed=0,
        nobodys=0,
        complete=False,
    )


def _of(found: Look) -> tuple[_Left, ...]:
    rules = tuple(
        _Left(
            store=one.store,
            agreement=one.agreement,
            rule=one.rule,
            overdue=one.overdue,
            due=one.due,
            undatable=one.undatable,
            ceiling_of_oldest=one.ceiling_of_oldest,
            next_deadline=one.next_deadline,
        )
        for one in found.rules
    )
    ends = tuple(
        _Left(
            store=one.store,
            overdue=one.overdue,
            ceiling_of_oldest=one.ceiling_of_oldest,
            next_deadline=one.next_deadline,
        )
        for one in found.offboarding
    )
    return rules + ends

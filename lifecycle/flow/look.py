"""The separate verifier: what is overdue, what is due next, what nobody can tell (I24, I25, I35).

It asks the stores in another way than what plans and deletes, brings its own register of tenants and holds along, and
writes nothing anywhere. A store, an obligation or a register's entry that fails is named and hides no other (I27).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from lifecycle.core.errors import Corrupt, LifecycleError, Refused
from lifecycle.core.hold import Hold
from lifecycle.core.obligation import Resolution, Unresolved, resolve
from lifecycle.core.tenant import Tenant
from lifecycle.core.value import Value
from lifecycle.flow import registers, slots
from lifecycle.flow.controls import marked_at
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.eyes import Eyes, Present
from lifecycle.flow.late import Leaving, Offboarded, offboarded
from lifecycle.flow.mirror import hold_rows
from lifecycle.flow.overdue import Seen, by_rule
from lifecycle.flow.scopes import UNRESOLVED
from lifecycle.ports.state import Kind
from lifecycle.ports.store import TenantRow

Rule = tuple[str, str]
Entry = TypeVar("Entry", bound=Value)
Told = TypeVar("Told", Seen, Offboarded)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that was not answered: the class of error, never its text. No rule: the whole store is silent."""

    store: str
    error: str
    agreement: str | None = None
    rule: str | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class Unbound:
    """What binds nothing because something is missing: the rule and dataset, and how many tenants are concerned."""

    error: str
    rule: str | None
    dataset: str | None
    tenants: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A rule whose last run found nothing although due items had been seen before it, and are still there (I25)."""

    agreement: str
    rule: str
    due: int
    idle_at: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw. `gaps` by store; `stale`: stores whose mirrors differ from the register.

    `rules` has one entry for each rule and store that an obligation binds today; `offboarding` one for each store that
    answered, now or in an earlier look. Where something did not answer (`complete` is false) what the look before had
    seen of it still counts. `spread_seconds`: between our clock and those of the stores that answered.

    `unreadable`: registers with entries that cannot be read, seen as if those entries were not there. Nothing is
    deleted meanwhile (a hold may be among them), so that what a lost hold keeps is shown as overdue, and not hidden.
    """

    at: datetime
    rules: tuple[Seen, ...]
    offboarding: tuple[Offboarded, ...]
    leaving: tuple[Leaving, ...]
    gaps: Mapping[str, int]
    spread_seconds: float
    stale: tuple[str, ...]
    unanswered: tuple[Unanswered, ...]
    unbound: tuple[Unbound, ...]
    disagreements: tuple[Disagreement, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def breached(self) -> bool:
        """Return whether anything outlived its ceiling."""
        return any(seen.overdue for seen in self.rules) or any(left.overdue for left in self.offboarding)

    def due(self) -> dict[Rule, int]:
        """Return how many items are due, by rule."""
        found: dict[Rule, int] = {}
        for seen in self.rules:
            key = (seen.agreement, seen.rule)
            found[key] = found.get(key, 0) + seen.due
        return found


def look(deployment: Deployment, previous: Look | None = None) -> Look:
    """Look at every obligation of today in its store.

    `previous`: the look before this one, by which an idle rule is told from rows that came later, and from which the
    last word on what does not answer comes. The present is our own clock's; the spread is told, not refused. Raises
    only what our own state raises.
    """
    # A clock that fell behind must not hide what is overdue: the latest time on record counts (I13).
    now = max(deployment.clock.now(), marked_at(deployment) or deployment.clock.now())
    present = Present(deployment.policy, now, deployment.limits.margin_days)
    register, kept = _readable(deployment, "tenant", Tenant), _readable(deployment, "hold", Hold)
    resolution = _resolve(present, register.entries)
    unanswered: list[Unanswered] = []
    rows = [TenantRow(tenant.id, resolution.groups.get(tenant.id, UNRESOLVED)) for tenant in register.entries]
    in_force = [hold for hold in kept.entries if hold.released_on is None]

    def failed(store: str, error: Exception, dataset: str, rule: tuple[str, str] | None = None) -> None:
        agreement, name = rule or (None, None)
        unanswered.append(Unanswered(store, type(error).__name__, agreement, name, dataset))

    with ExitStack() as looks:
        eyes, spread = _open(deployment, rows, in_force, unanswered, looks)
        rules = by_rule(present, resolution.obligations, eyes, failed)
        left = offboarded(deployment, present, register.entries, eyes, failed)
        gaps = {name: one.gaps(present.policy) for name, one in eyes.items()}
        stale = tuple(_stale(eyes))
    seen = Look(
        at=present.now,
        rules=rules,
        offboarding=left.stores,
        leaving=left.tenants,
        gaps=gaps,
        spread_seconds=spread,
        stale=stale,
        unanswered=tuple(dict.fromkeys(unanswered)),
        unbound=tuple(_unbound(resolution)),
        disagreements=(),
        unreadable=tuple(found.kind for found in (register, kept) if found.broken),
    )
    return seen if previous is None else _weighed(deployment, _carried(deployment, seen, previous), previous)


@dataclass(frozen=True, slots=True)
class _Register(Generic[Entry]):
    """What can be read of a register, and how many entries cannot."""

    kind: Kind
    entries: list[Entry]
    broken: int


def _readable(deployment: Deployment, kind: Kind, model: type[Entry]) -> _Register[Entry]:
    """Read a register entry by entry: whoever only looks need not stop at a broken one, as whoever deletes must."""
    entries, broken = list[Entry](), 0
    for name, body in deployment.state.items(kind):
        try:
            entries.append(registers.parse(kind, model, name, body))
        except Corrupt:
            broken += 1
    return _Register(kind, entries, broken)


def _resolve(present: Present, register: list[Tenant]) -> Resolution:
    try:
        return resolve(present.policy, register, present.now, present.margin_days)
    except Refused as refusal:
        # An empty register binds nobody (I5): there is nothing to ask, and that is said.
        return Resolution((), {}, (Unresolved(refusal),))


def _open(
    deployment: Deployment,
    rows: Sequence[TenantRow],
    kept: Sequence[Hold],
    unanswered: list[Unanswered],
    looks: ExitStack,
) -> tuple[dict[str, Eyes], float]:
    """Open a look at each store that answers, and measure how far all clocks that answer are apart (I12)."""
    eyes: dict[str, Eyes] = {}
    others = (deployment.second.read(), deployment.ntp.read())
    apart = [timedelta(0), *(clock - deployment.clock.now() for clock in others if clock is not None)]
    for entry in deployment.policy.inventory.stores:
        try:
            store = deployment.stores[entry.id]
            clock = store.probe().clock
            apart.append(clock - deployment.clock.now())
            ask = looks.enter_context(store.looking())
            eyes[entry.id] = Eyes.on(store, ask, deployment.policy, rows, hold_rows(deployment, entry.id, kept))
        except Exception as error:  # noqa: BLE001 - whatever one store does, the others are looked at (I27)
            unanswered.append(Unanswered(entry.id, type(error).__name__))
    return eyes, (max(apart) - min(apart)).total_seconds()


def _stale(eyes: Mapping[str, Eyes]) -> Iterator[str]:
    for name, one in eyes.items():
        try:
            stale = one.stale()
        except LifecycleError:
            # A store without mirrors, or that went away since, is not known to be up to date either.
            stale = True
        if stale:
            yield name


def _unbound(resolution: Resolution) -> Iterator[Unbound]:
    counted: dict[tuple[str, str | None, str | None], int] = {}
    for one in resolution.unresolved:
        key = (type(one.error).__name__, one.rule, one.dataset)
        counted[key] = counted.get(key, 0) + (one.tenant is not None)
    for (error, rule, dataset), number in counted.items():
        yield Unbound(error, rule, dataset, number)


# ---- what did not answer ----


def _carried(deployment: Deployment, seen: Look, previous: Look) -> Look:
    """Keep what was last seen of what does not answer: nobody saw it go, and its ceilings pass all the same (I24)."""
    rules = {(one.agreement, one.rule, one.store): one for one in previous.rules}
    stores = {one.store: one for one in previous.offboarding}
    left = [one if one.complete else _worse(one, stores.get(one.store)) for one in seen.offboarding]
    declared = {store.id for store in deployment.policy.inventory.stores}
    silent = (stores.keys() & declared) - {one.store for one in left}
    return replace(
        seen,
        rules=tuple(
            one if one.complete else _worse(one, rules.get((one.agreement, one.rule, one.store))) for one in seen.rules
        ),
        offboarding=(*left, *(replace(stores[name], complete=False) for name in sorted(silent))),
    )


def _worse(one: Told, before: Told | None) -> Told:
    """Return the worse of an incomplete look and the one before it."""
    if before is None:
        return one
    if isinstance(before, Seen):
        one = replace(
            one,
            undatable=max(one.undatable, before.undatable),
            unattributed=max(one.unattributed, before.unattributed),
            nobodys=max(one.nobodys, before.nobodys),
        )
    ceilings = (one.ceiling_of_oldest, before.ceiling_of_oldest)
    deadlines = (one.next_deadline, before.next_deadline)
    return replace(
        one,
        overdue=max(one.overdue, before.overdue),
        ceiling_of_oldest=min((moment for moment in ceilings if moment), default=None),
        next_deadline=min((moment for moment in deadlines if moment), default=None),
    )


# ---- the executor's word against ours ----


def _weighed(deployment: Deployment, seen: Look, previous: Look) -> Look:
    """Add where a run found nothing of what had been due before it, and still is (I25)."""
    before, now = previous.due(), seen.due()
    known = {(d.agreement, d.rule, d.idle_at) for d in previous.disagreements}
    found = []
    for (agreement, rule), state in slots.every(deployment).items():
        ended = state.ended_at
        if state.result != "idle" or state.state != "done" or ended is None or not now.get((agreement, rule)):
            continue
        came_before = previous.at < state.begun_at and before.get((agreement, rule), 0) > 0
        if came_before or (agreement, rule, ended) in known:
            found.append(Disagreement(agreement, rule, now[agreement, rule], ended))
    return replace(seen, disagreements=tuple(found))

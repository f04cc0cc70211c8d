"""What ended contracts left behind: rows past their ceiling, and rows that came back to closed tenants (I24, I33)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from lifecycle.core.calendar import local_date, start_of_day
from lifecycle.core.effective import Effective
from lifecycle.core.errors import InvalidDocument, Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.offboarding import Timeline, timeline
from lifecycle.core.period import ONE_DAY
from lifecycle.core.tenant import Tenant
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import returned_on
from lifecycle.flow.eyes import Eyes, Failed, Present
from lifecycle.flow.journal import decoded
from lifecycle.flow.relations import may_remain

GONE = frozenset({"deleted", "remainder", "closed"})
"""States in which nothing of the tenant may be there any more, but for what a statute or a hold keeps."""

MOST_NAMED = 200
"""How many tenants a look names; the rows of further ones are counted in their stores."""


@dataclass(frozen=True, slots=True)
class Offboarded:
    """What ended contracts left in one store; moments are starts of local days, as in `look.Seen`."""

    store: str
    overdue: int
    ceiling_of_oldest: datetime | None
    next_deadline: datetime | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """An ended tenant, by alias, with open dates or rows that are overdue. Closed ones are here only with rows.

    `gone_by`: the start of the local day by which everything must be gone. `window_closes`: the end of its export
    window while that is open. `backups_clean`: when the last backup of what was deleted is gone, until then.
    """

    alias: str
    state: str
    gone_by: datetime | None
    window_closes: datetime | None
    backups_clean: datetime | None
    overdue: int


@dataclass(frozen=True, slots=True)
class Left:
    """Stores and tenants."""

    stores: tuple[Offboarded, ...]
    tenants: tuple[Leaving, ...]


@dataclass(frozen=True, slots=True)
class _Ended:
    """One ended tenant and its dates. `since`: when its rows became overdue; None while they are not."""

    tenant: Tenant = field(repr=False)
    zone: str
    bound: Effective
    gone_by: datetime | None
    since: datetime | None
    window_closes: datetime | None

    @property
    def pool(self) -> tuple[str, tuple[str, ...]]:
        """Return what tenants that are asked for together share: zone, and the categories that the end binds."""
        categories = {c for rule in self.bound.rules if rule.offboarding for c in rule.category}
        return self.zone, tuple(sorted(categories))


def offboarded(
    deployment: Deployment, present: Present, register: Sequence[Tenant], eyes: Mapping[str, Eyes], failed: Failed
) -> Left:
    """Ask every store what ended contracts left; one question a dataset for all tenants, more only where rows are."""
    ended = list(_ended(deployment, present, register))
    late = [one for one in ended if one.since is not None]
    found: dict[str, int] = {}
    stores = [_in_store(name, one, present, late, ended, found, failed) for name, one in eyes.items()]
    tenants = []
    for one in ended:
        rows = found.get(one.tenant.id, 0)
        clean = _backups(deployment, one)
        if rows or clean or one.window_closes or (one.gone_by is not None and one.tenant.state not in GONE):
            alias = deployment.alias(one.tenant.id)
            tenants.append(Leaving(alias, one.tenant.state, one.gone_by, one.window_closes, clean, rows))
    return Left(tuple(stores), tuple(tenants))


def _ended(deployment: Deployment, present: Present, register: Sequence[Tenant]) -> Iterator[_Ended]:
    for tenant in register:
        if tenant.contract_end is None:
            continue
        try:
            bound = effective(present.policy, tenant)
            today = present.today(bound.zone)
            returned = returned_on(deployment, tenant) if tenant.choice == "return" else None
            line = timeline(present.policy, bound, tenant, today, returned_on=returned)
        except (InvalidDocument, Refused):
            # Listed among what binds nothing: nobody else's end waits for it (I27).
            continue
        yield _dates(present, tenant, bound, line)


def _dates(present: Present, tenant: Tenant, bound: Effective, line: Timeline) -> _Ended:
    gone_by = None if line.delete_by is None else start_of_day(line.delete_by, bound.zone)
    since = gone_by if gone_by is not None and gone_by <= present.now else None
    if tenant.state in GONE:
        # Whatever is there after its deletion came back: overdue at once.
        since = min(gone_by or present.now, present.now)
    closes = None
    if line.window_end is not None and tenant.state not in GONE and tenant.state != "deleting":
        moment = start_of_day(line.window_end + ONE_DAY, bound.zone)
        closes = moment if moment > present.now else None
    return _Ended(tenant, bound.zone, bound, gone_by, since, closes)


def _in_store(
    name: str,
    eyes: Eyes,
    present: Present,
    late: Sequence[_Ended],
    ended: Sequence[_Ended],
    found: dict[str, int],
    failed: Failed,
) -> Offboarded:
    rows, since, complete = 0, list[datetime](), True
    for (zone, categories), pool in _pools(late).items():
        mine = [d for d in eyes.datasets if d.category in categories and d.tenant.by != "none"]
        for dataset in mine:
            try:
                ask = _question(eyes, present, dataset, mine, zone)
                here = dict(_named(ask, [one.tenant.id for one in pool], MOST_NAMED))
            except Exception as error:  # noqa: BLE001 - a poisoned dataset is named and hides no other (I27)
                complete = False
                failed(name, error, dataset.id)
                continue
            rows += sum(here.values())
            since += [one.since for one in pool if one.since and (None in here or one.tenant.id in here)]
            for tenant, count in here.items():
                if tenant is not None:
                    found[tenant] = found.get(tenant, 0) + count
    ahead = [one.gone_by for one in ended if one.gone_by is not None and one.since is None]
    return Offboarded(name, rows, min(since, default=None), min([*since, *ahead], default=None), complete)


def _pools(late: Sequence[_Ended]) -> dict[tuple[str, tuple[str, ...]], list[_Ended]]:
    pools: dict[tuple[str, tuple[str, ...]], list[_Ended]] = {}
    for one in late:
        pools.setdefault(one.pool, []).append(one)
    return pools


Question = Callable[[Sequence[str]], int]


def _question(eyes: Eyes, present: Present, dataset: Dataset, bound: Sequence[Dataset], zone: str) -> Question:
    """Return how many rows of given tenants should be gone: what a statute keeps is not, nor a parent of such rows."""
    kept = {d.id for d in eyes.datasets if d not in bound or any(r.holder == "processor" for r in d.statutory)}
    needed_by = may_remain(eyes.children, kept | eyes.held())[dataset.id]
    due = present.befores(dataset, present.freed(dataset, zone), zone, None)
    return lambda tenants: eyes.left_of(tenants, dataset, due, needed_by).items


def _named(ask: Question, tenants: Sequence[str], most: int) -> Iterator[tuple[str | None, int]]:
    """Yield whose rows were found, by halving the tenants; beyond `most` tenants the rest is nobody's by name."""
    rest, named = 0, 0
    waiting = [(list(tenants), ask(tenants))]
    while waiting:
        part, rows = waiting.pop()
        if not rows:
            continue
        if len(part) == 1 and named < most:
            named += 1
            yield part[0], rows
        elif named >= most:
            rest += rows
        else:
            halves = part[: len(part) // 2], part[len(part) // 2 :]
            waiting += [(half, ask(half)) for half in halves]
    if rest:
        yield None, rest


def _backups(deployment: Deployment, one: _Ended) -> datetime | None:
    """Return when the last backup that still has what was deleted is gone; None once it is, or before the deletion."""
    if one.tenant.state != "deleted":
        return None
    chain = decoded(deployment.state.of_tenant(deployment.alias(one.tenant.id)))
    ends = [entry["at"] for _, entry in chain if entry["type"] == "job.finished"]
    cycles = [copy.cycle for store in deployment.policy.inventory.stores for copy in store.backups]
    if not ends or not cycles:
        return None
    done_on: date = local_date(datetime.fromisoformat(ends[-1]), one.zone)
    return start_of_day(max(cycle.after(done_on) for cycle in cycles) + ONE_DAY, one.zone)

"""Making plans: selections frozen with their cutoffs, counted now, limited, bound to stores and documents.

Nothing here changes a store but its mirrors of tenants and holds, which counting needs too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, Refused, Transient
from lifecycle.core.guard import check_change, late_allowance
from lifecycle.core.hold import Hold
from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.core.layering import effective
from lifecycle.core.obligation import Obligation
from lifecycle.core.offboarding import OffboardingStep, Timeline, offboarding_obligations, timeline
from lifecycle.core.plan import Action, Anonymise, CascadeCount, Delete, Detach, Plan, Step, StoreBinding, Withheld
from lifecycle.core.selection import AnyOf, Before, IsNull, Not, Scope, Selection, TenantScope
from lifecycle.core.tenant import Tenant
from lifecycle.flow.anonymising import action_of, refuse_at_the_end, refuse_ungranted
from lifecycle.flow.binding import bind, going
from lifecycle.flow.controls import effective_now, raise_mark
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import returned_on
from lifecycle.flow.journal import accept_documents, checkpoint
from lifecycle.flow.linking import objects_of, refuse_parents, stores_behind
from lifecycle.flow.mirror import holds, mirror
from lifecycle.flow.plans import freeze
from lifecycle.flow.preflight import refuse_fatal
from lifecycle.flow.relations import children_of, may_remain
from lifecycle.flow.scopes import deadline, obligations_on, tenants
from lifecycle.flow.weighing import second_opinions
from lifecycle.flow.withholding import of_rule, of_tenant
from lifecycle.ports.store import NOTHING_GOES, Counted, Going

OF_ONE_TABLE = frozenset({"privilege", "schema"})
"""Refusals of a server that concern the table that was asked for, and no other one."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A frozen plan and its hash."""

    plan: Plan
    hash: str


@dataclass(frozen=True, slots=True)
class _Draft:
    """One dataset of a plan before it is counted."""

    dataset: Dataset
    rule: str
    clause: str | None
    own: bool
    scope: Scope
    due: tuple[Before, ...]
    source: Obligation | OffboardingStep
    linked_by: Dataset | None = None

    @property
    def action(self) -> Delete | Anonymise:
        """Return what becomes of the rows."""
        return Delete() if self.linked_by else action_of(self.dataset, self.source) or Delete()

    def objects(self, inventory: Inventory) -> Iterator[_Draft]:
        """Yield a draft for the objects that these rows reference, where the rows go."""
        if isinstance(self.action, Delete):
            for dataset in objects_of(inventory, self.dataset):
                yield replace(self, dataset=dataset, linked_by=self.dataset)


def plan_rule(
    deployment: Deployment,
    agreement: str,
    rule: str,
    *,
    author: str,
    without: Collection[str] = (),
    parking: bool = False,
) -> Planned | None:
    """Plan everything of one rule that is due today, in all stores but those left out; None when nothing is.

    `parking`: a dataset that cannot be counted becomes a parked step instead of stopping the others (I27); when none
    can be, or nothing else is due, the first failure is raised.

    Raises:
        InvalidDocument: no such agreement or rule. Refused: clocks, unsafe schema, an unreviewed inventory.
    """
    if not deployment.policy.rules(agreement, rule):
        msg = f"no rule {rule!r} in agreement {agreement!r}"
        raise InvalidDocument(msg, advice="`lifecycle status` lists the rules of the deployment.")
    _refuse_draft(deployment)
    now = effective_now(deployment, [s for s in stores_of(deployment, agreement, rule) if s not in without])
    # A look in which nothing was due is on record too: a quiet week must not read as a clock that jumped (I13).
    raise_mark(deployment, now)
    mine = [
        o
        for o in obligations_on(deployment, now)
        if (o.agreement, o.rule) == (agreement, rule) and not _behind(deployment, o.dataset) & set(without)
    ]
    refuse_ungranted(deployment.policy.inventory, mine)
    drafts = [
        _Draft(deployment.policy.inventory.dataset(o.dataset), o.rule, o.clause, o.own, o.scope, o.due, o) for o in mine
    ]
    mirror(deployment, sorted({name for draft in drafts for name in _behind(deployment, draft.dataset.id)}))
    with _one_look(deployment, drafts):
        steps = _steps(deployment, drafts, now, parking=parking)
        if not any(step.expected for step in steps):
            if any(step.parked for step in steps):
                # Nothing else is due: what keeps the dataset from being counted is what there is to say.
                steps = _steps(deployment, drafts, now)
            second_opinions(deployment, steps)
            return None
        versions = tuple(sorted({version for o in mine for version in o.versions}))
        plan = _plan(
            deployment, steps, now, kind="rule", author=author, agreement=agreement, versions=versions, rule=rule
        )
    return _freeze(deployment, plan)


def _behind(deployment: Deployment, dataset: str) -> set[str]:
    return stores_behind(deployment.policy.inventory.dataset(dataset))


def stores_of(deployment: Deployment, agreement: str, rule: str) -> list[str]:
    """Return the stores that the rule's categories reach: another store that is down does not stop it (I27)."""
    found: set[str] = set()
    for one in deployment.policy.rules(agreement, rule):
        for dataset in deployment.policy.inventory.datasets:
            if one.category == "all" or dataset.category in one.category:
                found |= stores_behind(dataset)
    return sorted(found & deployment.stores.keys())


def plan_offboarding(deployment: Deployment, tenant: Tenant, *, author: str) -> Planned:
    """Plan the deletion of everything one tenant has, but for what a statute or a hold keeps.

    Raises:
        Refused: the contract has not ended, its window is open, a choice is awaited, the tenant is held whole, or rows
            of somebody else reference its rows.
    """
    _refuse_draft(deployment)
    now = effective_now(deployment, sorted(deployment.stores))
    raise_mark(deployment, now)
    line = refuse_not_due(deployment, tenant, now)
    today = local_date(now, deployment.zone_of(tenant))
    bound = effective(deployment.policy, tenant)
    alias = deployment.alias(tenant.id)
    wanted = offboarding_obligations(
        deployment.policy, tenant, bound, today, returned_on=returned_on(deployment, tenant)
    )
    refuse_at_the_end(wanted)
    drafts = [
        _Draft(
            deployment.policy.inventory.dataset(step.dataset),
            step.rule,
            step.clause,
            step.own,
            TenantScope(tenant=alias),
            step.due,
            step,
        )
        for step in wanted
    ]
    mirror(deployment, sorted({name for draft in drafts for name in _behind(deployment, draft.dataset.id)}))
    with deployment.state.transaction() as tx:
        tx.put("setting", f"window/{alias}", str(line.window_end).encode())
    with _one_look(deployment, drafts):
        steps = _steps(deployment, drafts, now)
        _refuse_contested(deployment, steps)
        plan = _plan(
            deployment,
            steps,
            now,
            kind="offboarding",
            author=author,
            agreement=tenant.agreement,
            versions=(bound.version,),
            tenant=alias,
        )
    return _freeze(deployment, plan)


def refuse_not_due(deployment: Deployment, tenant: Tenant, now: datetime) -> Timeline:
    """Return the timeline of a tenant whose data may be deleted now.

    Raises:
        Refused: the contract has not ended, its window is open, a choice is awaited, or the tenant is held whole.
    """
    _refuse_held(deployment, tenant)
    today = local_date(now, deployment.zone_of(tenant))
    bound = effective(deployment.policy, tenant)
    line = timeline(deployment.policy, bound, tenant, today, returned_on=returned_on(deployment, tenant))
    if not line.is_due(today):
        _refuse_early(line.due_from, awaiting=line.awaiting_choice, ended=line.contract_end is not None)
    return line


def refuse_unspared(deployment: Deployment, plan: Plan) -> None:
    """Raise Refused when a hold that was set since the plan keeps rows whose parents the plan does not spare (I7)."""
    kept = {name for hold in holds(deployment) if _concerns(deployment, plan, hold) for name in hold.datasets}
    for binding in plan.stores:
        local = deployment.policy.inventory.in_store(binding.store)
        remaining = may_remain(children_of(local, deployment.stores[binding.store].catalogue()), kept)
        for step in plan.steps:
            if step.store == binding.store and not set(remaining[step.dataset]) <= set(step.selection.unreferenced_by):
                raise Refused(
                    f"a hold set since the plan keeps rows that rows of {step.dataset} carry",
                    guard="hold",
                    advice="Plan again: the new plan spares the parents of what is held.",
                )


def _concerns(deployment: Deployment, plan: Plan, hold: Hold) -> bool:
    return plan.tenant is None or deployment.alias(hold.tenant) == plan.tenant


def due_rules(deployment: Deployment) -> list[tuple[str, str]]:
    """Return every (agreement, rule) that binds a dataset of the inventory today, in a stable order."""
    now = deployment.clock.now()
    return sorted({(o.agreement, o.rule) for o in obligations_on(deployment, now)})


def _freeze(deployment: Deployment, plan: Plan) -> Planned:
    accept_documents(deployment)
    plan_hash = freeze(deployment, plan)
    checkpoint(deployment)
    return Planned(plan, plan_hash)


def _refuse_draft(deployment: Deployment) -> None:
    if not deployment.policy.inventory.reviewed:
        raise Refused(
            "the inventory is a draft that nobody has reviewed",
            guard="unreviewed",
            advice="Review it, set `reviewed: true`, and run `lifecycle coverage`.",
        )
    if not tenants(deployment):
        raise Refused(
            "the register has no tenants: an empty register selects nothing",
            guard="no-tenants",
            advice="Import them with `lifecycle tenant import FILE`.",
        )


def _refuse_held(deployment: Deployment, tenant: Tenant) -> None:
    for hold in holds(deployment):
        if hold.tenant == tenant.id and not hold.datasets:
            raise Refused(
                f"hold {hold.id} ({hold.basis}) keeps everything of this tenant",
                guard="hold",
                advice=f"`lifecycle hold release {hold.id}` once its ground is gone.",
            )


def _refuse_contested(deployment: Deployment, steps: Sequence[Step]) -> None:
    """Raise Refused when rows that stay reference rows that would go: no deletion changes another tenant (I6)."""
    found = {
        step.dataset: deployment.stores[step.store].oddities(step.dataset, bind(deployment, step.selection)).contested
        for step in steps
        if isinstance(step.action, Delete)
    }
    contested = [f"{count} of {dataset}" for dataset, count in found.items() if count]
    if contested:
        raise Refused(
            f"rows of somebody else reference rows of this tenant (contested): {', '.join(contested)}",
            guard="contested",
            advice="Have the reference removed in the application, or correct in the inventory whose the row is.",
        )


def _refuse_early(due_from: date | None, *, awaiting: bool, ended: bool) -> None:
    if not ended:
        what, fix = "the tenant's contract has no end", "Record it with `lifecycle tenant end`."
    elif awaiting:
        what, fix = "the controller's choice between deletion and return is awaited", "`lifecycle tenant choose`."
    elif due_from is None:
        what, fix = "a promised return has not been delivered", "`lifecycle export` the tenant's data first."
    else:
        what, fix = f"the export window is open; deletion is due from {due_from}", "Plan again on that day."
    raise Refused(what, guard="window-open", advice=fix)


def _plan(
    deployment: Deployment,
    steps: Sequence[Step],
    now: datetime,
    *,
    kind: str,
    author: str,
    agreement: str,
    versions: tuple[str, ...],
    rule: str | None = None,
    tenant: str | None = None,
) -> Plan:
    created = deployment.clock.now().replace(microsecond=0)
    serial = deployment.state.size()
    name = hashlib.sha256(f"{deployment.id}/{serial}/{created.isoformat()}/{rule}/{tenant}".encode()).hexdigest()
    return Plan.model_validate(
        {
            "id": "p-" + name[:16],
            "kind": kind,
            "deployment": deployment.id,
            "author": author,
            "created_at": created,
            "effective_now": now,
            "start_by": deadline(created, deployment.limits),
            "policy_hash": deployment.policy.digest,
            "agreement": agreement,
            "agreement_versions": versions,
            "rule": rule,
            "tenant": tenant,
            "stores": tuple(_bindings(deployment, steps)),
            "steps": tuple(steps),
        }
    )


def _bindings(deployment: Deployment, steps: Iterable[Step]) -> Iterator[StoreBinding]:
    by_store: dict[str, set[str]] = {}
    for step in steps:
        by_store.setdefault(step.store, set()).add(step.dataset)
    for name, datasets in sorted(by_store.items()):
        store = deployment.stores[name]
        yield StoreBinding(
            store=name, fingerprint=store.probe().fingerprint, used_schema=store.used_schema(sorted(datasets))
        )


@contextmanager
def _one_look(deployment: Deployment, drafts: Iterable[_Draft]) -> Iterator[None]:
    """Let a plan rest on one reading of each store's catalogue: what it binds is then what was judged and counted."""
    with ExitStack() as looks:
        for name in sorted({draft.dataset.store for draft in drafts}):
            looks.enter_context(deployment.stores[name].one_look())
        yield


def _steps(deployment: Deployment, drafts: Sequence[_Draft], now: datetime, *, parking: bool = False) -> list[Step]:
    """Count each draft and put the steps into deletion order, store by store."""
    placed: list[tuple[int, str, _Draft, tuple[str, ...]]] = []
    for name in sorted({draft.dataset.store for draft in drafts}):
        mine = [draft for draft in drafts if draft.dataset.store == name]
        anonymised = sorted({draft.dataset.id for draft in mine if isinstance(draft.action, Anonymise)})
        refuse_fatal(deployment.stores[name], sorted({draft.dataset.id for draft in mine}), anonymised)
        placed.extend(_placed(deployment, name, mine))
    placed.sort(key=lambda place: (place[0], place[1], place[2].dataset.id, place[2].rule))
    leave = [(draft, parents) for _, _, draft, parents in placed if isinstance(draft.action, Delete)]
    leaving = going(deployment, (_selection(draft, parents, Delete()) for draft, parents in leave))
    steps: list[Step] = []
    gone: list[Selection] = []
    for level, draft, parents in _with_objects(deployment, placed):
        for action_level, action in _actions(draft, level):
            selection = _selection(draft, parents, action)
            place = (len(steps) + 1, action_level, action)
            # An object goes with its last row: those of earlier steps have gone by then, later ones have not.
            ahead = going(deployment, gone) if draft.linked_by else leaving
            try:
                step = _step(deployment, draft, place, selection, (now, ahead))
            except (Transient, Refused) as error:
                if not parking or (isinstance(error, Refused) and error.guard not in OF_ONE_TABLE):
                    raise
                step = _made(draft, place, selection, Counted(0), parked=True)
            steps.append(step)
            if draft.dataset.references and isinstance(action, Delete):
                gone.append(selection)
    return sorted(steps, key=lambda step: (step.level, step.id))


def _with_objects(
    deployment: Deployment, placed: Iterable[tuple[int, str, _Draft, tuple[str, ...]]]
) -> Iterator[tuple[int, _Draft, tuple[str, ...]]]:
    """Yield level, draft and parents; where rows reference objects, the objects alone on a level before the rows."""
    more = 0
    for level, _, draft, parents in placed:
        objects = list(draft.objects(deployment.policy.inventory))
        for one in objects:
            refuse_fatal(deployment.stores[one.dataset.store], [one.dataset.id], ())
            yield level + more + 1, one, ()
        more += 2 if objects else 0
        yield level + more, draft, parents


def _selection(draft: _Draft, parents: tuple[str, ...], action: Action) -> Selection:
    if draft.linked_by is not None:
        linked_by = draft.linked_by.id
        return Selection(dataset=draft.dataset.id, scope=draft.scope, due=draft.due, linked_by=linked_by)
    selection = Selection(
        dataset=draft.dataset.id,
        scope=draft.scope,
        due=draft.due,
        only=(*draft.dataset.only, *_only(action)),
        # A row that is anonymised stays: whatever references it keeps its parent.
        unreferenced_by=() if isinstance(action, Anonymise) else parents,
        undone=action.transforms if isinstance(action, Anonymise) else (),
    )
    if isinstance(action, Delete):
        refuse_parents(selection, draft.dataset)
    return selection


def _placed(
    deployment: Deployment, name: str, drafts: Sequence[_Draft]
) -> Iterator[tuple[int, str, _Draft, tuple[str, ...]]]:
    store = deployment.stores[name]
    levels = store.levels(sorted({draft.dataset.id for draft in drafts}))
    level_of = {dataset: number for number, level in enumerate(levels, start=1) for dataset in level}
    local = deployment.policy.inventory.in_store(name)
    remaining = may_remain(children_of(local, store.catalogue()), _staying(deployment, local, drafts))
    for draft in drafts:
        yield level_of[draft.dataset.id], name, draft, remaining[draft.dataset.id]


def _staying(deployment: Deployment, local: Sequence[Dataset], drafts: Sequence[_Draft]) -> set[str]:
    """Return the datasets of which rows may stay: not planned, anonymised, under a cutoff, or held by name."""
    planned = {draft.dataset.id for draft in drafts}
    held = {name for hold in holds(deployment) for name in hold.datasets}
    cut = {draft.dataset.id for draft in drafts if draft.due or isinstance(draft.action, Anonymise)}
    return ({dataset.id for dataset in local} - planned) | held | cut


def _actions(draft: _Draft, level: int) -> Iterator[tuple[int, Action]]:
    if draft.dataset.detach and isinstance(draft.action, Delete):
        yield 0, Detach(columns=draft.dataset.detach)
    yield level, draft.action


def _step(
    deployment: Deployment,
    draft: _Draft,
    place: tuple[int, int, Action],
    selection: Selection,
    at: tuple[datetime, Going],
) -> Step:
    action, leaving, dataset = place[2], at[1], draft.dataset
    check_change(selection).require()
    counted = deployment.stores[dataset.store].count(bind(deployment, selection), leaving)
    expected = counted.items
    if expected > deployment.limits.most_items:
        raise Refused(
            f"{expected} items of {dataset.id} are selected; a job may change {deployment.limits.most_items}",
            guard="hard-cap",
            advice="Look at the plan's selection; if it is right, raise `limits.most_items` in lifecycle.yaml.",
        )
    withheld = () if isinstance(action, Detach) else _withheld(deployment, draft, selection, expected, at)
    return _made(draft, place, selection, counted, withheld=withheld)


def _made(
    draft: _Draft,
    place: tuple[int, int, Action],
    selection: Selection,
    counted: Counted,
    *,
    withheld: tuple[Withheld, ...] = (),
    parked: bool = False,
) -> Step:
    """Return a draft's step as it was counted; of a parked one nothing was, and it changes nothing."""
    number, level, action = place
    dataset = draft.dataset
    return Step(
        id=f"s{number:03d}",
        store=dataset.store,
        dataset=dataset.id,
        category=dataset.category,
        rule=draft.rule,
        clause=draft.clause,
        own=draft.own,
        action=action,
        selection=selection,
        expected=counted.items,
        cascade=tuple(
            CascadeCount(dataset=c.dataset, effect=c.effect, expected=counted.cascade.get(c.dataset, 0))
            for c in (() if isinstance(action, Anonymise) else dataset.cascades)
        ),
        limit=counted.items + late_allowance(counted.items),
        level=level,
        path_tenancy=dataset.tenant.by == "path",
        withheld=withheld,
        parked=parked,
    )


def _only(action: Action) -> tuple[AnyOf, ...]:
    if not isinstance(action, Detach):
        return ()
    return (AnyOf(inner=tuple(Not(inner=IsNull(column=column)) for column in action.columns)),)


def _withheld(
    deployment: Deployment, draft: _Draft, selection: Selection, expected: int, at: tuple[datetime, Going]
) -> tuple[Withheld, ...]:
    if draft.linked_by is not None:
        # What stays is told without looking ahead, as the certificate will count it.
        expected = deployment.stores[draft.dataset.store].count(bind(deployment, selection)).items
        at = (at[0], NOTHING_GOES)
    found = (
        of_tenant(deployment, draft.source, selection, expected, at)
        if isinstance(draft.source, OffboardingStep)
        else of_rule(deployment, draft.source, selection, expected, at[1])
    )
    return tuple(group.model_copy(update={"dataset": draft.dataset.id}) for group in found)

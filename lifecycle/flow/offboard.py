"""A contract's end: notice → ended → (awaiting choice) → deleting → deleted → remainder or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from lifecycle.core.calendar import local_date
from lifecycle.core.errors import InvalidDocument, LifecycleError, Refused
from lifecycle.core.events import TenantChanged
from lifecycle.core.layering import effective
from lifecycle.core.offboarding import Timeline, timeline
from lifecycle.core.tenant import Tenant
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import returned_on
from lifecycle.flow.journal import decoded, write

GONE = frozenset({"deleting", "deleted", "remainder", "closed"})
Change = Literal["registered", "notice", "ended", "resumed", "closed", "choice"]


@dataclass(frozen=True, slots=True)
class Offboarding:
    """One tenant's end of contract: its register entry and the dates that follow from the agreement."""

    tenant: Tenant
    alias: str
    timeline: Timeline


def register(deployment: Deployment, tenant: Tenant) -> str:
    """Enter a new tenant and return its alias. Raises Refused when the id is taken."""
    alias = deployment.alias(tenant.id)
    effective(deployment.policy, tenant)
    if deployment.state.get("tenant", alias) is not None:
        raise Refused("a tenant of that id is registered", guard="already-there", advice="Use `lifecycle tenant show`.")
    _store(deployment, tenant, "registered", tenant.contract_start)
    return alias


def sync(deployment: Deployment, declared: list[Tenant]) -> dict[str, int]:
    """Bring the register in line with the declared tenants; what the contract's life wrote there stays.

    Returns counts: new, changed, missing. A registered tenant that the source no longer has is an alarm, not an end.
    Raises what `effective` raises, before anything is written.
    """
    counts = {"new": 0, "changed": 0, "missing": 0}
    known = _known(deployment)
    merged = _merged(deployment, declared, known)
    for alias, tenant in merged.items():
        if known.get(alias) != tenant:
            effective(deployment.policy, tenant)
    for alias, tenant in merged.items():
        if alias not in known:
            register(deployment, tenant)
            counts["new"] += 1
        elif tenant != known[alias]:
            with deployment.state.transaction() as tx:
                registers.put(tx, "tenant", alias, tenant)
            counts["changed"] += 1
    counts["missing"] = len(set(known) - set(merged))
    return counts


def unbound(
    deployment: Deployment, declared: list[Tenant], *, moved: Callable[[], None]
) -> Iterator[tuple[int, LifecycleError]]:
    """Yield which declared tenants (by position) the agreements do not bind as `sync` would enter them, and why.

    Reads only. A contract that is closed binds nothing any more. `moved` is called between tenants: there may be many.
    """
    known = _known(deployment, moved)
    # Hundreds of thousands of tenants are bound in a handful of ways; each way is asked for once.
    asked: dict[tuple[object, ...], LifecycleError | None] = {}
    for index, (alias, tenant) in enumerate(_merged(deployment, declared, known).items()):
        moved()
        if tenant.state == "closed" and known.get(alias) == tenant:
            continue
        way = (tenant.agreement, tenant.agreement_version, tenant.individual, tuple(sorted(tenant.parameters.items())))
        if way not in asked:
            asked[way] = _refused(deployment, tenant)
        error = asked[way]
        if error is not None:
            yield index, error


def _refused(deployment: Deployment, tenant: Tenant) -> LifecycleError | None:
    try:
        effective(deployment.policy, tenant)
    except LifecycleError as error:
        return error
    return None


def _known(deployment: Deployment, moved: Callable[[], None] = lambda: None) -> dict[str, Tenant]:
    known: dict[str, Tenant] = {}
    for tenant in registers.every(deployment.state, "tenant", Tenant):
        moved()
        known[deployment.alias(tenant.id)] = tenant
    return known


def _merged(deployment: Deployment, declared: list[Tenant], known: Mapping[str, Tenant]) -> dict[str, Tenant]:
    """Return the declared tenants by alias, each as it would stand in the register, in the document's order."""
    wanted = {deployment.alias(tenant.id): tenant for tenant in declared}
    return {alias: _merge(known[alias], tenant) if alias in known else tenant for alias, tenant in wanted.items()}


def _merge(known: Tenant, declared: Tenant) -> Tenant:
    life = ("notice_on", "contract_end", "choice", "choice_on", "window_waived_on")
    kept: dict[str, Any] = {name: getattr(known, name) for name in life if getattr(known, name) is not None}
    if declared.agreement_version is None and declared.agreement == known.agreement:
        # The version that bound the tenant when it was registered, until its source names another one.
        kept["agreement_version"] = known.agreement_version
    return declared.model_copy(update={**kept, "state": known.state})


def find(deployment: Deployment, name: str) -> Tenant:
    """Return a tenant by its id or alias. Raises InvalidDocument when there is none."""
    for alias in (name, deployment.alias(name)) if name else ():
        tenant = registers.load(deployment.state, "tenant", Tenant, alias)
        if tenant is not None:
            return tenant
    raise InvalidDocument("no such tenant in the register", advice="`lifecycle tenant list` shows ids and aliases.")


def notice(deployment: Deployment, tenant: Tenant, *, notice_on: date, ends_on: date) -> Tenant:
    """Record the notice and the day the contract will end. Refused once the data is being deleted."""
    if ends_on < (tenant.contract_start or ends_on):
        raise InvalidDocument("the contract cannot end before it starts", advice="Check the date.")
    if tenant.state in GONE:
        raise Refused("this contract's data is being deleted or gone", guard="too-late", advice="Nothing to end.")
    _refuse_begun(deployment, tenant)
    changed = tenant.model_copy(update={"notice_on": notice_on, "contract_end": ends_on, "state": "notice"})
    return _store(deployment, changed, "notice", ends_on)


def end(deployment: Deployment, tenant: Tenant, *, ends_on: date, choice: str | None = None) -> Tenant:
    """Record the contract's end (also an immediate one) and, when it was given, the choice."""
    if tenant.contract_start and ends_on < tenant.contract_start:
        raise InvalidDocument("the contract cannot end before it starts", advice="Check the date.")
    if tenant.state in GONE:
        raise Refused("this contract's data is being deleted or gone", guard="too-late", advice="Nothing to end.")
    _refuse_begun(deployment, tenant)
    updates: dict[str, Any] = {"contract_end": ends_on, "state": "ended"}
    if choice:
        updates |= {"choice": choice, "choice_on": today_of(deployment, tenant)}
    changed = tenant.model_copy(update=updates)
    line = timeline(deployment.policy, effective(deployment.policy, changed), changed, ends_on)
    if line.awaiting_choice:
        changed = changed.model_copy(update={"state": "awaiting-choice"})
    return _store(deployment, changed, "ended", ends_on)


def choose(deployment: Deployment, tenant: Tenant, choice: Literal["delete", "return"], *, form: str) -> Tenant:
    """Record the controller's choice (Art. 28(3)(g) GDPR)."""
    updates = {"choice": choice, "choice_on": today_of(deployment, tenant)}
    state = "ended" if tenant.state == "awaiting-choice" else tenant.state
    return _store(deployment, tenant.model_copy(update={**updates, "state": state}), "choice", None, form=form)


def waive_window(deployment: Deployment, tenant: Tenant, *, waived_on: date) -> Tenant:
    """Record that the controller instructed earlier deletion: it lowers the window's floor, never a statute's."""
    changed = tenant.model_copy(update={"window_waived_on": waived_on})
    return _store(deployment, changed, "choice", waived_on, form="text")


def resume(deployment: Deployment, tenant: Tenant) -> Tenant:
    """Withdraw the notice or renew the contract, while nothing has been deleted."""
    if tenant.state not in {"notice", "ended", "awaiting-choice"}:
        raise Refused(
            "the contract cannot be resumed any more", guard="too-late", advice="Data is being deleted or gone."
        )
    _refuse_begun(deployment, tenant)
    none: dict[str, Any] = dict.fromkeys(("notice_on", "contract_end", "choice", "choice_on", "window_waived_on"))
    return _store(deployment, tenant.model_copy(update={**none, "state": "active"}), "resumed", None)


def _refuse_begun(deployment: Deployment, tenant: Tenant) -> None:
    """Raise Refused when a job has begun on the tenant's data: the log says so before the register does."""
    chain = decoded(deployment.state.of_tenant(deployment.alias(tenant.id)))
    if any(entry["type"] == "job.started" for _, entry in chain):
        raise Refused(
            "the deletion of this contract's data has begun", guard="too-late", advice="It can only be finished."
        )


def move(deployment: Deployment, tenant: Tenant, state: str) -> Tenant:
    """Put the tenant into a state that a job or a certificate brought about."""
    changed = tenant.model_copy(update={"state": state})
    if state == "closed":
        return _store(deployment, changed, "closed", None)
    with deployment.state.transaction() as tx:
        registers.put(tx, "tenant", deployment.alias(tenant.id), changed)
    return changed


def view(deployment: Deployment, tenant: Tenant) -> Offboarding:
    """Return the dates that follow from the tenant's agreement and its contract's end."""
    today = today_of(deployment, tenant)
    bound = effective(deployment.policy, tenant)
    line = timeline(deployment.policy, bound, tenant, today, returned_on=returned_on(deployment, tenant))
    return Offboarding(tenant, deployment.alias(tenant.id), line)


def today_of(deployment: Deployment, tenant: Tenant) -> date:
    """Return the local date in the tenant's agreement's zone."""
    return local_date(deployment.clock.now(), deployment.zone_of(tenant))


def _store(
    deployment: Deployment, tenant: Tenant, change: Change, effective_on: date | None, *, form: str | None = None
) -> Tenant:
    alias = deployment.alias(tenant.id)
    agreement = deployment.policy.agreement(tenant.agreement, tenant.agreement_version)
    bound = tenant.model_copy(update={"agreement_version": agreement.version})
    event = TenantChanged(
        change=change,
        agreement=agreement.id,
        agreement_version=agreement.version,
        effective_on=effective_on,
        choice=tenant.choice,
        form=form,
        tenant=alias,
    )
    with deployment.state.transaction() as tx:
        registers.put(tx, "tenant", alias, bound)
        write(deployment, tx, event)
    return bound

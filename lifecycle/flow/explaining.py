"""Why a datum is still here and when it goes: every window of a tenant's datasets with all its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lifecycle.core.errors import InvalidDocument
from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.offboarding import Timeline
from lifecycle.core.selection import Bound, Scope, Selection, TenantScope, WholeScope
from lifecycle.core.tenant import Tenant
from lifecycle.core.window import Window, window_of
from lifecycle.flow import offboard
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import returned_on
from lifecycle.flow.mirror import holds


@dataclass(frozen=True, slots=True)
class Explained:
    """One dataset's window: for a datum whose start times all lie on `example`, or for one row's own `starts`."""

    dataset: Dataset
    example: date
    window: Window
    starts: Mapping[str, date | None] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A tenant's windows, and the dates of its contract's end if one is known."""

    tenant: Tenant
    alias: str
    agreement: str
    version: str
    individual: str | None
    today: date
    datasets: tuple[Explained, ...]
    timeline: Timeline


def explain_row(deployment: Deployment, tenant: Tenant, dataset: str, key: Sequence[str]) -> Explanation:
    """Return the window of one row of the tenant's, by its key, from the start times that it really has.

    Only start times are read. Raises KeyError for an unknown dataset, InvalidDocument when the tenant has no such row.
    """
    today = offboard.today_of(deployment, tenant)
    declared = deployment.policy.inventory.dataset(dataset)
    scope: Scope = TenantScope(tenant=deployment.alias(tenant.id))
    whole = declared.tenant.by == "none"
    bound = Bound(Selection(dataset=dataset, scope=WholeScope() if whole else scope), None if whole else tenant.id)
    found = deployment.stores[declared.store].starts(bound, key, deployment.zone_of(tenant), today)
    if found is None:
        raise InvalidDocument(
            f"the tenant has no row of that key in {dataset}",
            advice="Check key and tenant: a row that is gone is in a receipt's sealed list, another's is not shown.",
        )
    return explain(deployment, tenant, dataset=dataset, starts=found.days)


def explain(
    deployment: Deployment,
    tenant: Tenant,
    *,
    dataset: str | None = None,
    start: date | None = None,
    starts: Mapping[str, date | None] | None = None,
) -> Explanation:
    """Return the windows of a datum that starts on `start` (default: today) in each dataset, or in one of them.

    `starts`: the start times that a row really has, None for one that is undatable. Raises KeyError for an unknown
    dataset; reads no store.
    """
    today = offboard.today_of(deployment, tenant)
    bound = effective(deployment.policy, tenant)
    inventory = deployment.policy.inventory
    wanted = inventory.datasets if dataset is None else (inventory.dataset(dataset),)
    kept = [hold for hold in holds(deployment) if hold.tenant == tenant.id]
    day = start or today
    explained = tuple(
        Explained(
            one,
            day,
            window_of(
                bound,
                deployment.policy,
                one,
                tenant,
                dict.fromkeys(one.times, day) if starts is None else {n: d for n, d in starts.items() if d is not None},
                today,
                kept,
                margin_days=deployment.limits.margin_days,
                returned_on=returned_on(deployment, tenant),
            ),
            starts,
        )
        for one in wanted
        if one.category in bound.categories
    )
    line = offboard.view(deployment, tenant).timeline
    return Explanation(
        tenant=tenant,
        alias=deployment.alias(tenant.id),
        agreement=bound.agreement,
        version=bound.version,
        individual=bound.individual,
        today=today,
        datasets=explained,
        timeline=line,
    )

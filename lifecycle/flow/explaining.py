"""Why a datum is still here and when it goes: every window of a tenant's datasets with all its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from lifecycle.core.inventory import Dataset
from lifecycle.core.layering import effective
from lifecycle.core.offboarding import Timeline
from lifecycle.core.tenant import Tenant
from lifecycle.core.window import Window, window_of
from lifecycle.flow import offboard
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import returned_on
from lifecycle.flow.mirror import holds


@dataclass(frozen=True, slots=True)
class Explained:
    """One dataset's window for a datum whose start times all lie on `example`."""

    dataset: Dataset
    example: date
    window: Window


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


def explain(
    deployment: Deployment, tenant: Tenant, *, dataset: str | None = None, start: date | None = None
) -> Explanation:
    """Return the windows of a datum that starts on `start` (default: today) in each dataset, or in one of them.

    Raises KeyError for an unknown dataset; reads no store.
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
                dict.fromkeys(one.times, day),
                today,
                kept,
                margin_days=deployment.limits.margin_days,
                returned_on=returned_on(deployment, tenant),
            ),
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

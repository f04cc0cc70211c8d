"""Who is bound today: the register's tenants, their groups, the obligations, and what could not be resolved."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifecycle.core.obligation import Obligation, Resolution, resolve
from lifecycle.core.tenant import Tenant
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment, Limits

UNRESOLVED = "g-unresolved"
"""The group of tenants whose promises cannot be resolved: known to the stores, selected by nothing."""


def tenants(deployment: Deployment) -> list[Tenant]:
    """Return the register in the order of aliases; a closed tenant stays in it: its late rows are due at once (I33)."""
    return list(registers.every(deployment.state, "tenant", Tenant))


def resolution(deployment: Deployment, now: datetime) -> Resolution:
    """Return what binds which groups on each zone's local day, and what could not be resolved (I27)."""
    return resolve(deployment.policy, tenants(deployment), now, deployment.limits.margin_days)


def groups(deployment: Deployment, now: datetime) -> dict[str, str]:
    """Return every registered tenant's group by its id; what cannot be resolved stands apart."""
    register = tenants(deployment)
    resolved = resolve(deployment.policy, register, now, deployment.limits.margin_days).groups if register else {}
    return {tenant.id: resolved.get(tenant.id, UNRESOLVED) for tenant in register}


def obligations_on(deployment: Deployment, now: datetime) -> tuple[Obligation, ...]:
    """Return the obligations of the day."""
    return resolution(deployment, now).obligations


def deadline(now: datetime, limits: Limits) -> datetime:
    """Return until when a plan made now must have started."""
    return now + timedelta(hours=limits.plan_hours)

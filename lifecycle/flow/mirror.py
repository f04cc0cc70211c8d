"""Mirrors in the stores: which tenants belong to which group, and which holds bind, checked inside each transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifecycle.core.hold import Hold
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.scopes import groups
from lifecycle.ports.store import HoldRow, TenantRow


def holds(deployment: Deployment) -> list[Hold]:
    """Return the holds that bind: set and not released."""
    return [hold for hold in registers.every(deployment.state, "hold", Hold) if hold.released_on is None]


def mirror(deployment: Deployment, stores: Iterable[str]) -> None:
    """Bring the stores' mirrors up to date. Raises as the stores do; then nothing may be changed."""
    rows = [TenantRow(tenant, group) for tenant, group in groups(deployment, deployment.clock.now()).items()]
    kept = holds(deployment)
    for name in stores:
        store = deployment.stores[name]
        store.mirror_tenants(rows)
        store.mirror_holds(hold_rows(deployment, name, kept))


def hold_rows(deployment: Deployment, store: str, kept: Sequence[Hold]) -> list[HoldRow]:
    """Return the rows that mirror these holds in one store; a hold without datasets holds the tenant whole."""
    local = {dataset.id for dataset in deployment.policy.inventory.in_store(store)}
    rows: list[HoldRow] = []
    for hold in kept:
        if not hold.datasets:
            rows.append(HoldRow(hold.id, hold.tenant, None))
        rows.extend(HoldRow(hold.id, hold.tenant, name) for name in hold.datasets if name in local)
    return rows

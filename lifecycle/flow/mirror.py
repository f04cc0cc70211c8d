"""Mirrors in the stores: which tenants belong to which group, and which holds bind, checked inside each transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifecycle.core.errors import LifecycleError
from lifecycle.core.hold import Hold
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.scopes import groups
from lifecycle.ports.store import HoldRow, TenantRow


def holds(deployment: Deployment) -> list[Hold]:
    """Return the holds that bind: set and not released."""
    return [hold for hold in registers.every(deployment.state, "hold", Hold) if hold.released_on is None]


def mirror(deployment: Deployment, stores: Iterable[str]) -> dict[str, int]:
    """Bring the stores' mirrors up to date and return each store's hold version as written here.

    Raises as the stores do; then nothing may be changed.
    """
    names = list(stores)
    rows = [TenantRow(tenant, group) for tenant, group in groups(deployment, deployment.clock.now()).items()]
    for name in names:
        deployment.stores[name].mirror_tenants(rows)
    return mirror_holds(deployment, names)


def mirror_holds(deployment: Deployment, stores: Iterable[str]) -> dict[str, int]:
    """Write the register's holds into the stores until the register is what was written; return the hold versions.

    Another process may set a hold between our reading and our writing, and our older rows would take its hold out of
    the store again (I7). Every store is tried before the first failure is raised.
    """
    names = list(stores)
    while True:
        kept = holds(deployment)
        versions: dict[str, int] = {}
        failed: list[LifecycleError] = []
        for name in names:
            try:
                versions[name] = deployment.stores[name].mirror_holds(hold_rows(deployment, name, kept))
            except LifecycleError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        if holds(deployment) == kept:
            return versions


def hold_rows(deployment: Deployment, store: str, kept: Sequence[Hold]) -> list[HoldRow]:
    """Return the rows that mirror these holds in one store; a hold without datasets holds the tenant whole."""
    local = {dataset.id for dataset in deployment.policy.inventory.in_store(store)}
    rows: list[HoldRow] = []
    for hold in kept:
        if not hold.datasets:
            rows.append(HoldRow(hold.id, hold.tenant, None))
        rows.extend(HoldRow(hold.id, hold.tenant, name) for name in hold.datasets if name in local)
    return rows

"""From alias to tenant: only here, only in memory, and only if the alias is the keyed digest of the id found."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.core.selection import Bound, Selection, TenantScope
from lifecycle.core.tenant import Tenant
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.store import Going


def bind(deployment: Deployment, selection: Selection) -> Bound:
    """Return the selection with its tenant resolved. Raises Refused when the register does not know the alias."""
    if not isinstance(selection.scope, TenantScope):
        return Bound(selection)
    return Bound(selection, tenant_of(deployment, selection.scope.tenant).id)


def going(deployment: Deployment, selections: Iterable[Selection]) -> Going:
    """Return the deletions of one plan by dataset, bound: rows that will have gone when their parents' turn comes."""
    found: dict[str, list[Bound]] = {}
    for selection in selections:
        found.setdefault(selection.dataset, []).append(bind(deployment, selection))
    return found


def tenant_of(deployment: Deployment, alias: str) -> Tenant:
    """Return the registered tenant of an alias.

    Raises:
        Refused: unknown alias. Corrupt: the register's entry has another alias than its name says.
    """
    tenant = registers.load(deployment.state, "tenant", Tenant, alias)
    if tenant is None:
        raise Refused("the register knows no tenant of this alias", guard="tenant-unknown")
    if deployment.alias(tenant.id) != alias:
        raise Corrupt("a tenant's register entry does not belong to the alias it stands under")
    return tenant

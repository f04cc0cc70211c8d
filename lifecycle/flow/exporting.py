"""Export, first form: a tenant's rows as one package, delivered and recorded before anything is deleted (I34)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from lifecycle.core.calendar import local_date
from lifecycle.core.events import ExportDelivered
from lifecycle.core.selection import Bound, Selection, TenantScope
from lifecycle.core.tenant import Tenant
from lifecycle.core.value import Digest, Identifier, Line, Value
from lifecycle.evidence.digest import keyed_digest
from lifecycle.flow import registers
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.journal import checkpoint, write
from lifecycle.flow.linking import is_referenced
from lifecycle.ports.package import ExportDataset, Manifest, PackageWriter

EXPIRES = timedelta(days=30)


class Exported(Value):
    """One delivered package: an own copy with a purpose and an end. `bytes`: before compression."""

    id: Identifier
    tenant: Line
    file: Line
    manifest_hash: Digest
    rows: int
    bytes: int = 0
    delivered_at: datetime
    expires_on: date
    removed_on: date | None = None


def export(deployment: Deployment, tenant: Tenant, writer: PackageWriter, folder: Path) -> tuple[Exported, Manifest]:
    """Write the tenant's rows of every exportable dataset into one package and log its delivery.

    Raises:
        Refused: a row of another tenant appeared; no file is left. Transient: a store or the disk failed.
    """
    alias = deployment.alias(tenant.id)
    now = deployment.clock.now()
    serial = sum(1 for _ in deployment.state.items("export"))
    name = "x-" + hashlib.sha256(f"{alias}/{serial}".encode()).hexdigest()[:12]
    path = folder / f"export-{alias}-{name}.zip"
    manifest = writer(path, _datasets(deployment, tenant), name=alias, created_at=now)
    today = local_date(now, deployment.zone_of(tenant))
    exported = Exported(
        id=name,
        tenant=alias,
        file=path.name,
        manifest_hash=manifest.hash,
        rows=sum(dataset.rows for dataset in manifest.datasets),
        bytes=manifest.bytes,
        delivered_at=now,
        expires_on=today + EXPIRES,
    )
    event = ExportDelivered(
        export=name,
        manifest_hash=manifest.hash,
        datasets=tuple(
            {
                "dataset": dataset.dataset,
                "store": dataset.store,
                "rows": dataset.rows,
                "digest": keyed_digest(deployment.keys.commitment, dataset.digest.encode()),
            }
            for dataset in manifest.datasets
        ),
        expires_on=exported.expires_on,
        tenant=alias,
    )
    with deployment.state.transaction() as tx:
        registers.put(tx, "export", name, exported)
        write(deployment, tx, event)
    checkpoint(deployment)
    return exported, manifest


def exports(deployment: Deployment, alias: str | None = None) -> list[Exported]:
    """Return the delivered packages, of one tenant or of all."""
    found = registers.every(deployment.state, "export", Exported)
    return [exported for exported in found if alias in {None, exported.tenant}]


def returned_on(deployment: Deployment, tenant: Tenant) -> date | None:
    """Return the local day of the last package that was delivered after the contract's end, or None.

    An earlier one returned what there was then: what was written until the end is not in it (I34).
    """
    zone = deployment.zone_of(tenant)
    days = [local_date(one.delivered_at, zone) for one in exports(deployment, deployment.alias(tenant.id))]
    return max((day for day in days if tenant.contract_end is None or day > tenant.contract_end), default=None)


def _datasets(deployment: Deployment, tenant: Tenant) -> Iterator[ExportDataset]:
    alias = deployment.alias(tenant.id)
    for dataset in deployment.policy.inventory.datasets:
        if dataset.export and (dataset.tenant.by != "none" or is_referenced(deployment.policy.inventory, dataset)):
            selection = Selection(
                dataset=dataset.id, scope=TenantScope(tenant=alias), only=dataset.only, respect_holds=False
            )
            store = deployment.stores[dataset.store]
            yield ExportDataset(dataset.id, store.id, tenant.id, store.export(dataset.id, Bound(selection, tenant.id)))

"""The package writer of `lifecycle.exports` behind the flow's port."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lifecycle import exports
from lifecycle.core.calendar import local_date
from lifecycle.core.inventory import Inventory
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.exporting import EXPIRES
from lifecycle.ports.package import ExportDataset, Manifest, PackageWriter, Packed


@dataclass(frozen=True, slots=True)
class _Writer:
    """One deployment's writer. Each export has a key of its own, derived so that it can be made again (I34)."""

    inventory: Inventory
    secret: bytes
    zone: str

    def __call__(self, path: Path, datasets: Iterable[ExportDataset], *, name: str, created_at: datetime) -> Manifest:
        """Write the package as the port promises."""
        wanted = list(datasets)
        export = path.stem.removeprefix(f"export-{name}-")
        written = exports.write_package(
            path,
            [self._dataset(one) for one in wanted],
            export=export,
            alias=name,
            tenant=wanted[0].tenant if wanted else "",
            created_at=created_at,
            key=hmac.digest(self.secret, f"lifecycle/export/{export}".encode(), "sha256"),
            expires_on=local_date(created_at, self.zone) + EXPIRES,
        )
        packed = tuple(Packed(one.dataset, one.store, one.rows, one.digest) for one in written.datasets)
        return Manifest(path, written.hash(), packed, written.size())

    def _dataset(self, one: ExportDataset) -> exports.ExportDataset:
        category = self.inventory.dataset(one.dataset).category
        return exports.ExportDataset(one.dataset, one.store, category, one.rows)


def package_writer(deployment: Deployment, zone: str) -> PackageWriter:
    """Return the writer of a deployment; `zone` is the tenant's: it dates the end of our own copy."""
    return _Writer(deployment.policy.inventory, deployment.keys.commitment, zone)

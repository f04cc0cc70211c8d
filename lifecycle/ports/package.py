"""The seam of export packages: rows in, one file with a manifest out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lifecycle.ports.store import Rows


@dataclass(frozen=True, slots=True)
class ExportDataset:
    """One dataset to be packed. `tenant`: the id that every row's tenant column must equal byte for byte (I31)."""

    dataset: str
    store: str
    tenant: str
    rows: AbstractContextManager[Rows]


@dataclass(frozen=True, slots=True)
class Packed:
    """What one dataset became: number of rows, and the sha256 digest over its JSONL content."""

    dataset: str
    store: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished package: its path, the `sha256:` hash of its manifest's bytes, its datasets, its size.

    `bytes`: of all data files, before compression.
    """

    path: Path
    hash: str
    datasets: tuple[Packed, ...]
    bytes: int = 0


class PackageWriter(Protocol):
    """Writes a package whole or not at all."""

    def __call__(self, path: Path, datasets: Iterable[ExportDataset], *, name: str, created_at: datetime) -> Manifest:
        """Stream the datasets into one file.

        Raises Refused (guard `foreign-row`) and leaves nothing when a row is not the tenant's; Transient when the file
        cannot be written.
        """

"""Folders keep the promises of the seam."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from lifecycle.testing.store_contract import ItemContract
from tests.stores.files_world import FilesWorld

if TYPE_CHECKING:
    from pathlib import Path


class TestFilesStore(ItemContract):
    """The suite, on a real file system."""

    met_in_order: ClassVar[tuple[str, ...]] = (
        "batch.begun",
        "batch.fenced",
        "batch.receipt-open",
        "item.moved",
        "batch.changed",
        "batch.receipt-sealed",
        "item.gone",
        "batch.committed",
    )

    @pytest.fixture
    def world(self, tmp_path: Path) -> FilesWorld:
        """A folder."""
        return FilesWorld(tmp_path / "root")

"""One deployment for tests that only read; a fresh one for those that change something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.world import deployed

if TYPE_CHECKING:
    from tests.cli.world import Cli


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A deployment that no test changes; plans may be made, they change nothing."""
    return deployed(tmp_path_factory.mktemp("reader") / "portal")


@pytest.fixture
def cli(tmp_path: object) -> Cli:
    """A deployment of this test's own."""
    return deployed(tmp_path / "portal")

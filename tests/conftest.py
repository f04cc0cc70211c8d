"""The world that all tests share. Nothing starts before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A busy machine is no counter-example; a failure prints how to repeat it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.OwnPostgres | servers.ForeignPostgres]:
    """The session's PostgreSQL. Tests that kill theirs take `servers.own_postgres_server()` instead."""
    with servers.postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: servers.OwnPostgres | servers.ForeignPostgres) -> Iterator[str]:
    """An empty database of this test's own, as a SQLAlchemy URL."""
    with servers.fresh_database(postgres_server.url) as url:
        yield url


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """Where this test may put a SQLite file; nothing is there yet."""
    return tmp_path / "target.sqlite"

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, and all files that live in the seeded helpdesk together."""
    for item in items:
        together = "helpdesk" if item.path.name.startswith("test_helpdesk") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(together))


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

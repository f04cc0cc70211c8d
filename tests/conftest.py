"""The world that all tests share. Nothing starts before a test asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import mariadb, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is no counter-example; a failure prints how to repeat it.
settings.register_profile("house", deadline=None, print_blob=True)
settings.load_profile("house")


class ByFile(LoadScopeScheduling):
    """Keeps a file's tests on one worker, and all files that live in one seeded helpdesk together."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        if not Path(file).name.startswith("test_helpdesk"):
            return file
        # It is seeded once for each kind of database, which stands in a test's name: [sqlite].
        return "helpdesk " + test.partition("[")[2]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Schedule by file: a world that a module built once is not built twice."""
    return ByFile(config, log)


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


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[mariadb.OwnMariadb | mariadb.ForeignMariadb]:
    """The session's MariaDB. Tests that kill theirs take `mariadb.own_mariadb_server()` instead."""
    with mariadb.mariadb_server() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: mariadb.OwnMariadb | mariadb.ForeignMariadb) -> Iterator[str]:
    """An empty database of this test's own, as a SQLAlchemy URL."""
    with mariadb.fresh_mariadb(mariadb_server.url) as url:
        yield url


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """Where this test may put a SQLite file; nothing is there yet."""
    return tmp_path / "target.sqlite"

"""SQLite keeps the promises of the seam, and its own traps stay shut."""

import pytest

from lifecycle.testing.store_contract import StoreContract
from tests.stores.worlds import SqliteWorld


@pytest.fixture
def world(sqlite_path):
    made = SqliteWorld(sqlite_path)
    yield made
    made.close()


class TestSqliteStore(StoreContract):
    pass

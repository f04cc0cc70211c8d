"""PostgreSQL keeps the promises of the seam, and its own traps stay shut."""

import pytest

from lifecycle.testing.store_contract import StoreContract
from tests.stores.worlds import PostgresqlWorld


@pytest.fixture
def world(postgres_url):
    made = PostgresqlWorld(postgres_url)
    yield made
    made.close()


class TestPostgresqlStore(StoreContract):
    pass

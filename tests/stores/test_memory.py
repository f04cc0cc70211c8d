"""The fake keeps the promises of the seam."""

import pytest

from lifecycle.ports.failpoint import no_failpoint
from lifecycle.stores.memory import MemoryStore, open_keys
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import StoreContract


class MemoryWorld:
    def __init__(self):
        self.tables = {name: [] for name in w.COLUMNS}
        self.made = None

    def store(self, failpoint=no_failpoint):
        self.made = MemoryStore(
            w.STORE, self.tables, w.DATASETS, deployment=w.DEPLOYMENT, failpoint=failpoint, beside=self.made
        )
        return self.made

    def insert(self, table, rows):
        self.tables[table] += [dict(row) for row in rows]

    def change(self, table, key, values):
        for row in self.tables[table]:
            if key.items() <= row.items():
                row.update(values)

    def rows(self, table):
        return list(self.tables[table])

    def open_keys(self, sealed, key, batch_id):
        return open_keys(sealed, key, batch_id)


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def world(self):
        return MemoryWorld()

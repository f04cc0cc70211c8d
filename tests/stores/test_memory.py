"""The fake keeps the promises of the seam."""

from dataclasses import replace
from datetime import date

import pytest

from lifecycle.core.errors import Refused
from lifecycle.core.plan import Anonymise
from lifecycle.core.transform import Keep, Token
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


def test_memory_anonymises_what_is_due_and_not_done():
    """The fake means by done what the databases mean, and leaves rows of others alone."""
    treated = (*(Keep(column=c, why="Needed") for c in ("id", "firm", "made", "day")), Token(column="kind"))
    dataset = w.LOGS.model_copy(update={"anonymise": treated})
    made = {"made": w.at(date(2025, 1, 1)), "day": date(2025, 1, 1)}
    rows = [{"id": n, "firm": "acme", "kind": f"canary {n}", **made} for n in range(5)]
    rows += [{"id": 9, "firm": "borealis", "kind": "canary 9", **made}]
    rows += [{"id": 10, "firm": "acme", "kind": "anon~" + "0" * 32, **made}, rows[0] | {"id": 11, "made": None}]
    before = [dict(row) for row in rows]
    store = w.ready(MemoryStore(w.STORE, {"logs": rows}, [dataset], deployment=w.DEPLOYMENT))
    plain = w.of_tenant("acme", "logs", w.before(w.TODAY))
    bound = replace(plain, selection=plain.selection.model_copy(update={"undone": dataset.transforms}))
    assert (store.count(bound).items, store.population("logs", dataset.transforms)) == (5, 7)
    action = Anonymise(transforms=dataset.transforms, granted_by="3.5")
    with pytest.raises(Refused) as refused:
        store.apply(w.batch(store, plain, "b0", action=action))
    assert refused.value.guard == "anonymise"
    assert store.apply(w.batch(store, bound, "b1", action=action)).deleted == 5
    assert (store.count(bound).items, store.residue(bound).items, store.cut(bound, None, 9)) == (0, 0, None)
    assert rows[5:] == before[5:]
    assert len({row["kind"] for row in rows[:5]}) == 5
    assert not any("canary" in row["kind"] for row in rows[:5])
    assert store.inspect(["logs"], ["logs"]) == []
    rows[0]["referrer"] = "x"
    assert [finding.code for finding in store.inspect(["logs"], ["logs"])] == ["unaccounted-column"]

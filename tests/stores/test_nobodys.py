"""Rows without a tenant: nobody's, or the operator's own; either way no tenant's rule takes them."""

import pytest

from lifecycle.core.inventory import Tenancy
from lifecycle.core.selection import OneOf
from lifecycle.testing import store_world as w
from lifecycle.testing.store_contract import CUTOFF, ids, log
from lifecycle.testing.store_world import of_groups, of_tenant, ready, walk
from tests.stores.worlds import PostgresqlWorld, SqliteWorld


@pytest.fixture(params=["sqlite", "postgresql"])
def world_of(request, tmp_path):
    made = []

    def build(nulls):
        logs = w.LOGS.model_copy(update={"tenant": Tenancy(by="column", column="firm", nulls=nulls)})
        datasets = (logs, *w.DATASETS[1:])
        if request.param == "sqlite":
            made.append(SqliteWorld(tmp_path / "target.db", datasets))
        else:
            made.append(PostgresqlWorld(request.getfixturevalue("postgres_url"), datasets))
        return made[-1]

    yield build
    for world in made:
        world.close()


@pytest.mark.parametrize(("nulls", "counted"), [("refuse", 2), ("processor", 0)])
def test_I06_rows_without_a_tenant_are_no_tenants_to_delete(world_of, nulls, counted):
    """Nobody's rows are counted by both looks; the operator's own are not odd. Neither goes by a tenant's rule."""
    world = world_of(nulls)
    store = ready(world.store())
    world.insert("logs", [log(1), log(2, None), log(3, None), log(4, "nobody")])
    bound = of_groups(["standard", "short"], "logs", CUTOFF)
    odd = store.oddities("logs", bound)
    assert (store.count(bound).items, odd.null_tenant, odd.unattributed) == (1, counted, 1)
    assert store.residue(bound).oddities == odd
    leaver = store.oddities("logs", of_tenant("acme"))
    assert (leaver.null_tenant, leaver.unattributed) == (counted, 1)
    assert store.residue(of_tenant("acme")).oddities == leaver
    assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 1
    assert sum(receipt.deleted for receipt in walk(store, of_tenant("acme"), 9, prefix="c")) == 0
    assert ids(world) == {2, 3, 4}


def test_what_is_restricted_away_is_not_counted(world_of):
    """Rows outside the dataset's own restriction are another dataset's."""
    world = world_of("refuse")
    world.datasets = (world.datasets[0].model_copy(update={"only": (OneOf(column="kind", values=("login",)),)}),)
    store = ready(world.store())
    world.insert("logs", [log(1, None), log(2, None, kind="other"), log(3, "nobody", kind="other")])
    odd = store.oddities("logs", of_groups(["standard"]))
    assert (odd.null_tenant, odd.unattributed) == (1, 0)
    assert store.residue(of_groups(["standard"])).oddities == odd

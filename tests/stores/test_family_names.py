"""What a family's names may not do: take a table that is declared by itself, or tell whose table it is."""

import pytest

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, Tenancy
from lifecycle.ports.store import TenantRow
from lifecycle.testing import store_world as w
from lifecycle.testing.store_world import batch, of_groups, of_tenant, walk
from tests.stores.family_worlds import PostgresqlFamily, SqliteFamily

SHARED = Dataset(
    id="shared",
    store=w.STORE,
    table="logs_shared",
    category="technical",
    key=("id",),
    tenant=Tenancy(by="column", column="kind"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request):
    if request.param == "sqlite":
        made = SqliteFamily(request.getfixturevalue("sqlite_path"))
    else:
        made = PostgresqlFamily(request.getfixturevalue("postgres_url"))
    yield made
    made.close()


@pytest.fixture
def store(world):
    return w.ready(world.store())


def test_I06_a_table_that_is_declared_by_itself_is_no_tenants(world):
    """All tenants' rows lie in `logs_shared`; a tenant that is called `shared` does not take them along."""
    world.datasets = (*world.datasets, SHARED)
    world.firm("shared")
    world.run("INSERT INTO logs_shared (id, kind) VALUES (1, 'acme'), (2, 'borealis')")
    store = w.ready(world.store())
    store.mirror_tenants([*w.TENANTS, TenantRow("shared", "standard")])
    for bound in (of_groups(["standard"], "logs"), of_tenant("shared", "logs")):
        assert store.count(bound).items == store.residue(bound).items == 0
        assert list(walk(store, bound, 9)) == []
    assert store.count(of_tenant("acme", "shared")).items == store.residue(of_tenant("acme", "shared")).items == 1
    assert store.population("logs") == 0


def test_I23_a_finding_that_forbids_names_no_tenant(world):
    """What forbids a plan is part of a refusal, and a refusal is logged: a table's name says whose it is."""
    for firm in world.firms:
        world.run(f"DROP TABLE {world.named('notes', firm)}")
        ticket = f"ticket {world.types['integer']} REFERENCES {world.named('tickets', firm)} (id) ON DELETE CASCADE"
        world.run(
            f"CREATE TABLE {world.named('notes', firm)} ({ticket}, number {world.types['integer']}, "
            f"body {world.types['text']}, PRIMARY KEY (ticket, number))"
        )
    fatal = [found for found in world.store().inspect(["tickets"]) if found.fatal]
    assert [found.code for found in fatal] == ["undeclared-cascade"]
    assert not any(tenant.id in f"{found.what} {found.fix}" for found in fatal for tenant in w.TENANTS)


def test_I23_a_constraint_that_says_no_is_not_named_where_its_name_holds_a_tenant(world, store):
    """PostgreSQL names a foreign key after its table, and the table is named after its tenant."""
    world.insert("tickets", [{"id": 1, "firm": "acme", "title": "x"}])
    world.insert("notes", [{"ticket": 1, "number": 1, "body": "x"}])
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, of_tenant("acme", "tickets"), "b1"))
    assert refused.value.guard == "constraint"
    assert "acme" not in f"{refused.value.message} {refused.value.advice()}"

"""SQLite keeps the promises of the seam, and its own traps stay shut."""

import pytest

from lifecycle.core.errors import Refused, Transient
from lifecycle.stores.sql import SqlStore
from lifecycle.testing.store_contract import StoreContract, log
from lifecycle.testing.store_world import DATASETS, TODAY, batch, before, of_groups, of_tenant, ready, walk
from tests.stores.worlds import SqliteWorld, ddl


@pytest.fixture
def world(sqlite_path):
    made = SqliteWorld(sqlite_path)
    yield made
    made.close()


class TestSqliteStore(StoreContract):
    pass


def test_I32_deleted_values_leave_the_file(world, sqlite_path):
    """After a walk neither the database nor its WAL holds a deleted e-mail, even in WAL mode."""
    world.run("PRAGMA journal_mode=WAL")
    store = ready(world.store())
    world.insert("logs", [log(n, kind=f"canary{n}@example.com") for n in range(300)])
    world.connection.close()
    list(walk(store, of_tenant("acme"), 100))
    store.close()
    files = [path for path in sqlite_path.parent.iterdir() if path.is_file()]
    assert files
    assert sum(path.read_bytes().count(b"canary") for path in files) == 0


def test_I09_numbers_and_words_in_a_time_column_are_undatable(world):
    """SQLite's columns hold anything: integers, blobs, `now` and the 30th of February satisfy no cutoff."""
    store = ready(world.store())
    world.insert("logs", [log(n) for n in range(8)])
    odd = [20250101, 1.5, b"2025-01-01 00:00:00", "now", "2025-02-30 00:00:00", "2025-01-01", "", "0000-00-00 00:00:00"]
    for number, value in enumerate(odd):
        world.change("logs", {"id": number}, {"made": value})
    bound = of_tenant("acme", "logs", before(TODAY))
    assert (store.count(bound).items, store.residue(bound).items) == (0, 0)
    assert store.oddities("logs", bound).undatable == store.residue(bound).oddities.undatable == len(odd)


def test_a_missing_file_is_refused(tmp_path):
    """A mistyped path is not an empty database in which nothing is overdue."""
    store = SqlStore("s", f"sqlite:///{tmp_path / 'nothing.sqlite'}", DATASETS, deployment="d")
    with pytest.raises(Refused) as refused:
        store.probe()
    assert (refused.value.guard, list(tmp_path.iterdir())) == ("address", [])


def test_a_check_that_reads_json_does_not_hide_the_file(world):
    """Frameworks check their JSON columns so; SQLite up to 3.40 lets no function of JSON into an untrusted schema."""
    world.run("CREATE TABLE settings (id INTEGER PRIMARY KEY, value TEXT CHECK (json_valid(value)))")
    store = ready(world.store())
    world.insert("logs", [log(1)])

    assert "settings" in {table.name for table in store.catalogue().tables}
    assert store.count(of_tenant("acme")).items == 1
    list(walk(store, of_tenant("acme"), 100))
    assert store.count(of_tenant("acme")).items == 0


def test_a_busy_database_is_transient(world):
    """Another writer makes the batch wait, and then end without effect."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1", lock_timeout_ms=50)
    world.run("BEGIN IMMEDIATE")
    with pytest.raises(Transient):
        store.apply(planned)
    world.run("ROLLBACK")
    assert store.apply(planned).deleted == 1


def test_I06_a_loose_collation_does_not_make_tenants_equal(sqlite_path):
    """A column declared NOCASE still names tenants byte by byte."""
    tables = [s.replace("firm TEXT", "firm TEXT COLLATE NOCASE") for s in ddl("sqlite")]
    world = SqliteWorld(sqlite_path, tables=tables)
    store = ready(world.store())
    world.insert("logs", [log(1, "acme"), log(2, "ACME")])
    assert store.count(of_tenant("acme")).items == store.residue(of_tenant("acme")).items == 1
    store.apply(batch(store, of_groups(["standard"]), "b1"))
    assert [row["firm"] for row in world.rows("logs")] == ["ACME"]
    world.close()

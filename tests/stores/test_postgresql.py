# ruff: noqa: E501 - tables of cases are read as tables
"""PostgreSQL keeps the promises of the seam, and its own traps stay shut."""

import secrets
import threading
import traceback
from datetime import date

import pytest
from sqlalchemy.engine import make_url

from lifecycle.core.errors import Refused, Transient, Unknown
from lifecycle.ports.store import HoldRow, TenantRow
from lifecycle.stores.sql import SqlStore
from lifecycle.testing.store_contract import CUTOFF, OLD, StoreContract, log
from lifecycle.testing.store_world import (
    DATASETS,
    SEALING_KEY,
    TODAY,
    at,
    batch,
    before,
    of_groups,
    of_tenant,
    ready,
    walk,
)
from tests.stores.worlds import PostgresqlWorld, ddl


@pytest.fixture
def world(postgres_url):
    made = PostgresqlWorld(postgres_url)
    yield made
    made.close()


class TestPostgresqlStore(StoreContract):
    pass


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/New_York"])
@pytest.mark.parametrize("word", ["timestamp", "timestamptz"])
def test_I14_the_session_zone_does_not_matter(postgres_url, zone, word):
    """A cutoff means the same rows whatever zone, date style and locale the database gives its sessions."""
    tables = [s.replace("timestamptz", word) for s in ddl("postgresql")]
    world = PostgresqlWorld(postgres_url, tables=tables)
    name = world.run("SELECT current_database() AS n").fetchone()["n"]
    world.run(f"ALTER DATABASE {name} SET TimeZone = '{zone}'")
    world.run(f"ALTER DATABASE {name} SET DateStyle = 'SQL, DMY'")
    store = ready(world.store())
    world.insert("logs", [log(n, made=f"2025-06-30 {hour}:30:00+00") for n, hour in enumerate((21, 22))])
    bound = of_tenant("acme", "logs", before(date(2025, 6, 30)))
    seen = store.residue(bound)
    assert (store.count(bound).items, seen.items, seen.oldest) == (1, 1, date(2025, 6, 30))
    world.close()


def test_I09_infinity_never_qualifies(world):
    """-infinity is earlier than every cutoff, and satisfies none."""
    store = ready(world.store())
    for number, value in enumerate(["-infinity", "infinity", "0044-03-15 00:00:00+00 BC", "294276-12-31 00:00:00+00"]):
        world.insert("logs", [log(number, made=value) | {"day": None}])
    bound = of_tenant("acme", "logs", before(TODAY))
    assert (store.count(bound).items, store.residue(bound).items) == (0, 0)
    assert store.oddities("logs", bound).undatable == store.residue(bound).oddities.undatable == 4


def test_I23_the_servers_message_stays_inside(world):
    """PostgreSQL quotes the row in its message; what comes out has SQLSTATE and constraint, and no chain."""
    world.run("CREATE TABLE child (id int, log bigint CONSTRAINT child_log REFERENCES logs (id))")
    store = ready(world.store())
    world.insert("logs", [log(471100815)])
    world.run("INSERT INTO child VALUES (1, 471100815)")
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, of_tenant("acme"), "b1"))
    told = "".join(traceback.format_exception(refused.value))
    assert "child_log" in str(refused.value)
    assert "23503" in str(refused.value)
    assert "471100815" not in told.replace("log(471100815)", "")
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_I07_a_hold_waits_for_the_batch_that_began_before_it(world):
    """A hold written while a batch runs is written after it; a batch after a hold sees it: no third way."""
    store, other = ready(world.store()), world.store()
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    order = []
    writer = threading.Thread(target=lambda: (other.mirror_holds([HoldRow("h", "acme", None)]), order.append("hold")))

    def while_it_runs(name):
        if name == "batch.changed":
            writer.start()
            writer.join(0.3)
            order.append("batch")

    assert world.store(while_it_runs).apply(planned).deleted == 1
    writer.join(10)
    assert order == ["batch", "hold"]


def test_I18_a_connection_cut_around_commit_is_unknown(world):
    """Whoever does not hear COMMIT's answer does not know; a void receipt decides."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")

    def cut(name):
        if name == "batch.receipt-sealed":
            world.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    with pytest.raises(Unknown):
        world.store(cut).apply(planned)
    assert (store.void("b1").state, len(world.rows("logs"))) == ("void", 1)
    assert store.apply(planned).state == "void"


def test_I18_a_connection_cut_before_the_receipt_is_transient(world):
    """Before COMMIT was sent nothing can have happened."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")

    def cut(name):
        if name == "batch.fenced":
            world.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    with pytest.raises(Transient):
        world.store(cut).apply(planned)
    assert store.apply(planned).deleted == 1


def test_a_locked_row_is_transient(world):
    """A row that the application holds makes the batch wait for its lock timeout, then end without effect."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1", lock_timeout_ms=100)
    with world.connection.transaction():
        world.run("UPDATE logs SET kind = 'x' WHERE id = 1")
        with pytest.raises(Transient) as transient:
            store.apply(planned)
    assert "55P03" in str(transient.value)
    assert store.apply(planned).deleted == 1


def test_I06_loose_text_types_do_not_make_tenants_equal(world):
    """Nondeterministic collations compare byte by byte all the same; domains and padded types are known."""
    world.run("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
    world.run('ALTER TABLE logs ALTER firm TYPE text COLLATE "loose"')
    store = ready(world.store())
    world.insert("logs", [log(1, "acme"), log(2, "ACME"), log(3, "acmé")])
    assert store.count(of_tenant("acme")).items == store.residue(of_tenant("acme")).items == 1
    assert store.apply(batch(store, of_groups(["standard"]), "b1")).deleted == 1
    assert {row["id"] for row in world.rows("logs")} == {2, 3}


@pytest.mark.parametrize(("word", "good", "bad"), [
    ("bigint", "7", ["07", "7 ", "+7", "7.0", "٧", "9223372036854775808", "x"]),
    ("uuid", "7d444840-9dc0-11d1-b245-5ffdce74fad2", ["7D444840-9DC0-11D1-B245-5FFDCE74FAD2", "7d4448409dc011d1b2455ffdce74fad2", "x"]),
])  # fmt: skip
def test_I06_ids_convert_strictly(world, word, good, bad):
    """An id that is not spelled as the column's type spells it is refused, not rounded."""
    world.run(f"ALTER TABLE logs ALTER firm TYPE {word} USING NULL")
    store = ready(world.store())
    store.mirror_tenants([TenantRow(good, "standard"), TenantRow("other", "standard"), TenantRow(bad[0], "standard")])
    world.insert("logs", [log(1, good), log(2, None)])
    store.mirror_holds([HoldRow("h", bad[0], None)])
    assert store.count(of_tenant(good)).items == store.count(of_groups(["standard"])).items == 1
    for wrong in bad:
        with pytest.raises(Refused) as refused:
            store.count(of_tenant(wrong))
        assert refused.value.guard == "tenant-type"
    receipt = store.apply(batch(store, of_groups(["standard"]), "b1"))
    assert dict(receipt.by_tenant) == {good: 1}
    assert world.open_keys(receipt.sealed, SEALING_KEY, "b1") == [(1,)]


def test_I11_row_security_that_can_hide_rows_is_found(world):
    """A role under a policy is refused; BYPASSRLS or a policy USING (true) is harmless."""
    store = ready(world.store())
    role, word = "rls_" + secrets.token_hex(4), secrets.token_hex(8)
    world.run(f"CREATE ROLE {role} LOGIN PASSWORD '{word}'")
    world.run(f"GRANT SELECT, DELETE ON logs TO {role}")
    world.run("ALTER TABLE logs ENABLE ROW LEVEL SECURITY")
    world.run("CREATE POLICY own ON logs USING (firm = current_user)")
    url = make_url(world.url).set(username=role, password=word)
    limited = SqlStore("target", url.render_as_string(hide_password=False), DATASETS, deployment="d")
    try:
        assert "row-security" in {finding.code for finding in limited.inspect(["logs"]) if finding.fatal}
        assert "row-security" not in {finding.code for finding in store.inspect(["logs"])}
        world.run("CREATE POLICY everything ON logs USING (true)")
        assert "row-security" not in {finding.code for finding in limited.inspect(["logs"])}
    finally:
        limited.close()
        world.run(f"DROP OWNED BY {role}")
        world.run(f"DROP ROLE {role}")


def test_the_walk_by_time_passes_nothing_twice(world):
    """Ties, sparse and dense scopes: pieces follow each other along the index and hold at most their size."""
    store = ready(world.store())
    world.insert("logs", [log(n, "acme" if n % 2 else "borealis", made=at(OLD)) for n in range(25)])
    world.insert("logs", [log(100 + n, "nobody" if n % 3 else "acme") for n in range(30)])
    bound = of_groups(["standard"], "logs", CUTOFF)
    piece = store.cut(bound, None, 7)
    assert piece is not None
    assert piece.upto["by"] == "edge"
    deleted = [receipt.deleted for receipt in walk(store, bound, 7)]
    assert (sum(deleted), max(deleted)) == (35, 7)
    assert {row["firm"] for row in world.rows("logs")} == {"nobody"}

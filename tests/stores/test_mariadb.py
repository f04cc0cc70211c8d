# ruff: noqa: E501 - tables of cases are read as tables
"""MariaDB keeps the promises of the seam, and its own traps stay shut."""

import threading
import traceback
from datetime import date, datetime

import pymysql
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

from lifecycle.core.errors import Refused, Transient, Unknown
from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.plan import Detach
from lifecycle.core.selection import OneOf
from lifecycle.ports.store import HoldRow, TenantRow
from lifecycle.stores.sql import SqlStore, tables
from lifecycle.stores.sql.dialects import Need
from lifecycle.stores.sql.mariadb_catalogue import _covers
from lifecycle.testing.store_contract import CUTOFF, OLD, StoreContract, log
from lifecycle.testing.store_world import (
    DATASETS,
    DEPLOYMENT,
    SEALING_KEY,
    STORE,
    TODAY,
    at,
    batch,
    before,
    of_groups,
    of_tenant,
    ready,
    walk,
)
from tests import mariadb
from tests.stores.worlds import MariadbWorld, ddl


@pytest.fixture
def world(mariadb_url):
    made = MariadbWorld(mariadb_url)
    yield made
    made.close()


class TestMariadbStore(StoreContract):
    pass


def ids(world):
    return {row["id"] for row in world.rows("logs")}


def codes(store, *, fatal=True):
    return {finding.code for finding in store.inspect(["logs"]) if finding.fatal or not fatal}


# ---- whose rows ----

LOOKALIKES = [
    "acme",
    "Acme",
    "ACME",
    "acme ",
    "acme  ",
    "acmé",
    "ACMÉ",
    "acme\u0301",
    "äcme",
    "0",
    "00",
    "0.0",
    "1acme",
]


@pytest.mark.parametrize(
    "collation",
    ["utf8mb4_general_ci", "utf8mb4_unicode_520_ci", "utf8mb4_bin", "latin1_swedish_ci", "utf8mb3_general_ci"],
)
def test_I06_no_collation_makes_tenants_equal(mariadb_url, collation):
    """Under `=` 'acme' is also 'Acme', 'acme ' and 'ACMÉ', and 0 is ten of these; for us each is one tenant."""
    charset = collation.partition("_")[0]
    word = f"varchar(190) CHARACTER SET {charset} COLLATE {collation}"
    firms = [firm for firm in LOOKALIKES if charset != "latin1" or firm.isascii()]
    world = MariadbWorld(mariadb_url, tables=[s.replace("varchar(190)", word) for s in ddl("mariadb")])
    store = ready(world.store())
    store.mirror_tenants([TenantRow(firm, f"g{n}") for n, firm in enumerate([*firms, "日本"])])
    world.insert("logs", [log(n, firm) for n, firm in enumerate(firms)])
    assert len(world.run("SELECT id FROM logs WHERE firm = 0").fetchall()) > 5
    for number, firm in enumerate(firms):
        for bound in (of_tenant(firm), of_groups([f"g{number}"])):
            assert store.count(bound).items == store.residue(bound).items == 1
            assert [found.key for found in store.find(bound, None, 99)] == [(str(number),)]
        only = of_groups([f"g{n}" for n in range(len(firms))])
        narrowed = only.selection.model_copy(update={"only": (OneOf(column="firm", values=(firm,)),)})
        assert store.count(type(only)(narrowed)).items == store.residue(type(only)(narrowed)).items == 1
    # A character that the column's charset does not have is a difference, not an error.
    assert store.count(of_tenant("日本")).items == store.residue(of_tenant("日本")).items == 0
    store.mirror_holds([HoldRow("h", "ACME", None)])
    receipt = store.apply(batch(store, of_groups(["g0", "g1", "g2"]), "b1"))
    assert (receipt.deleted, dict(receipt.by_tenant)) == (2, {"acme": 1, "Acme": 1})
    assert ids(world) == set(range(2, len(firms)))
    world.close()


def test_I06_the_exact_comparison_still_uses_the_index(world):
    """A tenant's rows are found over the index of the tenant column, and compared byte by byte afterwards."""
    world.run("CREATE INDEX logs_firm ON logs (firm)")
    store = ready(world.store())
    world.insert("logs", [log(n, f"firm{n}") for n in range(300)])
    seen = []
    store.count(of_tenant("acme"))
    event.listen(
        store._engine,
        "before_cursor_execute",
        lambda c, cursor, statement, values, *_: seen.append((statement, values)),
    )
    store.count(of_tenant("firm7"))
    statement, values = next((s, v) for s, v in seen if "count(*)" in s and "logs" in s)
    cursor = world.connection.cursor()
    cursor.execute("EXPLAIN " + statement, values)
    plan = next(row for row in cursor.fetchall() if row["table"] == "logs")
    assert (plan["key"], plan["type"]) == ("logs_firm", "ref")


@pytest.mark.parametrize(("word", "good", "bad"), [
    ("bigint", "7", ["07", "7 ", "+7", "7.0", "٧", "9223372036854775808", "x", "-9223372036854775809"]),
    ("int(6) unsigned zerofill", "7", ["-1", "4294967296", "000007"]),
    ("tinyint unsigned", "200", ["256"]),
    ("uuid", "7d444840-9dc0-11d1-b245-5ffdce74fad2", ["7D444840-9DC0-11D1-B245-5FFDCE74FAD2", "7d4448409dc011d1b2455ffdce74fad2", "x"]),
])  # fmt: skip
def test_I06_ids_convert_strictly(world, word, good, bad):
    """An id that is not spelled as the column's type spells it is refused, not rounded to 0 or to 7."""
    world.run(f"ALTER TABLE logs MODIFY firm {word}")
    store = ready(world.store())
    store.mirror_tenants([TenantRow(good, "standard"), TenantRow("other", "standard"), TenantRow(bad[0], "standard")])
    world.insert("logs", [log(1, good), log(2, None)])
    store.mirror_holds([HoldRow("h", bad[0], None)])
    for bound in (of_tenant(good), of_groups(["standard"])):
        assert store.count(bound).items == store.residue(bound).items == 1
    assert store.oddities("logs", of_groups(["standard"])).unattributed == 0
    for wrong in bad:
        with pytest.raises(Refused) as refused:
            store.count(of_tenant(wrong))
        assert refused.value.guard == "tenant-type"
    receipt = store.apply(batch(store, of_groups(["standard"]), "b1"))
    assert dict(receipt.by_tenant) == {good: 1}
    assert world.open_keys(receipt.sealed, SEALING_KEY, "b1") == [(1,)]


def test_I06_a_text_that_is_no_number_is_not_zero(world):
    """MariaDB reads any text as 0 beside a number: both ways of mixing them are refused."""
    world.run("ALTER TABLE logs ADD amount bigint, ADD flag boolean, ADD choice enum('b', 'a', '0')")
    store = ready(world.store())
    world.insert(
        "logs", [log(1, kind="x", amount=0, flag=0, choice="0"), log(2, kind="0", amount=7, flag=1, choice="a")]
    )
    for column, wrong in (
        ("kind", 0),
        ("kind", True),
        ("amount", "x"),
        ("amount", "0"),
        ("flag", "0"),
        ("amount", True),
        ("choice", 1),
    ):
        with pytest.raises(Refused) as refused:
            store.count(of_tenant("acme", only=(OneOf(column=column, values=(wrong,)),)))
        assert refused.value.guard == "value-type"
    for column, value, items in (
        ("amount", 0, 1),
        ("flag", True, 1),
        ("kind", "0", 1),
        ("choice", "a", 1),
        ("choice", "b", 0),
    ):
        bound = of_tenant("acme", only=(OneOf(column=column, values=(value,)),))
        assert store.count(bound).items == store.residue(bound).items == items


# ---- when ----

ODD = ["0000-00-00", "2025-00-10", "2025-01-00", "2025-02-31", "0001-01-01"]


@pytest.mark.parametrize(("column", "word"), [("day", "date"), ("made", "datetime(6)"), ("made", "timestamp NULL")])
def test_I09_dates_that_no_calendar_has_are_undatable(world, column, word):
    """With sql_mode='' the application stores 0000-00-00 and the 31st of February: earlier than every cutoff, never due."""
    world.run(f"ALTER TABLE logs MODIFY {column} {word}")
    world.run("SET sql_mode = 'ALLOW_INVALID_DATES'")
    store = ready(world.store())
    odd = [text for text in ODD if word != "timestamp NULL" or text.startswith("0000")]
    for number, text in enumerate([*odd, None]):
        world.insert("logs", [log(number) | {column: text if text is None or column == "day" else f"{text} 10:00:00"}])
    world.insert("logs", [log(50)])
    bound = of_tenant("acme", "logs", before(TODAY, column))
    assert (store.count(bound).items, store.residue(bound).items) == (1, 1)
    assert store.oddities("logs", bound).undatable == store.residue(bound).oddities.undatable == len(odd) + 1
    assert sum(receipt.deleted for receipt in walk(store, bound, 2)) == 1
    assert len(ids(world)) == len(odd) + 1


def test_I09_a_walk_passes_dates_that_no_calendar_has(mariadb_url):
    """An edge of a batch never lies on such a date: what is due behind it goes all the same."""
    world = MariadbWorld(mariadb_url, tables=[*ddl("mariadb"), "CREATE INDEX logs_day ON logs (day)"])
    world.run("SET sql_mode = 'ALLOW_INVALID_DATES'")
    store = ready(world.store())
    store.dialect.prefers_key = lambda *_: False
    world.insert("logs", [log(n) | {"day": "2025-02-31" if n % 2 else "2025-02-28"} for n in range(10)])
    world.insert("logs", [log(20 + n) | {"day": "2025-03-01"} for n in range(5)])
    bound = of_groups(["standard"], "logs", before(date(2025, 12, 31), "day"))
    assert sum(receipt.deleted for receipt in walk(store, bound, 3)) == 10
    assert ids(world) == {n for n in range(10) if n % 2}


@pytest.mark.parametrize("zone", ["+00:00", "+13:00", "-09:30"])
@pytest.mark.parametrize("word", ["datetime", "timestamp NULL"])
def test_I14_neither_the_servers_zone_nor_its_mode_matters(mariadb_url, zone, word):
    """A cutoff means the same rows whatever zone, mode, isolation and limits the server gives its sessions."""
    admin = mariadb.connect(mariadb_url)
    odd = {
        "time_zone": f"'{zone}'",
        "sql_mode": "'ANSI_QUOTES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES'",
        "sql_select_limit": "1",
        "default_regex_flags": "'EXTENDED'",
        "tx_isolation": "'SERIALIZABLE'",
    }
    with admin.cursor() as cursor:
        kept = {}
        for name, value in odd.items():
            cursor.execute(f"SELECT @@global.{name}")
            kept[name] = cursor.fetchone()[0]
            cursor.execute(f"SET GLOBAL {name} = {value}")
    try:
        tables = [s.replace("datetime(6)", word) for s in ddl("mariadb")]
        world = MariadbWorld(mariadb_url, tables=tables)
        world.run("SET sql_select_limit = DEFAULT, tx_isolation = 'READ-COMMITTED', time_zone = '+00:00'")
        store = ready(world.store())
        world.insert("logs", [log(n, made=f"2025-06-30 {hour}:30:00") for n, hour in enumerate((20, 21, 22))])
        bound = of_tenant("acme", "logs", before(date(2025, 6, 30)))
        seen = store.residue(bound)
        assert (store.count(bound).items, seen.items, seen.oldest) == (2, 2, date(2025, 6, 30))
        assert [receipt.deleted for receipt in walk(store, bound, 9)] == [2]
        world.run("SET sql_select_limit = 18446744073709551615")
        assert ids(world) == {2}
        world.close()
    finally:
        with admin.cursor() as cursor:
            for name, value in kept.items():
                cursor.execute(f"SET GLOBAL {name} = %s", (value,))
        admin.close()


def test_I14_local_times_need_no_time_zone_tables(world):
    """Boundaries of local days are computed here: the hour that exists twice counts late, with empty tables of zones."""
    assert world.run("SELECT CONVERT_TZ('2025-01-01', 'Europe/Berlin', 'UTC') AS t").fetchone()["t"] is None
    local = Dataset(id="local", store=STORE, table="logs", category="x", key=("id",), tenant=Tenancy(by="column", column="firm"),
                    times={"made": TimeColumn(column="made", encoding="local", zone="Europe/Berlin")})  # fmt: skip
    world.datasets = (local,)
    store = ready(world.store())
    world.insert(
        "logs",
        [
            log(n, made=text)
            for n, text in enumerate(
                ["2025-10-26 00:30:00", "2025-10-26 02:30:00", "2025-10-26 23:59:59.999999", "2025-10-27 00:00:00"]
            )
        ],
    )
    for zone, day, items in (("Europe/Berlin", 26, 3), ("UTC", 25, 1), ("UTC", 26, 4), ("Pacific/Apia", 26, 2)):
        bound = of_tenant("acme", "local", before(date(2025, 10, day), zone=zone))
        assert store.count(bound).items == store.residue(bound).items == items, (zone, day)


def test_a_timestamp_bound_beyond_its_range_is_no_error(world):
    """TIMESTAMP begins in 1970 and ends in 2038; a selection's bounds do not."""
    world.run("ALTER TABLE logs MODIFY made timestamp NULL")
    store = ready(world.store())
    world.insert(
        "logs",
        [log(1, made="1970-01-01 00:00:01"), log(2, made="2025-01-01 00:00:00"), log(3, made="2038-01-19 03:14:07")],
    )
    bound = of_tenant("acme", "logs", before(date(2060, 1, 1), not_before=date(1890, 1, 1), not_after=date(2060, 1, 1)))
    assert store.count(bound).items == store.residue(bound).items == 3
    assert sum(receipt.deleted for receipt in walk(store, bound, 9)) == 3


# ---- the change ----


def test_I16_what_is_sealed_is_what_went_while_others_write(world):
    """Under READ COMMITTED two statements see different rows; rows that come between them are in no list and stay."""
    store = ready(world.store())
    world.insert("logs", [log(n) for n in range(1, 200)])
    stop = threading.Event()

    def write():
        busy, number = MariadbWorld(world.url, tables=["SELECT 1"]), 10_000
        while not stop.is_set():
            busy.insert("logs", [log(number)])
            busy.change("logs", {"id": number % 190 + 1}, {"kind": "x"})
            number += 1
        busy.close()

    writer = threading.Thread(target=write)
    writer.start()
    sealed, deleted = [], 0
    try:
        for number, receipt in enumerate(walk(store, of_tenant("acme", "logs", CUTOFF), 7), 1):
            sealed += [key for (key,) in world.open_keys(receipt.sealed, SEALING_KEY, receipt.batch)]
            deleted += receipt.deleted
            if number == 40:
                break
    finally:
        stop.set()
        writer.join()
    written = int(world.run("SELECT max(id) AS n FROM logs").fetchone()["n"])
    ever = set(range(1, 200)) | set(range(10_000, written + 1))
    assert len(sealed) == len(set(sealed)) == deleted > 190
    assert ever - ids(world) == set(sealed)


def test_I16_an_update_changes_the_rows_that_it_sealed(world):
    """A row that turns up between locking and changing is neither sealed nor changed; a renewing time stays as it is."""
    world.run("ALTER TABLE logs ADD renewed timestamp(6) NULL DEFAULT NULL ON UPDATE current_timestamp(6)")
    world.run("CREATE TABLE boss (id bigint PRIMARY KEY)")
    world.run("ALTER TABLE logs ADD boss bigint REFERENCES boss (id)")
    world.run("INSERT INTO boss VALUES (1)")
    detached = DATASETS[0].model_copy(update={"detach": ("boss",)})
    world.datasets = (detached, *DATASETS[1:])
    store = ready(world.store())
    world.insert("logs", [log(n, boss=1, renewed="2025-01-01 00:00:00") for n in range(3)])
    other = MariadbWorld(world.url, tables=["SELECT 1"])
    planned = batch(store, of_tenant("acme"), "b1", action=Detach(columns=("boss",)))
    dialect = store.dialect
    real = dialect._update

    def late(*arguments):
        other.insert("logs", [log(-1, boss=1)])
        real(*arguments)

    dialect._update = late
    receipt = store.apply(planned)
    assert (receipt.deleted, world.open_keys(receipt.sealed, SEALING_KEY, "b1")) == (3, [(0,), (1,), (2,)])
    assert {row["id"] for row in world.rows("logs") if row["boss"] is not None} == {-1}
    assert {row["renewed"] for row in world.rows("logs") if row["id"] >= 0} == {datetime(2025, 1, 1)}  # noqa: DTZ001
    other.close()


KEYS = [
    ("binary(4)", [b"\x00\xff\x01\x02", b"\x01\x00\x00\x00", b"abcd", b"\xff\xff\xff\xff", b"zz\x00\x00"]),
    ("varbinary(8)", [b"", b"\x00", b"\x00\x00", b"'\"\\", b"\xf0"]),
    ("varchar(20) COLLATE utf8mb4_general_ci", ["b", "A", "a'c", "é\\", "%s"]),
    ("enum('z', 'm', 'a', 'q', 'b')", ["z", "m", "a", "q", "b"]),
    ("decimal(20, 5)", ["0.00001", "-3.50000", "99999999999999.99999", "2.00000", "1.50000"]),
    ("bigint unsigned", [0, 2**64 - 1, 2**63, 5, 1]),
    ("datetime(6)", ["2025-01-01 00:00:00.000001", "2025-01-01 00:00:00.000002", "2024-01-01 00:00:00.000000", "1999-12-31 23:59:59.999999", "2025-01-01 00:00:00.000000"]),
    ("uuid", ["7d444840-9dc0-11d1-b245-5ffdce74fad2", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "7d444840-9dc0-11d1-b245-5ffdce74fad3", "8d444840-0dc0-11d1-0245-5ffdce74fad2"]),
]  # fmt: skip


@pytest.mark.parametrize(("word", "values"), KEYS)
def test_a_walk_by_any_key_takes_each_row_once(world, word, values):
    """The order of the walk is the order of the column, for enums by their number; sealed keys read back without loss."""
    world.run(f"CREATE TABLE odd (id {word}, part varchar(9), firm varchar(20), PRIMARY KEY (id, part))")
    odd = Dataset(
        id="odd", store=STORE, table="odd", category="x", key=("id", "part"), tenant=Tenancy(by="column", column="firm")
    )
    world.datasets = (*DATASETS, odd)
    store = ready(world.store())
    world.insert("odd", [{"id": value, "part": part, "firm": "acme"} for value in values for part in ("a", "b", "c")])
    sealed = []
    for receipt in walk(store, of_tenant("acme", "odd"), 2):
        assert receipt.deleted <= 2
        sealed += world.open_keys(receipt.sealed, SEALING_KEY, receipt.batch)
    assert sorted(sealed, key=repr) == sorted(((value, part) for value in values for part in "abc"), key=repr)
    assert world.rows("odd") == []


def test_the_walk_chooses_its_way_by_the_share_that_is_due(world):
    """A nightly one per cent goes along the index on the time; half of a table goes along its primary key."""
    store = ready(world.store())
    world.run("INSERT INTO logs SELECT seq, 'acme', '2025-01-01' + INTERVAL seq MINUTE, NULL, NULL FROM seq_1_to_5000")
    world.run(
        "INSERT INTO logs SELECT seq, 'acme', '2026-02-01' + INTERVAL seq SECOND, NULL, NULL FROM seq_5001_to_10000"
    )
    world.run("ANALYZE TABLE logs")
    few = store.cut(of_groups(["standard"], "logs", before(date(2025, 1, 1))), None, 500)
    many = store.cut(of_groups(["standard"], "logs", before(date(2025, 12, 31))), None, 500)
    assert (few.upto["by"], many.upto["by"]) == ("edge", "key")
    one = store.cut(of_tenant("acme", "logs", before(date(2025, 1, 1))), None, 500)
    assert one.upto["by"] == "time"


def test_the_walk_by_time_passes_nothing_twice(world):
    """Ties, sparse and dense scopes: pieces follow each other along the index and hold at most their size."""
    store = ready(world.store())
    store.dialect.prefers_key = lambda *_: False
    world.insert("logs", [log(n, "acme" if n % 2 else "borealis", made=at(OLD)) for n in range(25)])
    world.insert("logs", [log(100 + n, "nobody" if n % 3 else "acme") for n in range(30)])
    bound = of_groups(["standard"], "logs", CUTOFF)
    assert store.cut(bound, None, 7).upto["by"] == "edge"
    deleted = [receipt.deleted for receipt in walk(store, bound, 7)]
    assert (sum(deleted), max(deleted)) == (35, 7)
    assert {row["firm"] for row in world.rows("logs")} == {"nobody"}


# ---- transactions ----


@pytest.mark.parametrize("point", ["batch.begun", "batch.receipt-open"])
def test_I02_a_reference_that_comes_while_a_batch_runs_refuses_it(world, point):
    """No lock keeps another table from referencing the rows that go: the batch looks again, and takes all back."""
    plain = ready(world.store())
    world.insert("logs", [log(1), log(2)])
    other = MariadbWorld(world.url, tables=["SELECT 1"])

    def meanwhile(name):
        if name == point:
            other.run(
                "CREATE TABLE hanging (log bigint PRIMARY KEY, FOREIGN KEY (log) REFERENCES logs (id) ON DELETE CASCADE)"
            )
            other.run("INSERT INTO hanging VALUES (1)")

    planned = batch(plain, of_tenant("acme"), "b1")
    with pytest.raises(Refused) as refused:
        world.store(meanwhile).apply(planned)
    assert refused.value.guard == "schema-changed"
    assert ids(world) == {1, 2}
    assert len(world.rows("hanging")) == 1
    assert plain.receipt("b1") is None
    other.close()


def test_I02_a_definition_stays_while_a_batch_runs(world):
    """From a batch's first statement to its end nobody alters the table or gives it a trigger."""
    plain = ready(world.store())
    world.insert("logs", [log(1), log(2)])
    other = MariadbWorld(world.url, tables=["SET lock_wait_timeout = 0"])
    told = []

    def meanwhile(name):
        if name == "batch.begun":
            for statement in (
                "ALTER TABLE logs RENAME COLUMN kind TO sort",
                "CREATE TRIGGER t AFTER DELETE ON logs FOR EACH ROW SET @x = 1",
            ):
                with pytest.raises(pymysql.err.OperationalError) as waited:
                    other.run(statement)
                told.append(waited.value.args[0])

    assert world.store(meanwhile).apply(batch(plain, of_tenant("acme"), "b1")).deleted == 2
    assert told == [1205, 1205]
    other.close()


def test_I17_a_lock_wait_timeout_takes_the_whole_batch_back(world):
    """MariaDB rolls back only the statement that waited; we take back everything, receipt included, and forget the connection."""
    store = ready(world.store())
    world.insert("logs", [log(1), log(2)])
    planned = batch(store, of_tenant("acme"), "b1", lock_timeout_ms=100)
    world.run("START TRANSACTION")
    world.run("UPDATE logs SET kind = 'x' WHERE id = 2")
    with pytest.raises(Transient) as transient:
        store.apply(planned)
    assert "1205" in str(transient.value)
    assert world.run("SELECT count(*) AS n FROM lifecycle_receipt").fetchone()["n"] == 0
    world.run("ROLLBACK")
    assert (store.receipt("b1"), ids(world)) == (None, {1, 2})
    assert store.apply(planned).deleted == 2


def test_a_deadlock_is_transient(world):
    """Two that wait for each other: one of them is told to try again, and nothing of it stays."""
    store = ready(world.store())
    world.insert("logs", [log(1), log(2)])
    planned = batch(store, of_tenant("acme"), "b1")
    other = MariadbWorld(world.url, tables=["START TRANSACTION"])
    waiter = threading.Thread(target=lambda: other.run("DELETE FROM lifecycle_receipt WHERE batch_id = 'b1'"))
    # The application has written more, so the server gives up the batch.
    other.insert("logs", [log(100 + n, "borealis") for n in range(50)])
    other.run("UPDATE logs SET kind = 'x' WHERE id = 2")

    def cross(name):
        if name == "batch.receipt-open":
            waiter.start()
            waiter.join(0.5)

    with pytest.raises(Transient) as transient:
        world.store(cross).apply(planned)
    waiter.join()
    other.run("ROLLBACK")
    assert "1213" in str(transient.value)
    assert (store.receipt("b1"), len(ids(world))) == (None, 2)
    assert store.apply(planned).deleted == 2
    other.close()


def test_a_statement_timeout_is_transient(world):
    """A change that takes too long is ended by the server and taken back."""
    world.run("CREATE FUNCTION slow() RETURNS int RETURN sleep(3)")
    world.run("CREATE TRIGGER audit BEFORE DELETE ON logs FOR EACH ROW SET @x = slow()")
    store = ready(world.store())
    world.insert("logs", [log(1)])
    with pytest.raises(Transient) as transient:
        store.apply(batch(store, of_tenant("acme"), "b1", statement_timeout_ms=300))
    assert "1969" in str(transient.value)
    assert (store.receipt("b1"), ids(world)) == (None, {1})


def test_a_pooled_connection_forgets_the_limits_of_a_batch(world):
    """What comes after a batch on the same connection has its own limits again."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    store.apply(batch(store, of_tenant("acme"), "b1", statement_timeout_ms=300))
    with store._connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT @@max_statement_time, @@innodb_lock_wait_timeout, @@idle_transaction_timeout, @@tx_isolation"
        ).one()
    assert tuple(row) == (0, 10, 5, "READ-COMMITTED")


def test_I16_a_paused_batch_gives_its_locks_back(world):
    """A process that stands still in a transaction loses it after five seconds; nothing of it stays, and it learns so."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")

    def pause(name):
        if name == "batch.changed":
            # Waits behind the paused batch's lock, and goes on when the server has ended it.
            world.run("SET innodb_lock_wait_timeout = 20")
            world.run("UPDATE logs SET kind = 'seen' WHERE id = 1")

    with pytest.raises(Transient):
        world.store(pause).apply(planned)
    assert [row["kind"] for row in world.rows("logs")] == ["seen"]
    assert store.receipt("b1") is None


def test_I16_a_zombie_after_its_void_deletes_nothing(world):
    """With the receipt first, a batch that wakes up after its void fails at its receipt: ▲ with the receipt last it deleted."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")

    def overtaken(name):
        if name == "batch.fenced":
            assert store.void("b1").state == "void"

    assert world.store(overtaken).apply(planned).state == "void"
    assert ids(world) == {1}


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


def test_I01_a_parent_cannot_change_hands_while_its_children_go(world):
    """The tickets on a path are locked: whoever wants to move one waits until the notes are gone."""
    store = ready(world.store())
    world.insert("tickets", [{"id": 1, "firm": "acme", "title": "x"}])
    world.insert("notes", [{"ticket": 1, "number": 1, "body": "x"}])
    planned = batch(store, of_tenant("acme", "notes"), "b1")
    other = MariadbWorld(world.url, tables=["SET innodb_lock_wait_timeout = 1"])
    refused = []

    def move(name):
        if name == "batch.changed":
            with pytest.raises(Exception, match="1205"):
                other.change("tickets", {"id": 1}, {"firm": "borealis"})
            refused.append(name)

    assert world.store(move).apply(planned).deleted == 1
    assert refused == ["batch.changed"]
    other.close()


def cut_connections(world):
    for row in world.run(
        "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()"
    ).fetchall():
        world.run(f"KILL {row['id']}")


def test_I18_a_connection_cut_around_commit_is_unknown(world):
    """Whoever does not hear COMMIT's answer does not know; a void receipt decides."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    with pytest.raises(Unknown):
        world.store(lambda name: name == "batch.receipt-sealed" and cut_connections(world)).apply(planned)
    assert (store.void("b1").state, len(world.rows("logs"))) == ("void", 1)
    assert store.apply(planned).state == "void"


def test_I18_a_connection_cut_before_the_receipt_is_transient(world):
    """Before COMMIT was sent nothing can have happened."""
    store = ready(world.store())
    world.insert("logs", [log(1)])
    planned = batch(store, of_tenant("acme"), "b1")
    with pytest.raises(Transient):
        world.store(lambda name: name == "batch.fenced" and cut_connections(world)).apply(planned)
    assert store.apply(planned).deleted == 1


def test_I23_the_servers_message_stays_inside(world):
    """MariaDB quotes the row in its messages; what comes out has the error's number and the constraint, and no chain."""
    world.run("CREATE TABLE child (id int, log bigint, CONSTRAINT child_log FOREIGN KEY (log) REFERENCES logs (id))")
    store = ready(world.store())
    world.insert("logs", [log(471100815)])
    world.run("INSERT INTO child VALUES (1, 471100815)")
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, of_tenant("acme"), "b1"))
    told = "".join(traceback.format_exception(refused.value))
    assert "child_log" in str(refused.value)
    assert "1451" in str(refused.value)
    assert "471100815" not in told.replace("log(471100815)", "")
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_I23_a_triggers_words_stay_inside(world):
    """What a trigger says when it refuses may name a person, even dressed up as a constraint."""
    world.run(
        "CREATE TRIGGER audit BEFORE DELETE ON logs FOR EACH ROW SIGNAL SQLSTATE '45000' SET message_text = 'CONSTRAINT `jane@example.com`'"
    )
    store = ready(world.store())
    world.insert("logs", [log(1)])
    with pytest.raises(Refused) as refused:
        store.apply(batch(store, of_tenant("acme"), "b1"))
    assert (refused.value.guard, "jane" in str(refused.value), ids(world)) == ("constraint", False, {1})


# ---- what is found ----


@pytest.mark.parametrize(("change", "code"), [
    ("ALTER TABLE logs ENGINE = MyISAM", "not-a-table"),
    ("ALTER TABLE logs ENGINE = Aria", "not-a-table"),
    ("ALTER TABLE logs ADD SYSTEM VERSIONING", "not-a-table"),
    ("ALTER TABLE logs PARTITION BY HASH (id) PARTITIONS 3", "not-a-table"),
    ("ALTER TABLE logs DROP PRIMARY KEY", "no-primary-key"),
    ("ALTER TABLE logs MODIFY day varchar(20)", "time-type"),
    ("ALTER TABLE logs MODIFY firm float", "tenant-type"),
    ("ALTER TABLE logs DROP day", "missing-column"),
    ("CREATE TRIGGER audit BEFORE DELETE ON logs FOR EACH ROW SET @x = 1", "undeclared-trigger"),
    ("CREATE TABLE child (id int, log bigint REFERENCES logs (id) ON DELETE CASCADE)", "undeclared-cascade"),
    ("CREATE TABLE child (id int, log bigint REFERENCES logs (id) ON DELETE SET NULL)", "undeclared-cascade"),
])  # fmt: skip
def test_I11_what_forbids_a_plan_is_found(world, change, code):
    """Engines without transactions, history, partitions, cascades, triggers, keys and types: each refuses the plan."""
    store = ready(world.store())
    assert codes(store) == set()
    first = store.used_schema(["logs"])
    world.run(change)
    assert code in codes(store)
    assert store.used_schema(["logs"]) != first


def test_I11_a_view_and_columns_that_hide_are_seen(world):
    """Views are no tables; invisible and generated columns are in the catalogue; a sequence is nothing of anybody's."""
    world.run("CREATE VIEW shown AS SELECT * FROM logs")
    world.run("CREATE SEQUENCE numbers")
    world.run(
        "ALTER TABLE logs ADD secret varchar(9) INVISIBLE, ADD lower_kind varchar(99) AS (lower(kind)) PERSISTENT"
    )
    catalogue = ready(world.store()).catalogue()
    logs = next(table for table in catalogue.tables if table.name == "logs")
    columns = {column.name: column for column in logs.columns}
    assert (columns["secret"].generated, columns["lower_kind"].generated) == (False, True)
    assert {(table.name, table.kind) for table in catalogue.tables if table.kind != "table"} == {("shown", "view")}


def test_I11_a_reference_from_another_database_is_seen(world, mariadb_server):
    """A table of another database that would go along is found like one of this database."""
    with mariadb.fresh_mariadb(mariadb_server.url) as beside:
        name, here = make_url(beside).database, make_url(world.url).database
        world.run(
            f"CREATE TABLE {name}.child (id int PRIMARY KEY, log bigint, FOREIGN KEY (log) REFERENCES {here}.logs (id) ON DELETE CASCADE)"
        )
        world.run(f"CREATE TABLE {name}.stranger (id int PRIMARY KEY)")
        store = ready(world.store())
        assert codes(store) == {"undeclared-cascade"}
        assert {table.name for table in store.catalogue().tables if table.schema == name} == {"child"}


def test_the_catalogue_takes_as_many_queries_for_many_tables(world):
    """Ten tables or sixty: the same number of statements."""
    store = ready(world.store())
    seen = []
    store.catalogue()
    event.listen(store._engine, "before_cursor_execute", lambda c, cursor, statement, *_: seen.append(statement))
    store.catalogue()
    few = len(seen)
    for number in range(50):
        world.run(f"CREATE TABLE more{number} (id int PRIMARY KEY, log bigint REFERENCES logs (id)) ENGINE = InnoDB")
    seen.clear()
    assert len(store.catalogue().tables) == 54
    assert len(seen) == few


def test_I11_a_read_only_server_is_refused_though_a_privileged_delete_passes():
    """▲ read_only=1 lets a privileged DELETE through: probe and inspection look at the setting themselves."""
    with mariadb.own_mariadb_server(*mariadb.QUICK) as server, mariadb.fresh_mariadb(server.url) as url:
        world = MariadbWorld(url)
        store = ready(world.store())
        world.insert("logs", [log(1), log(2)])
        assert (store.probe().read_only, "read-only" in codes(store)) == (False, False)
        world.run("SET GLOBAL read_only = 1")
        world.run("DELETE FROM logs WHERE id = 1")
        assert ids(world) == {2}
        assert (store.probe().read_only, "read-only" in codes(store)) == (True, True)
        world.close()


def test_a_binary_log_of_statements_is_found():
    """binlog_format=STATEMENT and READ COMMITTED exclude each other: found beforehand, and refused by name."""
    with (
        mariadb.own_mariadb_server(*mariadb.QUICK, "--log-bin", "--binlog-format=STATEMENT") as server,
        mariadb.fresh_mariadb(server.url) as url,
    ):
        world = MariadbWorld(url)
        with pytest.raises(Refused) as refused:
            ready(world.store())
        assert refused.value.guard == "binlog-format"
        assert "binlog-format" in codes(world.store())
        world.close()


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "mysql+pymysql", "mariadb+mariadbconnector"])
def test_addresses_of_both_names_are_served(world, scheme):
    """Applications call the same server mysql:// or mariadb://."""
    url = world.url.replace("mariadb+pymysql", scheme)
    store = SqlStore(STORE, url, DATASETS, deployment=DEPLOYMENT)
    try:
        assert store.probe().kind == "mariadb"
    finally:
        store.close()


def test_a_mysql_server_is_refused_by_name(monkeypatch, world):
    """MySQL has no DELETE … RETURNING: told at the first connection, before anything else."""
    monkeypatch.setattr(pymysql.connections.Connection, "get_server_info", lambda self: "8.4.3")
    with pytest.raises(Refused) as refused:
        world.store().probe()
    assert refused.value.guard == "server-version"


def test_an_address_without_a_database_is_refused(world):
    """A server is no store: which database is meant must be said."""
    store = SqlStore(STORE, "mariadb://u:p@127.0.0.1/", DATASETS, deployment=DEPLOYMENT)
    with pytest.raises(Refused) as refused:
        store.probe()
    assert refused.value.guard == "address"


def test_a_server_that_is_not_there_is_transient():
    """No answer is no refusal."""
    store = SqlStore(STORE, "mariadb://u:p@127.0.0.1:9/db", DATASETS, deployment=DEPLOYMENT)
    with pytest.raises(Transient):
        store.probe()


@pytest.mark.parametrize(("pattern", "database", "covers"), [
    ("*", "a", True), ("`a`", "a", True), ("`a`", "b", False), ("`a_c`", "abc", True), ("`a\\_c`", "abc", False),
    ("`a\\_c`", "a_c", True), ("`a%`", "abc", True), ("`a``b`", "a`b", True), ("`a.c`", "abc", False),
])  # fmt: skip
def test_a_grants_pattern_is_read_as_the_server_reads_it(pattern, database, covers):
    """`_` and `%` are wildcards in the name of a database, unless escaped."""
    assert _covers(pattern, database) is covers


def test_a_receipts_insert_hides_no_other_error(world):
    """Only a duplicate key means that the receipt is there."""
    store = ready(world.store())
    with store._connect() as connection:
        with pytest.raises(Exception, match="4025"):
            tables.insert_receipt(connection, store.dialect.ours, "b1", "none of the three")
        assert tables.insert_receipt(connection, store.dialect.ours, "b1", "void")
        assert not tables.insert_receipt(connection, store.dialect.ours, "b1", "void")


# ---- what doctor asks ----


def test_doctor_reads_privileges_collations_plans_and_load(world):
    """A privilege that is lacking is told by the server's own refusal, and nothing is run to find it."""
    world.run("CREATE USER IF NOT EXISTS reader IDENTIFIED BY 'word'")
    world.run(f"GRANT SELECT (id) ON {make_url(world.url).database}.logs TO reader")
    url = make_url(world.url).set(username="reader", password="word").render_as_string(hide_password=False)
    store, wide = SqlStore(STORE, url, DATASETS, deployment=DEPLOYMENT), ready(world.store())
    world.insert("logs", [log(n) for n in range(3)])
    here = make_url(world.url).database
    needs = [
        Need(here, "logs", "SELECT", "id"),
        Need(here, "logs", "SELECT", "kind"),
        Need(here, "logs", "UPDATE", "id"),
        Need(here, "logs", "DELETE"),
    ]
    health = store.dialect.health()
    try:
        with store._connect() as connection:
            assert health.lacking(connection, needs) == needs[1:]
        with wide._connect() as connection:
            assert health.lacking(connection, needs) == []
            logs = next(table for table in wide.catalogue().tables if table.name == "logs")
            assert (health.loose(connection, logs, "firm"), health.loose(connection, logs, "id")) == (True, False)
            assert {remark.code for remark in health.too_wide(connection, [logs], [])} == {"grant-too-wide"}
            assert health.facts(connection).keys() == {"size", "log"}
            assert list(health.remarks(connection)) == []
            assert health.pressure(connection, [logs]).active_sessions is not None
        assert len(ids(world)) == 3
    finally:
        store.close()
        world.run("DROP USER reader")

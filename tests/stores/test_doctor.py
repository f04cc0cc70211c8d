"""What doctor's long look finds in a stranger's database, on SQLite and PostgreSQL: counts and shares, never values."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from lifecycle.core.inventory import Dataset, Hop, Tenancy, TimeColumn
from lifecycle.ports.clock import SystemClock
from lifecycle.stores.sql.samples import tally
from lifecycle.testing import store_world as w
from tests.servers import libpq_url
from tests.stores.test_roles import login, run_psql
from tests.stores.worlds import PostgresqlWorld, SqliteWorld

CANARY = "wanda.canary@example.com"
TEXTS = ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05", "9999-12-31", "1970-01-01", "01.02.2026", CANARY, None)

EVENTS = """CREATE TABLE event (id {integer} PRIMARY KEY, firm {text},
  millis {integer}, iso {text}, numbers {text}, later {time})"""
TABLES = [
    "CREATE TABLE firm (id {integer} PRIMARY KEY, name {text})",
    EVENTS,
    "CREATE TABLE part (id {integer} PRIMARY KEY, event {integer} REFERENCES event (id))",
    "CREATE TABLE piece (id {integer} PRIMARY KEY, event {integer} REFERENCES event (id))",
    "CREATE TABLE loose (id {integer} PRIMARY KEY, firm {loose})",
    "CREATE INDEX loose_firm ON loose (firm)",
    "CREATE TABLE bare (id {integer} PRIMARY KEY, firm {loose})",
    "CREATE TABLE elsewhere (id {integer} PRIMARY KEY)",
]
TYPES = {
    "sqlite": {"integer": "INTEGER", "text": "TEXT", "time": "TEXT", "loose": "TEXT COLLATE NOCASE"},
    "postgresql": {"integer": "bigint", "text": "text", "time": "timestamptz", "loose": "text COLLATE blind"},
}


def dataset(name, table=None, **more):
    more = {"key": ("id",), "tenant": Tenancy(by="column", column="firm"), "category": "x", **more}
    return Dataset(id=name, store=w.STORE, table=table or name, **more)


EVENT = dataset(
    "event",
    times={
        "millis": TimeColumn(column="millis", encoding="epoch-s"),
        "iso": TimeColumn(column="iso", encoding="iso-text"),
        "numbers": TimeColumn(column="numbers", encoding="iso-text"),
        "later": TimeColumn(column="later", encoding="utc"),
    },
)
PART = dataset("part", tenant=Tenancy(by="path", column="firm", path=(Hop(column="event", table="event", key="id"),)))
DATASETS = (EVENT, dataset("event-again", "event"), PART, dataset("loose"), dataset("bare"))


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, tmp_path):
    kind = request.param
    tables = [statement.format(**TYPES[kind]) for statement in TABLES]
    if kind == "sqlite":
        made = SqliteWorld(tmp_path / "target.sqlite", DATASETS, tables)
    else:
        blind = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        made = PostgresqlWorld(request.getfixturevalue("postgres_url"), DATASETS, [blind, *tables])
    now = SystemClock().now()
    seconds = int(now.timestamp()) - 86_400
    for number in range(100):
        made.insert(
            "event",
            [
                {
                    "id": number,
                    "firm": "acme",
                    "millis": seconds * 1000 if number % 10 else 0,
                    "iso": TEXTS[number % len(TEXTS)],
                    "numbers": str(seconds),
                    "later": now + timedelta(days=30) if number < 5 else now - timedelta(days=30),
                }
            ],
        )
    yield made
    made.close()


def found(world):
    examined = world.store().examine([d.id for d in DATASETS])
    return examined, {(f.code, f.dataset): f for f in examined.findings}


def test_I9_sampled_times_that_are_not_what_they_are_declared(world):
    """Milliseconds declared as seconds, numbers and words among texts, sentinels, the future, NULL: shares of each."""
    examined, seen = found(world)
    said = [f.what for f in examined.findings if f.dataset == "event"]
    text = "\n".join(said)
    assert (
        "the time 'millis': 90 of 100 sampled values (90 %) read as milliseconds since 1970, declared as epoch-s"
        in text
    )
    assert "the time 'millis': 10 of 100 sampled values (10 %) stand for none or never (0)" in text
    assert "the time 'numbers': 100 of 100 sampled values (100 %) are numbers that read as seconds since 1970" in text
    assert "the time 'iso': 28 of 100 sampled values (28 %) do not read as a time, declared as iso-text" in text
    assert "the time 'iso': 28 of 100 sampled values (28 %) stand for none or never (1970-01-01, 9999-12-31)" in text
    assert "the time 'iso': 14 of 100 sampled values (14 %) are NULL" in text
    assert "the time 'iso': 15 of 100 sampled values (15 %) have no offset, the others have one" in text
    assert "the time 'later': 5 of 100 sampled values (5.0 %) lie in the future" in text
    assert len(said) == len(set(said)) == 8
    assert seen["time-scale", "event"].fatal
    assert seen["time-numbers", "event"].fatal
    assert not seen["time-unreadable", "event"].fatal


def test_I23_no_sampled_value_is_told(world):
    """A mail address in a column of times is counted; it stands in no finding and in no fact."""
    examined, _ = found(world)
    assert "canary" not in repr(examined).lower()


def test_a_tenant_column_that_folds_case_is_told_with_its_index(world):
    """Comparison is byte-exact whatever the collation; whether an index still serves that is asked of the planner."""
    _, seen = found(world)
    assert "byte by byte: its index does not serve that" in seen["tenant-collation", "loose"].what
    assert "byte by byte: no index begins with it" in seen["tenant-collation", "bare"].what
    assert ("tenant-collation", "event") not in seen


def test_every_finding_is_made_once_and_says_what_to_do(world):
    """Two datasets over one table, two looks at one server: no finding twice, none without its fix."""
    store = world.store()
    names = [d.id for d in DATASETS]
    all_ = [*store.inspect(names), *store.examine(names).findings]
    assert len(all_) == len(set(all_))
    assert all(f.fix and f.what for f in all_)


def test_I11_a_reference_without_an_index_is_refused_by_size_even_where_nobody_estimated_it(world):
    """Below the threshold a warning; at 100,000 rows, which no ANALYZE has counted, it stands in the way."""
    store = world.store()
    missing = [f for f in store.inspect(["event"]) if f.code == "foreign-key-without-index"]
    assert sorted((re.search("'(\\w+)'", f.what)[1], f.fatal) for f in missing) == [("part", False), ("piece", False)]
    many = "SELECT n FROM numbered" if isinstance(world, SqliteWorld) else "SELECT generate_series(1, 100000)"
    head = "WITH RECURSIVE numbered(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbered WHERE n < 100000) "
    world.run((head if isinstance(world, SqliteWorld) else "") + f"INSERT INTO piece (id) {many}")
    missing = [f for f in store.inspect(["event"]) if f.code == "foreign-key-without-index"]
    assert sorted((re.search("'(\\w+)'", f.what)[1], f.fatal) for f in missing) == [("part", False), ("piece", True)]


def test_facts_say_what_the_server_tells_and_what_it_does_not(world):
    """Size, log and disk: SQLite's free room in bytes, and that PostgreSQL has no view of its disk."""
    examined, _ = found(world)
    assert set(examined.facts) == {"size", "log", "disk"}
    free = "are free beside it" if isinstance(world, SqliteWorld) else "does not tell how much of its disk is free"
    assert free in examined.facts["disk"]


@pytest.fixture
def narrow(postgres_url):
    """A PostgreSQL world seen by a login of its own, with the grants that a test gives."""
    made = PostgresqlWorld(
        postgres_url, DATASETS, [s.format(**{**TYPES["postgresql"], "loose": "text"}) for s in TABLES]
    )
    with login(postgres_url) as url:
        name = re.search("//(\\w+):", url)[1]
        seen = PostgresqlWorld(url, DATASETS, ["SELECT 1"])
        yield made, seen, name
        seen.close()
    made.close()


def test_grants_too_narrow_are_told_by_dataset_and_work(narrow):
    """What is missing for what: nothing readable, no DELETE, no lock on the parents; with the grants, nothing."""
    _, seen, name = narrow
    _, told = found(seen)
    assert told["may-not-read", "event"].what.startswith(
        "our role lacks SELECT on event (id, firm, millis, iso, numbers, later): nothing of it can be counted"
    )
    assert told["may-not-delete", "part"].what == "our role lacks DELETE on part: its rows cannot be deleted"
    assert told["may-not-lock", "part"].what == "our role lacks UPDATE on event (id): its tenant path cannot be locked"
    assert all(told[code, "event"].fatal for code in ("may-not-read", "may-not-delete"))
    assert told["not-sampled", "event"]
    grants = "GRANT SELECT ON event, part, loose, bare TO {0}; GRANT DELETE ON event, part, loose, bare TO {0}; "
    run_psql(narrow[0].url, ["--command", (grants + "GRANT UPDATE (id) ON event TO {0}").format(name)])
    _, told = found(seen)
    assert [code for code, _ in told if code.startswith("may-not") or code == "not-sampled"] == []


def test_grants_too_wide_are_told_once(narrow):
    """TRUNCATE, DELETE where no dataset is, CREATE, ownership, BYPASSRLS: each with the tables' names."""
    admin, seen, name = narrow
    grants = [
        f"GRANT DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT CREATE ON SCHEMA public TO {name}",
        f"ALTER TABLE bare OWNER TO {name}",
        f"ALTER ROLE {name} BYPASSRLS",
    ]
    run_psql(admin.url, *(["--command", grant] for grant in grants))
    examined, told = found(seen)
    wide = {code: f.what for (code, _), f in told.items() if f.dataset is None}
    assert wide["may-truncate"] == "our role may truncate elsewhere, event, firm, loose, part and 1 more"
    assert wide["may-delete-elsewhere"] == (
        "our role may delete from elsewhere, firm, piece, which no dataset declares"
    )
    assert wide["may-define"].startswith("our role owns bare: it may alter")
    assert wide["may-create"] == "our role may create tables in public"
    assert "may-bypass-rls" in wide
    assert not any(f.fatal for f in examined.findings if f.dataset is None)


def test_a_slot_that_keeps_log_without_a_bound_is_told(postgres_url):
    """A replication slot that nobody reads fills the disk while a first run writes its log."""
    world = PostgresqlWorld(
        postgres_url, DATASETS, [s.format(**{**TYPES["postgresql"], "loose": "text"}) for s in TABLES]
    )
    name = f"slot_{world.connection.info.backend_pid}"
    with psycopg.connect(libpq_url(postgres_url), autocommit=True) as admin:
        admin.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
        try:
            _, told = found(world)
        finally:
            admin.execute("SELECT pg_drop_replication_slot(%s)", [name])
    assert ("slot-without-bound", None) in told
    world.close()


CASES = [
    ("epoch-s", "1767225600", "plain"),
    ("epoch-s", "1767225600.25", "plain"),
    ("epoch-s", "17", "early"),
    ("epoch-s", "1767225600000000", "finer"),
    ("epoch-s", "99999999999", "future"),
    ("epoch-ms", "1767225600", "seconds"),
    ("epoch-ms", "1767225600000", "plain"),
    ("epoch-ms", "-1", "sentinel"),
    ("iso-text", "20260101", "number"),
    ("iso-text", "1767225600000", "milliseconds"),
    ("iso-text", "2026-02-30", "unreadable"),
    ("iso-text", "2026-01-01T10:00:00+01:00", "aware"),
    ("iso-text", "2026-01-01", "plain"),
    ("iso-text", "1969-05-05", "early"),
    ("utc", "2026-01-01 10:00", "naive"),
    ("local", "2026-01-01 10:00Z", "unreadable"),
]


@pytest.mark.parametrize(("encoding", "value", "kind"), CASES)
def test_a_value_looks_like_one_thing(encoding, value, kind):
    """Each value counts under one word."""
    time = TimeColumn(column="x", encoding=encoding, zone="Europe/Berlin" if encoding == "local" else None)
    assert dict(tally([value], time, date(2026, 6, 1), native=False).looks) == {kind: 1}


NATIVE = [
    ("2026-01-01 00:00:00+00", "plain"),
    ("infinity", "sentinel"),
    ("-infinity", "sentinel"),
    ("9999-12-31 23:00:00+00", "sentinel"),
    ("0001-01-01 00:00:00+00 BC", "early"),
    ("12026-01-01 00:00:00+00", "future"),
    ("2030-01-01", "future"),
    ("1950-01-01", "early"),
]


@pytest.mark.parametrize(("value", "kind"), NATIVE)
def test_a_value_of_a_time_type_looks_like_one_thing(value, kind):
    """Infinite and far values of PostgreSQL's own types, which Python has no date for, are counted too."""
    time = TimeColumn(column="x", encoding="utc")
    assert dict(tally([value], time, datetime(2026, 6, 1, tzinfo=UTC).date(), native=True).looks) == {kind: 1}

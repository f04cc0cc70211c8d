"""What foreign-key paths reach, as each database counts it: evidence for a draft, and nothing but counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import date
from pathlib import Path

import psycopg
import pytest

from lifecycle.core.drafting import Backwards, Route
from lifecycle.core.errors import Refused, Transient
from lifecycle.core.inventory import Dataset, Hop
from lifecycle.core.selection import Bound, Selection, TenantScope
from lifecycle.ports.reach import Reached
from lifecycle.stores.sql import SqlStore
from lifecycle.stores.sql.reach import SqlSurvey, survey
from tests import mariadb
from tests.servers import libpq_url

TODAY = date(2026, 6, 1)
SHAPE = (
    "CREATE TABLE firm (id integer PRIMARY KEY, code varchar(20) NOT NULL UNIQUE)",
    "CREATE TABLE article (id integer PRIMARY KEY, firm_id integer REFERENCES firm (id))",
    (
        'CREATE TABLE "case" (id integer PRIMARY KEY, firm_id integer REFERENCES firm (id),'
        ' article_id integer REFERENCES article (id), "order" integer)'
    ),
    "CREATE TABLE reply (id integer PRIMARY KEY, text varchar(20))",
    (
        "CREATE TABLE reply_firm (id integer PRIMARY KEY, reply_id integer NOT NULL REFERENCES reply (id),"
        " firm_id integer NOT NULL REFERENCES firm (id))"
    ),
    (
        "CREATE TABLE event (id integer PRIMARY KEY, created_text varchar(40), logged_at bigint, due_ms bigint,"
        " sent_on varchar(10), amount_due varchar(20), seconds bigint)"
    ),
)
ROWS = (
    "INSERT INTO firm VALUES (1, 'linde'), (2, 'linde-sued'), (3, 'birke')",
    "INSERT INTO article VALUES (1, 1), (2, 2), (3, NULL)",
    # Of its own firm, of another firm, of nobody, without an article, without a firm, without both.
    (
        'INSERT INTO "case" VALUES (1, 1, 1, 0), (2, 1, 2, 0), (3, 1, 3, 0), (4, 2, NULL, 0), (5, NULL, 1, 0),'
        " (6, NULL, NULL, 0)"
    ),
    "INSERT INTO reply VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "INSERT INTO reply_firm VALUES (1, 1, 1), (2, 2, 1), (3, 2, 2), (4, 2, 2)",
    (
        "INSERT INTO event VALUES"
        " (1, '2026-01-02T03:04:05Z', 1767322800, 1767322800000, '2026-01-02', '12.50', 1767322800),"
        " (2, '2026-01-03T03:04:05+01:00', 1767409200, 1798858800000, '2026-01-03', '9.00', 60),"
        " (3, NULL, NULL, NULL, NULL, NULL, NULL)"
    ),
)
OWN = Route((), "firm_id")
BY_ARTICLE = Route((Hop(column="article_id", table="article", key="id"),), "firm_id")
BY_CODE = Route((Hop(column="firm_id", table="firm", key="id"),), "code")
CASE = (None, "case")

Open = Callable[[], AbstractContextManager[SqlSurvey]]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a small database of each product."""
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("sqlite_path")
        with closing(sqlite3.connect(path)) as connection:
            for statement in (*SHAPE, *ROWS):
                connection.execute(statement)
            connection.commit()
        return f"sqlite:///{path}"
    if request.param == "mariadb":
        return in_mariadb(request.getfixturevalue("mariadb_url"), *SHAPE, *ROWS)
    address: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(libpq_url(address)) as server:
        for statement in (*SHAPE, *ROWS):
            server.execute(statement.encode())
    return address


def in_mariadb(address: str, *statements: str) -> str:
    """Run statements whose identifiers stand in double quotes."""
    with closing(mariadb.connect(address, sql_mode="ANSI_QUOTES")) as server:
        for statement in statements:
            server.cursor().execute(statement)
    return address


@pytest.fixture
def seen(url: str) -> Open:
    """The database, to be looked at."""
    return lambda: survey(url)


def test_a_path_is_counted_by_rows_and_tenants(seen: Open) -> None:
    """Rows of the table, rows that reach a tenant, and how many tenants; a row is never counted twice."""
    with seen() as store:
        assert store.reach(CASE, OWN) == Reached(6, 4, 2)
        assert store.reach(CASE, BY_ARTICLE) == Reached(6, 3, 2)
        assert store.reach(CASE, BY_CODE) == Reached(6, 4, 2)
        assert store.rows((None, "reply")) == 3


def test_two_paths_disagree_only_where_both_name_a_tenant(seen: Open) -> None:
    """A missing tenant contradicts nothing: one of six rows names two firms."""
    with seen() as store:
        assert store.disagreement(CASE, OWN, BY_ARTICLE) == 1
        assert store.disagreement(CASE, OWN, OWN) == 0


def test_rows_behind_a_link_table_have_none_one_or_several_tenants(seen: Open) -> None:
    """Three replies: one firm's, two firms' (named twice by one of them), nobody's."""
    with seen() as store:
        tied = store.backwards((None, "reply"), "id", (None, "reply_firm"), "reply_id", OWN)

    assert tied == Backwards("reply_firm", none=1, one=1, several=1)


def test_texts_and_numbers_are_times_only_when_a_sample_says_so(seen: Open) -> None:
    """ISO texts and counts since 1970 are recognised; an amount that is due, and plain seconds, are not."""
    columns = ["created_text", "logged_at", "due_ms", "sent_on", "amount_due", "seconds"]
    with seen() as store:
        found = {guess.column: guess for guess in store.times((None, "event"), columns, TODAY)}

    assert found.pop("sent_on").encoding in {"date", "iso-text"}
    assert {name: guess.encoding for name, guess in found.items()} == {
        "created_text": "iso-text",
        "logged_at": "epoch-s",
        "due_ms": "epoch-ms",
    }
    assert found["logged_at"].sampled == found["logged_at"].fits == 2
    assert (found["logged_at"].filled, found["logged_at"].future) == (2, 0)
    assert (found["due_ms"].filled, found["due_ms"].future) == (2, 1)


def test_types_tell_what_names_do_not(postgres_url: str) -> None:
    """An interval and a time of day are no moments, whatever they are called; a timestamp is one under any name."""
    with psycopg.connect(libpq_url(postgres_url)) as server:
        server.execute(
            "CREATE TABLE t (id int PRIMARY KEY, time_spent interval, opening_time time, x timestamptz, y timestamp(3),"
            " z date)"
        )
        server.execute("INSERT INTO t VALUES (1, '1 h', '10:00', '2026-01-01', NULL, '2027-01-01')")
    with survey(postgres_url) as store:
        found = {g.column: g for g in store.times((None, "t"), ["time_spent", "opening_time", "x", "y", "z"], TODAY)}

    assert {name: guess.encoding for name, guess in found.items()} == {"x": "utc", "y": "utc", "z": "date"}
    assert (found["x"].filled, found["x"].naive, found["y"].filled, found["y"].naive) == (1, False, 0, True)
    assert (found["z"].filled, found["z"].future) == (1, 1)


def test_mariadbs_types_tell_what_they_do_not_say(mariadb_url: str) -> None:
    """A timestamp is a moment; a datetime may be on any clock, and the draft says so; years and times are none."""
    in_mariadb(
        mariadb_url,
        "CREATE TABLE t (id int PRIMARY KEY, opening_time time, built year, x timestamp NULL, y datetime(3), z date)",
        "INSERT INTO t VALUES (1, '10:00', 2020, '2026-01-01', NULL, '2027-01-01')",
    )
    with survey(mariadb_url) as store:
        found = {g.column: g for g in store.times((None, "t"), ["opening_time", "built", "x", "y", "z"], TODAY)}

    assert {name: guess.encoding for name, guess in found.items()} == {"x": "utc", "y": "utc", "z": "date"}
    assert (found["x"].naive, found["y"].naive, found["z"].naive, found["z"].future) == (False, True, False, 1)


def test_looking_changes_nothing(seen: Open) -> None:
    """The survey is a reading transaction of one moment: our own tables are not made, and no row is touched."""
    with seen() as store:
        names = {table.name for table in store.catalogue().tables}
        before = store.rows(CASE)
    with seen() as store:
        assert {table.name for table in store.catalogue().tables} == names
        assert store.rows(CASE) == before
    assert names == {"firm", "article", "case", "reply", "reply_firm", "event"}


def test_I23_a_failed_look_says_nothing_of_the_database(postgres_url: str) -> None:
    """An error of the driver becomes one of ours, without its words."""
    with psycopg.connect(libpq_url(postgres_url)) as server:
        server.execute("CREATE TABLE secret_firm (id int PRIMARY KEY)")
    with pytest.raises((Refused, Transient)) as caught:
        _look_at_what_goes(postgres_url)

    assert "secret_firm" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_I06_rows_that_somebody_else_holds_on_to_are_counted(url: str) -> None:
    """A row of another tenant, of no tenant, or of an undeclared table keeps a row from going; one's own does not."""
    tenancy = {"by": "column", "column": "firm_id", "nulls": "processor"}
    common = {"store": "main", "category": "content", "key": ("id",)}
    datasets = [
        Dataset.model_validate({"id": "cases", "table": "case", "tenant": tenancy, **common}),
        Dataset.model_validate({"id": "articles", "table": "article", "tenant": tenancy, **common}),
        Dataset.model_validate({"id": "firms", "table": "firm", "tenant": {"by": "column", "column": "id"}, **common}),
    ]
    store = SqlStore("main", url, datasets, deployment="test")
    store.prepare("test")
    alias = "t-" + "a" * 16

    def contested(dataset: str, tenant: str) -> int:
        selection = Selection(dataset=dataset, scope=TenantScope(tenant=alias))
        return store.oddities(dataset, Bound(selection, tenant)).contested

    # Article 1 is read in a case of nobody, article 2 in one of firm 1; nothing references a case.
    assert [contested("articles", tenant) for tenant in ("1", "2", "3")] == [1, 1, 0]
    assert [contested("cases", tenant) for tenant in ("1", "2", "3")] == [0, 0, 0]
    # The link table is in no dataset: nothing of ours will remove its rows.
    assert [contested("firms", tenant) for tenant in ("1", "2", "3")] == [1, 1, 0]
    store.close()


def _look_at_what_goes(url: str) -> None:
    with survey(url) as store:
        with psycopg.connect(libpq_url(url)) as server:
            server.execute("DROP TABLE secret_firm")
        store.rows((None, "secret_firm"))

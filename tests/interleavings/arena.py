"""One database with an application's tables, the application's own connections, and the store that deletes from it.

A server is added by a line in `SERVERS`: how its tables are spelled, and how an application connects.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg

from lifecycle.core.inventory import Dataset, Tenancy, TimeColumn
from lifecycle.core.selection import Before, Bound, Selection, TenantScope
from lifecycle.ports.store import TenantRow
from lifecycle.stores.sql import SqlStore
from tests import mariadb
from tests.servers import libpq_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DEPLOYMENT, ALIAS = "interleavings", "t-aaaaaaaaaaaaaaaa"
OLD, YOUNG, TODAY, CUTOFF = date(2025, 1, 10), date(2026, 2, 20), date(2026, 3, 1), date(2025, 12, 31)
DUE = range(1, 61)
"""Ids of the leaver's old rows; the neighbour's and the young ones follow."""
OTHERS, YOUNGER = range(101, 121), range(201, 206)

LOGS = Dataset(
    id="logs",
    store="target",
    table="logs",
    category="technical",
    key=("id",),
    tenant=Tenancy(by="column", column="firm"),
    times={"day": TimeColumn(column="day", encoding="date")},
)
TICKETS = LOGS.model_copy(update={"id": "tickets", "table": "tickets"})
NOTES = Dataset(
    id="notes",
    store="target",
    table="notes",
    category="technical",
    key=("id",),
    tenant=Tenancy(by="column", column="firm"),
)


@dataclass(frozen=True)
class Server:
    """How an application connects and spells its tables."""

    connect: Callable[[str], Any]
    mark: str
    types: dict[str, str]
    read: str = ""
    """What a read of the application ends with that sees what is committed, and waits for what is about to be."""


def _sqlite(url: str) -> Any:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60, isolation_level=None)
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _postgresql(url: str) -> Any:
    return psycopg.connect(libpq_url(url), autocommit=True)


class _Mariadb:
    """A connection in autocommit that executes by itself, as the other two do."""

    def __init__(self, url: str) -> None:
        self._connection = mariadb.connect(url)
        self.close = self._connection.close

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        cursor = self._connection.cursor()
        cursor.execute(statement, list(values) or None)
        return cursor


SERVERS = {
    # No lock of MariaDB keeps new references away: what its batch takes while one comes must have gone before it came.
    "mariadb": Server(
        _Mariadb, "%s", {"number": "bigint", "text": "varchar(190)", "day": "date"}, " LOCK IN SHARE MODE"
    ),
    "sqlite": Server(_sqlite, "?", {"number": "INTEGER", "text": "TEXT", "day": "TEXT"}),
    "postgresql": Server(_postgresql, "%s", {"number": "bigint", "text": "text", "day": "date"}),
}


class Arena:
    """The application's side."""

    def __init__(self, url: str) -> None:
        """Connect."""
        self.url = url
        self.server = SERVERS[url.partition(":")[0].partition("+")[0]]
        self.connection = self.server.connect(url)

    @contextmanager
    def beside(self) -> Iterator[Any]:
        """Another connection of the application, for another thread."""
        connection = self.server.connect(self.url)
        try:
            yield connection
        finally:
            connection.close()

    def run(self, statement: str, *values: object, on: Any = None) -> Any:
        """Run a statement of the application; `?` stands for a value."""
        where = self.connection if on is None else on
        return where.execute(statement.replace("?", self.server.mark), values)

    def ids(self, table: str = "logs", on: Any = None) -> set[int]:
        """Return the ids that are there."""
        return {row[0] for row in self.run(f"SELECT id FROM {table}{self.server.read}", on=on).fetchall()}

    def fill(self) -> None:
        """Make the tables anew, with rows that are due, a neighbour's and young ones."""
        number, text, day = (self.server.types[name] for name in ("number", "text", "day"))
        self.run("BEGIN")
        for table in ("hanging", "notes", "tickets", "logs"):
            self.run(f"DROP TABLE IF EXISTS {table}")
        columns = f"id {number} PRIMARY KEY, firm {text} NOT NULL, day {day} NOT NULL"
        self.run(f"CREATE TABLE logs ({columns})")
        self.run(f"CREATE TABLE tickets ({columns})")
        parent = f"ticket {number} NOT NULL REFERENCES tickets (id)"
        self.run(f"CREATE TABLE notes (id {number} PRIMARY KEY, firm {text} NOT NULL, {parent})")
        self.run("CREATE INDEX notes_ticket ON notes (ticket)")
        rows = [
            f"({key}, '{firm}', '{made.isoformat()}')"
            for ids, firm, made in ((DUE, "acme", OLD), (OTHERS, "borealis", OLD), (YOUNGER, "acme", YOUNG))
            for key in ids
        ]
        for table in ("logs", "tickets"):
            self.run(f"INSERT INTO {table} VALUES {', '.join(rows)}")
        self.run("COMMIT")

    def store(self, failpoint: Callable[[str], None] = lambda name: None) -> SqlStore:
        """Return a handle on the store."""
        return SqlStore("target", self.url, (LOGS, TICKETS, NOTES), deployment=DEPLOYMENT, failpoint=failpoint)

    def ready(self, store: SqlStore) -> None:
        """Prepare the store, without holds."""
        store.prepare(DEPLOYMENT)
        store.mirror_tenants([TenantRow("acme", "all"), TenantRow("borealis", "all")])
        store.mirror_holds([])
        store.advance_epoch(DEPLOYMENT, 1)


def selection(dataset: str) -> Bound:
    """Return the leaver's old rows; a ticket stays while a note references it."""
    due = Before(time="day", day=CUTOFF, zone="Europe/Berlin", not_before=date(1971, 1, 1), not_after=TODAY)
    spared = ("notes",) if dataset == "tickets" else ()
    scope = TenantScope(tenant=ALIAS)
    return Bound(Selection(dataset=dataset, scope=scope, due=(due,), unreferenced_by=spared), "acme")

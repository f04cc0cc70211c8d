"""Targets for the contract suite: the same small world in SQLite, in PostgreSQL and in MariaDB."""

import sqlite3
from datetime import UTC, date, datetime

import psycopg
import pymysql
from psycopg.rows import dict_row

from lifecycle.stores.sql import SqlStore
from lifecycle.stores.sql.keys import open_keys
from lifecycle.testing import store_world as w
from tests import mariadb
from tests.servers import libpq_url

TYPES = {
    "sqlite": {"integer": "INTEGER", "text": "TEXT", "time": "TEXT", "date": "TEXT"},
    "postgresql": {"integer": "bigint", "text": "text", "time": "timestamptz", "date": "date"},
    "mariadb": {"integer": "bigint", "text": "varchar(190)", "time": "datetime(6)", "date": "date"},
}


def ddl(kind):
    """The world's tables."""
    for table, columns in w.COLUMNS.items():
        keys = next(d.key for d in w.DATASETS if d.table == table)
        listed = ", ".join(f"{name} {TYPES[kind][word]}" for name, word in columns.items())
        yield f"CREATE TABLE {table} ({listed}, PRIMARY KEY ({', '.join(keys)}))"
    yield "CREATE INDEX logs_made ON logs (made)"


class SqlWorld:
    """What both have in common: an application's own connection."""

    mark = "?"

    def __init__(self, url, datasets=w.DATASETS):
        self.url = url
        self.datasets = datasets
        self.opened = []

    def store(self, failpoint=lambda name: None):
        store = SqlStore(w.STORE, self.url, self.datasets, deployment=w.DEPLOYMENT, failpoint=failpoint)
        self.opened.append(store)
        return store

    def insert(self, table, rows):
        for row in rows:
            marks = ", ".join([self.mark] * len(row))
            self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", [self.value(v) for v in row.values()])

    def change(self, table, key, values):
        sets = ", ".join(f"{name} = {self.mark}" for name in values)
        where = " AND ".join(f"{name} = {self.mark}" for name in key)
        self.run(f"UPDATE {table} SET {sets} WHERE {where}", [self.value(v) for v in [*values.values(), *key.values()]])

    def rows(self, table):
        return [dict(row) for row in self.run(f"SELECT * FROM {table}").fetchall()]

    def open_keys(self, sealed, key, batch_id):
        return open_keys(sealed, key, batch_id)

    def value(self, value):
        return value

    def close(self):
        for store in self.opened:
            store.close()
        self.connection.close()


class SqliteWorld(SqlWorld):
    def __init__(self, path, datasets=w.DATASETS, tables=None):
        super().__init__(f"sqlite:///{path}", datasets)
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        for statement in tables or ddl("sqlite"):
            self.connection.execute(statement)

    def run(self, statement, values=()):
        return self.connection.execute(statement, values)

    def value(self, value):
        if isinstance(value, datetime):
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        return value.isoformat() if isinstance(value, date) else value


class PostgresqlWorld(SqlWorld):
    mark = "%s"

    def __init__(self, url, datasets=w.DATASETS, tables=None):
        super().__init__(url, datasets)
        self.connection = psycopg.connect(libpq_url(url), autocommit=True, row_factory=dict_row)
        for statement in tables or ddl("postgresql"):
            self.connection.execute(statement)

    def run(self, statement, values=()):
        return self.connection.execute(statement, list(values) or None)


class MariadbWorld(SqlWorld):
    """The application has a mode in which the server believes everything, and dictionaries for rows."""

    mark = "%s"

    def __init__(self, url, datasets=w.DATASETS, tables=None):
        super().__init__(url, datasets)
        self.connection = mariadb.connect(url, sql_mode="", cursorclass=pymysql.cursors.DictCursor)
        for statement in tables or ddl("mariadb"):
            self.run(statement)

    def run(self, statement, values=()):
        cursor = self.connection.cursor()
        cursor.execute(statement, list(values) or None)
        return cursor

    def value(self, value):
        return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value

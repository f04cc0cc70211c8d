"""SQLite: one writer, dynamic types, times as text or numbers.

Times are decided by a function of ours inside the connection (`isotext.local_day`): SQLite's own would read `now` and
the 31st of February, and compares a text with an integer column as if everything matched (I9).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import NullPool

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.family import Name
from lifecycle.core.inventory import TimeColumn
from lifecycle.core.transform import Constant, Transform
from lifecycle.ports.store import Catalogue, Table
from lifecycle.stores.sql import sqlite_catalogue, sqlite_transforms
from lifecycle.stores.sql.dialects import Changed, Expression, Facts, Fresh, Health, Truth, Typed
from lifecycle.stores.sql.isotext import local_day
from lifecycle.stores.sql.sqlite_fresh import SqliteFresh
from lifecycle.stores.sql.sqlite_health import SqliteHealth
from lifecycle.stores.sql.tables import our_tables

PREFIX = "lifecycle_"
_LEAST = (3, 35, 0)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _day_text(value: object, encoding: str, column_zone: str | None, zone: str) -> str | None:
    day = local_day(value, encoding, column_zone, zone)
    return None if day is None else day.isoformat()


class SqliteDialect:
    """SQLite 3.35 or newer, in a file."""

    name = "sqlite"
    random_id = "lower(hex(randomblob(16)))"

    def __init__(self) -> None:
        self.ours = our_tables(None, PREFIX, sa.Text())

    def engine(self, url: str, *, pooled: bool) -> Engine:
        """Return an engine on an existing file; every use has a connection of its own."""
        del pooled
        if sqlite3.sqlite_version_info < _LEAST:
            raise Refused("this SQLite is older than 3.35 and cannot return deleted keys", guard="server-version")
        parsed = make_url(url)
        path = Path(parsed.database or "")
        if not parsed.database or parsed.database.startswith(("file:", ":")):
            raise Refused("a SQLite store is named by the path of a file", guard="address")
        if not path.is_file():
            # Opening would make an empty database, and an empty database has nothing overdue.
            raise Refused(
                "the SQLite file of this store does not exist",
                guard="address",
                advice="Look whether it was moved, or correct the store's address; an empty file is never made.",
            )
        engine = sa.create_engine(parsed, poolclass=NullPool, hide_parameters=True)
        sa.event.listen(engine, "connect", self._set_up)
        return engine

    @staticmethod
    def _set_up(connection: Any, record: object) -> None:
        del record
        connection.isolation_level = None
        # Not trusted_schema=OFF: SQLite up to 3.40 then refuses a whole file for one CHECK (json_valid(x)). A schema
        # finds here SQLite's own functions and one of ours that only calculates; no extension can be loaded.
        for pragma in ("foreign_keys=ON", "secure_delete=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA foreign_keys").fetchone() != (1,):
            raise Refused("this SQLite does not enforce foreign keys", guard="foreign-keys")
        connection.create_function("lifecycle_day", 4, _day_text, deterministic=True)
        sqlite_transforms.register(connection)

    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return sqlite3's root error."""
        return (sqlite3.Error,)

    def translate(self, error: BaseException) -> LifecycleError:
        """Name SQLite's symbolic error only: its texts name columns, and a trigger's text may name a person."""
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if isinstance(error, sqlite3.IntegrityError):
            return Refused(f"a constraint of the database said no ({name})", guard="constraint")
        if name in {"SQLITE_READONLY", "SQLITE_AUTH", "SQLITE_PERM"}:
            return Refused(f"the database may not be written ({name})", guard="read-only")
        if name == "SQLITE_ERROR":
            advice = "Run `lifecycle doctor`: the schema differs from the inventory, or the store is not prepared."
            return Refused(f"a statement does not fit the schema ({name})", guard="schema", advice=advice)
        return Transient(f"SQLite did not answer as it should ({name})")

    def uncertain(self, error: BaseException) -> bool:
        """Everything but 'busy' and a broken constraint: an I/O error during COMMIT may have come too late."""
        code = getattr(error, "sqlite_errorcode", None)
        return not isinstance(error, sqlite3.IntegrityError) and (code is None or code & 0xFF not in _BUSY)

    def begin(self, connection: Connection, *, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        """Become the one writer. SQLite has no statement timeout; the batch's size bounds it."""
        del statement_timeout_ms
        connection.exec_driver_sql(f"PRAGMA busy_timeout={int(lock_timeout_ms)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def snapshot(self, connection: Connection) -> None:
        """Begin; the first read fixes the moment."""
        connection.exec_driver_sql("BEGIN")

    def analyze(self, connection: Connection) -> None:
        """Nothing: the mirrors are looked up by their keys."""

    def settle(self, connection: Connection) -> None:
        """Copy the WAL back and truncate it: deleted rows would stay readable in it (I32); a reader may prevent it."""
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def facts(self, connection: Connection) -> Facts:
        """Read version, clock and whether the file can be written."""
        path = Path(connection.engine.url.database or "").resolve()
        clock = connection.exec_driver_sql("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").scalar_one()
        moment = datetime.fromisoformat(clock).replace(tzinfo=UTC)
        return Facts(sqlite3.sqlite_version, not os.access(path, os.W_OK), moment, "", str(path))

    def prepared(self, connection: Connection) -> bool:
        """Tell whether our fence table exists."""
        query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
        return bool(connection.exec_driver_sql(query, (self.ours.fence.name,)).scalar_one())

    def catalogue(self, connection: Connection) -> Catalogue:
        """Read the catalogue by pragma functions."""
        return sqlite_catalogue.read(connection, PREFIX)

    def stamps(self, connection: Connection) -> Mapping[Name, str]:
        """Return the file's schema version for every table: any change of any table raises it."""
        version = self._version(connection)
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        return {(None, name): version for name in names}

    def keep_schema(self, connection: Connection, table: Table) -> str | None:
        """Return the version; the one writer is alone with the schema."""
        del table
        return self._version(connection)

    def schema_kept(self, connection: Connection, table: Table, mark: str | None) -> bool:
        """Always: the writer is alone with the schema."""
        del connection, table, mark
        return True

    @staticmethod
    def _version(connection: Connection) -> str:
        return str(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())

    def default_schema(self, connection: Connection) -> str | None:
        """SQLite has none."""
        del connection
        return None

    def prefers_key(self, connection: Connection, rows: int, due: sa.Select[Any]) -> bool:
        """Never: no walk goes by time."""
        del connection, rows, due
        return False

    def fits_time(self, word: str, time: TimeColumn) -> bool:
        """Any type may hold anything; numbers in a text column would be compared as text, so they are refused."""
        kind = affinity(word)
        return kind != "text" if time.encoding in {"epoch-s", "epoch-ms"} else kind not in {"integer", "real"}

    def fits_tenant(self, word: str) -> bool:
        """Integers and texts; a real number has many spellings."""
        return affinity(word) != "real"

    def within(self, column: Typed, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
        """Compare the day as text."""
        day = self._day(column, time, zone)
        return sa.func.coalesce(day.between(first.isoformat(), last.isoformat()), sa.literal(False))

    def oldest(self, column: Typed, time: TimeColumn, zone: str) -> Expression:
        """The least day, as text."""
        return sa.func.min(self._day(column, time, zone))

    @staticmethod
    def _day(column: Typed, time: TimeColumn, zone: str) -> Expression:
        return sa.func.lifecycle_day(column.expression, time.encoding, time.zone, zone, type_=sa.Text())

    def tenant_is(self, column: Typed, tenant: str) -> Truth:
        """Compare as text, byte by byte; on an integer column the id must be spelled as integers are."""
        if affinity(column.word) == "integer" and not _canonical_int(tenant):
            raise Refused("the tenant's id is no value of the tenant column's type", guard="tenant-type")
        return self.tenant_text(column) == tenant

    def tenant_text(self, column: Typed) -> Expression:
        """Integers and texts as text, anything else as NULL: a blob is nobody's name."""
        expression = column.expression
        as_text = sa.cast(expression, sa.Text())
        return sa.case((sa.func.typeof(expression).in_(("integer", "text")), as_text)).collate("BINARY")

    def tenant_matches(self, column: Typed, id: Expression, number: Expression) -> Truth:
        """By text: a column may hold both kinds."""
        del number
        return id == self.tenant_text(column)

    def equals(self, column: Typed, value: str | int | bool) -> Truth:  # noqa: FBT001
        """The value and its storage class."""
        expression = column.expression
        kind = "text" if isinstance(value, str) else "integer"
        if affinity(column.word) in {"text", "integer"} and affinity(column.word) != kind:
            raise Refused("a condition's value is no value of its column's type", guard="value-type")
        bound = value if isinstance(value, str) else int(value)
        same = sa.type_coerce(expression, sa.types.NullType()).collate("BINARY") == sa.literal(bound)
        return sa.and_(sa.func.typeof(expression) == kind, sa.func.coalesce(same, sa.literal(False)))

    def misfit(self, word: str, transform: Transform) -> str | None:
        """By affinity: what SQLite would convert is no column for it."""
        return sqlite_transforms.misfit(affinity(word), word, transform)

    def done(self, column: Typed, transform: Transform) -> Truth:
        """By our own functions inside the connection."""
        same = self.equals(column, transform.value) if isinstance(transform, Constant) else sa.false()
        return sqlite_transforms.done(column, transform, same)

    def transformed(self, column: Typed, transform: Transform) -> Expression:
        """By our own functions inside the connection."""
        return sqlite_transforms.transformed(column, transform)

    def as_cursor(self, column: Typed) -> Expression:
        """SQLite's own literal: type and value."""
        return sa.func.quote(column.expression)

    def from_cursor(self, column: Typed, value: str) -> Expression:
        """Read the literal back."""
        del column
        return sa.literal(_unquote(value), sa.types.NullType()) if not value.startswith("X'") else _blob(value)

    def walks_by_time(self, word: str) -> bool:
        """Never: the order of texts is not the order of times."""
        del word
        return False

    def lock_parents(self, connection: Connection, query: sa.Select[Any]) -> None:
        """Nothing to do: the writer is alone."""

    def lock_rows(self, connection: Connection, query: sa.Select[Any]) -> None:
        """Nothing to do: the writer is alone."""

    def change(
        self, connection: Connection, statement: sa.Delete | sa.Update, keys: Sequence[Typed], tenant: Typed | None
    ) -> Changed:
        """Change and read the keys back, row by row."""
        returned = [key.expression for key in keys] + ([] if tenant is None else [self.tenant_text(tenant)])
        rows = connection.execute(statement.returning(*returned)).all()
        tenants: dict[str, int] = {}
        if tenant is not None:
            for row in rows:
                tenants[row[-1]] = tenants.get(row[-1], 0) + 1
        listed = [[_plain(value) for value in row[: len(keys)]] for row in rows]
        return Changed(len(rows), json.dumps(listed, separators=(",", ":")).encode(), tenants)

    def open_keys(self, block: bytes) -> list[tuple[object, ...]]:
        """Read the list of keys."""
        return [tuple(_rich(value) for value in row) for row in json.loads(block)]

    @contextmanager
    def stream(self, connection: Connection, query: sa.Select[Any]) -> Iterator[Iterator[Sequence[Any]]]:
        """Step through the rows; SQLite computes them as they are asked for."""
        with connection.execution_options(stream_results=True).execute(query) as result:
            yield (tuple(row) for part in result.partitions(1000) for row in part)

    def health(self) -> Health:
        """Return what a file can be asked."""
        return SqliteHealth()

    def fresh(self) -> Fresh:
        """Return the verifier's words."""
        return SqliteFresh()


def affinity(word: str) -> str:
    """Return the column affinity of a declared type (SQLite, "Determination Of Column Affinity")."""
    upper = word.upper()
    if "INT" in upper:
        return "integer"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if any(part in upper for part in ("REAL", "FLOA", "DOUB")):
        return "real"
    return "any"


def _canonical_int(text: str) -> bool:
    return text.isascii() and text.lstrip("-").isdigit() and str(int(text)) == text


def _plain(value: object) -> object:
    return {"b": value.hex()} if isinstance(value, bytes) else value


def _rich(value: Any) -> object:
    return bytes.fromhex(value["b"]) if isinstance(value, dict) else value


def _unquote(literal: str) -> str | int | float:
    if literal.startswith("'"):
        return literal[1:-1].replace("''", "'")
    return int(literal) if literal.lstrip("-").isdigit() else float(literal)


def _blob(literal: str) -> Expression:
    return sa.literal(bytes.fromhex(literal[2:-1]), sa.LargeBinary())

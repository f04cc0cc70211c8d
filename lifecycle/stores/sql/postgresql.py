"""PostgreSQL 13 or newer over psycopg 3: a snapshot and row locks, one binary value of keys per batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import NullPool, QueuePool

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.family import Name
from lifecycle.ports.store import Catalogue, Table
from lifecycle.stores.sql import postgresql_catalogue, postgresql_change, postgresql_stamps
from lifecycle.stores.sql.dialects import Changed, Facts, Fresh, Health, Typed
from lifecycle.stores.sql.postgresql_fresh import PostgresqlFresh
from lifecycle.stores.sql.postgresql_health import PostgresqlHealth
from lifecycle.stores.sql.postgresql_transforms import PostgresqlTransforms
from lifecycle.stores.sql.tables import our_tables

SCHEMA = "lifecycle"
# A network that falls silent ends a look or a batch within seconds; a statement that is at work is waited for.
_NETWORK = {
    "connect_timeout": 10,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
_SESSION = (
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    # Compiling expressions costs more than a batch takes.
    "SET jit = off",
    "SET client_min_messages = 'error'",
    # A paused process gives its locks back; the server ends its session.
    "SET idle_in_transaction_session_timeout = '5s'",
    "SET default_transaction_isolation = 'read committed'",
    # A look waits this long behind somebody's DDL, not for ever: it is tried again, and others are not kept waiting.
    "SET lock_timeout = '10s'",
)
# Classes and codes of SQLSTATE (PostgreSQL manual, appendix A).
_NO_STATE = "no SQLSTATE"
_READ_ONLY = {"25006"}
_CONSTRAINT_CLASS = "23"
_PRIVILEGE = {"42501"}
_SHAPE_CLASS = "42"


class PostgresqlDialect(PostgresqlTransforms):
    """PostgreSQL with the schema `lifecycle`."""

    name = "postgresql"
    random_id = "gen_random_uuid()::text"

    def __init__(self) -> None:
        self.ours = our_tables(SCHEMA, "", sa.Text(collation="C"))

    def engine(self, url: str, *, pooled: bool) -> Engine:
        """Return an engine over psycopg; the pool checks a connection before it hands it out."""
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        if not parsed.database:
            raise Refused("the address of this store names no database", guard="address")
        # Automatic prepared statements would fix a plan that was made for the first, fullest batches.
        network = {name: value for name, value in _NETWORK.items() if name not in parsed.query}
        arguments = {"prepare_threshold": None, **network}
        if pooled:
            engine = sa.create_engine(
                parsed,
                poolclass=QueuePool,
                pool_size=2,
                max_overflow=8,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args=arguments,
            )
        else:
            engine = sa.create_engine(parsed, poolclass=NullPool, hide_parameters=True, connect_args=arguments)
        sa.event.listen(engine, "connect", self._set_up)
        return engine

    @staticmethod
    def _set_up(connection: Any, record: object) -> None:
        del record
        with connection.cursor() as cursor:
            for statement in _SESSION:
                cursor.execute(statement)
        connection.commit()

    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return psycopg's root error."""
        return (psycopg.Error,)

    def translate(self, error: BaseException) -> LifecycleError:
        """Keep SQLSTATE and the constraint's name: PostgreSQL's message quotes the row (I23)."""
        state = getattr(error, "sqlstate", None) or _NO_STATE
        if state.startswith(_CONSTRAINT_CLASS):
            diagnosis = error.diag.constraint_name if isinstance(error, psycopg.Error) else None
            return Refused(f"the constraint {diagnosis or '(unnamed)'} said no (SQLSTATE {state})", guard="constraint")
        if state in _READ_ONLY:
            return Refused(f"the server is read-only or a replica (SQLSTATE {state})", guard="read-only")
        if state in _PRIVILEGE:
            advice = "Grant the role what deploy/sql lists for it."
            return Refused(f"our role may not do this (SQLSTATE {state})", guard="privilege", advice=advice)
        if state.startswith(_SHAPE_CLASS):
            advice = "Run `lifecycle doctor`: the schema differs from the inventory."
            return Refused(f"a statement does not fit the schema (SQLSTATE {state})", guard="schema", advice=advice)
        if state == _NO_STATE:
            advice = "See whether the server runs, and whether address, password and TLS are right; then run again."
            return Transient("PostgreSQL gave no answer: not reached, not let in, or cut off", advice=advice)
        return Transient(f"PostgreSQL did not answer as it should (SQLSTATE {state})")

    def uncertain(self, error: BaseException) -> bool:
        """No SQLSTATE, a connection's or an administrator's end: the server may have committed before it went."""
        state = getattr(error, "sqlstate", None)
        return state is None or state.startswith(("08", "57P", "58", "XX"))

    def begin(self, connection: Connection, *, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        """One snapshot, and the transaction's timeouts; the driver has begun it with the first statement."""
        connection.exec_driver_sql(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; "
            f"SET LOCAL lock_timeout = {int(lock_timeout_ms)}; "
            f"SET LOCAL statement_timeout = {int(statement_timeout_ms)}"
        )

    def snapshot(self, connection: Connection) -> None:
        """REPEATABLE READ READ ONLY; an export may take longer than a statement of a batch."""
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Whoever reads may be slow; a reader locks nothing out.
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    def analyze(self, connection: Connection) -> None:
        """ANALYZE both mirrors; for a role that does not own them it is a warning and changes nothing."""
        connection.exec_driver_sql(f"ANALYZE {SCHEMA}.tenant, {SCHEMA}.hold")

    def settle(self, connection: Connection) -> None:
        """Nothing: dead tuples are autovacuum's, and named as a limit (I32)."""

    def facts(self, connection: Connection) -> Facts:
        """Read facts; the system identifier only where our role may."""
        row = connection.exec_driver_sql(
            "SELECT current_setting('server_version') AS version, clock_timestamp() AS clock, "
            "pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only, "
            "current_setting('is_superuser') AS superuser, pg_is_in_recovery() AS replica, "
            "CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN "
            "(SELECT system_identifier::text FROM pg_catalog.pg_control_system()) ELSE '' END AS system, "
            "(SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()) AS database"
        ).one()
        url = connection.engine.url
        alias = f"{url.host or ''}:{url.port or 5432}/{url.database}"
        more = {"superuser": row.superuser, "replica": "on" if row.replica else "off"}
        return Facts(row.version, row.read_only, row.clock, f"{row.system}/{row.database}", alias, more)

    def prepared(self, connection: Connection) -> bool:
        """Tell whether our fence table exists."""
        return connection.exec_driver_sql("SELECT to_regclass('lifecycle.fence') IS NOT NULL").scalar_one() is True

    def catalogue(self, connection: Connection) -> Catalogue:
        """Read pg_catalog."""
        return postgresql_catalogue.read(
            connection, SCHEMA, [table.name for table in self.ours.metadata.tables.values()]
        )

    def stamps(self, connection: Connection) -> Mapping[Name, str]:
        """Return a mark of each table: which transactions wrote its lines in the catalogue."""
        rows = connection.exec_driver_sql(postgresql_stamps.ALL)
        return {(schema, name): mark for schema, name, mark in rows}

    def keep_schema(self, connection: Connection, table: Table) -> str | None:
        """Lock the table as a change of its rows would, before the snapshot is taken, and return its mark."""
        name = connection.dialect.identifier_preparer.quote_identifier
        place = ".".join(name(part) for part in (table.schema, table.name) if part is not None)
        connection.exec_driver_sql(f"LOCK TABLE ONLY {place} IN ROW EXCLUSIVE MODE")
        found: str | None = connection.exec_driver_sql(
            postgresql_stamps.ONE, {"schema": table.schema, "name": table.name}
        ).scalar_one_or_none()
        return found

    def schema_kept(self, connection: Connection, table: Table, mark: str | None) -> bool:
        """Always: the table's lock keeps new references away too."""
        del connection, table, mark
        return True

    def default_schema(self, connection: Connection) -> str | None:
        """Return the first schema of the search path that exists and is not ours (a role may be named like it)."""
        found: str | None = connection.exec_driver_sql(
            "SELECT s.name FROM unnest(current_schemas(false)) WITH ORDINALITY AS s(name, place) "
            "WHERE s.name <> %(ours)s ORDER BY s.place LIMIT 1",
            {"ours": SCHEMA},
        ).scalar_one_or_none()
        return found

    def prefers_key(self, connection: Connection, rows: int, due: sa.Select[Any]) -> bool:
        """Never: the index on the time is the quicker one at every share."""
        del connection, rows, due
        return False

    def lock_parents(self, connection: Connection, query: sa.Select[Any]) -> None:
        """FOR SHARE: nobody moves a parent to another tenant while its children go."""
        locked = query.with_for_update(read=True).subquery()
        connection.execute(sa.select(sa.func.count()).select_from(locked))

    def lock_rows(self, connection: Connection, query: sa.Select[Any]) -> None:
        """FOR UPDATE: only this keeps a foreign key's check of a new child waiting."""
        locked = query.with_for_update().subquery()
        connection.execute(sa.select(sa.func.count()).select_from(locked))

    def change(
        self, connection: Connection, statement: sa.Delete | sa.Update, keys: Sequence[Typed], tenant: Typed | None
    ) -> Changed:
        """Read the keys as one packed value, then change: one snapshot, so that both see the same rows or fail."""
        if tenant is not None:
            self.tenant_text(tenant)
        return postgresql_change.change(connection, statement, keys, None if tenant is None else tenant.expression)

    def open_keys(self, block: bytes) -> list[tuple[object, ...]]:
        """Decode the keys by their type ids; no server is needed."""
        return postgresql_change.open_keys(block)

    @contextmanager
    def stream(self, connection: Connection, query: sa.Select[Any]) -> Iterator[Iterator[Sequence[Any]]]:
        """A server-side cursor, read in parts."""
        with connection.execution_options(stream_results=True, max_row_buffer=2000).execute(query) as result:
            yield (tuple(row) for part in result.partitions(2000) for row in part)

    def health(self) -> Health:
        """Return what this server can be asked."""
        return PostgresqlHealth()

    def fresh(self) -> Fresh:
        """Return the verifier's words."""
        return PostgresqlFresh()

"""MariaDB 10.6 or newer over PyMySQL: READ COMMITTED, the keys of a batch as the change itself returns them.

REPEATABLE READ would lock the application's inserts out of the gaps. Under READ COMMITTED two statements see different
rows, so a batch's keys come from the deleting statement, or from rows that are locked first and then named one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from lifecycle.core.errors import LifecycleError, Refused, Transient
from lifecycle.core.family import Name
from lifecycle.ports.store import Catalogue, Table
from lifecycle.stores.sql import mariadb_catalogue, mariadb_errors, mariadb_facts, mariadb_session, mariadb_stamps
from lifecycle.stores.sql.catalogue import clause_of
from lifecycle.stores.sql.dialects import Changed, Facts, Fresh, Health, Typed
from lifecycle.stores.sql.mariadb_fresh import MariadbFresh
from lifecycle.stores.sql.mariadb_health import MariadbHealth
from lifecycle.stores.sql.mariadb_transforms import MariadbTransforms
from lifecycle.stores.sql.mariadb_types import EXACT
from lifecycle.stores.sql.tables import our_tables

PREFIX = "lifecycle_"
_NAMED = 1_000
"""How many rows one UPDATE names by their keys."""
_LARGE = 5
"""One row in so many is due: from here on a walk by key is quicker than one by time (docs/performance.md)."""


class MariadbDialect(MariadbTransforms):
    """MariaDB; our tables have the prefix `lifecycle_`, because a schema is a database here."""

    name = "mariadb"
    random_id = "uuid()"

    def __init__(self) -> None:
        self.ours = our_tables(
            None,
            PREFIX,
            sa.String(700, collation=EXACT),
            once="ON DUPLICATE KEY UPDATE {key} = {key}",
            duplicate=mariadb_errors.DUPLICATE,
            mariadb_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_collate=EXACT,
        )

    def engine(self, url: str, *, pooled: bool) -> Engine:
        """Return an engine over PyMySQL; the pool checks a connection before it hands it out."""
        return mariadb_session.engine(url, pooled=pooled)

    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return PyMySQL's root error."""
        return (mariadb_session.driver().err.Error,)

    def translate(self, error: BaseException) -> LifecycleError:
        """Keep error number and constraint name."""
        return mariadb_errors.translate(error)

    def uncertain(self, error: BaseException) -> bool:
        """Everything but what is known to have rolled back."""
        return mariadb_errors.uncertain(error)

    def begin(self, connection: Connection, *, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        """Set the session's timeouts for this transaction, and begin it."""
        mariadb_session.limit(connection, lock_timeout_ms, statement_timeout_ms)
        connection.exec_driver_sql("START TRANSACTION")

    def snapshot(self, connection: Connection) -> None:
        """One moment for all reads. Whoever reads may be slow; a reader locks nothing out."""
        mariadb_session.unlimit(connection)
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")

    def analyze(self, connection: Connection) -> None:
        """Nothing: ANALYZE TABLE would commit, and the mirrors are looked up by their keys."""

    def settle(self, connection: Connection) -> None:
        """Nothing: old row versions are the purge threads', and named as a limit (I32)."""

    def facts(self, connection: Connection) -> Facts:
        """Read facts."""
        return mariadb_facts.read(connection)

    def prepared(self, connection: Connection) -> bool:
        """Tell whether our fence table exists."""
        query = sa.text(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :name"
        )
        return bool(connection.execute(query, {"name": self.ours.fence.name}).scalar_one())

    def catalogue(self, connection: Connection) -> Catalogue:
        """Read information_schema."""
        return mariadb_catalogue.read(connection, [table.name for table in self.ours.metadata.tables.values()])

    def stamps(self, connection: Connection) -> Mapping[Name, str]:
        """Return a mark of each table: a hash over what the server says about it."""
        return mariadb_stamps.read_all(connection)

    def keep_schema(self, connection: Connection, table: Table) -> str | None:
        """Take the metadata lock of a change, though no row's, and return the table's mark."""
        connection.execute(sa.select(sa.literal(1)).select_from(clause_of(table)).limit(0).with_for_update()).all()
        return self._mark(connection, table)

    def schema_kept(self, connection: Connection, table: Table, mark: str | None) -> bool:
        """Look again: no lock keeps another table from referencing this one."""
        return self._mark(connection, table) == mark

    @staticmethod
    def _mark(connection: Connection, table: Table) -> str | None:
        return mariadb_stamps.read(connection, table.schema or "", table.name)

    def default_schema(self, connection: Connection) -> str | None:
        """Return the address's database."""
        found: str | None = connection.exec_driver_sql("SELECT DATABASE()").scalar_one_or_none()
        return found

    def prefers_key(self, connection: Connection, rows: int, due: sa.Select[Any]) -> bool:
        """Ask the optimizer how many rows it expects; when it would not use the index on the time, neither do we."""
        compiled = due.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        plan = connection.exec_driver_sql("EXPLAIN " + compiled.string, dict(compiled.params)).mappings().first()
        if plan is None or plan["type"] != "range":
            return True
        return int(plan["rows"] or 0) * _LARGE > rows

    def lock_parents(self, connection: Connection, query: sa.Select[Any]) -> None:
        """LOCK IN SHARE MODE: nobody moves a parent to another tenant while its children go."""
        connection.execute(query.with_for_update(read=True)).all()

    def lock_rows(self, connection: Connection, query: sa.Select[Any]) -> None:
        """FOR UPDATE: a foreign key's check of a new child waits for it."""
        connection.execute(query.with_for_update()).all()

    def change(
        self, connection: Connection, statement: sa.Delete | sa.Update, keys: Sequence[Typed], tenant: Typed | None
    ) -> Changed:
        """Delete and let the statement return its keys; for an update, which returns none, lock and name the rows."""
        if statement.whereclause is None:
            raise Refused("a change without a predicate is none of ours", guard="predicate")
        wanted = [self.key(key) for key in keys]
        if tenant is not None:
            self.tenant_text(tenant)
            wanted.append(tenant.expression)
        if isinstance(statement, sa.Delete):
            rows = self._run(connection, statement.returning(*wanted))
        else:
            locked = sa.select(*wanted).select_from(statement.table).where(statement.whereclause).with_for_update()
            rows = self._run(connection, locked)
            self._update(connection, statement, keys, [row[: len(keys)] for row in rows])
        # A row without a tenant stays without one in the count, and refuses the batch (keys.frame).
        tenants: Counter[Any] = Counter()
        if tenant is not None:
            tenants.update(None if row[-1] is None else str(row[-1]) for row in rows)
        listed = rows if tenant is None else [row[:-1] for row in rows]
        block = json.dumps(listed, separators=(",", ":"), default=_plain).encode()
        return Changed(len(rows), block, tenants)

    def _update(
        self, connection: Connection, statement: sa.Update, keys: Sequence[Typed], rows: list[tuple[Any, ...]]
    ) -> None:
        """Change exactly the rows that were locked: a row that came since is not in the list, and stays."""
        changed = 0
        for start in range(0, len(rows), _NAMED):
            named = sa.or_(
                *(
                    sa.and_(*(self.key(key) == value for key, value in zip(keys, row, strict=True)))
                    for row in rows[start : start + _NAMED]
                )
            )
            if len(keys) == 1:
                named = self.key(keys[0]).in_([row[0] for row in rows[start : start + _NAMED]])
            changed += connection.execute(statement.where(named)).rowcount
        if changed != len(rows):
            raise Refused(
                f"{len(rows)} rows were due, {changed} were changed: the database interferes",
                guard="rowcount",
                advice="Look for triggers on the table with `lifecycle doctor`.",
            )

    @staticmethod
    def _run(connection: Connection, statement: sa.ClauseElement) -> list[tuple[Any, ...]]:
        """Run on the driver's own cursor: the rows need no types and no names."""
        driver = connection.connection.driver_connection
        if driver is None:
            raise Transient("the connection is gone")
        compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        with driver.cursor() as cursor:
            cursor.execute(compiled.string, compiled.params)
            return list(cursor.fetchall())

    def open_keys(self, block: bytes) -> list[tuple[object, ...]]:
        """Read the list of keys."""
        return [tuple(_rich(value) for value in row) for row in json.loads(block)]

    @contextmanager
    def stream(self, connection: Connection, query: sa.Select[Any]) -> Iterator[Iterator[Sequence[Any]]]:
        """The server sends the rows one after another; none is kept."""
        with connection.execution_options(stream_results=True).execute(query) as result:
            yield (tuple(row) for part in result.partitions(2000) for row in part)

    def health(self) -> Health:
        """Return what the server can be asked."""
        return MariadbHealth()

    def fresh(self) -> Fresh:
        """Return the verifier's words."""
        return MariadbFresh()


def _plain(value: bytes) -> dict[str, str]:
    return {"b": value.hex()}


def _rich(value: Any) -> object:
    return bytes.fromhex(value["b"]) if isinstance(value, dict) else value

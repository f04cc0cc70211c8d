"""What doctor and throttles ask a MariaDB server: sizes, logs, what our role may do, how columns compare, its load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.throttle import Pressure
from lifecycle.ports.store import Table
from lifecycle.stores.sql import mariadb_catalogue
from lifecycle.stores.sql.catalogue import word_of
from lifecycle.stores.sql.dialects import Need, Remark
from lifecycle.stores.sql.mariadb_types import COLLATED, kind_of
from lifecycle.stores.sql.wording import sized

_SIZE = """
SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE()
"""
_STATUS = "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'THREADS_RUNNING'"
_NEEDED = {"DELETE", "EXECUTE", "INSERT", "REFERENCES", "SELECT", "SHOW VIEW", "UPDATE", "USAGE"}
_DENIED = {1142, 1143}


class MariadbHealth:
    """MariaDB."""

    def facts(self, connection: Connection) -> Mapping[str, str]:
        """Return the database's size, and where deleted rows are written once more."""
        size = int(connection.exec_driver_sql(_SIZE).scalar_one())
        logged, image = connection.exec_driver_sql("SELECT @@log_bin, @@binlog_row_image").one()
        log = f"the binary log holds every deleted row (image {image})" if logged else "there is no binary log"
        return {"size": f"the database has {sized(size)}", "log": log}

    def remarks(self, connection: Connection) -> Iterator[Remark]:
        """Yield a binary log that nobody ever shortens: what was deleted stays in it."""
        logged, days = connection.exec_driver_sql("SELECT @@log_bin, @@expire_logs_days").one()
        if logged and not float(days):
            what = "the binary log never expires: rows that were deleted stay in it"
            yield Remark("binlog-kept", what, "Set binlog_expire_logs_seconds, and name it in the inventory's backups.")

    def too_wide(self, connection: Connection, declared: Sequence[Table], others: Sequence[Table]) -> Iterator[Remark]:
        """Yield what our role may do on the whole database and never needs."""
        del declared, others
        held = mariadb_catalogue.privileges(connection, connection.exec_driver_sql("SELECT DATABASE()").scalar_one())
        wide = sorted(held - _NEEDED)
        if wide:
            what = f"our role holds {', '.join(wide)} on the whole database"
            yield Remark("grant-too-wide", what, "Use the executor role of deploy/sql.")

    def lacking(self, connection: Connection, needs: Sequence[Need]) -> list[Need]:
        """Let the server plan a statement that needs the privilege, and see whether it says no. Nothing is run."""
        return [need for need in needs if self._denied(connection, need)]

    @staticmethod
    def _denied(connection: Connection, need: Need) -> bool:
        quote = connection.dialect.identifier_preparer.quote_identifier
        table = ".".join(quote(part) for part in (need.schema, need.table) if part is not None)
        column = "1" if need.column is None else quote(need.column)
        never = {
            "SELECT": f"SELECT {column} FROM {table} WHERE FALSE",  # noqa: S608 - quoted, and explained only
            "UPDATE": f"UPDATE {table} SET {column} = {column} WHERE FALSE",  # noqa: S608 - likewise
            "DELETE": f"DELETE {table} FROM {table} WHERE FALSE",
        }
        try:
            connection.exec_driver_sql(f"EXPLAIN {never[need.privilege]}".replace("%", "%%")).all()
        except sa.exc.DBAPIError as error:
            number = None if error.orig is None or not error.orig.args else error.orig.args[0]
            if number not in _DENIED:
                raise
            return True
        return False

    def loose(self, connection: Connection, table: Table, column: str) -> bool:
        """Read the collation: every one that pads, or folds case or accents, calls different texts equal."""
        del connection
        collation = word_of(table, column).rpartition(COLLATED)[2]
        return COLLATED in word_of(table, column) and not collation.endswith("_nopad_bin")

    def uses_index(self, connection: Connection, query: sa.Select[Any]) -> bool:
        """Ask for the plan: anything but a walk over the whole table or index."""
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        plan = connection.exec_driver_sql("EXPLAIN " + compiled.string, dict(compiled.params)).mappings().first()
        return plan is not None and plan["type"] not in {None, "ALL", "index"}

    def spelled(self, word: str, text: str) -> str:
        """As it is; bytes are spelled in hexadecimal digits."""
        del word
        return text

    def is_time(self, word: str) -> bool:
        """Dates, datetimes and timestamps."""
        return kind_of(word) in {"date", "datetime", "timestamp"}

    def pressure(self, connection: Connection, tables: Sequence[Table]) -> Pressure:
        """Return how many other threads are at work. Replicas tell their lag to nobody but themselves."""
        del tables
        return Pressure(active_sessions=max(0, int(connection.exec_driver_sql(_STATUS).scalar_one()) - 1))

"""What doctor and throttles ask a PostgreSQL server: catalogues, counters and progress views, never a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.throttle import Pressure
from lifecycle.ports.store import Table
from lifecycle.stores.sql.dialects import Need, Remark
from lifecycle.stores.sql.postgresql_types import LOOSE, kind_of
from lifecycle.stores.sql.wording import listed, sized

_ROOM = """
SELECT pg_database_size(current_database()) AS size,
  pg_size_bytes(current_setting('max_wal_size')) AS wal,
  (SELECT count(*) FROM pg_catalog.pg_replication_slots) AS slots,
  (SELECT coalesce(max(pg_wal_lsn_diff(here.lsn, s.restart_lsn)), 0)::bigint FROM pg_catalog.pg_replication_slots s)
    AS retained,
  (SELECT count(*) FROM pg_catalog.pg_replication_slots s WHERE NOT s.active) AS idle,
  current_setting('max_slot_wal_keep_size', true) AS most,
  (SELECT failed_count > 0 AND (last_archived_time IS NULL OR last_failed_time > last_archived_time)
    FROM pg_catalog.pg_stat_archiver) AS archive_fails,
  (SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()) AS prepared
FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) AS here
"""
_ROLE = """
SELECT rolsuper, rolbypassrls, rolcreaterole OR rolcreatedb AS administers,
  has_database_privilege(current_database(), 'CREATE') AS creates_schemas
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
# The privilege's name in small letters: the statement's word stands nowhere in a store (I10).
_TABLES = """
SELECT n.nspname, c.relname, pg_has_role(c.relowner, 'USAGE') AS owned,
  has_table_privilege(c.oid, 'truncate') AS truncates, has_table_privilege(c.oid, 'DELETE') AS deletes,
  has_schema_privilege(n.oid, 'CREATE') AS creates
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname
"""
_LACKING = """
SELECT u.place, CASE WHEN u.columns = '' THEN has_table_privilege(c.oid, u.privilege)
  ELSE has_column_privilege(c.oid, u.columns, u.privilege) END
  AND has_schema_privilege(n.oid, 'USAGE')
FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(columns)s::text[], %(privileges)s::text[])
  WITH ORDINALITY AS u(schemas, tables, columns, privilege, place)
JOIN pg_catalog.pg_namespace n ON n.nspname = u.schemas
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = u.tables
"""
_PRESSURE = """
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS told,
  (SELECT coalesce(max(extract(epoch FROM r.replay_lag)), 0)::float8 FROM pg_catalog.pg_stat_replication r) AS lag,
  (SELECT count(*) FROM pg_catalog.pg_stat_activity a
    WHERE a.state = 'active' AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()) AS active,
  ARRAY(SELECT c.relname::text FROM pg_catalog.pg_stat_progress_vacuum v
    JOIN pg_catalog.pg_class c ON c.oid = v.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE v.datname = current_database() AND EXISTS (SELECT FROM unnest(%(schemas)s::text[], %(tables)s::text[])
      AS u(schemas, tables) WHERE u.schemas = n.nspname AND u.tables = c.relname)) AS vacuuming
"""
_ROLES = "Use the executor role of deploy/sql for lifecycle, and none that does more."


class PostgresqlHealth:
    """PostgreSQL 13 or newer."""

    def facts(self, connection: Connection) -> Mapping[str, str]:
        """Return the database's size and what its log may take; no view tells how much disk is free."""
        row = connection.exec_driver_sql(_ROOM).one()
        return {
            "size": f"the database has {sized(row.size)}",
            "log": f"up to {sized(row.wal)} of write-ahead log between checkpoints (max_wal_size), "
            + (f"{sized(row.retained)} kept for {row.slots} replication slots" if row.slots else "no replication slot"),
            "disk": "the server does not tell how much of its disk is free: look there before the first run",
        }

    def remarks(self, connection: Connection) -> Iterator[Remark]:
        """Yield what keeps write-ahead log from being removed while a first run writes much of it."""
        row = connection.exec_driver_sql(_ROOM).one()
        if row.idle and row.retained > row.wal:
            yield Remark(
                "slot-keeps-log",
                f"a replication slot that nobody reads keeps {sized(row.retained)} of write-ahead log",
                "Drop the slot, or start what reads it: a first run adds to what it keeps.",
            )
        elif row.slots and row.most in {None, "-1"}:
            yield Remark(
                "slot-without-bound",
                "replication slots may keep write-ahead log without a bound (max_slot_wal_keep_size)",
                "Set max_slot_wal_keep_size, or watch the disk during the first run.",
            )
        if row.archive_fails:
            what = "archiving of the write-ahead log fails: it piles up"
            yield Remark("archive-fails", what, "Mend archive_command before the first run.")
        if row.prepared:
            what = f"{row.prepared} prepared transactions are open: they keep rows locked and dead rows from going"
            yield Remark("prepared-transactions", what, "Finish them: COMMIT PREPARED or ROLLBACK PREPARED.")

    def too_wide(self, connection: Connection, declared: Sequence[Table], others: Sequence[Table]) -> Iterator[Remark]:
        """Yield rights beyond deploy/sql. That a superuser may do everything is told by itself, and nothing else is."""
        role = connection.exec_driver_sql(_ROLE).one()
        if role.rolsuper:
            return
        if role.rolbypassrls:
            yield Remark("may-bypass-rls", "our role passes over row security (BYPASSRLS)", _ROLES)
        if role.administers or role.creates_schemas:
            yield Remark("may-administer", "our role may create roles, databases or schemas", _ROLES)
        ours = {(table.schema, table.name) for table in (*declared, *others)}
        foreign = {(table.schema, table.name) for table in others}
        rows = [row for row in connection.exec_driver_sql(_TABLES) if (row.nspname, row.relname) in ours]
        owned = [row.relname for row in rows if row.owned]
        rest = [row for row in rows if not row.owned]
        if owned:
            what = f"our role owns {listed(owned)}: it may alter, truncate and drop what it owns"
            yield Remark("may-define", what, f"Let another role own the tables. {_ROLES}")
        if schemas := sorted({row.nspname for row in rest if row.creates}):
            yield Remark("may-create", f"our role may create tables in {listed(schemas)}", _ROLES)
        if truncates := [row.relname for row in rest if row.truncates]:
            what = f"our role may truncate {listed(truncates)}"
            yield Remark("may-truncate", what, "Revoke it: lifecycle never empties a table.")
        if deletes := [row.relname for row in rest if row.deletes and (row.nspname, row.relname) in foreign]:
            what = f"our role may delete from {listed(deletes)}, which no dataset declares"  # noqa: S608 - words
            yield Remark("may-delete-elsewhere", what, "REVOKE DELETE on tables that lifecycle has nothing to do in.")

    def lacking(self, connection: Connection, needs: Sequence[Need]) -> list[Need]:
        """Ask for all of them at once."""
        if not needs:
            return []
        binds = {
            "schemas": [need.schema for need in needs],
            "tables": [need.table for need in needs],
            "columns": [need.column or "" for need in needs],
            "privileges": [need.privilege for need in needs],
        }
        return [needs[place - 1] for place, has in connection.exec_driver_sql(_LACKING, binds) if not has]

    def loose(self, connection: Connection, table: Table, column: str) -> bool:
        """By the type that the catalogue has noted: citext, or a collation that is not deterministic."""
        del connection
        word = next(found.type for found in table.columns if found.name == column)
        return word.endswith(LOOSE) or kind_of(word) in {"citext", "character"}

    def uses_index(self, connection: Connection, query: sa.Select[Any]) -> bool:
        """Ask the planner what it would do if reading the whole table were forbidden."""
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        with connection.begin_nested() as attempt:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            question = f"EXPLAIN (FORMAT JSON) {compiled.string}"
            found = connection.exec_driver_sql(question, dict(compiled.params))
            plan: Any = found.scalar_one()
            attempt.rollback()
        return "Index Cond" in (plan if isinstance(plan, str) else json.dumps(plan))

    def spelled(self, word: str, text: str) -> str:
        """As it is typed."""
        del word
        return text

    def is_time(self, word: str) -> bool:
        """Dates and timestamps."""
        return kind_of(word) in {"date", "timestamp with time zone", "timestamp without time zone"}

    def pressure(self, connection: Connection, tables: Sequence[Table]) -> Pressure:
        """Read the statistics views; a role that may not read them all is told nothing that counts."""
        binds = {"schemas": [table.schema for table in tables], "tables": [table.name for table in tables]}
        row = connection.exec_driver_sql(_PRESSURE, binds).one()
        if not row.told:
            return Pressure()
        return Pressure(float(row.lag), tuple(row.vacuuming), int(row.active))

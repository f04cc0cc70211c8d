"""What exists in a MariaDB database, from information_schema: one query for each kind of thing, however many tables.

Shown are the relations of the store's own database, and tables of other databases that reference them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.ports.store import Catalogue, Column, ForeignKey, Table
from lifecycle.stores.sql.dialects import RENEWED
from lifecycle.stores.sql.mariadb_types import COLLATED

TRIGGERS = "lifecycle_triggers"
"""The procedure that shows triggers to a role that may not make any (deploy/sql/mariadb-roles.sql)."""

_REFERRING = """
SELECT DISTINCT constraint_schema FROM information_schema.referential_constraints
WHERE unique_constraint_schema = DATABASE() AND constraint_schema <> DATABASE()
"""
_TABLES = """
SELECT table_schema, table_name, table_type, engine, create_options, coalesce(table_rows, 0)
FROM information_schema.tables WHERE table_schema IN :schemas AND table_type <> 'SEQUENCE'
ORDER BY table_schema, table_name
"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, column_type, collation_name, is_nullable, is_generated, extra
FROM information_schema.columns WHERE table_schema IN :schemas ORDER BY table_schema, table_name, ordinal_position
"""
_KEYS = """
SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema,
  k.referenced_table_name, k.referenced_column_name, r.delete_rule
FROM information_schema.key_column_usage AS k JOIN information_schema.referential_constraints AS r
  ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
WHERE k.table_schema IN :schemas AND r.constraint_schema IN :schemas AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
"""
_INDEXES = """
SELECT table_schema, table_name, index_name, column_name, sub_part, index_type, ignored, non_unique
FROM information_schema.statistics WHERE table_schema IN :schemas
ORDER BY table_schema, table_name, index_name, seq_in_index
"""
_VISIBLE = """
SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers
WHERE event_object_schema = DATABASE() ORDER BY trigger_name
"""
_PROCEDURE = """
SELECT count(*) FROM information_schema.routines WHERE routine_schema = DATABASE() AND routine_name = :name
"""
_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>\*|`(?:[^`]|``)*`)\.\* TO ")

Place = tuple[str, str]
_REMOTE = {"FEDERATED", "CONNECT", "SPIDER", "S3", "SPHINX", "OQGRAPH"}


def read(connection: Connection, ours: Sequence[str]) -> Catalogue:
    """Return every relation that our role is shown, our own tables left out."""
    here: str = connection.exec_driver_sql("SELECT DATABASE()").scalar_one()
    schemas = [here, *(row[0] for row in connection.exec_driver_sql(_REFERRING))]

    def grouped(query: str) -> dict[Place, list[Any]]:
        found: dict[Place, list[Any]] = defaultdict(list)
        statement = sa.text(query).bindparams(sa.bindparam("schemas", expanding=True))
        for row in connection.execute(statement, {"schemas": schemas}):
            found[row[0], row[1]].append(row)
        return found

    tables, columns, keys, indexes = (grouped(query) for query in (_TABLES, _COLUMNS, _KEYS, _INDEXES))
    triggers = triggers_of(connection)
    found = []
    for place, (found_table,) in tables.items():
        refers = any(key[4] == here for key in keys[place])
        if (place[0] != here and not refers) or (place[0] == here and place[1] in ours):
            continue
        named = _indexes(indexes[place])
        found.append(
            Table(
                schema=place[0],
                name=place[1],
                kind=kind_of(*found_table[2:5]),
                columns=tuple(_column(column) for column in columns[place]),
                primary_key=named.pop("PRIMARY", ()),
                foreign_keys=_foreign_keys(place, keys[place], indexes[place]),
                triggers=tuple(triggers[place]),
                row_security="none",
                row_estimate=found_table[5],
                indexed=tuple(sorted(_leads(indexes[place]))),
                unique=tuple(sorted(_indexes([row for row in indexes[place] if not row[7]]).values())),
            )
        )
    return Catalogue(tuple(found))


def kind_of(word: str, engine: str | None, options: str | None) -> str:
    """Return what a relation is: only an InnoDB table without partitions and history is a `table`."""
    if word != "BASE TABLE":
        return {"VIEW": "view", "SYSTEM VIEW": "view", "SYSTEM VERSIONED": "versioned"}.get(word, "virtual")
    if engine in _REMOTE:
        return "foreign"
    if engine != "InnoDB":
        return "non-transactional"
    return "partitioned" if "partitioned" in (options or "") else "table"


def _column(row: Any) -> Column:
    _, _, name, word, collation, nullable, generated, extra = row
    word += f"{COLLATED}{collation}" if collation else ""
    word += RENEWED if "on update" in extra.lower() else ""
    return Column(name, word, nullable == "YES", generated == "ALWAYS" or "GENERATED" in extra)


def _indexes(rows: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row[2]] = (*found.get(row[2], ()), row[3] or "")
    return found


def _leads(rows: Sequence[Any]) -> list[tuple[str, ...]]:
    """Return the indexes that serve an order: whole columns, in use."""
    odd = {row[2] for row in rows if row[4] is not None or row[5] != "BTREE" or row[6] == "YES"}
    return [names for index, names in _indexes(rows).items() if index not in odd]


def _foreign_keys(place: Place, rows: Sequence[Any], indexes: Sequence[Any]) -> tuple[ForeignKey, ...]:
    parts: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        parts[row[2]].append(row)
    leads = _leads(indexes)
    found = []
    for part in parts.values():
        columns = tuple(row[3] for row in part)
        indexed = any(set(lead[: len(columns)]) == set(columns) for lead in leads)
        found.append(
            ForeignKey(
                schema=place[0],
                table=place[1],
                columns=columns,
                to_schema=part[0][4],
                to_table=part[0][5],
                to_columns=tuple(row[6] for row in part),
                on_delete=part[0][7],
                enforced=True,
                indexed=indexed,
            )
        )
    return tuple(found)


def triggers_of(connection: Connection) -> Mapping[Place, list[str]]:
    """Return the names of the triggers of the database's tables."""
    found: dict[Place, list[str]] = defaultdict(list)
    shown = shown_triggers(connection)
    for row in connection.exec_driver_sql(f"CALL {TRIGGERS}()" if shown else _VISIBLE):
        found[row[0], row[1]].append(row[2])
    return found


def shown_triggers(connection: Connection) -> bool:
    """Tell whether the procedure that shows triggers is there for our role."""
    return bool(connection.execute(sa.text(_PROCEDURE), {"name": TRIGGERS}).scalar_one())


def privileges(connection: Connection, database: str) -> set[str]:
    """Return our privileges on the whole database or server, `ALL PRIVILEGES` on the server as `SUPER` too."""
    found: set[str] = set()
    for (line,) in connection.exec_driver_sql("SHOW GRANTS"):
        match = _GRANT.match(line)
        if match is None or not _covers(match["where"], database):
            continue
        found |= {word.strip() for word in match["what"].split(",")}
        if match["what"] == "ALL PRIVILEGES" and match["where"] == "*":
            found.add("SUPER")
    return found


def _covers(where: str, database: str) -> bool:
    """Tell whether a grant's pattern (`_` and `%` are wildcards unless escaped) covers the database."""
    if where == "*":
        return True
    pattern = re.sub(r"\\(.)|([_%])|(.)", _as_regex, where[1:-1].replace("``", "`"))
    return re.fullmatch(pattern, database, re.DOTALL) is not None


def _as_regex(part: re.Match[str]) -> str:
    if part[2]:
        return "." if part[2] == "_" else ".*"
    return re.escape(part[1] or part[3])

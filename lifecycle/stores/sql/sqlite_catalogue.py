"""What exists in a SQLite file, by pragma functions joined to the schema table: a query for each kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy.engine import Connection

from lifecycle.ports.store import Catalogue, Column, ForeignKey, Table

_TABLES = """
SELECT l.name, l.type, coalesce(m.sql, '') FROM pragma_table_list() AS l
LEFT JOIN sqlite_master AS m ON m.name = l.name AND m.type IN ('table', 'view')
WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
AND substr(l.name, 1, ?) <> ? ORDER BY l.name
"""
_COLUMNS = """
SELECT m.name, c.name, c.type, c."notnull", c.pk, c.hidden
FROM sqlite_master AS m JOIN pragma_table_xinfo(m.name) AS c WHERE m.type IN ('table', 'view') ORDER BY m.name, c.cid
"""
_KEYS = """
SELECT m.name, f.id, f.seq, f."table", f."from", f."to", f.on_delete
FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq
"""
_INDEXES = """
SELECT m.name, i.name, x.name, i."unique" FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS i
JOIN pragma_index_info(i.name) AS x WHERE m.type = 'table' AND i.partial = 0 ORDER BY m.name, i.name, x.seqno
"""
_UNIQUE = """
SELECT m.name, i.name, x.name, i."unique" FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS i
JOIN pragma_index_info(i.name) AS x WHERE m.type = 'table' AND i."unique" = 1 AND x.name IS NOT NULL
ORDER BY m.name, i.name, x.seqno
"""
_TRIGGERS = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
_ESTIMATES = "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl"


def read(connection: Connection, prefix: str) -> Catalogue:
    """Return every table, view and virtual table, ours left out."""
    relations = connection.exec_driver_sql(_TABLES, (len(prefix), prefix)).all()
    columns: dict[str, list[Column]] = defaultdict(list)
    keys: dict[str, dict[int, str]] = defaultdict(dict)
    for name, column, word, notnull, position, hidden in connection.exec_driver_sql(_COLUMNS):
        if hidden != 1:
            columns[name].append(Column(column, word, not notnull and not position, hidden in {2, 3}))
        if position:
            keys[name][position] = column
    primary = {name: tuple(places[n] for n in sorted(places)) for name, places in keys.items()}
    indexed, unique = _indexes(connection, _INDEXES), _indexes(connection, _UNIQUE)
    triggers = _grouped(connection, _TRIGGERS)
    foreign = _foreign_keys(connection, primary, indexed)
    known = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'").scalar_one()
    sizes: list[Any] = list(connection.exec_driver_sql(_ESTIMATES)) if known else []
    estimates: dict[str, int] = {row[0]: row[1] for row in sizes}
    return Catalogue(
        tuple(
            Table(
                schema=None,
                name=name,
                kind=kind,
                columns=tuple(columns[name]),
                primary_key=primary.get(name, ()),
                foreign_keys=foreign.get(name, ()),
                triggers=triggers.get(name, ()),
                row_security="none",
                row_estimate=estimates.get(name, 0),
                indexed=(*((primary[name],) if name in primary else ()), *indexed.get(name, ())),
                unique=unique.get(name, ()),
            )
            for name, kind, _ in relations
        )
    )


def _indexes(connection: Connection, query: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, index, column, _ in connection.exec_driver_sql(query):
        # An expression has no name: what follows it is no leading column of ours.
        found[table, index].append(column or "")
    grouped: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for (table, _), names in found.items():
        grouped[table].append(tuple(names))
    return {table: tuple(sorted(lists)) for table, lists in grouped.items()}


def _grouped(connection: Connection, query: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key, value in connection.exec_driver_sql(query):
        found[key].append(value)
    return {key: tuple(values) for key, values in found.items()}


def _foreign_keys(
    connection: Connection, primary: dict[str, tuple[str, ...]], indexed: dict[str, tuple[tuple[str, ...], ...]]
) -> dict[str, tuple[ForeignKey, ...]]:
    parts: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for row in connection.exec_driver_sql(_KEYS):
        parts[row[0], row[1]].append(row)
    # Names are case-insensitive in SQLite: a reference may spell its table and columns in another way.
    spelled = {name.lower(): name for name in primary}
    found: dict[str, list[ForeignKey]] = defaultdict(list)
    for (table, _), rows in parts.items():
        columns = tuple(row[4] for row in rows)
        target = spelled.get(rows[0][3].lower(), rows[0][3])
        to_columns = tuple(row[5] for row in rows) if rows[0][5] is not None else primary.get(target, ())
        leads = (*((primary[table],) if table in primary else ()), *indexed.get(table, ()))
        found[table].append(
            ForeignKey(
                schema=None,
                table=table,
                columns=columns,
                to_schema=None,
                to_table=target,
                to_columns=to_columns,
                on_delete=rows[0][6],
                enforced=True,
                indexed=any(set(lead[: len(columns)]) == set(columns) for lead in leads),
            )
        )
    return {table: tuple(keys) for table, keys in found.items()}

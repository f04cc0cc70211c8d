"""What exists in a PostgreSQL database, from pg_catalog: one query for each kind of thing, however many tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.engine import Connection

from lifecycle.ports.store import Catalogue, Column, ForeignKey, Table
from lifecycle.stores.sql.postgresql_types import LOOSE

_KINDS = {"r": "table", "p": "partitioned", "v": "view", "m": "view", "f": "foreign"}
_ON_DELETE = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_OTHERS = "NOT (n.nspname = %(ours)s AND c.relname = ANY(%(names)s)) "
_OTHERS += "AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"

_TABLES = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, 0)::bigint,
  CASE WHEN NOT c.relrowsecurity THEN 'none'
  WHEN (NOT c.relforcerowsecurity AND pg_has_role(c.relowner, 'USAGE'))
    OR (SELECT r.rolbypassrls OR r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) THEN 'harmless'
  ELSE 'policies' END,
  EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OTHERS} ORDER BY n.nspname, c.relname
"""  # noqa: S608 - constants only
_COLUMNS = f"""
SELECT a.attrelid, a.attname,
  CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END,
  NOT a.attnotnull, a.attgenerated <> '', l.collisdeterministic, t.typname
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OTHERS}
ORDER BY a.attrelid, a.attnum
"""  # noqa: S608 - constants only
_NAMES = """
(SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest({keys}) WITH ORDINALITY AS u(number, place)
 JOIN pg_catalog.pg_attribute a ON a.attrelid = {table} AND a.attnum = u.number)
"""
_CONSTRAINTS = f"""
SELECT k.conrelid, k.contype::text, {_NAMES.format(keys="k.conkey", table="k.conrelid")},
  fn.nspname, f.relname, {_NAMES.format(keys="k.confkey", table="k.confrelid")},
  k.confdeltype::text, k.convalidated, k.condeferrable, n.nspname, c.relname
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype IN ('p', 'f') AND {_OTHERS} ORDER BY k.conrelid, k.conname
"""  # noqa: S608 - constants only
_INDEXES = f"""
SELECT i.indrelid, {_NAMES.format(keys="i.indkey::int2[]", table="i.indrelid")}
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam
WHERE i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' AND i.indkey[0] <> 0 AND {_OTHERS}
ORDER BY i.indrelid, i.indexrelid
"""  # noqa: S608 - constants only
_UNIQUE = f"""
SELECT i.indrelid, {_NAMES.format(keys="i.indkey::int2[]", table="i.indrelid")}
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE i.indisunique AND {_OTHERS} ORDER BY i.indrelid, i.indexrelid
"""  # noqa: S608 - constants only
_TRIGGERS = f"""
SELECT t.tgrelid, t.tgname FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND {_OTHERS}
UNION ALL
SELECT r.ev_class, r.rulename FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {_OTHERS} ORDER BY 1, 2
"""  # noqa: S608 - constants only
_POLICIES = f"""
SELECT p.polrelid, p.polpermissive, p.polcmd::text, pg_get_expr(p.polqual, p.polrelid)
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (p.polroles = '{{0}}' OR EXISTS (SELECT FROM unnest(p.polroles) AS g(oid) WHERE pg_has_role(g.oid, 'USAGE')))
AND {_OTHERS}
"""  # noqa: S608 - constants only


def read(connection: Connection, ours: str, names: Sequence[str]) -> Catalogue:
    """Return every relation that our role is shown, our own tables left out."""
    binds = {"ours": ours, "names": list(names)}

    def grouped(query: str) -> dict[int, list[Any]]:
        found: dict[int, list[Any]] = defaultdict(list)
        for row in connection.exec_driver_sql(query, binds).all():
            found[row[0]].append(row)
        return found

    columns, constraints, indexes = grouped(_COLUMNS), grouped(_CONSTRAINTS), grouped(_INDEXES)
    unique = grouped(_UNIQUE)
    triggers, policies = grouped(_TRIGGERS), grouped(_POLICIES)
    tables = []
    for oid, schema, name, kind, estimate, security, inherits in connection.exec_driver_sql(_TABLES, binds).all():
        leads = tuple(tuple(row[1]) for row in indexes[oid] if row[1])
        primary = next((tuple(row[2]) for row in constraints[oid] if row[1] == "p"), ())
        tables.append(
            Table(
                schema=schema,
                name=name,
                kind="partitioned" if kind == "r" and inherits else _KINDS[kind],
                columns=tuple(_column(row) for row in columns[oid]),
                primary_key=primary,
                foreign_keys=tuple(_foreign_key(row, leads) for row in constraints[oid] if row[1] == "f"),
                triggers=tuple(row[1] for row in triggers[oid]),
                row_security=_security(security, policies[oid]),
                row_estimate=estimate,
                indexed=leads,
                unique=tuple(tuple(row[1]) for row in unique[oid] if row[1]),
            )
        )
    return Catalogue(tuple(tables))


def _column(row: Any) -> Column:
    _, name, word, nullable, generated, deterministic, typname = row
    # citext lies in whatever schema the extension was made in.
    word = "citext" if typname == "citext" else word
    return Column(name, word + (LOOSE if deterministic is False else ""), nullable, generated)


def _foreign_key(row: Any, leads: tuple[tuple[str, ...], ...]) -> ForeignKey:
    columns = tuple(row[2])
    return ForeignKey(
        schema=row[9],
        table=row[10],
        columns=columns,
        to_schema=row[3],
        to_table=row[4],
        to_columns=tuple(row[5]),
        on_delete=_ON_DELETE[row[6]],
        enforced=row[7],
        indexed=any(set(lead[: len(columns)]) == set(columns) for lead in leads),
        deferrable=row[8],
    )


def _security(stated: str, policies: list[Any]) -> Literal["none", "harmless", "may-hide"]:
    """Decide by the policies that bind our role: permissive USING (true) for SELECT and DELETE, nothing restrictive."""
    if stated == "none":
        return "none"
    if stated == "harmless":
        return "harmless"
    if any(not row[1] for row in policies):
        return "may-hide"
    open_for = {row[2] for row in policies if row[3] == "true"}
    return "harmless" if "*" in open_for or {"r", "d"} <= open_for else "may-hide"

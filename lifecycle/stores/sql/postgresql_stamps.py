"""A mark of a table's definition in PostgreSQL: the transactions that last wrote its lines in the catalogue.

Statistics are written in place and leave no trace here. A grant or a new index does: whoever sees another mark reads
the catalogue again and compares what matters.
"""

_LINES = """
SELECT {table} AS oid, 'c' AS kind, c.xmin::text || '.' || c.ctid::text AS line FROM pg_catalog.pg_class c WHERE {c}
UNION ALL SELECT a.attrelid, 'a', a.attnum || ':' || a.xmin FROM pg_catalog.pg_attribute a WHERE {a}
UNION ALL SELECT t.tgrelid, 't', t.oid || ':' || t.xmin FROM pg_catalog.pg_trigger t WHERE {t}
UNION ALL SELECT r.ev_class, 'r', r.oid || ':' || r.xmin FROM pg_catalog.pg_rewrite r WHERE {r}
UNION ALL SELECT k.conrelid, 'k', k.oid || ':' || k.xmin FROM pg_catalog.pg_constraint k WHERE {k}
UNION ALL SELECT p.polrelid, 'p', p.oid || ':' || p.xmin FROM pg_catalog.pg_policy p WHERE {p}
"""
_MARK = "md5(string_agg(l.kind || l.line, ',' ORDER BY l.kind, l.line))"
_OURS = "SELECT o.oid FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace WHERE"

_ANY = "{} IN (" + _OURS + " o.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema')"
_THIS = "{} = (" + _OURS + " n.nspname = %(schema)s AND o.relname = %(name)s)"


def _lines(which: str) -> str:
    columns = {
        "c": "c.oid",
        "a": "a.attrelid",
        "t": "t.tgrelid",
        "r": "r.ev_class",
        "k": "k.conrelid",
        "p": "p.polrelid",
    }
    return _LINES.format(table="c.oid", **{name: which.format(column) for name, column in columns.items()})


ALL = f"""
SELECT n.nspname, o.relname, m.mark FROM (SELECT l.oid, {_MARK} AS mark FROM ({_lines(_ANY)}) AS l GROUP BY l.oid) AS m
JOIN pg_catalog.pg_class o ON o.oid = m.oid JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace
"""  # noqa: S608 - constants only
ONE = f"SELECT {_MARK} FROM ({_lines(_THIS)}) AS l"  # noqa: S608 - constants only

"""Counts and digests of the ticket system's rows, table by table and queue by queue, in plain SQL written by hand.

An oracle: it knows this one application by heart, and shares neither code nor queries with the product. Of the
framework it takes the connection alone, so that every database answers the same questions.

    python counts.py

Prints {"tables": {table: rows}, "queues": {table: {slug or "-": {"rows": n, "digest": md5}}},
"oldest": {column: when}}. "-" stands for rows that belong to no queue. Reads HELPDESK_DATABASE_URL.
"""

import hashlib
import json
import os
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from django.db import connection, transaction  # noqa: E402 - a connection exists only after setup
from owners import QUEUE_OF, TIMES  # noqa: E402


def main() -> None:
    """Reads everything in one snapshot and prints it."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        seen = {
            "tables": _tables(cursor),
            "queues": {table: _queues(cursor, table) for table in QUEUE_OF},
            "oldest": {f"{table}.{column}": _oldest(cursor, table, column) for table, column in TIMES},
        }
    print(json.dumps(seen))


def _tables(cursor: Any) -> dict[str, int]:
    # Where the product keeps its tables among the application's, they are its own business.
    names = sorted(n for n in connection.introspection.table_names(cursor) if not n.startswith("lifecycle_"))
    return {name: _value(cursor, f"SELECT count(*) FROM {_quoted(name)}") for name in names}


def _queues(cursor: Any, table: str) -> dict[str, dict[str, object]]:
    # Every row is hashed whole, as the driver reads it, so that a change in any column changes the digest.
    cursor.execute(
        f"SELECT coalesce(o.slug, '-'), x.* FROM {_quoted(table)} x JOIN ({QUEUE_OF[table]}) o ON o.id = x.id"
        " ORDER BY x.id"
    )
    shares: dict[str, tuple[int, Any]] = {}
    for slug, *row in cursor:
        rows, digest = shares.get(slug, (0, hashlib.md5(usedforsecurity=False)))
        digest.update(repr(row).encode())
        shares[slug] = (rows + 1, digest)
    return {slug: {"rows": rows, "digest": digest.hexdigest()} for slug, (rows, digest) in sorted(shares.items())}


def _oldest(cursor: Any, table: str, column: str) -> str | None:
    oldest = _value(cursor, f"SELECT min({_quoted(column)}) FROM {_quoted(table)}")
    if oldest is None:
        return None
    moment = datetime.fromisoformat(oldest) if isinstance(oldest, str) else oldest
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _quoted(name: str) -> str:
    return str(connection.ops.quote_name(name))


def _value(cursor: Any, query: str) -> Any:
    cursor.execute(query)
    return cursor.fetchone()[0]


if __name__ == "__main__":
    main()

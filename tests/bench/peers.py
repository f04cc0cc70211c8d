"""What people run instead: one raw DELETE, ids fetched and deleted, OFFSET paging, our loop without evidence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg

from tests.servers import libpq_url

if TYPE_CHECKING:
    from datetime import datetime

BATCH = 10_000


def raw_delete(url: str, cutoff: datetime) -> tuple[int, float]:
    """One DELETE of everything. Returns (rows, seconds)."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        began = time.monotonic()
        rows = connection.execute("DELETE FROM access_log WHERE at < %s", [cutoff]).rowcount
        return rows, time.monotonic() - began


def ids_then_delete(url: str, cutoff: datetime) -> tuple[int, float]:
    """SELECT ids, DELETE = ANY(ids), commit, until nothing is found."""
    rows = 0
    with psycopg.connect(libpq_url(url)) as connection:
        began = time.monotonic()
        while True:
            found = connection.execute("SELECT id FROM access_log WHERE at < %s LIMIT %s", [cutoff, BATCH]).fetchall()
            if not found:
                return rows, time.monotonic() - began
            ids = [row[0] for row in found]
            rows += connection.execute("DELETE FROM access_log WHERE id = ANY(%s)", [ids]).rowcount
            connection.commit()


def offset_paging(url: str, cutoff: datetime) -> tuple[int, float]:
    """Read the due ids page by page with OFFSET. Returns (rows, seconds)."""
    rows = 0
    query = "SELECT id FROM access_log WHERE at < %s ORDER BY at, id LIMIT %s OFFSET %s"
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        began = time.monotonic()
        while found := connection.execute(query, [cutoff, BATCH, rows]).fetchall():
            rows += len(found)
        return rows, time.monotonic() - began


def bare_loop(url: str, cutoff: datetime, sizes: list[int]) -> tuple[int, float]:
    """The product's walk and change in batches of the same sizes, without intents, receipts, digests and log."""
    bounds = "SELECT at FROM access_log WHERE at >= %s AND at < %s ORDER BY at OFFSET %s LIMIT 1"
    change = (
        "WITH d AS (DELETE FROM access_log WHERE at >= %s AND at < %s RETURNING id) "
        "SELECT count(*), array_agg(id) FROM d"
    )
    rows, number = 0, 0
    with psycopg.connect(libpq_url(url)) as connection:
        first = connection.execute("SELECT min(at) FROM access_log").fetchone()
        assert first is not None
        lower = first[0]
        began = time.monotonic()
        while lower < cutoff:
            size = sizes[min(number, len(sizes) - 1)]
            found = connection.execute(bounds, [lower, cutoff, size]).fetchone()
            upper = found[0] if found else cutoff
            with connection.cursor(binary=True) as cursor:
                answer = cursor.execute(change, [lower, upper]).fetchone()
            assert answer is not None
            rows += answer[0]
            connection.commit()
            lower, number = upper, number + 1
        return rows, time.monotonic() - began

"""What really is in the portal's database, asked with sqlite3 alone: no query of the product, no mirror, no cache.

The story's claims are measured by these. Nothing here imports lifecycle's stores or flow.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

MINE = {
    "portals": "SELECT t.* FROM portals t WHERE t.id {is} ? ORDER BY t.id",
    "users": "SELECT t.* FROM users t WHERE t.portal_id {is} ? ORDER BY t.id",
    "credentials": "SELECT t.* FROM credentials t JOIN users u ON u.id = t.user_id WHERE u.portal_id {is} ?"
    " ORDER BY t.user_id",
    "tickets": "SELECT t.* FROM tickets t WHERE t.portal_id {is} ? ORDER BY t.id",
    "ticket_comments": "SELECT t.* FROM ticket_comments t JOIN tickets p ON p.id = t.ticket_id WHERE p.portal_id {is} ?"
    " ORDER BY t.id",
    "messages": "SELECT t.* FROM messages t WHERE t.portal_id {is} ? ORDER BY t.id",
    "documents": "SELECT t.* FROM documents t WHERE t.portal_id {is} ? ORDER BY t.id",
    "read_marks": "SELECT t.* FROM read_marks t JOIN documents p ON p.id = t.document_id WHERE p.portal_id {is} ?"
    " ORDER BY t.document_id, t.user_id",
    "logins": "SELECT t.* FROM logins t WHERE t.portal_id {is} ? ORDER BY t.id",
    "access_log": "SELECT t.* FROM access_log t WHERE t.portal_id {is} ? ORDER BY t.id",
    "mail_log": "SELECT t.* FROM mail_log t WHERE t.portal_id {is} ? ORDER BY t.id",
    "invoices": "SELECT t.* FROM invoices t WHERE t.portal_id {is} ? ORDER BY t.number",
}
"""Whose row is whose, written down a second time and by hand: `{is}` becomes = or <>."""

ALL = "SELECT count(*) FROM "
OLDEST = """
SELECT min(day) FROM (
    SELECT substr(at, 1, 10) AS day, portal_id FROM access_log
    UNION ALL SELECT date(sent_at, 'unixepoch'), portal_id FROM mail_log
) WHERE portal_id {is} ?
"""
OLD_LOGS = """
SELECT count(*) FROM (
    SELECT substr(at, 1, 10) AS day, portal_id FROM access_log
    UNION ALL SELECT date(sent_at, 'unixepoch'), portal_id FROM mail_log
) WHERE portal_id = ? AND day <= ?
"""


@dataclass(frozen=True, slots=True)
class Invoices:
    """A customer's invoices: how many there are, and the days of the oldest and the newest."""

    count: int
    oldest: date | None
    newest: date | None


class Facts:
    """Plain questions to the application's database, each on a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Use this file; it is only read."""
        self._path = path

    def rows(self) -> int:
        """Return how many rows all tables of the application have."""
        with self._open() as database:
            return sum(self._one(database, ALL + table) for table in MINE)

    def of(self, portal: str) -> dict[str, int]:
        """Return one customer's rows by table."""
        with self._open() as database:
            return {
                table: len(database.execute(query.format(**{"is": "="}), (portal,)).fetchall())
                for table, query in MINE.items()
            }

    def neighbours(self, portal: str, *, without: tuple[str, ...] = ()) -> dict[str, str]:
        """Return a digest of everybody else's rows by table, values included."""
        with self._open() as database:
            return {
                table: self._digest(database.execute(query.format(**{"is": "<>"}), (portal,)))
                for table, query in MINE.items()
                if table not in without
            }

    def nobodys(self, portal: str) -> int:
        """Return rows that are neither this customer's nor anybody else's: their parents are gone."""
        with self._open() as database:
            known = 0
            for query in MINE.values():
                for word in ("=", "<>"):
                    known += len(database.execute(query.format(**{"is": word}), (portal,)).fetchall())
            return sum(self._one(database, ALL + table) for table in MINE) - known

    def oldest_log(self, held: str, *, of_held: bool = False) -> date | None:
        """Return the day of the oldest log record of one customer, or of all the others."""
        with self._open() as database:
            found = database.execute(OLDEST.format(**{"is": "=" if of_held else "<>"}), (held,)).fetchone()[0]
        return None if found is None else date.fromisoformat(found)

    def logs_up_to(self, portal: str, day: date) -> int:
        """Return how many of the customer's log records are of that day or older."""
        with self._open() as database:
            return self._one(database, OLD_LOGS, portal, day.isoformat())

    def invoices(self, portal: str) -> Invoices:
        """Return what is left of the customer's invoices."""
        query = "SELECT count(*), min(issued_on), max(issued_on) FROM invoices WHERE portal_id = ?"
        with self._open() as database:
            count, oldest, newest = database.execute(query, (portal,)).fetchone()
        days = [None if text is None else date.fromisoformat(text) for text in (oldest, newest)]
        return Invoices(count, days[0], days[1])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as database:
            database.execute("PRAGMA query_only=ON")
            yield database

    @staticmethod
    def _one(database: sqlite3.Connection, query: str, *values: str) -> int:
        return int(database.execute(query, values).fetchone()[0])

    @staticmethod
    def _digest(rows: Iterator[tuple[object, ...]] | sqlite3.Cursor) -> str:
        digest = hashlib.sha256()
        for row in rows:
            digest.update(repr(row).encode())
        return digest.hexdigest()

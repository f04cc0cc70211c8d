"""The worker is blocked or hangs: locks of other sessions, a thread that never comes back, a silent backend."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.servers import libpq_url
from tests.starvation.scenario import Scenario
from tests.starvation.site import FIRST_KEY, ROWS, TABLE, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.starvation.site import Site


class RowLocked(Scenario):
    """Another session has read the due rows FOR UPDATE and does not come back."""

    name = "row-locked"
    store = "postgresql"
    rows_first = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with psycopg.connect(libpq_url(site.owner)) as session:
            session.execute(f"SELECT id FROM {TABLE} WHERE id >= {FIRST_KEY} FOR UPDATE")
            yield
            session.rollback()


class TableLockedAgainstWriters(Scenario):
    """A backup or an index build holds the table in SHARE mode: everybody reads, nobody deletes."""

    name = "table-locked"
    store = "postgresql"
    rows_first = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with psycopg.connect(libpq_url(site.owner)) as session:
            session.execute(f"LOCK TABLE {TABLE} IN SHARE MODE")
            yield
            session.rollback()


class TableLockedAgainstAll(Scenario):
    """A migration hangs with ACCESS EXCLUSIVE on the table: the verifier waits for it as well."""

    name = "table-locked-against-all"
    store = "postgresql"
    every = 10
    known = True
    _session: psycopg.Connection[Any]

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with psycopg.connect(libpq_url(site.owner)) as self._session:
            self._session.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
            yield
            self._session.rollback()

    def bitten(self, site: Site) -> bool:
        found = self._session.execute(f"SELECT count(*) FROM {TABLE} WHERE id >= {FIRST_KEY}").fetchone()
        return bool(found == (ROWS,))


class SqliteWriter(Scenario):
    """Another process of the application holds SQLite's write lock (BEGIN IMMEDIATE) for long."""

    name = "sqlite-writer"
    rows_first = True
    begin = "BEGIN IMMEDIATE"

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        path = site.owner.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as session:
            session.execute(self.begin)
            self.session = session
            yield
            session.execute("ROLLBACK")


class SqliteExclusive(SqliteWriter):
    """Another process holds SQLite's exclusive lock: nobody reads either, the verifier is blind."""

    name = "sqlite-exclusive"
    every = 10
    rows_first = False
    known = True
    begin = "BEGIN EXCLUSIVE"

    def bitten(self, site: Site) -> bool:
        found = self.session.execute(f"SELECT count(*) FROM {TABLE} WHERE id >= {FIRST_KEY}").fetchone()
        return bool(found == (ROWS,))


class WorkerHangs(Scenario):
    """The worker's thread hangs between a batch's announcement and its transaction, and never comes back."""

    name = "worker-hangs"

    def command(self, site: Site) -> list[str]:
        child = Path(__file__).with_name("hanging.py")
        return [sys.executable, str(child), str(site.folder), str(self._file(site))]

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        self._file(site).touch()
        yield
        self._file(site).unlink()

    def _file(self, site: Site) -> Path:
        return site.folder.parent / "hang"


class BackendStopped(Scenario):
    """The database's process behind the worker's connection stops (SIGSTOP) in the middle of a batch."""

    name = "backend-stopped"
    store = "postgresql"
    every = 10
    rows_first = True

    @contextmanager
    def fault(self, site: Site) -> Iterator[None]:
        with psycopg.connect(libpq_url(site.owner)) as session:
            session.execute(f"SELECT id FROM {TABLE} WHERE id >= {FIRST_KEY} FOR UPDATE")
            pid = until(lambda: self._waiting(site), "the worker waits for the rows")
            os.kill(pid, signal.SIGSTOP)
            session.rollback()
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @staticmethod
    def _waiting(site: Site) -> int | None:
        waits = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            f"AND query LIKE '%DELETE FROM%{TABLE}%'"
        )
        with psycopg.connect(libpq_url(site.owner)) as other:
            found = other.execute(waits).fetchone()
        return int(found[0]) if found else None


ALL: tuple[type[Scenario], ...] = (
    RowLocked,
    TableLockedAgainstWriters,
    TableLockedAgainstAll,
    SqliteWriter,
    SqliteExclusive,
    WorkerHangs,
    BackendStopped,
)

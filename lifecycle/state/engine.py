"""Connections to our own state: SQLite in one private file, or PostgreSQL."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from lifecycle.core.errors import InvalidDocument, Refused

WAIT_MS: Final = 10_000
"""How long a writer waits for another one before it gives up."""

LEAST_PAGE: Final = 512
"""The smallest page of a SQLite file; the other sizes are its multiples."""

WRITE: Final = "lifecycle_write"
"""Execution option of a connection whose transaction is going to write."""

_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {WAIT_MS}",
    # Once WAL is set it stays in the file; FULL makes each commit durable by itself (one fsync of the WAL).
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # A removed register (a tenant's id) is gone from the file as well (I32).
    "PRAGMA secure_delete = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
)
_SETTINGS: Final = (
    f"SET lock_timeout = {WAIT_MS}",
    # A writer that was stopped half-way gives way before the next one stops waiting for it.
    f"SET idle_in_transaction_session_timeout = {WAIT_MS - 2_000}",
    "SET TIME ZONE 'UTC'",
    # An intent that the server may forget is none (I17). Stricter settings of the server stay.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


_NETWORK: Final = {
    "connect_timeout": 5,
    # A network that was cut is noticed in seconds: when something was sent, and when an answer is waited for.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def parse(url: str) -> URL:
    """Return the state's URL with the driver that we ship.

    Raises:
        InvalidDocument: neither `sqlite:///PATH` nor `postgresql://…/DATABASE`.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The cause may quote a password.
        raise InvalidDocument("the state URL is no URL", advice=_URL_ADVICE) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise InvalidDocument("the state needs a file of its own, without options", advice=_URL_ADVICE)
        # One spelling for one file: the lock beside it must be the same for every way that leads there.
        return URL.create("sqlite", database=os.path.realpath(parsed.database))
    if backend in {"postgresql", "postgres"}:
        if not parsed.database:
            raise InvalidDocument("the state URL names no database", advice=_URL_ADVICE)
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidDocument("the state lives in SQLite or PostgreSQL", advice=_URL_ADVICE)


_URL_ADVICE: Final = "Set the state URL to sqlite:///PATH or postgresql://USER@HOST/DATABASE."


def file_of(url: URL) -> Path | None:
    """Return the SQLite file of a parsed URL, or None for a server."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def connect(url: URL) -> Engine:
    """Return an engine over a parsed URL. Nothing is opened before the first use."""
    if file_of(url) is not None:
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # A server that restarted since is noticed when a connection is taken, not in the middle of a transaction.
        # What the URL itself says about the network stands.
        network = {name: value for name, value in _NETWORK.items() if name not in url.query}
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=network)
    except ModuleNotFoundError:
        raise Refused(
            "the PostgreSQL driver is not installed",
            guard="driver-missing",
            advice="Install the extra: pip install 'gdpr-lifecycle[postgres]'.",
        ) from None
    event.listen(engine, "connect", _prepare_postgres)
    return engine


def make_private(path: Path, *, create: bool) -> None:
    """Create the file as 0600, or take away what others may do with it. Its WAL inherits the mode.

    A file that is there is never opened here: POSIX takes *all* locks of a process on a file away when it closes any
    descriptor of it, those of SQLite's other connections in this process included.

    Raises:
        OSError: the file cannot be made or changed, or is a link.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ELOOP, "not a regular file")
    if found.st_mode & 0o077:
        path.chmod(0o600)


def is_torn(path: Path, page: int = LEAST_PAGE) -> bool:
    """Whether a SQLite file cannot be whole by its size: no header (file format, section 1.3), or part of a page.

    SQLite itself refuses a file that lacks whole pages, at the first read, but reads the missing part of a last page
    as zeros. While the WAL holds pages the file may be anything. By size alone: see `make_private`.

    Args:
        path: the file.
        page: its page size where that is known, which only SQLite may read.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        return False
    size = path.stat().st_size
    return size < LEAST_PAGE or size % page != 0


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver begins no transaction by itself: the listener below does, and names its kind.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer half-way may fail with a lock that no waiting helps: writers lock at once.
    writes = connection.get_execution_options().get(WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgres(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        for statement in _SETTINGS:
            cursor.execute(statement)
    connection.commit()

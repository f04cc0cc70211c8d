"""The lock of the one process that deletes. It ends with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, create_engine, func, select, text
from sqlalchemy.pool import NullPool

from lifecycle.core.errors import Refused
from lifecycle.state.failures import translated

LEADER_KEY: Final = 0x6C66_6379_0001
"""PostgreSQL's advisory lock of the leader; such locks belong to one database."""

_SETTINGS: Final = (
    # The connection idles for as long as the leader works; a server's general limits are not meant for it.
    "SELECT set_config('idle_session_timeout', '0', false) WHERE current_setting('server_version_num')::int >= 140000",
    "SET statement_timeout = 0",
    # A leader whose machine is gone gives way after about ten seconds.
    "SET tcp_keepalives_idle = 4",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)


@contextmanager
def file_lock(database: Path) -> Iterator[None]:
    """Hold the lock file beside a SQLite database. Raises Refused (guard `not-leader`) at once when it is taken.

    The file stays: removing it would let two processes lock two files of one name.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with translated():
        descriptor = os.open(database.with_name(database.name + ".leader"), flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal() from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def session_lock(url: URL) -> Iterator[None]:
    """Hold PostgreSQL's session lock on a connection of its own. Raises Refused (guard `not-leader`) when it is taken.

    The URL must lead to the server itself: a pooler in transaction mode would lend the session and its lock to others.
    """
    with translated():
        engine = create_engine(url, hide_parameters=True, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        connection = engine.connect()
    try:
        with translated():
            for statement in _SETTINGS:
                connection.execute(text(statement))
            taken = connection.execute(select(func.pg_try_advisory_lock(LEADER_KEY))).scalar()
        if not taken:
            raise _refusal()
        yield
    finally:
        connection.close()
        engine.dispose()


def _refusal() -> Refused:
    return Refused(
        "another process of this deployment is at work",
        guard="not-leader",
        advice="Wait for it, or stop the daemon; two processes never delete at the same time.",
    )

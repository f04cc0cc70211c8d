"""The two locks of a deployment: who schedules, and who deletes. Each ends with its process, however that ends.

On PostgreSQL a lock belongs to a session of its own, which a thread keeps alive with a statement a second. The server
ends a session that was silent for `LEASE_SECONDS`, so that a stopped or cut-off process loses its lock; the process
itself stops believing in it `TRUST_SECONDS` after the last confirmed beat was sent, which is earlier.

A lock alone never decides whether something may be written or deleted: the epoch does, in the transaction (I20).
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import URL

from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.ports.state import Lease
from lifecycle.state.failures import translated
from lifecycle.state.session import Session, elapsed

BEAT_SECONDS: Final = 1.0
TRUST_SECONDS: Final = 2.5
LEASE_SECONDS: Final = 3.0
IDLE_TIMEOUT_SINCE: Final = 140_000
"""The first `server_version_num` that ends idle sessions."""


@dataclass(frozen=True, slots=True)
class Lock:
    """One of the locks: PostgreSQL's advisory key (it belongs to one database), and the file beside a SQLite one."""

    key: int
    suffix: str
    taken: str
    advice: str


WRITER: Final = Lock(
    0x6C66_6379_0001,
    ".leader",
    "another process of this deployment is at work",
    "Wait for it, or stop the daemon; two processes never delete at the same time.",
)
LEADER: Final = Lock(
    0x6C66_6379_0004,
    ".lead",
    "another replica of this deployment leads",
    "Nothing to do: this one stands by, and leads when the other one has gone.",
)

_SETTINGS: Final = (
    "SET statement_timeout = 0",
    # Where the server cannot end idle sessions, a machine that is gone gives way after about ten seconds.
    "SET tcp_keepalives_idle = 4",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)


class FileLease:
    """A lock file that is held open. Stopping the process does not free it; removing the file takes it away."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Watch over a locked descriptor of this path."""
        self._path = path
        self._descriptor = descriptor

    def lost(self) -> bool:
        """Tell whether the path leads elsewhere by now: somebody else may have locked what is there."""
        held = os.fstat(self._descriptor)
        try:
            there = self._path.stat(follow_symlinks=False)
        except OSError:
            return True
        return (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino)


class SessionLease:
    """An advisory lock whose session a thread of its own keeps alive; only that thread uses it."""

    def __init__(self, session: Session, lock: Lock, confirmed: float) -> None:
        """Take over a session that holds the lock; `confirmed`: when the statement that took it was sent."""
        self._session = session
        self._lock = lock
        self._confirmed = confirmed
        self._backend = session.ask("SELECT pg_backend_pid()")
        self._gone = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lifecycle{lock.suffix}", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def lost(self) -> bool:
        """Tell whether the lock is gone, or may be: no beat was confirmed for `TRUST_SECONDS`. It never comes back."""
        if elapsed() - self._confirmed > TRUST_SECONDS:
            self._gone.set()
        return self._gone.is_set()

    def release(self) -> None:
        """Give the lock back and wait until it is; a server that does not answer is waited for some seconds only."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._ended.wait(BEAT_SECONDS):
                sent = elapsed()
                if self.lost() or self._session.ask("SELECT pg_backend_pid()") != self._backend:
                    break
                self._confirmed = sent
            else:
                self._session.ask(f"SELECT pg_advisory_unlock({self._lock.key})")
        except LifecycleError:
            # What remains of the session is closed below, and with it the lock ends: that is all it means.
            self._gone.set()
        finally:
            self._gone.set()
            # A session that cannot be closed in order has ended already.
            with suppress(LifecycleError):
                self._session.close()


@contextmanager
def file_lock(database: Path, lock: Lock) -> Iterator[Lease]:
    """Hold the lock file beside a SQLite database. Raises Refused (guard `not-leader`) at once when it is taken.

    The file stays: removing it would let two processes lock two files of one name.
    """
    path = database.with_name(database.name + lock.suffix)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with translated():
        descriptor = os.open(path, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(lock) from None
        yield FileLease(path, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def session_lock(url: URL, lock: Lock, *, name: Literal["lead", "write"]) -> Iterator[Lease]:
    """Hold PostgreSQL's session lock on a connection of its own. Raises Refused (guard `not-leader`) when it is taken.

    The URL must lead to the server itself (`direct.require_direct`). `name` shows in `pg_stat_activity`. Whoever leads
    needs a server that ends idle sessions (guard `server-too-old` before PostgreSQL 14): a stopped leader would keep
    all replicas waiting. The writer's lock is also given out without: there a stopped process is only in the way.
    """
    session = Session(url)
    try:
        version = int(session.ask("SHOW server_version_num") or 0)
        if name == "lead":
            require_idle_timeout(version)
        for statement in _settings(version, name):
            session.ask(statement)
        sent = elapsed()
        if session.ask(f"SELECT pg_try_advisory_lock({lock.key})") != "t":
            raise _refusal(lock)
        lease = SessionLease(session, lock, sent)
    except BaseException:
        session.close()
        raise
    lease.start()
    try:
        yield lease
    finally:
        lease.release()


def require_idle_timeout(version: int) -> None:
    """Raise Refused (guard `server-too-old`) when a server of this `server_version_num` cannot end idle sessions."""
    if version < IDLE_TIMEOUT_SINCE:
        raise Refused(
            f"the state's PostgreSQL {version // 10_000} cannot take the lock from a leader that hangs",
            guard="server-too-old",
            advice="Move the state to PostgreSQL 14 or newer, or run `lifecycle run` from cron instead of the daemon.",
        )


def _settings(version: int, name: str) -> tuple[str, ...]:
    named = f"SET application_name = 'lifecycle {name}'"
    if version < IDLE_TIMEOUT_SINCE:
        return (named, *_SETTINGS)
    return (named, *_SETTINGS, f"SET idle_session_timeout = {int(LEASE_SECONDS * 1000)}")


def _refusal(lock: Lock) -> Refused:
    return Refused(lock.taken, guard="not-leader", advice=lock.advice)

"""`lifecycle.ports.state.State` on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lifecycle.core.errors import Corrupt, Refused, Transient, Unknown
from lifecycle.evidence import merkle
from lifecycle.evidence.errors import Malformed
from lifecycle.ports.state import Kind, Lease
from lifecycle.state import engine as engines
from lifecycle.state import leader, migrate, reading
from lifecycle.state.direct import require_direct
from lifecycle.state.failures import code_of, meaning, translated
from lifecycle.state.schema import log_entry
from lifecycle.state.transaction import SqlTransaction, committed, lock_writers

WRITER_KEY: Final = 0x6C66_6379_0002
EPOCH: Final = "epoch"
IDLE_IN_TRANSACTION: Final = "25P03"


@dataclass(frozen=True, slots=True)
class _Reign:
    """What this process was given with the writer's lock."""

    lease: Lease
    epoch: int


class SqlState:
    """Log and registers in one SQL database. Use from several threads is fine; writers take turns.

    Nothing here asks for the date: instants are fields of what the caller appends.
    """

    def __init__(self, url: URL, leader_url: URL) -> None:
        """Use `open_state` instead: it checks what is there."""
        self._url = url
        self._leader_url = leader_url
        self._engine = engines.connect(url)
        self._turn = threading.Lock()
        self._writer: int | None = None
        self._reign: _Reign | None = None
        self._direct = False

    @contextmanager
    def transaction(self) -> Iterator[SqlTransaction]:
        """Open a write transaction, durable when the context ends; see `lifecycle.ports.state.State`.

        Raises:
            Refused: this process was the one writer and is not any more (guard `stale-epoch`).
            Transient: it could not be written; nothing was kept.
            Unknown: PostgreSQL's connection broke around COMMIT, and reading could not decide either.
        """
        with self._one_writer(), self._write_connection() as connection:
            with translated():
                connection.begin()
                if self._is_server():
                    lock_writers(connection, WRITER_KEY)
                self._require_reign(connection)
            transaction = SqlTransaction(connection)
            yield transaction
            transaction.finish()
            self._commit(connection, transaction.first)

    @contextmanager
    def lead(self) -> Iterator[Lease]:
        """Be the replica that schedules; see `lifecycle.ports.state.State`."""
        with self._hold(leader.LEADER) as lease:
            self._require_schema()
            yield lease

    @contextmanager
    def exclusive(self) -> Iterator[int]:
        """Take the deleting writer's lock and return the new epoch; see `lifecycle.ports.state.State`."""
        with self._hold(leader.WRITER) as lease:
            self._require_schema()
            epoch = self._next_epoch(lease)
            self._reign = _Reign(lease, epoch)
            try:
                yield epoch
            finally:
                self._reign = None

    def raise_epoch(self, least: int) -> int:
        """Let the next writer's epoch be higher than `least`, and return the present one; never lowers it.

        After a restore the targets' fences know later epochs than the state does: without this, they refuse (I20).
        Raises Refused (guard `not-leader`) while somebody writes.
        """
        with self._hold(leader.WRITER), self.transaction() as transaction:
            body = transaction.get("setting", EPOCH)
            epoch = max(0 if body is None else _number(body), least)
            transaction.put("setting", EPOCH, str(epoch).encode("ascii"))
        return epoch

    def second_clock(self) -> datetime | None:
        """Return the server's own time, in UTC; None for SQLite."""
        if not self._is_server():
            return None
        with self._reader() as connection:
            moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    def get(self, kind: Kind, name: str) -> bytes | None:
        """Return a committed body."""
        with self._reader() as connection:
            return reading.body_of(connection, kind, name)

    def items(self, kind: Kind, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """Yield (name, body) in name order (by code point), streamed."""
        return reading.records(self._reader, kind, prefix)

    def size(self) -> int:
        """Return the number of entries."""
        with self._reader() as connection:
            return reading.size_of(connection)

    def entry(self, index: int) -> bytes:
        """Return the exact bytes of one entry. Raises Corrupt when they are missing or do not match their leaf hash."""
        with self._reader() as connection:
            return reading.entry_at(connection, index)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (index, bytes) in order, streamed; without `stop`, up to the size at the first step.

        Raises Corrupt at a gap, at bytes that do not match their leaf hash, and when `stop` lies beyond the log.
        """
        return self._entries(start, stop)

    def of_job(self, job: str, *, without: str | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the entries that name this job, in order; those of one type may be left out."""
        named = log_entry.c.job == job
        return reading.entries_where(self._reader, named if without is None else named & (log_entry.c.type != without))

    def of_plan(self, plan: str) -> Iterator[tuple[int, bytes]]:
        """Yield the entries that name this plan, in order."""
        return reading.entries_where(self._reader, log_entry.c.plan == plan)

    def of_tenant(self, alias: str) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of this alias, in order."""
        return reading.entries_where(self._reader, log_entry.c.tenant == alias)

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree. Raises Corrupt when it is missing."""
        with self._reader() as connection:
            return reading.node_at(connection, level, index)

    def root(self, size: int | None = None) -> bytes:
        """Return the tree's root at a size (default: now). Raises Corrupt for a size that the log does not have."""
        with self._reader() as connection:
            wanted = reading.size_of(connection) if size is None else size
            try:
                return merkle.tree_root(wanted, lambda level, index: reading.node_at(connection, level, index))
            except Malformed as error:
                raise Corrupt(f"no such tree: {error}") from None

    def close(self) -> None:
        """Release connections; safe to call twice."""
        self._engine.dispose()

    def scrub(self) -> None:
        """Leave nothing of removed bodies in our files: SQLite's WAL is written back and cut off (I32).

        Pages are overwritten as they are freed; PostgreSQL's dead rows and WAL are its operator's business. Raises
        Transient while another reader or writer is in the way.
        """
        if self._is_server():
            return
        with translated():
            connection = self._engine.raw_connection()
            try:
                busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                connection.close()
        if busy:
            raise Transient("the state's WAL is in use and was not cut off", advice="Try again when others are done.")

    @contextmanager
    def snapshot(self) -> Iterator[reading.Reader]:
        """Yield a reader that sees one moment for as long as the context lasts; nobody waits for it."""
        with translated(), self._engine.connect() as connection:
            if self._is_server():
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                # Whoever reads a large state may take breaks; a reader is in nobody's way.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))

            @contextmanager
            def same() -> Iterator[Connection]:
                yield connection

            yield same

    def check_edge(self) -> None:
        """Read the schema's version, the newest entry and the tree's right edge: what a torn file lacks first.

        Raises:
            Refused: another schema than ours. Corrupt: the edge is damaged. Transient: the database does not answer.
        """
        self._require_schema()
        path = engines.file_of(self._url)
        if path is not None:
            with self._reader() as connection:
                page = int(connection.exec_driver_sql("PRAGMA page_size").scalar() or 0)
            with translated():
                _refuse_torn(path, page)
        if size := self.size():
            self.entry(size - 1)
            self.root(size)

    def _entries(self, start: int, stop: int | None) -> Iterator[tuple[int, bytes]]:
        yield from reading.entries(self._reader, start, self.size() if stop is None else stop)

    def _is_server(self) -> bool:
        return engines.file_of(self._url) is None

    def _hold(self, lock: leader.Lock) -> AbstractContextManager[Lease]:
        path = engines.file_of(self._url)
        if path is not None:
            return leader.file_lock(path, lock)
        if not self._direct:
            require_direct(_text(self._url), _text(self._leader_url))
            self._direct = True
        return leader.session_lock(self._leader_url, lock, name="lead" if lock is leader.LEADER else "write")

    def _require_schema(self) -> None:
        with translated():
            migrate.require_readable(self._engine)

    def _next_epoch(self, lease: Lease) -> int:
        with self.transaction() as transaction:
            body = transaction.get("setting", EPOCH)
            epoch = 1 if body is None else _number(body) + 1
            transaction.put("setting", EPOCH, str(epoch).encode("ascii"))
            if lease.lost():
                raise Refused("the writer's lock was lost at once", guard="not-leader", advice="Run again.")
        return epoch

    def _require_reign(self, connection: Connection) -> None:
        """Refuse a writer that was deposed; called under the writers' lock, so that no later epoch can slip between."""
        reign = self._reign
        if reign is None:
            return
        body = reading.body_of(connection, "setting", EPOCH)
        if reign.lease.lost() or body is None or _number(body) != reign.epoch:
            raise Refused(
                "this process is not the one that deletes any more",
                guard="stale-epoch",
                advice="Nothing was written. Let the process that took over finish, or run again.",
            )

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        """Let this process' threads take turns: fairer than SQLite's waiting, and a nested one is found at once."""
        if self._writer == threading.get_ident():
            raise RuntimeError("a transaction of the state is already open in this thread")
        if not self._turn.acquire(timeout=engines.WAIT_MS / 1000):
            raise Transient("another thread holds the state's transaction; nothing was kept")
        try:
            self._writer = threading.get_ident()
            yield
        finally:
            self._writer = None
            self._turn.release()

    @contextmanager
    def _write_connection(self) -> Iterator[Connection]:
        """Take a connection for writing; without a commit, all that happened on it is undone.

        Only taking it is translated: what the caller raises inside is the caller's own.
        """
        with translated():
            connection = self._engine.connect().execution_options(**{engines.WRITE: True})
        try:
            yield connection
        except BaseException:
            # Whatever happened, this connection does not meet the next transaction.
            with translated():
                connection.invalidate()
            raise
        finally:
            connection.close()

    def _commit(self, connection: Connection, first: tuple[int, bytes] | None) -> None:
        try:
            connection.commit()
        except SQLAlchemyError as error:
            lost = isinstance(error, DBAPIError) and error.connection_invalidated
            # A session that was ended for idling in its transaction has never come to COMMIT.
            if lost and self._is_server() and code_of(error) != IDLE_IN_TRANSACTION:
                self._settle(first)
            else:
                raise meaning(error) from None

    def _settle(self, first: tuple[int, bytes] | None) -> None:
        """Find out by reading whether a COMMIT whose answer was lost took effect. The log decides: it only grows."""
        if first is None:
            raise Unknown("the state's connection broke around COMMIT of a change without a log entry", advice=_READ)
        try:
            with translated(), self._engine.begin() as connection:
                # The broken session may still be finishing: once its lock is free it has.
                lock_writers(connection, WRITER_KEY)
                kept = committed(connection, first)
        except Transient:
            raise Unknown("the state's connection broke around COMMIT, and the server is gone", advice=_READ) from None
        if not kept:
            raise Transient("the state's connection broke before COMMIT; nothing was kept")


_READ: Final = "Bring the state's database back, then run again: everything is read anew before anything is changed."


def _number(body: bytes) -> int:
    if not body.isdigit():
        raise Corrupt("the epoch in the state is no number")
    return int(body)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def open_state(url: str, *, create: bool = False, leader_url: str | None = None) -> SqlState:
    """Open a deployment's state.

    Args:
        url: `sqlite:///PATH` or `postgresql://…/DATABASE`.
        create: make the state where there is none (never upgrades one that is there).
        leader_url: a direct address of the same PostgreSQL database, where `url` goes through a pooler.

    Raises:
        InvalidDocument: not a state URL.
        Refused: no state there (guard `state-missing`), or another schema than ours (guard `state-schema`).
        Transient: the database does not answer, or its file may not be used. Corrupt: the file is torn.
    """
    parsed = engines.parse(url)
    path = engines.file_of(parsed)
    if create and migrate.current(url) is None:
        migrate.upgrade(url)
    if path is not None:
        with translated():
            _require_file(path)
    state = SqlState(parsed, engines.parse(leader_url) if leader_url else parsed)
    try:
        state.check_edge()
    except BaseException:
        state.close()
        raise
    return state


def _require_file(path: Path) -> None:
    if not path.exists():
        raise migrate.missing()
    engines.make_private(path, create=False)
    _refuse_torn(path, engines.LEAST_PAGE)


def _refuse_torn(path: Path, page: int) -> None:
    if engines.is_torn(path, page):
        raise Corrupt("the state's file has lost its end")

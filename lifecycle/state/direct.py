"""Whether an address leads to PostgreSQL itself: a pooler that lends sessions lends their locks to strangers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL

from lifecycle.core.errors import Refused
from lifecycle.state import engine as engines
from lifecycle.state.session import Session

ROUNDS: Final = 4
_BACKEND: Final = "SELECT pg_backend_pid()"


def require_direct(url: str, leader_url: str | None = None) -> None:
    """Refuse an address of locks where sessions are shared. A SQLite state is always direct.

    Two connections are opened and asked in turn. Each must keep one backend of the server from statement to statement,
    and not the other's: a pooler in transaction or statement mode fails with one server connection (shared) as with
    many (changing). A pooler in session mode keeps the promise.

    Args:
        url: the state's address, through a pooler or not.
        leader_url: the address for locks; the state's own without it.

    Raises:
        InvalidDocument: not a state URL.
        Refused: sessions are shared (guard `pooled`), or the two addresses lead to different databases (guard
            `leader-url`): a lock there would exclude nobody here. Transient: the server does not answer.
    """
    state = engines.parse(url)
    if engines.file_of(state) is not None:
        return
    locks = engines.parse(leader_url) if leader_url else state
    with _session(locks) as one, _session(locks) as other:
        _require_own(one, other)
        if locks != state:
            with _session(state) as there:
                _require_same(one, there)


def _require_own(one: Session, other: Session) -> None:
    mine, yours = set[str | None](), set[str | None]()
    for _ in range(ROUNDS):
        # Twice the one: a pooler that hands its connections out in turn is noticed whatever their number.
        mine |= {one.ask(_BACKEND), one.ask(_BACKEND)}
        yours.add(other.ask(_BACKEND))
    if len(mine) != 1 or len(yours) != 1 or mine == yours:
        raise Refused(
            "the address for locks leads through a pooler that shares sessions",
            guard="pooled",
            advice="Set leader_url to PostgreSQL itself, or to a pool in session mode; the state may stay pooled.",
        )


def _require_same(one: Session, there: Session) -> None:
    """Take a lock that nobody else can know, and look for it from the other address."""
    key = secrets.randbits(62)
    one.ask(f"SELECT pg_advisory_lock({key})")
    seen = there.ask(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"  # noqa: S608 - numbers
        " WHERE locktype = 'advisory' AND datname = current_database()"
        f" AND classid = {key >> 32} AND objid = {key & 0xFFFF_FFFF} AND objsubid = 1 AND granted"
    )
    if seen != "1":
        raise Refused(
            "leader_url leads to another database than the state's: its locks would exclude nobody",
            guard="leader-url",
            advice="Let both addresses name the same database of the same server.",
        )


@contextmanager
def _session(url: URL) -> Iterator[Session]:
    session = Session(url)
    try:
        yield session
    finally:
        session.close()

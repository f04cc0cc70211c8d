"""One session of PostgreSQL that carries a lock: every statement is bounded in time, whatever the network does."""

from __future__ import annotations

import select
import time
from typing import Any, Final

from sqlalchemy import URL

from lifecycle.core.errors import LifecycleError, Transient
from lifecycle.state import engine as engines
from lifecycle.state.failures import meaning

ANSWER_SECONDS: Final = 2.5
"""How long one statement may take: less than the server's patience with an idle lock (`leader.LEASE_SECONDS`)."""

_NETWORK: Final = {
    "connect_timeout": 3,
    # Sent and not acknowledged, or nothing heard: a cut network ends the session within about three seconds.
    "tcp_user_timeout": 2_500,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed() -> float:
    """Return seconds of a clock that nobody sets, and that goes on while the process or the machine is suspended."""
    return time.clock_gettime(_CLOCK)


class Session:
    """A connection of its own, in autocommit. Used by one thread at a time.

    The driver's own calls wait for an answer without a limit of ours; these go through libpq, and do not.
    """

    def __init__(self, url: URL) -> None:
        """Connect. Raises Transient when the server does not answer within seconds."""
        dialect = engines.connect(url).dialect
        positional, named = dialect.create_connect_args(url)
        self._connection: Any = None
        try:
            self._connection = dialect.loaded_dbapi.connect(
                *positional,
                **{**_NETWORK, **named},
                autocommit=True,
            )
        except dialect.loaded_dbapi.Error as error:
            raise meaning(error) from None

    def ask(self, statement: str) -> str | None:
        """Send one statement and return the first column of its first row as text, None without rows.

        Raises Transient when the server refuses, the session has ended, or no answer came within `ANSWER_SECONDS`;
        the session cannot be used again then.
        """
        deadline = elapsed() + ANSWER_SECONDS
        try:
            return self._answer(statement.encode(), deadline)
        except LifecycleError:
            raise
        except Exception as error:  # noqa: BLE001 - the driver is not always installed: its errors have no name here
            raise meaning(error) from None

    def close(self) -> None:
        """End the session; safe to call twice. The server frees its locks when it notices."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answer(self, statement: bytes, deadline: float) -> str | None:
        if self._connection is None:
            raise Transient("the state's session has been closed")
        libpq = self._connection.pgconn
        libpq.send_query(statement)
        while libpq.flush():
            _await(libpq.socket, select.POLLOUT, deadline)
        answer: str | None = None
        while True:
            while not libpq.is_busy():
                result = libpq.get_result()
                if result is None:
                    return answer
                _require_success(result)
                if result.ntuples:
                    value = result.get_value(0, 0)
                    answer = None if value is None else value.decode()
            _await(libpq.socket, select.POLLIN, deadline)
            libpq.consume_input()


def _require_success(result: Any) -> None:
    from psycopg import pq  # noqa: PLC0415 - part of an extra

    if result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}:
        code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
        raise Transient(f"the state's server refused a statement ({code})")


def _await(socket: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(socket, event)
    left = deadline - elapsed()
    if left <= 0 or not poll.poll(left * 1000):
        raise Transient("the state's server did not answer in time")

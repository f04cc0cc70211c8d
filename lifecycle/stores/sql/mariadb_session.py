"""How our sessions on MariaDB are set up: nothing of the server's own settings decides what a statement means."""

from __future__ import annotations

import contextlib
import math
import re
import socket
import struct
import sys
from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import NullPool, QueuePool

from lifecycle.core.errors import Refused

DRIVER = "mariadb+pymysql"
_LEAST = (10, 6)
_CONNECT_SECONDS = 10
_CHANGED = "lifecycle-limits"

_MODE = "STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"
_SESSION = (
    f"SET SESSION sql_mode = '{_MODE},NO_ENGINE_SUBSTITUTION'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    # A server may cut every result, turn IS NULL into "the last inserted row", or forget its foreign keys.
    "SET SESSION time_zone = '+00:00', sql_select_limit = 18446744073709551615, sql_auto_is_null = 0",
    "SET SESSION foreign_key_checks = 1, unique_checks = 1, check_constraint_checks = 1",
    "SET SESSION default_regex_flags = '', completion_type = 'NO_CHAIN', sql_big_selects = 1, sql_safe_updates = 0",
)
# A look waits this long behind somebody's DDL, not for ever. A paused process gives its locks back.
_LIMITS = (
    "SET SESSION innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}, max_statement_time = {statement}, "
    "idle_transaction_timeout = {idle}"
)
_DEFAULTS = _LIMITS.format(lock=10, statement=0, idle=5)
_READING = _LIMITS.format(lock=10, statement=0, idle=0)


def driver() -> Any:
    """Return PyMySQL. Refused (guard `driver-missing`) where the extra is not installed."""
    try:
        return import_module("pymysql")
    except ImportError:
        advice = "Install the extra: pip install 'gdpr-lifecycle[mariadb]'."
        raise Refused("the driver for MariaDB is not installed", guard="driver-missing", advice=advice) from None


def engine(url: str, *, pooled: bool) -> Engine:
    """Return an engine; `mysql://` is taken as the same address, and a MySQL server is refused when it answers."""
    driver()
    parsed = make_url(url).set(drivername=DRIVER)
    if not parsed.database:
        raise Refused("the address of this store names no database", guard="address")
    if pooled:
        made = sa.create_engine(
            parsed, poolclass=QueuePool, pool_size=2, max_overflow=8, pool_pre_ping=True, hide_parameters=True
        )
    else:
        made = sa.create_engine(parsed, poolclass=NullPool, hide_parameters=True)
    sa.event.listen(made, "do_connect", _connect)
    sa.event.listen(made, "checkout", _restore)
    return made


def _connect(dialect: object, record: object, arguments: Any, parameters: Any) -> Any:
    """Connect over a socket of ours: a network that falls silent ends a look or a batch within seconds."""
    del dialect, record, arguments
    own = {"charset": "utf8mb4", "connect_timeout": _CONNECT_SECONDS} | parameters
    made = driver().connect(**own, defer_connect=True)
    end = _socket(own)
    # Only the handshake has a limit of its own; the handle still names the socket once TLS has taken it over.
    handle = end.dup()
    try:
        _receive_within(handle, _CONNECT_SECONDS)
        made.connect(end)
        # Before SQLAlchemy looks at the mode: it would quote by it.
        _set_up(made)
        _receive_within(handle, 0)
    except BaseException:
        made.close()
        raise
    finally:
        handle.close()
    return made


def _socket(own: dict[str, Any]) -> socket.socket:
    seconds = own["connect_timeout"]
    try:
        if own.get("unix_socket"):
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            end.settimeout(seconds)
            end.connect(own["unix_socket"])
            return end
        end = socket.create_connection((own.get("host") or "localhost", int(own.get("port") or 3306)), seconds)
    except OSError:
        raise driver().err.OperationalError(2003, "no connection") from None
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for option, value in (
            (socket.TCP_KEEPIDLE, 5),
            (socket.TCP_KEEPINTVL, 2),
            (socket.TCP_KEEPCNT, 3),
            (socket.TCP_USER_TIMEOUT, 10_000),
        ):
            end.setsockopt(socket.IPPROTO_TCP, option, value)
    return end


def _receive_within(end: socket.socket, seconds: int) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))


def _set_up(connection: Any) -> None:
    told: str = connection.get_server_info()
    found = re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", told)
    if found is None or (int(found[1]), int(found[2])) < _LEAST:
        raise Refused(
            "the server is no MariaDB of 10.6 or later",
            guard="server-version",
            advice="MySQL is not served: its DELETE returns no keys. Name a MariaDB server, or take the store out.",
        )
    with connection.cursor() as cursor:
        for statement in (*_SESSION, _DEFAULTS):
            cursor.execute(statement)
    connection.commit()


def _restore(connection: Any, record: Any, proxy: object) -> None:
    """A connection that had the limits of a batch or an export gets the usual ones before its next use."""
    del proxy
    if record.info.pop(_CHANGED, False):
        with contextlib.suppress(driver().err.Error), connection.cursor() as cursor:
            cursor.execute(_DEFAULTS)


def limit(connection: Connection, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
    """Set a batch's limits. MariaDB counts locks in whole seconds: a part of one counts as one."""
    connection.info[_CHANGED] = True
    lock, statement = max(1, math.ceil(lock_timeout_ms / 1000)), max(1, statement_timeout_ms) / 1000
    connection.exec_driver_sql(_LIMITS.format(lock=lock, statement=statement, idle=5))


def unlimit(connection: Connection) -> None:
    """Let a reader be slow."""
    connection.info[_CHANGED] = True
    connection.exec_driver_sql(_READING)

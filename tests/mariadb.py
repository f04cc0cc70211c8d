"""A real MariaDB for tests, as `tests.servers` has PostgreSQL.

`LIFECYCLE_TEST_MARIADB_URL` wins; its account must be allowed to create databases and accounts. Otherwise a server of
our own runs in a private temporary directory. Where none is installed, the packages with the programs alone are: those
neither start a service nor touch /var/lib/mysql.

    with mariadb_server() as server: ...       # the handle: server.url, server.pid, server.kill9(), server.restart()
    with fresh_mariadb(server.url) as url: ...
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import FIELD_TYPE
from sqlalchemy.engine import make_url

from tests import servers
from tests.servers import ServerUnavailable

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator, Sequence

MARIADB_VARIABLE = "LIFECYCLE_TEST_MARIADB_URL"
MARIADB_PACKAGES = ("mariadb-server-core", "mariadb-client-core")
SCHEME = "mariadb+pymysql://"
PROGRAMS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/libexec"

SETTINGS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-doublewrite=ON",
    "--character-set-server=utf8mb4",
    "--max-connections=100",
    "--skip-log-bin",
    "--default-time-zone=+00:00",
)
# A killed process loses nothing that the kernel has; only a power cut would tell the difference.
QUICK = ("--sync-frm=OFF", "--innodb-flush-method=nosync")
# The installation's own accounts have no password: nobody but the tests may come in.
ACCOUNTS = """\
DELETE FROM mysql.global_priv;
FLUSH PRIVILEGES;
CREATE USER 'tester'@'%' IDENTIFIED BY '{password}';
GRANT ALL PRIVILEGES ON *.* TO 'tester'@'%' WITH GRANT OPTION;
"""


def mariadb_url(url: str) -> str:
    """The same address as SQLAlchemy reads it, with the driver that we ship."""
    return re.sub(r"^(?:mariadb|mysql)(?:\+\w+)?://", SCHEME, url)


def connect(url: str, **options: Any) -> Any:
    """A plain driver connection in autocommit, as an application in UTC would have it."""
    parsed = make_url(url)
    settings: dict[str, Any] = {"autocommit": True, "charset": "utf8mb4", "init_command": "SET time_zone = '+00:00'"}
    return pymysql.connect(
        host=parsed.host or "127.0.0.1",
        port=parsed.port or 3306,
        user=parsed.username,
        password=parsed.password or "",
        database=parsed.database or None,
        **settings | options,
    )


class Plain:
    """A connection as sqlite3 and psycopg give it: `execute` on itself, moments with their zone in and out."""

    def __init__(self, url: str) -> None:
        """Connect; `commit` ends what was written."""
        own = pymysql.converters.conversions | {FIELD_TYPE.DATETIME: _aware}
        self._connection = connect(url, autocommit=False, conv=own)
        self.commit, self.close = self._connection.commit, self._connection.close

    def cursor(self) -> Plain:
        """Statements run on the connection itself."""
        return self

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> Any:
        """Run one statement and return its cursor."""
        cursor = self._connection.cursor()
        cursor.execute(_naive(statement), None if values is None else [_naive(value) for value in values])
        return cursor

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for every row."""
        self._connection.cursor().executemany(statement, [[_naive(value) for value in row] for row in rows])


def _naive(value: Any) -> Any:
    """MariaDB reads no offsets: a moment in UTC loses its own."""
    return re.sub(r"(:[0-9]{2}(?:\.[0-9]+)?)\+00:00\b", r"\1", value) if isinstance(value, str) else value


def _aware(value: str) -> Any:
    moment = pymysql.converters.convert_datetime(value)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else moment


@dataclass(frozen=True, slots=True)
class ForeignMariadb:
    """A server that someone else runs: it has a URL and cannot be killed."""

    url: str

    @property
    def pid(self) -> int:
        """Raises: its process is not ours."""
        raise ServerUnavailable(f"this test stops its server: unset {MARIADB_VARIABLE}, so that it may start its own")

    def kill9(self) -> None:
        """Raises: its process is not ours."""
        _ = self.pid

    def restart(self) -> None:
        """Raises: its process is not ours."""
        _ = self.pid


@dataclass(slots=True)
class OwnMariadb:
    """A server that we started; it survives `kill9` + `restart` with its URL unchanged."""

    daemon: str
    home: Path
    password: str
    account: pwd.struct_passwd | None
    mark: str
    extra: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of a database that every server has."""
        return f"{SCHEME}tester:{self.password}@127.0.0.1:{self.port}/mysql"

    @property
    def pid(self) -> int:
        """The server's process id, as the server itself wrote it into our directory."""
        return int((self.home / "pid").read_text())

    def start(self) -> None:
        """Start, and return once it answers."""
        (self.home / "pid").unlink(missing_ok=True)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*servers._dies_with_us(), *self._command()],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=servers._plain_environment(self.home),
                **servers._as(self.account),
            )
        deadline = time.monotonic() + servers.START_SECONDS
        while not self._answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)
            if self.process.returncode is not None or time.monotonic() > deadline:
                raise ServerUnavailable(f"MariaDB did not start:\n{self.log()[-2000:]}")

    def _command(self) -> list[str]:
        own = [f"--datadir={self.data}", f"--tmpdir={self.home}", f"--socket={self.home}/socket"]
        own += [f"--pid-file={self.home}/pid", f"--port={self.port}"]
        return [self.daemon, "--no-defaults", *own, *SETTINGS, *self.extra]

    def kill9(self) -> None:
        """Take it away as a power cut does: nothing is flushed."""
        os.kill(self.pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(timeout=servers.START_SECONDS)
            self.process = None

    def restart(self) -> None:
        """Come back, with crash recovery if it was killed. A running server is stopped first, in order."""
        self._end(signal.SIGTERM)
        self.start()

    def stop(self) -> None:
        """Stop at once; what it held is not wanted any more. Repeatable."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=servers.START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=servers.START_SECONDS)
        self.process = None

    def log(self) -> str:
        """What the server said."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _answers(self) -> bool:
        try:
            connect(self.url, connect_timeout=2).close()
        except pymysql.err.Error:
            return False
        return True

    def _run(self, command: Sequence[str], given: str = "") -> None:
        done = subprocess.run(
            command,
            cwd=self.home,
            env=servers._plain_environment(self.home),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            **servers._as(self.account),
        )
        if done.returncode:
            raise ServerUnavailable(f"{command[0]} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")


@contextlib.contextmanager
def mariadb_server() -> Iterator[OwnMariadb | ForeignMariadb]:
    """A running server's handle; one of our own is stopped and removed at the end."""
    given = os.environ.get(MARIADB_VARIABLE)
    if given:
        yield ForeignMariadb(mariadb_url(given))
        return
    with own_mariadb_server(*QUICK) as server:
        yield server


@contextlib.contextmanager
def own_mariadb_server(*extra: str) -> Iterator[OwnMariadb]:
    """A server for this caller alone, with settings of its own: for tests that kill it or set it up oddly."""
    server = _create(extra)
    try:
        for attempt in range(servers.PORT_ATTEMPTS):
            server.port = servers._free_port()
            try:
                server.start()
                break
            except ServerUnavailable:
                server.stop()
                if "Address already in use" not in server.log() or attempt == servers.PORT_ATTEMPTS - 1:
                    raise
        yield server
    finally:
        server.stop()
        servers._remove(server.home, server.mark)


@contextlib.contextmanager
def fresh_mariadb(url: str, *, template: str | None = None) -> Iterator[str]:
    """The URL of a database for this caller alone, empty or a copy of `template`; dropped at the end."""
    name = f"lifecycle_test_{secrets.token_hex(6)}"
    _execute(url, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    try:
        if template is not None:
            _copy(url, template, name)
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(url, f"DROP DATABASE IF EXISTS `{name}`")


def _execute(url: str, *statements: str) -> None:
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def _copy(url: str, source: str, target: str) -> None:
    """Copy every table with its keys and rows: MariaDB has no templates."""
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute(f"USE `{target}`")
            listed = (
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
            )
            cursor.execute(listed, (source,))
            for (table,) in cursor.fetchall():
                cursor.execute(f"SHOW CREATE TABLE `{source}`.`{table}`")
                cursor.execute(cursor.fetchone()[1])
                cursor.execute(f"INSERT INTO `{target}`.`{table}` SELECT * FROM `{source}`.`{table}`")
    finally:
        connection.close()


def _create(extra: tuple[str, ...]) -> OwnMariadb:
    daemon, install = _programs()
    account = servers._unprivileged("mysql")
    home, mark = servers._private_folder("lifecycle-my-", account)
    server = OwnMariadb(daemon, home, secrets.token_hex(16), account, mark, extra)
    try:
        own = ["--no-defaults", f"--datadir={server.data}", f"--tmpdir={home}"]
        server._run([install, *own, "--skip-test-db", "--auth-root-authentication-method=normal"])
        server._run([daemon, *own, "--bootstrap"], ACCOUNTS.format(password=server.password))
    except BaseException:
        servers._remove(home, mark)
        raise
    return server


def _programs() -> tuple[str, str]:
    found = _installed()
    if found is None:
        for package in MARIADB_PACKAGES:
            servers._install_debian(package, MARIADB_VARIABLE, {})
        found = _installed()
    if found is None:
        raise ServerUnavailable(f"{MARIADB_PACKAGES} are installed without their programs; set {MARIADB_VARIABLE}")
    return found


def _installed() -> tuple[str, str] | None:
    """The server and its installer; what is first in PATH wins."""
    path = f"{os.environ.get('PATH', '')}:{PROGRAMS}"
    names = ("mariadbd", "mariadb-install-db", "my_print_defaults")
    daemon, install, defaults = (shutil.which(name, path=path) for name in names)
    return None if daemon is None or install is None or defaults is None else (daemon, install)

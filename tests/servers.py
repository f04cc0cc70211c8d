"""Real database servers for tests, faults, bench and acceptance.

A URL in the environment wins (`LIFECYCLE_TEST_POSTGRES_URL`; its role must be allowed to create databases). Otherwise a
server of our own is started in a private temporary directory, as an unprivileged user where we are root, and is gone
afterwards. A server that cannot be had is an error that names the package or the variable, never a skip.

    with postgres() as url: ...                # a URL of a running server
    with postgres_server() as server: ...      # the handle: server.url, server.pid, server.kill9(), server.restart()
    with fresh_database(url) as database_url: ...
    with pgbouncer(url, mode="transaction", pool_size=1) as pooled_url: ...
    with prometheus({"lifecycle": ["127.0.0.1:9464"]}, rules=text) as url: ...
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import urlopen

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

POSTGRES_VARIABLE = "LIFECYCLE_TEST_POSTGRES_URL"
POSTGRES_PACKAGE = "postgresql"
PGBOUNCER_PACKAGE = "pgbouncer"
PROMETHEUS_PACKAGE = "prometheus"
START_SECONDS = 60.0
PORT_ATTEMPTS = 5
MARKER = ".lifecycle-test-server"
SCHEME = "postgresql+psycopg://"
# sockaddr_un holds 107 characters on Linux and 103 on macOS; the socket's own name takes about 20.
LONGEST_SOCKET_FOLDER = 80

POSTGRES_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_lock_waits": "on",
    "max_connections": "100",
    "shared_buffers": "'256MB'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}


class ServerUnavailable(Exception):
    """A test needs a server and there is none: the message says what to install or which variable to set."""


def libpq_url(url: str) -> str:
    """The same address as psycopg itself reads it: without SQLAlchemy's driver suffix."""
    return re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", "postgresql://", url)


def sqlalchemy_url(url: str) -> str:
    """The same address as SQLAlchemy reads it, with the driver that we ship."""
    return re.sub(r"^postgres(?:ql)?(?:\+\w+)?://", SCHEME, url)


# ---- PostgreSQL -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForeignPostgres:
    """A server that someone else runs: it has a URL and cannot be killed."""

    url: str

    @property
    def pid(self) -> int:
        """Raises: its process is not ours."""
        raise ServerUnavailable(f"this test stops its server: unset {POSTGRES_VARIABLE}, so that it may start its own")

    def kill9(self) -> None:
        """Raises: its process is not ours."""
        _ = self.pid

    def restart(self) -> None:
        """Raises: its process is not ours."""
        _ = self.pid


@dataclass(slots=True)
class OwnPostgres:
    """A server that we started: `pid` is the postmaster's; it survives `kill9` + `restart` with its URL unchanged."""

    binaries: Path
    home: Path
    port: int
    password: str
    account: pwd.struct_passwd | None
    mark: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def url(self) -> str:
        """SQLAlchemy's URL of the maintenance database."""
        return f"{SCHEME}tester:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """The postmaster's process id, as the server itself wrote it into our directory."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        if Path(lines[1]) != self.data:
            raise ServerUnavailable(f"postmaster.pid names another data directory: {lines[1]}")
        return int(lines[0])

    def start(self) -> None:
        """Start, and return once it answers."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_dies_with_us(), self.binaries / "postgres", "-D", self.data, "-p", str(self.port)],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=_plain_environment(self.home),
                **_as(self.account),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)
            if self.process.returncode is not None or time.monotonic() > deadline:
                raise ServerUnavailable(f"PostgreSQL did not start:\n{self.log()[-2000:]}")

    def kill9(self) -> None:
        """Take it away as a power cut does: the postmaster and every backend at once, nothing flushed."""
        postmaster = self.pid
        os.kill(postmaster, signal.SIGSTOP)
        backends = _children(postmaster)
        for victim in (postmaster, *backends):
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(timeout=START_SECONDS)
            self.process = None

    def restart(self) -> None:
        """Come back, with crash recovery if it was killed. A running server is stopped first, in order."""
        self._end(signal.SIGINT)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.start()
            except ServerUnavailable:
                # Backends of the killed server hold its shared memory for an instant.
                if "pre-existing shared memory block" not in self.log()[-2000:] or time.monotonic() > deadline:
                    raise
            else:
                return

    def stop(self) -> None:
        """Stop at once; what it held is not wanted any more. Repeatable."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        """PostgreSQL's own shutdown modes: SIGINT is fast, SIGQUIT immediate. Only ever sent to our own child."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=START_SECONDS)
        self.process = None

    def log(self) -> str:
        """What the server said."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _answers(self) -> bool:
        try:
            psycopg.connect(libpq_url(self.url), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.binaries / program, *arguments],
            cwd=self.home,
            env=_plain_environment(self.home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **_as(self.account),
        )
        if done.returncode:
            raise ServerUnavailable(
                f"{program} failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}\n{self.log()[-1000:]}"
            )


@contextlib.contextmanager
def postgres_server() -> Iterator[OwnPostgres | ForeignPostgres]:
    """A running server's handle; one of our own is stopped and removed at the end."""
    given = os.environ.get(POSTGRES_VARIABLE)
    if given:
        yield ForeignPostgres(sqlalchemy_url(given))
        return
    with own_postgres_server() as server:
        yield server


@contextlib.contextmanager
def own_postgres_server() -> Iterator[OwnPostgres]:
    """A server for this caller alone, whatever the environment offers: for tests that kill it."""
    server = _create_postgres(_postgres_binaries())
    try:
        _start_on_free_port(server)
        yield server
    finally:
        server.stop()
        _remove(server.home, server.mark)


@contextlib.contextmanager
def standby(primary: OwnPostgres) -> Iterator[OwnPostgres]:
    """A replica that streams from a server of our own, and answers read-only questions."""
    home, mark = _private_folder("lifecycle-pg-", primary.account)
    server = OwnPostgres(primary.binaries, home, 0, primary.password, primary.account, mark)
    try:
        server._run(
            "pg_basebackup", "-D", server.data, "-d", libpq_url(primary.url), "-R", "--checkpoint=fast", "--no-sync"
        )
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.write(f"unix_socket_directories = '{home}'\n")
        _start_on_free_port(server)
        yield server
    finally:
        server.stop()
        _remove(home, mark)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """A running server's URL (SQLAlchemy with psycopg)."""
    with postgres_server() as server:
        yield server.url


@contextlib.contextmanager
def fresh_database(url: str, *, template: str = "template1") -> Iterator[str]:
    """The URL of a database made from `template` for this caller alone; dropped at the end, connections or not."""
    name = f"lifecycle_test_{secrets.token_hex(6)}"
    identifier = sql.Identifier(name)
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(identifier, sql.Identifier(template)),
        )
    try:
        yield _with_database(url, name)
    finally:
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


def _with_database(url: str, name: str) -> str:
    address, _, query = sqlalchemy_url(url).partition("?")
    server = re.match(r"^([^/]+//[^/]*)", address)
    if server is None:
        raise ServerUnavailable(f"{POSTGRES_VARIABLE} is no URL")
    return f"{server[1]}/{name}" + (f"?{query}" if query else "")


def _start_on_free_port(server: OwnPostgres) -> None:
    """Between choosing a port and using it, someone else may take it."""
    for attempt in range(PORT_ATTEMPTS):
        server.port = _free_port()
        try:
            server.start()
        except ServerUnavailable:
            server.stop()
            if "Address already in use" not in server.log() or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            return


def _create_postgres(binaries: Path) -> OwnPostgres:
    account = _unprivileged("postgres")
    home, mark = _private_folder("lifecycle-pg-", account)
    server = OwnPostgres(binaries, home, 0, secrets.token_hex(16), account, mark)
    password = home / "password"
    try:
        _give(password, server.password, account)
        server._run(
            "initdb", "-D", server.data, "-U", "tester", "--auth=scram-sha-256", f"--pwfile={password}",
            "--encoding=UTF8", "--locale=C", "--no-sync",
        )  # fmt: skip
        settings = POSTGRES_SETTINGS | {"unix_socket_directories": f"'{home}'"}
        with (server.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in settings.items())
    except BaseException:
        _remove(home, mark)
        raise
    return server


def _postgres_binaries() -> Path:
    found = _installed_postgres()
    if found is None:
        _install_debian(
            POSTGRES_PACKAGE,
            POSTGRES_VARIABLE,
            # The package would make and start a cluster of its own, which is not ours to run.
            {"/etc/postgresql-common/createcluster.d/lifecycle-tests.conf": "create_main_cluster = false\n"},
        )
        found = _installed_postgres()
    if found is None:
        raise ServerUnavailable(f"{POSTGRES_PACKAGE} is installed without initdb; set {POSTGRES_VARIABLE}")
    return found


def _installed_postgres() -> Path | None:
    """The folder of the highest version that has all we need; what is first in PATH wins."""
    folders = []
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    folders.extend(sorted(versions, key=lambda path: int(path.parent.name), reverse=True))
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


# ---- PgBouncer ------------------------------------------------------------------------------------------------------

PGBOUNCER_SETTINGS = """\
[databases]
* = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = plain
auth_file = {home}/users
pool_mode = {mode}
default_pool_size = {pool_size}
server_round_robin = {round_robin}
query_wait_timeout = 5
logfile = {home}/log
"""


@contextlib.contextmanager
def pgbouncer(url: str, *, mode: str, pool_size: int = 1, round_robin: bool = False) -> Iterator[str]:
    """The address of a real PgBouncer in front of the database of `url`; `mode`: session, transaction, statement."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        _install_debian(PGBOUNCER_PACKAGE, None, {})
        binary = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if binary is None:
        raise ServerUnavailable(f"{PGBOUNCER_PACKAGE} is installed without its program")
    account = _unprivileged("postgres")
    home, mark = _private_folder("lifecycle-pgb-", account)
    parsed = urlsplit(libpq_url(url))
    process = None
    try:
        password = unquote(parsed.password or "")
        _give(home / "users", f'"{parsed.username}" "{password}"', account)
        listen = _free_port()
        settings = PGBOUNCER_SETTINGS.format(
            host=parsed.hostname, port=parsed.port or 5432, user=parsed.username, password=password,
            listen=listen, home=home, mode=mode, pool_size=pool_size, round_robin=int(round_robin),
        )  # fmt: skip
        _give(home / "ini", settings, account)
        process = subprocess.Popen(
            [*_dies_with_us(), binary, "-q", str(home / "ini")],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=_plain_environment(home),
            **_as(account),
        )
        pooled = urlunsplit(parsed._replace(netloc=f"{parsed.username}:{parsed.password}@127.0.0.1:{listen}"))
        _wait_for_pgbouncer(process, pooled, home)
        yield sqlalchemy_url(pooled)
    finally:
        if process is not None:
            process.kill()
            process.wait(timeout=START_SECONDS)
        _remove(home, mark)


def _wait_for_pgbouncer(process: subprocess.Popen[bytes], url: str, home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
            if process.returncode is not None or time.monotonic() > deadline:
                log = home / "log"
                said = log.read_text(errors="replace")[-2000:] if log.exists() else "nothing"
                raise ServerUnavailable(f"PgBouncer did not start; it said:\n{said}") from None
        else:
            return


# ---- Prometheus -----------------------------------------------------------------------------------------------------


def prometheus_binary(name: str) -> str:
    """The path of `prometheus` or `promtool`, installed where it is missing."""
    found = shutil.which(name)
    if found is None:
        _install_debian(PROMETHEUS_PACKAGE, None, {})
        found = shutil.which(name, path="/usr/bin")
    if found is None:
        raise ServerUnavailable(f"{PROMETHEUS_PACKAGE} is installed without {name}")
    return found


@contextlib.contextmanager
def prometheus(targets: Mapping[str, Sequence[str]], *, rules: str = "") -> Iterator[str]:
    """The address of a real Prometheus: scrapes the jobs' targets and evaluates the rules every second."""
    binary = prometheus_binary("prometheus")
    account = _unprivileged("prometheus")
    home, mark = _private_folder("lifecycle-prom-", account)
    process = None
    try:
        jobs = "".join(
            f"  - job_name: {job}\n    static_configs: [{{targets: {json.dumps(list(addresses))}}}]\n"
            for job, addresses in targets.items()
        )
        every = "  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\n"
        _give(home / "rules.yml", rules or "groups: []", account)
        _give(
            home / "prometheus.yml",
            f"global:\n{every}rule_files: [rules.yml]\nscrape_configs:\n{jobs}",
            account,
        )
        listen = _free_port()
        log = os.open(home / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        process = subprocess.Popen(
            [
                *_dies_with_us(), binary, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{listen}", "--log.level=warn",
            ],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            env=_plain_environment(home),
            **_as(account),
        )  # fmt: skip
        os.close(log)
        _wait_for_prometheus(process, f"http://127.0.0.1:{listen}", home)
        yield f"http://127.0.0.1:{listen}"
    finally:
        if process is not None:
            process.kill()
            process.wait(timeout=START_SECONDS)
        _remove(home, mark)


def _wait_for_prometheus(process: subprocess.Popen[bytes], url: str, home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(f"{url}/-/ready", timeout=2):
                return
        except (URLError, OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
            if process.returncode is not None or time.monotonic() > deadline:
                said = (home / "log").read_text(errors="replace")[-2000:]
                raise ServerUnavailable(f"Prometheus did not start; it said:\n{said}") from None


# ---- What every server of ours needs (MariaDB has tests/mariadb.py) --------------------------------------------------


def _unprivileged(*preferred: str) -> pwd.struct_passwd | None:
    """Who runs a server when we are root (database servers refuse root); None: as oneself."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServerUnavailable(f"no unprivileged account to run a server as: {preferred} or nobody")


def _as(account: pwd.struct_passwd | None) -> dict[str, object]:
    """How subprocess becomes that account."""
    if account is None:
        return {"umask": 0o077}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "umask": 0o077}


def _private_folder(prefix: str, account: pwd.struct_passwd | None) -> tuple[Path, str]:
    """A new folder, 0700 and owned by the account, with a mark in it without which nothing is removed."""
    home = Path(tempfile.mkdtemp(prefix=prefix, dir=_reachable_parent(account))).resolve()
    mark = secrets.token_hex(16)
    (home / MARKER).write_text(mark)
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    return home, mark


def _reachable_parent(account: pwd.struct_passwd | None) -> Path:
    """The first temporary directory that the account can reach and that leaves room for a socket's name."""
    for candidate in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        folder = candidate.resolve()
        reachable = account is None or all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
        if folder.is_dir() and reachable and len(str(folder)) < LONGEST_SOCKET_FOLDER - 20:
            return folder
    raise ServerUnavailable("no temporary directory that an unprivileged server can reach; set TMPDIR")


def _give(path: Path, text: str, account: pwd.struct_passwd | None) -> None:
    """Write a secret that the account alone can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        if account is not None:
            os.fchown(file.fileno(), account.pw_uid, account.pw_gid)


def _remove(home: Path, mark: str) -> None:
    """Remove a folder of ours: only with our mark in it."""
    if (home / MARKER).read_text() != mark:
        raise ServerUnavailable(f"{home} is not ours to remove")
    shutil.rmtree(home)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _plain_environment(home: Path) -> dict[str, str]:
    """Nothing of ours leaks into a server: no PG*, no locale, no credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}


def _dies_with_us() -> list[str]:
    """Where the system can, a killed test run takes its servers along."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    known = subprocess.run([setpriv, "--help"], capture_output=True, text=True, check=False).stdout
    return [setpriv, "--pdeathsig", "QUIT", "--"] if "--pdeathsig" in known else []


def _children(parent: int) -> list[int]:
    """Process ids whose parent is `parent`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name in parentheses may hold anything; the fields after it are state and parent.
            _, _, fields = stat.read_text(errors="replace").rpartition(")")
            if int(fields.split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _install_debian(package: str, variable: str | None, configuration: dict[str, str]) -> None:
    """Install a Debian package as root, its configuration first; otherwise say what is missing."""
    way_out = f"install the package `{package}`" + (f" or set {variable}" if variable else "")
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise ServerUnavailable(f"needs a server: {way_out}")
    for name, text in configuration.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        done = subprocess.run([apt, *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerUnavailable(f"apt-get {command[0]} failed; {way_out}:\n{done.stderr}")

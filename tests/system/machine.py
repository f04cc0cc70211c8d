"""A booted machine: systemd as process 1 of a container without a network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.system.base import PLAIN, Unavailable

BOOT_SECONDS = 60.0
HALT_SECONDS = 30.0
# systemd's own request to power off, sent to process 1.
POWER_OFF = signal.SIGRTMIN + 4


@dataclass(frozen=True, slots=True)
class Done:
    """How a command inside the machine ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document on standard output."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Everything that was shown."""
        return self.out + self.err


class Machine:
    """One boot of a root directory. Use as a context manager; leaving it powers off."""

    def __init__(self, root: Path) -> None:
        """Nothing is started yet."""
        self.root = root
        self._console = root.with_name("console.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        """Boot, and return once systemd says that it is up."""
        call = ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot", "--private-network"]
        call += ["--private-users=no", "--link-journal=no", "--machine=lifecycle-system", "--console=pipe"]
        if not Path("/run/systemd/system").is_dir():
            # Here nobody registers machines or hands out scopes: the container stays in the groups of this process.
            call += ["--register=no", "--keep-unit"]
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                call,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                # What a Debian of today boots with, whatever the host still mounts.
                env={**PLAIN, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        try:
            self._first = self._wait_for_init()
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Power off; a machine that does not within its time is killed."""
        process = self._process
        if process is None:
            return
        if self._first:
            with suppress(ProcessLookupError):
                os.kill(self._first, POWER_OFF)
        else:
            process.kill()
        try:
            process.wait(HALT_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.kill(self._first, signal.SIGKILL)
            process.kill()
            process.wait(HALT_SECONDS)

    def run(self, *call: str, code: int | None = 0, seconds: float = 120.0, given: str | None = None) -> Done:
        """Run a command inside, as root, and expect its exit code (None: any)."""
        inside = ["nsenter", f"--target={self._first}", "--all", "--", *call]
        done = subprocess.run(
            inside, env=PLAIN, capture_output=True, text=True, timeout=seconds, check=False, input=given
        )
        ended = Done(done.returncode, done.stdout, done.stderr)
        if code is not None:
            assert ended.code == code, f"`{' '.join(call)}` ended with {ended.code}, not {code}:\n{ended.all[-3000:]}"
        return ended

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        out = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).out
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def journal(self, unit: str) -> str:
        """What a unit and systemd about it have said since the boot."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}").out

    def console(self) -> str:
        """What the machine wrote while it booted."""
        return self._console.read_text(errors="replace")

    def pid_outside(self, inside: int) -> int:
        """The number that this host gives to a process of the machine."""
        for status in Path("/proc").glob("[0-9]*/status"):
            with suppress(OSError):
                numbers = next(line.split()[1:] for line in status.read_text().splitlines() if line.startswith("NSpid"))
                if len(numbers) > 1 and int(numbers[-1]) == inside and self._ours(status.parent):
                    return int(numbers[0])
        raise LookupError(f"process {inside} of the machine is not there")

    def _ours(self, process: Path) -> bool:
        return (process / "ns" / "pid").readlink() == Path(f"/proc/{self._first}/ns/pid").readlink()

    def _wait_for_init(self) -> int:
        """Process 1 of the machine: the child of systemd-nspawn that became systemd."""
        process = self._process
        assert process is not None
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            for child in _children(process.pid):
                with suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        return child
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        raise Unavailable(f"the container did not start:\n{self.console()[-3000:]}")

    def _wait_until_up(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            # Before its bus socket is there, systemctl fails at once.
            state = self.run("systemctl", "is-system-running", "--wait", code=None, seconds=BOOT_SECONDS).out.strip()
            if state in {"running", "degraded"}:
                return
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        raise Unavailable(f"systemd did not come up:\n{self.console()[-3000:]}")


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []

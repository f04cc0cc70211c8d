"""One replica: the command line's own daemon in a process, and what can happen to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.replicas.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
END_SECONDS = 60.0


class Replica:
    """`lifecycle --dir FOLDER daemon`, its output in a file beside the folder."""

    def __init__(self, number: int, folder: Path, wires: tuple[Wire, Wire]) -> None:
        """Make it; `start` begins."""
        self.number = number
        self.folder = folder
        self.wires = wires
        self.log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._said_before = 0
        self.failed_starts = 0

    def start(self) -> None:
        """Start the process unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._killed = False
        self._said_before = len(self.said())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lifecycle", "--dir", str(self.folder), "daemon"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"LIFECYCLE_DEBUG": "1"},
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._killed = True
            self._process.wait()

    def died(self) -> str | None:
        """Return how it ended if nobody ended it: its code and last words.

        A start that finds no server ends by itself and is tried again, as a service manager does; it is counted.
        """
        if self._process is None or self._killed or self._process.poll() is None:
            return None
        if "daemon.started" not in self.said()[self._said_before :]:
            self.failed_starts += 1
            return None
        return f"replica {self.number} ended with {self._process.returncode}: {self.said()[-1500:]}"

    def end(self) -> int | None:
        """Ask it to end and return its exit code, None when it had to be killed."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def kill(self) -> None:
        """Take it away whatever it does; for the end of a failed run."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """Return its output."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def pause(seconds: float) -> None:
    """Let the replicas be for a while: what happens meanwhile is what is tested."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        signal.sigtimedwait([], left)

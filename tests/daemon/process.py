"""A real service in a process of its own: its log as it comes, its pages, its signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.ports.clock import SystemClock
from tests.cli.world import Cli, deployed
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

SETTINGS = """
schedule:
  tick: PT1S
  look: PT1S
  classes: {daily: {every: EVERY}}
http: {bind: "127.0.0.1:0"}
"""
PATIENCE = 30.0


def deployment(folder: Path, *, every: str = "PT2S", settings: str = SETTINGS) -> Cli:
    """Make the command line's small portal, with a quick schedule, under the machine's clock."""
    clock = SystemClock()
    cli = deployed(folder, clock.now().replace(microsecond=0))
    cli.clock = clock  # a real service runs under the machine's clock, and so does its operator
    with (folder / "lifecycle.yaml").open("a") as file:
        file.write(settings.replace("EVERY", every))
    return cli


@dataclass
class Daemon:
    """A running service. `lines` grows as it logs."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def events(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event so far."""
        return [line for line in list(self.lines) if line["event"] == event]

    def wait(self, what: Callable[[], Any], why: str = "") -> Any:
        """Poll until something is true, and return it; fail with the log otherwise."""
        try:
            return until(what, why, PATIENCE)
        except AssertionError:
            raise AssertionError(f"not within {PATIENCE} s: {why}\n" + self.told()) from None

    def seen(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for the n-th line of an event with these fields."""

        def found() -> list[dict[str, Any]]:
            lines = [line for line in self.events(event) if fields.items() <= line.items()]
            return lines[count - 1 :]

        return self.wait(found, f"{event} {fields}")[0]

    def told(self) -> str:
        """Return everything it said."""
        return "\n".join([*(json.dumps(line) for line in self.lines), *self.errors])

    @property
    def port(self) -> int:
        """Return the port of its pages."""
        return int(self.seen("http.started")["port"])

    def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Ask for a page: status and body."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float | None:
        """Return one sample, None when the series is not there."""
        for line in self.get("/metrics")[1].splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match and labels == dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")):
                return float(match[2])
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(PATIENCE)

    def terminate(self) -> int:
        """Ask it to end, as systemd does."""
        self.signal(signal.SIGTERM)
        return self.ended()


@contextmanager
def running(
    folder: Path, *, environment: Mapping[str, str] | None = None, command: list[str] | None = None
) -> Iterator[Daemon]:
    """Start the service over a folder; at the end it is killed if it still runs."""
    call = command or [sys.executable, "-m", "lifecycle", "--dir", str(folder), "daemon"]
    process = subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    daemon = Daemon(process)
    readers = [
        threading.Thread(target=_read, args=(process.stdout, lambda line: daemon.lines.append(json.loads(line)))),
        threading.Thread(target=_read, args=(process.stderr, daemon.errors.append)),
    ]
    for reader in readers:
        reader.start()
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for reader in readers:
            reader.join()


def _read(stream: Any, take: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            take(line)

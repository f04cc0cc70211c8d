"""What systemd is told (sd_notify(3)): ready, alive, stopping, and one line of status. Nothing outside systemd."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends to the socket that systemd names; without one every call does nothing."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC, once."""
        found = os.environ if environment is None else environment
        self._address = found.get("NOTIFY_SOCKET", "")
        own = found.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        micros = found.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(micros) / 1_000_000 if own and micros.isdigit() else None

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self._send(f"READY=1\nSTATUS={status}")

    def alive(self) -> None:
        """Say that the service does not hang; systemd kills and restarts it when this stays out."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line what goes on."""
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """Say that the service is about to end."""
        self._send("STOPPING=1\nSTATUS=finishing the batch")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # An abstract socket's name begins with a zero byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # A supervisor that does not listen is no reason to stop keeping promises.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.connect(address)
            out.sendall(text.encode())

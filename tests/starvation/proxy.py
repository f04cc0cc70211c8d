"""A network between the daemon and its store that can be cut, go silent, or become slow; in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

State = Literal["open", "cut", "silent", "slow"]


@dataclass
class Network:
    """Passes on what clients send to a server's port. `cut`: connections end; `silent`: nothing comes through."""

    upstream: tuple[str, int]
    delay: float = 0.0
    _state: State = "open"
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ends: set[socket.socket] = field(default_factory=set)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Return the port that clients use."""
        return int(self._listener.getsockname()[1])

    def become(self, state: State, delay: float = 0.0) -> None:
        """Change the network, for connections that are there and those to come."""
        with self._changed:
            self._state, self.delay = state, delay
            self._changed.notify_all()
            ends = list(self._ends) if state == "cut" else []
        for end in ends:
            _end(end)

    def serve(self) -> None:
        """Accept until closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._state == "cut":
                client.close()
                continue
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """End everything."""
        self.become("cut")
        # Closing alone leaves the thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.upstream)
        except OSError:
            client.close()
            return
        with self._changed:
            self._ends |= {client, server}
        back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
        back.start()
        self._pass(client, server)
        back.join()
        with self._changed:
            self._ends -= {client, server}
        client.close()
        server.close()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._changed:
                    self._changed.wait_for(lambda: self._state != "silent")
                    if self._state == "slow":
                        self._changed.wait(self.delay)
                sink.sendall(data)
        _end(sink)


@contextlib.contextmanager
def network(host: str, port: int) -> Iterator[Network]:
    """Serve in threads of its own until the end."""
    made = Network((host, port))
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join()


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

"""A network between one replica and its server, which can be cut: silent, with nothing closed on either side.

What is on its way while it is cut arrives late, after the network has come back, or never. A connection that is made
meanwhile waits. (The kernel of this machine still acknowledges what it holds: a harder case than a cable that is out,
because nobody's own time limits of TCP notice it.)
"""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """Carries bytes from an address of ours to a server until it is cut."""

    def __init__(self, server_port: int, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one."""
        self._server_port = server_port
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        # The ports under which the server knows the sessions that are open through this wire.
        self.carried: set[int] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Carry nothing from now on."""
        self._open.clear()

    def heal(self, *, lost: bool = False) -> None:
        """Carry again; with `lost`, everything that was open ends instead, and what was on its way is gone."""
        if lost:
            with self._lock:
                ends, self._ends = self._ends, set()
            for end in ends:
                _end(end)
        self._open.set()

    def close(self) -> None:
        """End everything."""
        _end(self._listener)
        self.heal(lost=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with self._lock:
            self._ends.add(client)
        self._open.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            _end(client)
            return
        port = server.getsockname()[1]
        with self._lock:
            self.carried.add(port)
            known = client in self._ends
            self._ends.add(server)
        if not known:
            # It was lost while it waited.
            _end(client)
            _end(server)
            return
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(source, target, port), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, port: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        self._open.wait()
        with self._lock:
            self._ends -= {source, target}
            self.carried.discard(port)
        _end(source)
        _end(target)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

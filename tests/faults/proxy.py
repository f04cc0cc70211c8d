"""A TCP proxy that cuts a database connection before a statement reaches the server, or after it took effect.

`python -m tests.faults.proxy HOST PORT PATTERN before|after NTH postgresql|mariadb` prints its port, passes everything
on until it reads a line, then counts, and prints `cut` once it has cut. It only imports the standard library. PATTERN
is looked for in what the client sends; with `COMMIT` only transactions that wrote a receipt count.
"""

from __future__ import annotations

import socket
import sys
import threading

READY = b"Z"
RECEIPT = b"receipt"


class Cutter:
    """Counts matches over all connections and says when to cut."""

    def __init__(self, pattern: bytes, when: str, nth: int, protocol: str) -> None:
        """Cut `when` (before or after) the nth message with this pattern."""
        self.pattern, self.when, self.nth, self.protocol = pattern, when, nth, protocol
        self.seen = 0
        self.armed = threading.Event()
        self.lock = threading.Lock()

    def answered(self, data: bytes) -> bool:
        """Tell whether a statement has taken effect: PostgreSQL is ready again, MariaDB begins to answer."""
        return self.protocol == "mariadb" or data[-6:-5] == READY

    def matches(self, data: bytes, wrote_receipt: bool) -> bool:
        """Count a message; True for the one to cut at."""
        if not self.armed.is_set() or self.pattern not in data or (self.pattern == b"COMMIT" and not wrote_receipt):
            return False
        with self.lock:
            self.seen += 1
            return self.seen == self.nth


def serve(host: str, port: int, cutter: Cutter) -> None:
    """Accept connections until the process is ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        threading.Thread(target=_arm, args=(cutter,), daemon=True).start()
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection((host, port))
            threading.Thread(target=_talk, args=(client, upstream, cutter), daemon=True).start()


def _arm(cutter: Cutter) -> None:
    if sys.stdin.readline():
        cutter.armed.set()
        print("armed", flush=True)


def _talk(client: socket.socket, upstream: socket.socket, cutter: Cutter) -> None:
    back = threading.Event()
    stop = threading.Event()
    threading.Thread(target=_answers, args=(upstream, client, back, stop, cutter), daemon=True).start()
    wrote_receipt = False
    while data := _read(client):
        cut = cutter.matches(data, wrote_receipt)
        wrote_receipt = RECEIPT in data or (wrote_receipt and b"COMMIT" not in data and b"ROLLBACK" not in data)
        if cut and cutter.when == "after":
            stop.set()
            back.clear()
            upstream.sendall(data)
            back.wait(10)
        elif not cut:
            upstream.sendall(data)
        if cut:
            print("cut", flush=True)
            break
    for end in (client, upstream):
        _close(end)


def _answers(
    upstream: socket.socket, client: socket.socket, back: threading.Event, stop: threading.Event, cutter: Cutter
) -> None:
    while data := _read(upstream):
        if stop.is_set():
            if cutter.answered(data):
                back.set()
            continue
        try:
            client.sendall(data)
        except OSError:
            break
    _close(client)


def _read(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 20)
    except OSError:
        return b""


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        end.close()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Cutter(sys.argv[3].encode(), sys.argv[4], int(sys.argv[5]), sys.argv[6]))

"""The pages against strangers: few connections, none for long, and nothing of them on our screen."""

from __future__ import annotations

import socket
import threading
import urllib.request
from contextlib import ExitStack, contextmanager

from lifecycle.daemon.http import MOST_CONNECTIONS, Pages, Server
from lifecycle.ports.clock import SystemClock

PATIENCE = 10.0


@contextmanager
def served(**options):
    """Serve trivial pages; yields the port."""
    server = Server("127.0.0.1", 0, Pages(lambda: b"x 1\n", lambda: None, lambda: None, lambda: None), **options)
    try:
        yield server.port
    finally:
        server.close()


def asking(stack, port):
    """Open a connection and send the beginning of a request."""
    made = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
    made.sendall(b"GET /metrics HTTP/1.1\r\nA: ")
    return made


def closed(connection):
    """Wait for the other side's end; a byte now and then keeps no connection open."""
    clock = SystemClock()
    until = clock.monotonic() + PATIENCE
    connection.settimeout(0.05)
    while clock.monotonic() < until:
        try:
            if connection.recv(1000) == b"":
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        try:
            connection.sendall(b"X")
        except OSError:
            return True
    return False


def test_I27_strangers_cannot_starve_the_process(capfd):
    """More connections than a few are closed at once; a slow one is cut off in time, and then others are answered."""
    before = threading.active_count()
    with served(seconds=1.0) as port, ExitStack() as stack:
        slow = [asking(stack, port) for _ in range(MOST_CONNECTIONS)]
        assert closed(asking(stack, port))
        assert threading.active_count() <= before + 1 + MOST_CONNECTIONS
        assert all(closed(connection) for connection in slow)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            assert answer.read() == b"x 1\n"
    assert capfd.readouterr() == ("", "")


def test_a_reader_who_goes_away_is_no_news(capfd):
    """A connection that is reset in the middle of an answer leaves nothing on standard error, where a log may go."""
    gone = threading.Event()

    def pages():
        gone.wait(PATIENCE)
        return b"x" * 5_000_000

    server = Server("127.0.0.1", 0, Pages(pages, lambda: None, lambda: None, lambda: None))
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.set()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=PATIENCE) as answer:
            assert answer.read() == b"ok\n"
    finally:
        server.close()
    assert capfd.readouterr() == ("", "")


def test_listening_asks_no_name_service(monkeypatch):
    """A name service that hangs does not keep the service from starting: our own name is not looked up."""
    asked = []
    monkeypatch.setattr(socket, "getfqdn", lambda *names: asked.append(names) or "name.example.com")
    with served() as port:
        assert port
    assert asked == []

"""Four pages over HTTP, for those who watch: GET and HEAD, nothing that changes anything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from lifecycle.core.errors import Transient
from lifecycle.ports.clock import SystemClock

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
MOST_CONNECTIONS = 16
SECONDS = 10.0
"""How long a connection may last, from its acceptance to the last byte of the answer."""
_BREATH = 0.1
_POLL = 0.25


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages show. The three probes return None when all is well, else why not."""

    metrics: Callable[[], bytes]
    healthy: Callable[[], str | None]
    ready: Callable[[], str | None]
    started: Callable[[], str | None]


class Server:
    """Serves the pages from threads of its own until it is closed."""

    def __init__(self, host: str, port: int, pages: Pages, *, seconds: float = SECONDS) -> None:
        """Bind and listen. Raises Transient when the place is taken or not ours."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET

        class Bound(_Threads):
            address_family = family
            lasts = seconds

        try:
            self._server = Bound((host, port), _handler(pages))
        except OSError as error:
            raise Transient(
                f"HTTP cannot listen on {host}:{port} ({error.strerror})",
                advice="Set http.bind to an address and a free port of this host.",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Threads(ThreadingMixIn, HTTPServer):
    """A thread for each connection, few at a time, and none for long: strangers cost us no descriptors (I27)."""

    daemon_threads = True
    lasts = SECONDS
    # The kernel's queue of connections that nobody has accepted yet.
    request_queue_size = 16

    def __init__(self, *args: Any) -> None:
        # Sockets of connections that are being answered, and when each has to be done, by the monotonic clock.
        self._open: dict[Any, float] = {}
        self._opened = threading.Lock()
        self._clock = SystemClock()
        self._nothing = threading.Event()
        super().__init__(*args)

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, as the library would: it may not answer for minutes."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[Any, Any]:
        """Accept; a host without descriptors would have us ask again at once, for ever."""
        try:
            return super().get_request()
        except OSError:
            self._nothing.wait(_BREATH)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or close at once when there are too many."""
        with self._opened:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open[request] = self._clock.monotonic() + self.lasts
        if full:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._done(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def service_actions(self) -> None:
        """Cut off what has lasted too long: its thread's read or write ends with that."""
        now = self._clock.monotonic()
        with self._opened:
            late = [request for request, until in self._open.items() if until < now]
        for request in late:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever went away before the answer is no news, and the library prints addresses."""

    def _done(self, request: Any) -> None:
        with self._opened:
            self._open.pop(request, None)


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    probes = {"/healthz": pages.healthy, "/readyz": pages.ready, "/startupz": pages.started}

    class Handler(BaseHTTPRequestHandler):
        timeout = SECONDS
        server_version = "lifecycle"
        sys_version = ""

        def do_GET(self) -> None:  # the library's name
            path = self.path.split("?", 1)[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, METRICS_TYPE, pages.metrics())
            elif path in probes:
                why = probes[path]()
                status = HTTPStatus.OK if why is None else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, _PLAIN, f"{why or 'ok'}\n".encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, _PLAIN, b"/metrics /healthz /readyz /startupz\n")

        do_HEAD = do_GET  # noqa: N815  # the library's name

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
            """Answer what is no request of ours without repeating it."""
            del message, explain
            self._answer(HTTPStatus(code), _PLAIN, b"")

        def log_message(self, format: str, *args: object) -> None:
            """Keep what strangers send out of the log."""

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler

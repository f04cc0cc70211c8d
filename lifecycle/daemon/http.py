"""Four pages over HTTP, for those who watch: GET and HEAD, nothing that changes anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6

from lifecycle.core.errors import Transient

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN = "text/plain; charset=utf-8"
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages show. The three probes return None when all is well, else why not."""

    metrics: Callable[[], bytes]
    healthy: Callable[[], str | None]
    ready: Callable[[], str | None]
    started: Callable[[], str | None]


class Server:
    """Serves the pages from threads of its own until it is closed."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Bind and listen. Raises Transient when the place is taken or not ours."""
        family = AF_INET6 if ":" in host else AF_INET

        class Bound(_Threads):
            address_family = family

        try:
            self._server = Bound((host, port), _handler(pages))
        except OSError as error:
            raise Transient(
                f"HTTP cannot listen on {host}:{port} ({error.strerror})",
                advice="Set http.bind to an address and a free port of this host.",
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    # A slow reader costs a thread, not the service; more than these wait in the kernel.
    request_queue_size = 16


def _handler(pages: Pages) -> type[BaseHTTPRequestHandler]:
    probes = {"/healthz": pages.healthy, "/readyz": pages.ready, "/startupz": pages.started}

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS
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

"""Between a client and a real S3 server: shows other times of writing, and breaks answers on purpose.

The requests go through as they are, signatures included; what is broken is the connection or the answer, before or
after the server did what was asked.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import struct
import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

HTML = b"<html><body><h1>Service in maintenance</h1></body></html>"
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"
INTERNAL = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>Try again</Message></Error>"
BEFORE = {"500": (500, INTERNAL), "503": (503, SLOW_DOWN)}
AFTER = {
    "500-after": (500, INTERNAL),
    "503-after": (503, SLOW_DOWN),
    "html": (200, HTML),
    "empty": (200, b""),
    "error-in-200": (200, INTERNAL),
}
KINDS = (
    *BEFORE, *AFTER, "reset", "reset-after", "silence", "silence-after", "half", "one-key-left-out", "one-key-failed",
    "foreign-key",
)  # fmt: skip


@dataclass
class Fault:
    """Break the requests that fit, `times` of them, after letting `spare` pass."""

    kind: str
    fits: Callable[[str, str], bool]
    times: int = 1
    spare: int = 0
    hit: int = 0


@dataclass
class Proxy:
    """What a running proxy does. `times`: which moment is shown for (bucket, key, version)."""

    upstream: tuple[str, int]
    times: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    before: Callable[[str, str], None] | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """Forget everything."""
        self.times.clear()
        self.faults.clear()
        self.seen.clear()
        self.before = None

    def fault(self, method: str, path: str) -> str | None:
        """Return what is to be broken now."""
        for fault in self.faults:
            if fault.fits(method, path):
                fault.hit += 1
                if fault.spare < fault.hit <= fault.spare + fault.times:
                    return fault.kind
        return None


def deletions(method: str, path: str) -> bool:
    """Fit requests that delete many keys of an application."""
    return method == "POST" and "delete" in urlsplit(path).query and not path.startswith("/own-")


@contextlib.contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy in this process."""
    state = Proxy((host, port))

    class Handler(_Handler):
        proxy = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    disable_nagle_algorithm = True
    proxy: Proxy

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.proxy.fault(self.command, self.path)
        self.proxy.seen.append((self.command, self.path))
        if self.proxy.before is not None:
            self.proxy.before(self.command, self.path)
        if kind in BEFORE:
            self._answer(*BEFORE[kind])
        elif kind in {"reset", "silence"}:
            self._break(kind)
        else:
            self._after(kind, *self._ask(body))

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every verb goes through."""
        if name.startswith("do_"):
            return self._pass
        raise AttributeError(name)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(*self.proxy.upstream, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _after(self, kind: str | None, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if kind in AFTER:
            self._answer(*AFTER[kind])
        elif kind in {"reset-after", "silence-after"}:
            self._break(kind.removesuffix("-after"))
        elif kind == "half":
            self._answer(status, body[: len(body) // 2], headers)
        else:
            self._answer(status, self._shown(_spoilt(kind, body)), headers)

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]] = []) -> None:  # noqa: B006 - read only
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _break(self, kind: str) -> None:
        if kind == "silence":
            self.proxy.ended.wait(30)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _shown(self, body: bytes) -> bytes:
        """Replace the times of what is listed, one after the other, and nothing else."""
        parts = urlsplit(self.path)
        if self.command != "GET" or not self.proxy.times or not {"versions", "list-type"} & set(
            parse_qs(parts.query, keep_blank_values=True)
        ):  # fmt: skip
            return body
        bucket = unquote(parts.path).strip("/")
        root = ET.fromstring(body)
        shown = iter(
            [self._time(bucket, one) for one in root if one.tag.endswith(("Version", "DeleteMarker", "Contents"))]
        )
        return re.sub(rb"<LastModified>[^<]*", lambda found: next(shown) or found.group(), body)

    def _time(self, bucket: str, one: ET.Element) -> bytes | None:
        parts = {part.tag.rpartition("}")[2]: part.text or "" for part in one}
        key = unquote(parts["Key"]) if "list-type" in self.path else parts["Key"]
        moment = self.proxy.times.get((bucket, key, parts.get("VersionId") or "null"))
        return None if moment is None else f"<LastModified>{moment:%Y-%m-%dT%H:%M:%S}.000Z".encode()


def _spoilt(kind: str | None, body: bytes) -> bytes:
    first = re.compile(rb"<Deleted>(.*?)</Deleted>", re.DOTALL)
    if kind == "one-key-left-out":
        return first.sub(b"", body, count=1)
    if kind == "one-key-failed":
        return first.sub(rb"<Error>\1<Code>InternalError</Code></Error>", body, count=1)
    if kind == "foreign-key":
        return first.sub(b"<Deleted><Key>nobody/asked</Key><VersionId>null</VersionId></Deleted>", body, count=1)
    return body

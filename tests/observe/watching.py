"""A real Prometheus with the real alerts, and whoever it watches."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/lifecycle.rules.yml"
PATIENCE = 30.0


def shortened(rules: str, span: str = "3s") -> str:
    """Return the rules with every `for:` and every range cut down to `span`; their expressions are what they are."""
    rules = re.sub(r"(?m)^( +for:) \S+$", rf"\1 {span}", rules)
    return re.sub(r"\[[0-9]+[smhd]\]", f"[{span}]", rules)


@dataclass(frozen=True, slots=True)
class Watch:
    """A Prometheus at an address."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': expression})}", timeout=5) as answer:
            return list(json.load(answer)["data"]["result"])

    def value(self, expression: str) -> float | None:
        """Return the value of a query's only series, None without one."""
        found = self.query(expression)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def firing(self, names: Iterable[str] | None = None) -> set[str]:
        """Return which of these alerts (None: of all but the Watchdog) fire."""
        found = {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')} - {"Watchdog"}
        return found if names is None else found & set(names)

    def until(self, condition: Callable[[], bool], *, patience: float = PATIENCE) -> None:
        """Return once the condition holds. Raises AssertionError with what fires when it never does."""
        end, pause = monotonic() + patience, threading.Event()
        while not condition():
            assert monotonic() < end, f"after {patience} s: firing {sorted(self.firing())}"
            pause.wait(0.1)

    def until_firing(self, name: str, *, patience: float = PATIENCE) -> None:
        """Return once the alert fires."""
        self.until(lambda: bool(self.firing({name})), patience=patience)

    def until_clear(self, name: str, *, patience: float = PATIENCE) -> None:
        """Return once the alert does not fire."""
        self.until(lambda: not self.firing({name}), patience=patience)


@contextmanager
def prometheus(targets: Mapping[str, Sequence[str]], *, span: str = "3s") -> Iterator[Watch]:
    """Start a Prometheus over the jobs' targets with the real alerts, their times shortened to `span`."""
    with servers.prometheus(targets, rules=shortened(RULES.read_text(encoding="utf-8"), span)) as url:
        yield Watch(url)


@contextmanager
def served(render: Callable[[], bytes], port: int = 0) -> Iterator[int]:
    """Serve /metrics from a function over HTTP, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = render()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()

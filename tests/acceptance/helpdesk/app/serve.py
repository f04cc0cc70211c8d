"""Serves the ticket system over real HTTP on loopback, at one instant, until its standard input ends.

    python serve.py --now 2026-03-01T12:00:00+00:00

Prints the port that it got as its first line.
"""

import argparse
import datetime as dt
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import time_machine
from django.core.wsgi import get_wsgi_application


class _Quiet(WSGIRequestHandler):
    """A handler that prints nothing: the answers are what is looked at."""

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


def main() -> None:
    """Serves until the parent closes our input, so that no server outlives its test."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--now", required=True, type=dt.datetime.fromisoformat)
    now = parser.parse_args().now
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    application = get_wsgi_application()
    # Pages say "3 days ago": with a clock that stands still, two visits can be compared word by word.
    with time_machine.travel(now, tick=False), make_server("127.0.0.1", 0, application, handler_class=_Quiet) as server:
        threading.Thread(target=_wait_for_the_end, args=[server], daemon=True).start()
        print(server.server_port, flush=True)
        server.serve_forever(poll_interval=0.1)


def _wait_for_the_end(server: WSGIServer) -> None:
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()

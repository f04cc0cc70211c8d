"""A real Prometheus with the real alerts watches a real service: what must alarm fires, and clears.

The expressions are those of deploy/prometheus; only their times are shortened (`watching.shortened`), and the service's
schedule with them, so that nights take seconds. The rows' ages are real, near the machine's present.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from lifecycle.ports.clock import SystemClock
from tests import servers
from tests.cli.world import CANARIES, STAYS, deployed, stamp
from tests.observe.watching import prometheus

RULE = "server-logs"
MOST = 100
SCHEDULE = """
http: {{bind: "127.0.0.1:{port}"}}
schedule: {{tick: PT1S, look: PT1S, default: often, classes: {{often: {{every: PT3S}}}}}}
limits: {{most_items: {most}}}
"""


@pytest.fixture
def now():
    return SystemClock().now()


@pytest.fixture
def port():
    return servers._free_port()


@pytest.fixture
def cli(tmp_path, now, port):
    """A deployment whose turns come every three seconds; nothing is approved yet."""
    made = deployed(tmp_path / "portal", now)
    with (made.folder / "lifecycle.yaml").open("a") as settings:
        settings.write(SCHEDULE.format(port=port, most=MOST))
    return made


@contextmanager
def service(cli):
    """The service, as its own process, ended in order."""
    with (cli.folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lifecycle", "--dir", str(cli.folder), "daemon"], stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0, (cli.folder / "service.log").read_text()[-3000:]


def approve(cli):
    """Plan what is due and grant a mandate, as somebody on call does while the service runs."""
    cli.clock.set(SystemClock().now())
    (planned,) = cli.json("plan", RULE)["plans"]
    cli.signed(planned["hash"], "op-two", mandate=True)


def raise_limit(cli):
    """Let a run change ten times as many items; the service reads its settings again by itself."""
    settings, changed = cli.folder / "lifecycle.yaml", cli.folder / "lifecycle.yaml.new"
    changed.write_text(settings.read_text().replace(f"most_items: {MOST}", f"most_items: {10 * MOST}"))
    changed.replace(settings)


def arrive(cli, now, count, *, days):
    """Let log rows of an age arrive in the application's database."""
    at = stamp(now - timedelta(days=days))
    with closing(sqlite3.connect(cli.folder / "portal.sqlite", timeout=30)) as connection, connection:
        rows = [(STAYS, CANARIES[2], at)] * count
        connection.executemany("INSERT INTO access_log (portal_id, ip, at) VALUES (?, ?, ?)", rows)


def test_what_must_alarm_fires_and_clears(cli, now, port):
    """Old rows breach until somebody approves; too many new ones are refused and approach; silence is an alarm."""
    with prometheus({"lifecycle": [f"127.0.0.1:{port}"]}, span="2s") as watch:
        watch.until_firing("Down")
        with service(cli):
            watch.until_clear("Down")
            watch.until_firing("DeadlineBreached")
            assert watch.firing({"Down", "NoLeader"}) == set()
            approve(cli)
            watch.until_clear("DeadlineBreached")
            watch.until(lambda: watch.value("max(lifecycle_records_deleted_total)") == 22)
            assert watch.firing({"DeadlineApproaching", "GuardRefused"}) == set()

            kept = cli.rows("access_log", STAYS)
            arrive(cli, now, MOST + 1, days=88)
            watch.until_firing("DeadlineApproaching")
            watch.until_firing("GuardRefused")
            assert watch.value(f'max(lifecycle_guard_refusals_total{{rule="{RULE}"}})') >= 1
            raise_limit(cli)
            watch.until(lambda: cli.rows("access_log", STAYS) == kept)
            for name in ("DeadlineApproaching", "GuardRefused"):
                watch.until_clear(name)
            assert watch.firing({"DeadlineBreached"}) == set(), "it was dealt with in time"
        watch.until_firing("Down")

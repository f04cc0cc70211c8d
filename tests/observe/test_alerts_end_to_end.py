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
        settings.write(SCHEDULE.format(port=port))
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


def approve(cli, *mandate):
    """Plan what is due and sign it, as somebody on call does."""
    planned = cli.process("plan", RULE, "--json")
    assert planned.code == 0, planned.all
    found = planned.json
    name = found["plans"][0]["hash"] if "plans" in found else found["hash"]
    done = cli.process("approve", name, "--by", "op-two", "--key", cli.key("op-two"), *mandate, "--json")
    assert done.code == 0, done.all


def arrive(cli, now, count, *, days):
    """Let log rows of an age arrive in the application's database."""
    at = stamp(now - timedelta(days=days))
    with closing(sqlite3.connect(cli.folder / "portal.sqlite", timeout=30)) as connection, connection:
        rows = [(STAYS, CANARIES[2], at)] * count
        connection.executemany("INSERT INTO access_log (portal_id, ip, at) VALUES (?, ?, ?)", rows)


def test_what_must_alarm_fires_and_clears(cli, now, port):
    """Old rows breach until somebody approves; too many new ones are refused and approach; then there is silence."""
    with prometheus({"lifecycle": [f"127.0.0.1:{port}"]}, span="2s") as watch:
        with service(cli):
            watch.until_firing("DeadlineBreached")
            approve(cli, "--mandate", "--most", str(MOST))
            watch.until_clear("DeadlineBreached")
            watch.until(lambda: watch.value("max(lifecycle_records_deleted_total)") == 22)
            assert watch.firing({"DeadlineApproaching", "GuardRefused", "Down", "NoLeader"}) == set()

            arrive(cli, now, MOST + 1, days=88)
            watch.until_firing("DeadlineApproaching")
            watch.until_firing("GuardRefused")
            assert watch.value(f'max(lifecycle_guard_refusals_total{{rule="{RULE}"}})') >= 1
            approve(cli)
            watch.until_clear("DeadlineApproaching")
            watch.until_clear("GuardRefused")
            assert watch.firing({"DeadlineBreached"}) == set(), "it was dealt with in time"
        watch.until_firing("Down")
        with service(cli):
            watch.until_clear("Down")
            watch.until(lambda: watch.value("lifecycle_leader") == 1)

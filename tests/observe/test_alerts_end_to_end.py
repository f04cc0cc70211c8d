"""A real Prometheus with the real alerts watches an endpoint: what must alarm fires, and clears.

The expressions are those of deploy/prometheus; only their times are shortened (`watching.shortened`), so that minutes
take seconds. Deadlines are real moments, near the machine's present.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from lifecycle.observe import Looked, Metrics, warning_seconds
from lifecycle.ports.clock import SystemClock
from tests import servers
from tests.observe.watching import prometheus, served

DAY = 86_400


@pytest.fixture
def now():
    return SystemClock().now()


@pytest.fixture
def metrics(now):
    """A leader at rest: everything done, the next ceiling three days away."""
    made = Metrics(CollectorRegistry(), rules={"logs": ["main"], "mails": ["main"]}, version="0.1.0")
    warning = warning_seconds(margin_days=3, interval_seconds=DAY, longest_run_seconds=6 * 3600)
    for rule in ("logs", "mails"):
        made.set_schedule(rule, interval_seconds=DAY, warning_seconds=warning)
        made.set_succeeded(rule, now)
    made.set_leader(leader=True)
    made.set_last_tick(now)
    made.set_anchored(now)
    made.observe({"type": "log.created"}, 0)
    made.set_looks([Looked("logs", "main", next_deadline=now + timedelta(days=3))], now)
    return made


def test_what_must_alarm_fires_and_clears(metrics, now):
    """A ceiling approaches and passes, a guard refuses, nobody leads, nobody answers: each alarms and clears."""
    refusal = {"type": "guard.refused", "guard": "limit", "rule": "mails", "job": None}
    port = servers._free_port()

    def look(days, overdue=0):
        ceiling = now + timedelta(days=days)
        metrics.set_looks([Looked("logs", "main", overdue, overdue * 60.0, 0, ceiling)], now)

    with prometheus({"lifecycle": [f"127.0.0.1:{port}"]}, span="2s") as watch:
        with served(metrics.render, port):
            watch.until_clear("Down")
            watch.until(lambda: (watch.value("count_over_time(lifecycle_leader[10m])") or 0) >= 4)
            assert watch.query('ALERTS{alertname="Watchdog", alertstate="firing"}')
            assert watch.firing() == set(), "whoever has just begun to be watched is not alarmed about"

            look(1)
            metrics.observe(refusal, 1)
            watch.until_firing("GuardRefused")
            assert watch.query('ALERTS{alertname="GuardRefused"}')[0]["metric"]["rule"] == "mails"
            watch.until_firing("DeadlineApproaching")
            look(-1, overdue=5)
            metrics.set_leader(leader=False)
            watch.until_firing("DeadlineBreached")
            watch.until_clear("DeadlineApproaching")
            watch.until_firing("NoLeader")
            look(3)
            metrics.set_leader(leader=True)
            for name in ("DeadlineBreached", "GuardRefused", "NoLeader"):
                watch.until_clear(name)

            # A ceiling passes while nobody looks: the number stands still, and the alarm comes by itself.
            metrics.set_next_deadline("logs", SystemClock().now() + timedelta(seconds=1))
            watch.until_firing("DeadlineBreached")
            look(3)
            watch.until_clear("DeadlineBreached")
            assert watch.firing() == set()
        watch.until_firing("Down")
        with served(metrics.render, port):
            watch.until_clear("Down")

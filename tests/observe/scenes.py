"""Metrics of a deployment in which everything has happened once: a leader, and a standby beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from lifecycle.observe import Looked, Metrics, pace_of_service, warning_seconds

if TYPE_CHECKING:
    from datetime import datetime

JOB = "j-" + "0a" * 12
RULES = {"logs": ["main"], "mails": ["main", "archive"]}
HOURS = 3600


def replica(now: datetime, *, leader: bool) -> Metrics:
    """Return a replica's metrics before anything happened to it."""
    made = Metrics(CollectorRegistry(), rules=RULES, version="0.1.0")
    made.set_leader(leader=leader)
    warning = warning_seconds(margin_days=3, interval_seconds=24 * HOURS, longest_run_seconds=6 * HOURS)
    made.set_pace(**pace_of_service(tick_seconds=30, look_seconds=900, longest_run_seconds=6 * HOURS))
    for rule in RULES:
        made.set_schedule(rule, interval_seconds=24 * HOURS, warning_seconds=warning)
        made.set_succeeded(rule, now - timedelta(hours=9))
    return made


def happen(metrics: Metrics, now: datetime, index: int) -> int:
    """Let a night happen: entries of the log for everybody. Returns the index of the next entry."""
    for entry in _entries(now):
        metrics.observe(entry, index)
        index += 1
    return index


def lead(metrics: Metrics, now: datetime) -> None:
    """Let the leader's duties tell everything that they can tell."""
    metrics.set_looks(
        [
            Looked("logs", "main", next_deadline=now + timedelta(days=3)),
            Looked("mails", "main", 3, 7200.0, 1, now - timedelta(hours=2)),
        ],
        now,
        failed=["archive"],
    )
    metrics.batch_took(JOB, "s001", 0.3, store="main")
    metrics.objects_deleted("mails", "archive", 2)
    metrics.bytes_exported(12_345)
    metrics.slots_missed("mails", 1)
    metrics.paused("mails", "replica-lag")
    metrics.set_parked("mails", parked=True)
    metrics.set_mandate_expires("logs", now + timedelta(days=200))
    metrics.set_export_windows({"t-" + "b" * 16: now + timedelta(days=20), "t-" + "c" * 16: now + timedelta(days=4)})
    metrics.set_backup_horizons({"t-" + "b" * 16: now + timedelta(days=50)})
    metrics.set_unclassified("main", 2)
    metrics.set_clock_spread(0.4)
    metrics.set_last_tick(now)
    metrics.set_anchored(now - timedelta(hours=1))
    metrics.reload_refused()


def _entries(now: datetime) -> list[dict[str, Any]]:
    common = {"v": 1, "at": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "tenant": None, "seq": None, "prev": None}
    steps = [
        {"step": "s001", "dataset": "access", "store": "main", "action": "delete", "expected": 5, "limit": 5},
        {"step": "s002", "dataset": "people", "store": "main", "action": "anonymise", "expected": 5, "limit": 5},
    ]
    check = {"step": "s001", "dataset": "access", "store": "main", "residue": 1, "orphans": 0, "undatable": 0}
    return [
        {**common, "type": "plan.created", "plan": "p-1", "kind": "rule", "rule": "logs", "steps": steps},
        {**common, "type": "job.started", "job": JOB, "plan": "p-1"},
        {**common, "type": "batch.receipt", "job": JOB, "step": "s001", "deleted": 4},
        {**common, "type": "batch.receipt", "job": JOB, "step": "s002", "deleted": 3},
        {**common, "type": "verification.done", "job": JOB, "checks": [check], "unknown": 1},
        {**common, "type": "job.finished", "job": JOB, "outcome": "partial"},
        {**common, "type": "guard.refused", "guard": "limit", "rule": "mails", "job": None},
        {**common, "type": "hold.set", "hold": "h-1"},
    ]

"""Decoded entries of a log for metrics, and how their values are read."""

from __future__ import annotations

from datetime import UTC, datetime

AT = "2026-03-04T05:06:07Z"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JOB = "j-" + "0a" * 12
RULES = {"logs": ["main"], "booking": ["main", "archive"]}
COMMON = {"v": 1, "at": AT, "tenant": None, "seq": None, "prev": None}


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"lifecycle_{name}", labels)


def plan(rule="logs", kind="rule", name="p-1", action="delete"):
    steps = [
        {"step": "s001", "dataset": "tickets", "store": "main", "action": action, "expected": 5, "limit": 5},
        {"step": "s002", "dataset": "old", "store": "mara@example.com", "action": action, "expected": 5, "limit": 5},
    ]
    return {
        **COMMON,
        "type": "plan.created",
        "plan": name,
        "plan_hash": "sha256:" + "0" * 64,
        "kind": kind,
        "rule": rule,
        "author": "op-1",
        "steps": steps,
    }


def start(name="p-1"):
    return {**COMMON, "type": "job.started", "job": JOB, "plan": name, "mandate": None, "effective_now": AT}


def receipt(step="s001", deleted=3):
    return {**COMMON, "type": "batch.receipt", "job": JOB, "step": step, "batch": "b-1", "deleted": deleted}


def feed(metrics, *entries):
    first = int(value(metrics, "evidence_tree_size"))
    for index, entry in enumerate(entries, start=first):
        metrics.observe(entry, index)

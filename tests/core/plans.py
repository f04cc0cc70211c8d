"""A plan and a step with nothing special about them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from lifecycle.core.plan import Delete, Plan, Step, StoreBinding
from lifecycle.core.selection import Before, GroupScope, Scope, Selection

DIGEST = "sha256:" + "0" * 64
NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)


def before(day: date = date(2025, 12, 4), **more: Any) -> Before:
    """The start's day is on or before a cutoff."""
    values: dict[str, Any] = {"time": "collection", "day": day, "zone": "Europe/Berlin"}
    bounds = {"not_before": date(1971, 1, 1), "not_after": date(2026, 3, 1)}
    return Before.model_validate({**values, **bounds, **more})


def selection(*due: Before, scope: Scope | None = None, **more: Any) -> Selection:
    """The due rows of one dataset of one group."""
    values = {"dataset": "logs", "scope": scope or GroupScope(groups=("g-1",)), "due": due or (before(),)}
    return Selection.model_validate({**values, **more})


def step(**more: Any) -> Step:
    """A step that deletes."""
    values: dict[str, Any] = {
        "id": "s001",
        "store": "main",
        "dataset": "logs",
        "category": "log",
        "rule": "logs",
        "action": Delete(),
        "selection": selection(),
        "expected": 10,
        "limit": 20,
        "level": 1,
    }
    return Step.model_validate({**values, **more})


def plan(*steps: Step, **more: Any) -> Plan:
    """A rule's plan."""
    values: dict[str, Any] = {
        "id": "p-1",
        "kind": "rule",
        "deployment": "portal",
        "author": "lifecycle",
        "created_at": NOW,
        "effective_now": NOW,
        "start_by": NOW,
        "policy_hash": DIGEST,
        "agreement": "portal",
        "agreement_versions": ("2026-01",),
        "rule": "logs",
        "stores": (StoreBinding(store="main", fingerprint=DIGEST, used_schema=DIGEST),),
        "steps": steps,
    }
    return Plan.model_validate({**values, **more})

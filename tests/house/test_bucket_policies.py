"""The policies of deploy/s3: what they allow is what the store asks for, what they deny is what it must never do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "s3"
NEVER = {"s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold"}
OF_BUCKETS = {"s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning", "s3:PutBucketPolicy"}


def actions(role: str, effect: str) -> set[str]:
    """Return the actions that a role's policy allows or denies."""
    policy: dict[str, Any] = json.loads((FOLDER / f"{role}.json").read_text(encoding="utf-8"))
    return {action for one in policy["Statement"] if one["Effect"] == effect for action in one["Action"]}


@pytest.mark.parametrize("role", ["planner", "executor"])
def test_I10_no_role_lifts_a_lock_or_touches_a_bucket(role: str) -> None:
    """Denied outright, whatever another policy allows; nothing that is denied is allowed beside it."""
    assert actions(role, "Deny") >= NEVER
    assert not actions(role, "Allow") & (NEVER | OF_BUCKETS)
    assert not [action for action in actions(role, "Allow") if "*" in action]


def test_the_executor_may_delete_versions_and_the_planner_may_not() -> None:
    """One role changes something; it may list, read locks, delete versions and abort uploads."""
    wanted = {"s3:DeleteObjectVersion", "s3:AbortMultipartUpload", "s3:GetObjectRetention", "s3:GetObjectLegalHold"}
    assert actions("executor", "Allow") >= wanted
    assert actions("executor", "Deny") >= OF_BUCKETS
    assert not actions("planner", "Allow") & wanted
    assert "s3:Delete*" in actions("planner", "Deny")

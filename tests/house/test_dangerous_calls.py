"""What no code path may reach on a target (I10): calls that take more than planned versions, or lift a protection."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN_CALLS = {
    "abort_multipart_upload",
    "delete_bucket",
    "delete_bucket_lifecycle",
    "delete_bucket_policy",
    "delete_object",
    "delete_objects",
    "put_bucket_lifecycle",
    "put_bucket_lifecycle_configuration",
    "put_bucket_policy",
    "put_bucket_versioning",
    "put_object_legal_hold",
    "put_object_lock_configuration",
    "put_object_retention",
}
FORBIDDEN_WORDS = ("bypass", "x-amz-mfa", "<quiet>", "quiet=")
CHANGES = {"PUT", "POST", "DELETE"}
MAY_CHANGE = {"lifecycle/stores/s3/deleting.py": {"POST", "DELETE"}, "lifecycle/stores/s3/own.py": CHANGES}
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "lifecycle").rglob("*.py"))


def literals(tree: ast.AST) -> list[str]:
    """Return every text of a file that is no docstring."""
    stated = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in stated
    ]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_I10_no_call_lifts_a_protection_or_takes_a_bucket(path: Path) -> None:
    """Neither boto3's verbs nor a header of ours: no bypass, no bucket verb, no lifecycle rule, never quiet."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not called & FORBIDDEN_CALLS
    if path.parts[:3] == ("lifecycle", "stores", "s3"):
        told = [text.lower() for text in literals(tree)]
        assert not [text for text in told for word in FORBIDDEN_WORDS if word in text]


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[:3] == ("lifecycle", "stores", "s3")], ids=str)
def test_I10_only_two_files_send_what_changes_something(path: Path) -> None:
    """Planned versions are deleted in one file, our own bucket is written in another; all others only read."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    sent = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "request"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert sent & CHANGES <= MAY_CHANGE.get(path.as_posix(), set())


def test_I10_a_deletion_always_names_a_version() -> None:
    """The one request that could make a marker instead of deleting always carries a version or an upload."""
    text = (ROOT / "lifecycle/stores/s3/deleting.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    deletes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and getattr(node.args[0], "value", None) == "DELETE"
    ]
    assert len(deletes) == 1
    assert all("query" in {keyword.arg for keyword in node.keywords} for node in deletes)
    assert "<VersionId>" in text

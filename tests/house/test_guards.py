"""Every guard has a line in the runbook that is read when it said no, and none that is gone has one."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import lifecycle

PACKAGE = Path(lifecycle.__file__).parent
RUNBOOK = Path(__file__).parents[2] / "docs/runbooks/GuardRefused.md"


def _texts(node):
    """The constants that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    return _texts(node.body) | _texts(node.orelse) if isinstance(node, ast.IfExp) else set()


def _allows(call):
    return any(key.arg == "allowed" and getattr(key.value, "value", None) is True for key in call.keywords)


def in_code():
    """Every guard that somebody refuses by: `guard="…"`, and decisions that do not allow."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found |= {text for key in node.keywords if key.arg == "guard" for text in _texts(key.value)}
                if isinstance(node.func, ast.Name) and node.func.id == "Decision" and not _allows(node):
                    found |= _texts(node.args[0])
    return found


def in_runbook():
    """The guards of the tables' first columns, as often as they stand there."""
    rows = re.findall(r"^\| (`[^|]+`) \|", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    return Counter(name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row))


def test_each_guard_stands_once_in_the_runbook():
    """Whoever is woken by a guard finds what to do about it; no line is about a guard that nobody has."""
    assert sorted(in_code() ^ in_runbook().keys()) == []
    assert [name for name, count in in_runbook().items() if count > 1] == []

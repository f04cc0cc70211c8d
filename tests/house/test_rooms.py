"""What the import contracts cannot say: positive lists of imports, and how tests are written."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVIDENCE_NEEDS = {"cryptography", "rfc8785"}
CORE_NEEDS = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "dateutil", "holidays", "rfc8785"}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def strangers(room: str, needs: set[str]) -> set[tuple[str, str]]:
    """(file, module) of imports that are neither standard library, nor needed, nor the room's own."""
    return {
        (path.name, module)
        for path in (ROOT / "lifecycle" / room).rglob("*.py")
        for module in imports(path)
        if module.split(".")[0] not in sys.stdlib_module_names | needs
        and module != f"lifecycle.{room}"
        and not module.startswith(f"lifecycle.{room}.")
    }


@pytest.mark.parametrize(("room", "needs"), [("evidence", EVIDENCE_NEEDS), ("core", CORE_NEEDS)])
def test_the_lowest_rooms_import_only_what_they_are_allowed(room, needs):
    """A controller can check evidence with two packages; the core decides with values and a calendar alone."""
    assert strangers(room, needs) == set()


def stated_in(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def checks_something(test: ast.FunctionDef) -> bool:
    """An assert, an expected error, or a call whose name says that it checks."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name.startswith(("raises", "assert_", "check_", "expect_", "run_state_machine_as_test")):
                return True
    return False


TEST_FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_a_test_states_a_fact(path):
    """Every test has a sentence about the product and something that can fail."""
    silent = [test.name for test in stated_in(ROOT / path) if not ast.get_docstring(test)]
    assert silent == [], "without a docstring"
    idle = [test.name for test in stated_in(ROOT / path) if not checks_something(test)]
    assert idle == [], "without an assertion"


@pytest.mark.parametrize("path", TEST_FILES, ids=str)
def test_a_test_waits_for_nothing_but_facts(path):
    """No sleeps: they are too short on a busy machine and too long on every other day."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    sleeps = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and any(alias.name == "sleep" for alias in node.names))
    ]
    assert sleeps == []

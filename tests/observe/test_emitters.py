"""Every event that a line may have is told by somebody, and nobody tells another one."""

from __future__ import annotations

import ast
from pathlib import Path

import lifecycle
from lifecycle.core import events
from lifecycle.evidence.entry import TYPES
from lifecycle.observe.fields import EVENTS

PACKAGE = Path(lifecycle.__file__).parent
LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
TELLING = frozenset({"trouble", "fault", "_telling"})


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _logs(node: ast.Call) -> bool:
    """Whether it is a call on a log: `log.info(…)`, `self.log.error(…)`, `self._log.log(…)`."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS:
        return False
    owner = node.func.value
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return name in {"log", "_log"}


def calls():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def told():
    """Every event that a call names, with where."""
    found = {}
    for path, node in calls():
        if _logs(node) or _called(node) in TELLING:
            for argument in node.args[:2]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and "." in argument.value:
                    found.setdefault(argument.value, set()).add(path.relative_to(PACKAGE).as_posix())
    return found


def test_every_event_of_the_process_has_somebody_who_tells_it():
    """Whoever greps for a declared event that nobody emits takes silence for peace."""
    assert sorted(EVENTS - TYPES.keys() - told().keys()) == []


def test_nobody_tells_an_event_that_is_not_declared():
    """It would be written as `unnamed`."""
    assert sorted(told().keys() - EVENTS) == []


def test_every_entry_of_the_log_has_a_flow_that_writes_it():
    """An entry's type without a writer would be a promise of the log that nothing keeps."""
    in_flow = [node for path, node in calls() if path.relative_to(PACKAGE).parts[0] == "flow"]
    written = {_called(node) for node in in_flow}
    written |= {argument.id for node in in_flow for argument in node.args if isinstance(argument, ast.Name)}
    classes = {
        one.type: name
        for name, one in vars(events).items()
        if isinstance(one, type) and issubclass(one, events.Event) and hasattr(one, "type")
    }
    assert sorted(TYPES.keys() ^ classes.keys()) == []
    assert sorted(name for name in classes.values() if name not in written) == []

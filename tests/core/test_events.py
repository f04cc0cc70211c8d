"""Events become entries: the same fields, plain values, nothing of the process."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lifecycle.core import events
from lifecycle.core.events import Event, fields_of
from lifecycle.evidence.entry import TYPES

COMMON = {"v", "type", "at", "tenant", "seq", "prev"}


def kinds() -> list[type[Event]]:
    """Return every event class of the module: a slotted dataclass leaves an unslotted twin among the subclasses."""
    found = [value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)]
    return [kind for kind in found if kind is not Event]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_event_has_exactly_the_fields_of_its_entry(kind: type[Event]) -> None:
    """What a fold reads from the log is what an event wrote; a renamed field would be lost silently."""
    names = {field for field in kind.__dataclass_fields__ if field not in {"type", "tenant"}}
    assert names == set(TYPES[kind.type]) - COMMON


def test_every_entry_type_has_one_event() -> None:
    """The log's schema knows no type that nothing writes, and no type is written by two events."""
    assert sorted(kind.type for kind in kinds()) == sorted(TYPES)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            events.RunSummary(job="j-1", day=date(2026, 3, 1), deleted=2, tenant="t-aaaaaaaaaaaaaaaa"),
            {"type": "run.summary", "tenant": "t-aaaaaaaaaaaaaaaa", "job": "j-1", "day": "2026-03-01", "deleted": 2},
        ),
        (
            events.HoldSet(hold="h-1", basis="legal-order", datasets=("logs", "files")),
            {"type": "hold.set", "tenant": None, "hold": "h-1", "basis": "legal-order", "datasets": ["logs", "files"]},
        ),
        (
            events.VerificationDone(
                job="j-1",
                verifier="v",
                checks=({"step": "s001", "on": date(2026, 1, 2)},),
                unknown=0,
                coverage_complete=True,
            ),
            {
                "type": "verification.done",
                "tenant": None,
                "job": "j-1",
                "verifier": "v",
                "checks": [{"step": "s001", "on": "2026-01-02"}],
                "unknown": 0,
                "coverage_complete": True,
            },
        ),
    ],
)
def test_days_become_text_and_tuples_lists(event: Event, expected: dict[str, Any]) -> None:
    """Entries hold JSON values only, however deep."""
    assert fields_of(event) == expected

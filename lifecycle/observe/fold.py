"""What the metrics need to remember between entries: which plan a job carries out, and what its steps do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lifecycle.observe.fields import Names

OFFBOARDING: Final = "offboarding"
OTHER: Final = "other"
_REMEMBERED: Final = 2_000


@dataclass(frozen=True, slots=True)
class StepSeen:
    """A step of a plan: its store's label, and its action."""

    store: str
    action: str


@dataclass(frozen=True, slots=True)
class PlanSeen:
    """A plan: its rule's label, and its steps."""

    rule: str
    steps: Mapping[str, StepSeen]


NOWHERE: Final = StepSeen(OTHER, "")
NOTHING: Final = PlanSeen(OTHER, {})


class Plans:
    """Plans and jobs of the entries seen so far; bounded: what is pushed out falls under `other`."""

    def __init__(self, names: Names) -> None:
        """Know which rules and stores are labels."""
        self._names = names
        self._plans: OrderedDict[str, PlanSeen] = OrderedDict()
        self._jobs: OrderedDict[str, PlanSeen] = OrderedDict()

    def rename(self, names: Names) -> None:
        """Follow a change of documents: what was remembered under a name that is no label any more is `other` now."""
        self._names = names
        for memory in (self._plans, self._jobs):
            for name, seen in memory.items():
                steps = {step: StepSeen(self.store(one.store), one.action) for step, one in seen.steps.items()}
                rule = seen.rule if seen.rule == OFFBOARDING else self.rule(seen.rule)
                memory[name] = PlanSeen(rule, steps)

    def created(self, entry: Mapping[str, Any]) -> None:
        """Remember a `plan.created`."""
        steps = {one["step"]: StepSeen(self.store(one["store"]), one["action"]) for one in entry["steps"]}
        rule = OFFBOARDING if entry["kind"] == OFFBOARDING else self.rule(entry["rule"])
        _remember(self._plans, entry["plan"], PlanSeen(rule, steps))

    def started(self, entry: Mapping[str, Any]) -> None:
        """Remember a `job.started`."""
        _remember(self._jobs, entry["job"], self._plans.get(entry["plan"], NOTHING))

    def of_job(self, job: str) -> PlanSeen:
        """Return the plan that a job carries out."""
        return self._jobs.get(job, NOTHING)

    def rule(self, name: str | None) -> str:
        """Return the label of a rule: its id if the documents declare it."""
        return name if name is not None and self._names.has("rule", name) else OTHER

    def store(self, name: str) -> str:
        """Return the label of a store: its id if the documents declare it."""
        return name if self._names.has("store", name) else OTHER


def _remember(memory: OrderedDict[str, PlanSeen], name: str, seen: PlanSeen) -> None:
    memory[name] = seen
    memory.move_to_end(name)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)

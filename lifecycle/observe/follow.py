"""Following the log: each entry, once and in order, becomes a change of the series."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from lifecycle.evidence.schema import parse_instant
from lifecycle.observe.fold import NOWHERE, Plans
from lifecycle.observe.series import Series


class Follower:
    """The fold of the log's entries over the series.

    It may begin anywhere: what came before is unknown, and falls under `other`. Entries of before this process are
    *recalled*: they set what stands (residue, holds, the kill switch), and count nothing, because a counter that
    begins with the past looks to Prometheus as if everything had just happened again.
    """

    def __init__(self, series: Series, plans: Plans) -> None:
        self._series = series
        self._plans = plans
        self._holds: set[str] = set()
        self._size = 0
        self._counts = True
        self._ended: set[str] = set()

    def entry(self, entry: Mapping[str, Any], index: int, *, counts: bool) -> None:
        """Take in one decoded entry; one that was seen before is passed over."""
        if index < self._size:
            return
        self._size = index + 1
        self._series.tree.set(self._size)
        self._counts = counts
        handler = _HANDLERS.get(entry["type"])
        if handler is not None:
            handler(self, entry)

    def holds(self, holds: Collection[str]) -> None:
        """Begin from these holds."""
        self._holds = set(holds)
        self._series.held.set(len(self._holds))

    def turns_are_told(self, rule: str) -> None:
        """From now on a rule's success is told by its turns: a job that is done may have left something."""
        self._ended.add(rule)

    def _on_plan(self, entry: Mapping[str, Any]) -> None:
        self._plans.created(entry)

    def _on_start(self, entry: Mapping[str, Any]) -> None:
        self._plans.started(entry)

    def _on_receipt(self, entry: Mapping[str, Any]) -> None:
        if not self._counts:
            return
        plan = self._plans.of_job(entry["job"])
        step = plan.steps.get(entry["step"], NOWHERE)
        self._series.batches.labels(plan.rule, step.store).inc()
        # A detach changes rows that a later step deletes: it counts as neither.
        changed = {"delete": self._series.deleted, "anonymise": self._series.anonymised}.get(step.action)
        if changed is not None:
            changed.labels(plan.rule, step.store).inc(entry["deleted"])

    def _on_finish(self, entry: Mapping[str, Any]) -> None:
        rule = self._plans.of_job(entry["job"]).rule
        if entry["outcome"] != "done":
            self._series.failures.labels(rule).inc(self._counts)
        elif rule not in self._ended:
            self._series.success.labels(rule).set(parse_instant(entry["at"]).timestamp())

    def _on_verification(self, entry: Mapping[str, Any]) -> None:
        # Undatable records are not taken from here: only the leader looks again, and a standby would keep an old count.
        rule = self._plans.of_job(entry["job"]).rule
        left: dict[str, int] = {}
        for check in entry["checks"]:
            store = self._plans.store(check["store"])
            left[store] = left.get(store, 0) + check["residue"] + check["orphans"]
        for store, count in left.items():
            self._series.residue.labels(rule, store).set(count)
        self._series.unknown.labels(rule).set(entry["unknown"])

    def _on_hold(self, entry: Mapping[str, Any]) -> None:
        change = self._holds.add if entry["type"] == "hold.set" else self._holds.discard
        change(entry["hold"])
        self._series.held.set(len(self._holds))

    def _on_refusal(self, entry: Mapping[str, Any]) -> None:
        plan = self._plans.of_job(entry["job"]) if entry["job"] else None
        rule = plan.rule if plan and not entry["rule"] else self._plans.rule(entry["rule"])
        self._series.refusals.labels(rule).inc(self._counts)

    def _on_control(self, entry: Mapping[str, Any]) -> None:
        self._series.stopped.set(entry["type"] == "control.stopped")


_HANDLERS: Final = {
    "plan.created": Follower._on_plan,  # noqa: SLF001  # the class' own table
    "job.started": Follower._on_start,  # noqa: SLF001
    "batch.receipt": Follower._on_receipt,  # noqa: SLF001
    "job.finished": Follower._on_finish,  # noqa: SLF001
    "verification.done": Follower._on_verification,  # noqa: SLF001
    "hold.set": Follower._on_hold,  # noqa: SLF001
    "hold.released": Follower._on_hold,  # noqa: SLF001
    "guard.refused": Follower._on_refusal,  # noqa: SLF001
    "control.stopped": Follower._on_control,  # noqa: SLF001
    "control.resumed": Follower._on_control,  # noqa: SLF001
}

"""Metrics: a fold of the log's entries, and gauges that a scan sets.

Labels are `rule` and `store` as the documents declare them (others: `other`), and `tenant` (an alias) on offboarding
metrics alone. All series of the declared rules and stores exist from the start.
"""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lifecycle.core.errors import Transient
from lifecycle.evidence.schema import parse_instant
from lifecycle.observe.fields import Names
from lifecycle.observe.fold import NOWHERE, OFFBOARDING, OTHER, Plans

_MOST_TENANTS: Final = 200
_ALIAS: Final = re.compile(r"t-[a-z2-7]{16}")
_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BOTH: Final = ("rule", "store")


class Metrics:
    """The deployment's metrics. `observe` is given each entry once, in order; the setters whatever a scan found."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        rules: Mapping[str, Collection[str]],
        version: str,
    ) -> None:
        """Make every series.

        Args:
            registry: where they are collected; one of its own for each deployment.
            rules: the declared rules, each with the stores that it touches.
            version: the tool's version, for `build_info`.
        """
        self.registry = registry
        stores = sorted({store for touched in rules.values() for store in touched})
        self._names = Names({"rule": frozenset(rules), "store": frozenset(stores)})
        self._plans = Plans(self._names)
        self._holds: set[str] = set()
        self._size = 0
        self._make(registry)
        self._begin({**rules, OFFBOARDING: stores}, version)

    def _make(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: Iterable[str] = _BOTH) -> Counter:
            return Counter(f"lifecycle_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"lifecycle_{name}", text, labels, registry=registry)

        self._deleted = counter("records_deleted", "Records deleted, by receipt.")
        self._anonymised = counter("records_anonymised", "Records anonymised, by receipt.")
        self._objects = counter("objects_deleted", "Objects deleted, by receipt.")
        self._exported = counter("bytes_exported", "Bytes of export files before compression.", ())
        self._failures = counter("job_failures", "Jobs that did not end with outcome done.", ("rule",))
        self._batches = counter("batches", "Batches with a receipt.")
        self._refusals = counter("guard_refusals", "Guards that said no.", ("rule",))
        self._seconds = Histogram(
            "lifecycle_batch_seconds",
            "Seconds that a batch took in its store.",
            ("store",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._overdue = gauge("overdue_records", "Records past their ceiling at the last scan.", _BOTH)
        self._oldest = gauge("overdue_oldest_age_seconds", "Seconds since the oldest missed ceiling, 0: none.", _BOTH)
        self._deadline = gauge("rule_next_deadline_timestamp_seconds", "Next ceiling, NaN: none known.", ("rule",))
        self._success = gauge("rule_last_success_timestamp_seconds", "End of the last done job, 0: none.", ("rule",))
        self._residue = gauge("verification_residual_records", "Residue and orphans at the last verification.", _BOTH)
        self._undatable = gauge("undatable_records", "Records without a usable time at the last look.", _BOTH)
        self._unknown = gauge("unknown_outcomes", "Batches of unknown outcome at the last verification.", ("rule",))
        self._held = gauge("holds_active", "Holds in force.")
        self._windows = gauge("export_window_closes_timestamp_seconds", "End of an export window.", ("tenant",))
        self._horizon = gauge("backup_horizon_timestamp_seconds", "When backups are clean.", ("tenant",))
        self._unclassified = gauge("coverage_unclassified", "Tables and columns the inventory lacks.", ("store",))
        self._spread = gauge("clock_spread_seconds", "Greatest difference between the clocks.")
        self._leader = gauge("leader", "1: this process may delete.")
        self._tree = gauge("evidence_tree_size", "Entries of the log.")
        self._anchor = gauge("evidence_last_anchor_timestamp_seconds", "Last checkpoint outside, 0: none.")
        self._stopped = gauge("stopped", "1: the kill switch is on.")
        self._build = gauge("build_info", "The tool's version.", ("version",))

    def _begin(self, rules: Mapping[str, Collection[str]], version: str) -> None:
        both = (self._deleted, self._anonymised, self._objects, self._batches)
        gauges = (self._overdue, self._oldest, self._residue, self._undatable)
        for rule, stores in rules.items():
            self._failures.labels(rule)
            self._refusals.labels(rule)
            self._deadline.labels(rule).set(math.nan)
            self._success.labels(rule).set(0)
            self._unknown.labels(rule).set(0)
            for store in stores:
                for metric in (*both, *gauges):
                    metric.labels(rule, store)
                self._seconds.labels(store)
                self._unclassified.labels(store)
        self._refusals.labels(OTHER)
        self._build.labels(version).set(1)

    # ---- the fold ----

    def observe(self, entry: Mapping[str, Any], index: int) -> None:
        """Count one decoded entry. An index that was seen before is passed over: catching up may start anywhere."""
        if index < self._size:
            return
        self._size = index + 1
        self._tree.set(self._size)
        handler = _HANDLERS.get(entry["type"])
        if handler is not None:
            handler(self, entry)

    def _on_plan(self, entry: Mapping[str, Any]) -> None:
        self._plans.created(entry)

    def _on_start(self, entry: Mapping[str, Any]) -> None:
        self._plans.started(entry)

    def _on_receipt(self, entry: Mapping[str, Any]) -> None:
        plan = self._plans.of_job(entry["job"])
        step = plan.steps.get(entry["step"], NOWHERE)
        self._batches.labels(plan.rule, step.store).inc()
        # A detach changes rows that a later step deletes: it counts as neither.
        changed = {"delete": self._deleted, "anonymise": self._anonymised}.get(step.action)
        if changed is not None:
            changed.labels(plan.rule, step.store).inc(entry["deleted"])

    def _on_finish(self, entry: Mapping[str, Any]) -> None:
        rule = self._plans.of_job(entry["job"]).rule
        if entry["outcome"] == "done":
            self._success.labels(rule).set(parse_instant(entry["at"]).timestamp())
        else:
            self._failures.labels(rule).inc()

    def _on_verification(self, entry: Mapping[str, Any]) -> None:
        rule = self._plans.of_job(entry["job"]).rule
        left: dict[str, int] = {}
        undatable: dict[str, int] = {}
        for check in entry["checks"]:
            store = self._plans.store(check["store"])
            left[store] = left.get(store, 0) + check["residue"] + check["orphans"]
            undatable[store] = undatable.get(store, 0) + check["undatable"]
        for store, count in left.items():
            self._residue.labels(rule, store).set(count)
            self._undatable.labels(rule, store).set(undatable[store])
        self._unknown.labels(rule).set(entry["unknown"])

    def _on_hold(self, entry: Mapping[str, Any]) -> None:
        change = self._holds.add if entry["type"] == "hold.set" else self._holds.discard
        change(entry["hold"])
        self._held.set(len(self._holds))

    def _on_refusal(self, entry: Mapping[str, Any]) -> None:
        plan = self._plans.of_job(entry["job"]) if entry["job"] else None
        self._refusals.labels(plan.rule if plan and not entry["rule"] else self._plans.rule(entry["rule"])).inc()

    def _on_control(self, entry: Mapping[str, Any]) -> None:
        self._stopped.set(entry["type"] == "control.stopped")

    # ---- what a scan, a batch or the process knows ----

    def batch_took(self, job: str, step: str, seconds: float) -> None:
        """Record how long a batch took; entries have whole seconds only."""
        self._seconds.labels(self._plans.of_job(job).steps.get(step, NOWHERE).store).observe(seconds)

    def bytes_exported(self, size: int) -> None:
        """Count the bytes of an export (`Manifest.size()`)."""
        self._exported.inc(size)

    def objects_deleted(self, rule: str, store: str, count: int) -> None:
        """Count deleted objects of a store without rows."""
        self._objects.labels(*self._pair(rule, store)).inc(count)

    def set_overdue(self, rule: str, store: str, *, records: int, oldest_age_seconds: float) -> None:
        """Set how many records are past their ceiling, and how long the oldest has been."""
        pair = self._pair(rule, store)
        self._overdue.labels(*pair).set(records)
        self._oldest.labels(*pair).set(oldest_age_seconds)

    def set_undatable(self, rule: str, store: str, records: int) -> None:
        """Set how many records have no usable time."""
        self._undatable.labels(*self._pair(rule, store)).set(records)

    def set_next_deadline(self, rule: str, moment: datetime | None) -> None:
        """Set when a rule's next record reaches its ceiling."""
        self._deadline.labels(self._label(rule)).set(math.nan if moment is None else moment.timestamp())

    def set_succeeded(self, rule: str, moment: datetime) -> None:
        """Note that a run of the rule ended well, also one that found nothing due."""
        self._success.labels(self._label(rule)).set(moment.timestamp())

    def set_holds(self, count: int) -> None:
        """Set the number of holds in force, as the register has it."""
        self._held.set(count)

    def set_export_windows(self, closes: Mapping[str, datetime]) -> None:
        """Set the open export windows, by tenant alias; the 200 that close first by name, the rest under `other`."""
        _per_tenant(self._windows, closes)

    def set_backup_horizons(self, clean: Mapping[str, datetime]) -> None:
        """Set when backups no longer hold a tenant's data, likewise."""
        _per_tenant(self._horizon, clean)

    def set_unclassified(self, store: str, count: int) -> None:
        """Set how many tables and columns of a store the inventory does not classify."""
        self._unclassified.labels(self._plans.store(store)).set(count)

    def set_clock_spread(self, seconds: float) -> None:
        """Set the greatest difference between the clocks."""
        self._spread.set(seconds)

    def set_leader(self, *, leader: bool) -> None:
        """Set whether this process may delete."""
        self._leader.set(leader)

    def set_anchored(self, moment: datetime) -> None:
        """Set when a checkpoint last left the database."""
        self._anchor.set(moment.timestamp())

    def render(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(_WithoutCreated(self.registry))

    def write_textfile(self, path: Path) -> None:
        """Write all series for node_exporter's textfile collector: at once, readable by others.

        Raises:
            Transient: the file cannot be written; the old one is still there.
        """
        partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(self.render())
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise Transient(f"the metrics file could not be written ({type(error).__name__})") from None

    def _pair(self, rule: str, store: str) -> tuple[str, str]:
        return self._label(rule), self._plans.store(store)

    def _label(self, rule: str) -> str:
        return rule if rule == OFFBOARDING else self._plans.rule(rule)


_HANDLERS: Final = {
    "plan.created": Metrics._on_plan,  # noqa: SLF001  # the class' own table
    "job.started": Metrics._on_start,  # noqa: SLF001
    "batch.receipt": Metrics._on_receipt,  # noqa: SLF001
    "job.finished": Metrics._on_finish,  # noqa: SLF001
    "verification.done": Metrics._on_verification,  # noqa: SLF001
    "hold.set": Metrics._on_hold,  # noqa: SLF001
    "hold.released": Metrics._on_hold,  # noqa: SLF001
    "guard.refused": Metrics._on_refusal,  # noqa: SLF001
    "control.stopped": Metrics._on_control,  # noqa: SLF001
    "control.resumed": Metrics._on_control,  # noqa: SLF001
}


def _per_tenant(gauge: Gauge, moments: Mapping[str, datetime]) -> None:
    gauge.clear()
    first = sorted(moments.items(), key=lambda item: (item[1], item[0]))
    named = [item for item in first if _ALIAS.fullmatch(item[0])][:_MOST_TENANTS]
    for alias, moment in named:
        gauge.labels(alias).set(moment.timestamp())
    seen = dict(named)
    others = [moment for alias, moment in first if alias not in seen]
    if others:
        gauge.labels(OTHER).set(others[0].timestamp())


class _WithoutCreated(Collector):
    """A registry without the `_created` samples: they would show the machine's clock, not the deployment's."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, start times left out."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric

"""The series: every metric's name, help and labels, and which of them exist for which rule and store.

Names, labels and meanings are a contract (docs/metrics.md, deploy/prometheus, deploy/grafana); a test compares them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lifecycle.core.throttle import Cause
from lifecycle.observe.fields import Names
from lifecycle.observe.fold import OFFBOARDING, OTHER

_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_BOTH: Final = ("rule", "store")
CAUSES: Final = ("budget", *get_args(Cause))
"""What holds a job back: a night's budget, or a throttle."""

Rules = Mapping[str, Collection[str]]
"""Declared rules, each with the stores that it touches."""


class Series:
    """All metrics of one registry. What is declared exists from the start, and goes when it is declared no more."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: Iterable[str] = ()) -> Counter:
            return Counter(f"lifecycle_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, labels: Iterable[str] = ()) -> Gauge:
            return Gauge(f"lifecycle_{name}", text, labels, registry=registry)

        # ---- the promises ----
        self.overdue = gauge("overdue_records", "Records past their ceiling at the last look.", _BOTH)
        self.oldest = gauge("overdue_oldest_age_seconds", "Seconds since the oldest missed ceiling, 0: none.", _BOTH)
        self.deadline = gauge("rule_next_deadline_timestamp_seconds", "Next ceiling, NaN: none known.", ("rule",))
        self.warning = gauge("rule_warning_seconds", "The schedule leaves no ceiling nearer than this.", ("rule",))
        self.interval = gauge("rule_interval_seconds", "Seconds between the rule's turns, NaN: unknown.", ("rule",))
        self.success = gauge("rule_last_success_timestamp_seconds", "End of the last good turn, 0: none.", ("rule",))
        self.residue = gauge("verification_residual_records", "Residue and orphans at the last verification.", _BOTH)
        self.undatable = gauge("undatable_records", "Records without a usable time at the last look.", _BOTH)
        self.unattributed = gauge("unattributed_records", "Records of no known tenant at the last look.", _BOTH)
        self.unknown = gauge("unknown_outcomes", "Batches of unknown outcome at the last verification.", ("rule",))
        self.unresolved = gauge("unresolved_promises", "Tenants and rules that bind nothing, for want of something.")
        self.read = gauge("store_last_read_timestamp_seconds", "End of the last look that read it.", ("store",))
        self.look_limit = gauge("look_stale_after_seconds", "A look that ended longer ago is late.")
        self.looked = gauge("last_look_timestamp_seconds", "End of the verifier's last look, 0: none.")
        self.look_failures = counter("look_failures", "Stores that a look could not read.", ("store",))
        self.unclassified = gauge("coverage_unclassified", "Tables and columns the inventory lacks.", ("store",))
        # ---- the runs ----
        self.deleted = counter("records_deleted", "Records deleted, by receipt.", _BOTH)
        self.anonymised = counter("records_anonymised", "Records anonymised, by receipt.", _BOTH)
        self.objects = counter("objects_deleted", "Objects deleted, by receipt.", _BOTH)
        self.batches = counter("batches", "Batches with a receipt.", _BOTH)
        self.seconds = Histogram(
            "lifecycle_batch_seconds",
            "Seconds that a batch took in its store.",
            ("store",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.failures = counter("job_failures", "Jobs that did not end with outcome done.", ("rule",))
        self.refusals = counter("guard_refusals", "Guards that said no.", ("rule",))
        self.parked = gauge("rule_parked", "1: failed so often that somebody should look.", ("rule",))
        self.missed = counter("slots_missed", "Turns that passed while nothing ran.", ("rule",))
        self.pauses = counter("job_pauses", "Times that a job had to wait, by cause.", ("rule", "cause"))
        self.mandate = gauge("mandate_expires_timestamp_seconds", "End of the rule's mandate, NaN: none.", ("rule",))
        # ---- the process ----
        self.leader = gauge("leader", "1: this process may delete.")
        self.ticked = gauge("last_tick_timestamp_seconds", "When the schedule was last looked at, 0: never.")
        self.tick_limit = gauge("tick_stale_after_seconds", "A tick that ended longer ago is late.")
        self.spread = gauge("clock_spread_seconds", "Greatest difference between the clocks.")
        self.stopped = gauge("stopped", "1: the kill switch is on.")
        self.reload_failures = counter("reload_failures", "Reloads of the documents that were refused.")
        self.stale = gauge("documents_stale", "1: a reload was refused and older documents are in force.")
        self.build = gauge("build_info", "The tool's version.", ("version",))
        # ---- evidence, and the contract's end ----
        self.tree = gauge("evidence_tree_size", "Entries of the log.")
        self.anchor = gauge("evidence_last_anchor_timestamp_seconds", "Last checkpoint outside, 0: none.")
        self.held = gauge("holds_active", "Holds in force.")
        self.windows = gauge("export_window_closes_timestamp_seconds", "End of an export window.", ("tenant",))
        self.horizon = gauge("backup_horizon_timestamp_seconds", "When backups are clean.", ("tenant",))
        self.exported = counter("bytes_exported", "Bytes of export files before compression.")

        self._pairs: set[tuple[str, str]] = set()
        self.refusals.labels(OTHER)
        for unset in (self.tick_limit, self.look_limit):
            unset.set(math.nan)

    def declare(self, rules: Rules) -> Names:
        """Make the series of these rules and stores, remove those of others, and return the names that are labels."""
        stores = sorted({store for touched in rules.values() for store in touched})
        pairs = {(rule, store) for rule, touched in {**rules, OFFBOARDING: stores}.items() for store in touched}
        labels = {*rules, OFFBOARDING}
        self._remove(self._pairs - pairs, {rule for rule, _ in self._pairs} - labels, stores)
        for rule in sorted(labels):
            self._begin_rule(rule)
        for rule, store in sorted(pairs):
            for metric in (*self._counted(), *self._seen(), self.residue):
                metric.labels(rule, store)
        for store in stores:
            for each in (self.seconds, self.unclassified, self.look_failures, self.read):
                each.labels(store)
        self._pairs = pairs
        return Names({"rule": frozenset(rules), "store": frozenset(stores)})

    def forget_looks(self) -> None:
        """Take back everything that only the leader knows; times of past events and counters stay."""
        for pair in self._seen():
            _each(pair, 0.0)
        for rule, value in ((self.deadline, math.nan), (self.mandate, math.nan), (self.parked, 0.0)):
            _each(rule, value)
        _each(self.unclassified, 0.0)
        self.windows.clear()
        self.horizon.clear()
        self.spread.set(0)
        self.unresolved.set(0)

    def stores(self) -> set[str]:
        """Return the labels of the declared stores."""
        return {store for _, store in self._pairs}

    def _seen(self) -> tuple[Gauge, ...]:
        return self.overdue, self.oldest, self.undatable, self.unattributed

    def _counted(self) -> tuple[Counter, ...]:
        return self.deleted, self.anonymised, self.objects, self.batches

    def _begin_rule(self, rule: str) -> None:
        if rule in {known for known, _ in self._pairs}:
            return
        for metric in (self.failures, self.refusals, self.missed, self.success, self.unknown, self.parked):
            metric.labels(rule)
        for cause in CAUSES:
            self.pauses.labels(rule, cause)
        for unset in (self.deadline, self.warning, self.interval, self.mandate):
            unset.labels(rule).set(math.nan)

    def _remove(self, pairs: Iterable[tuple[str, str]], rules: Iterable[str], stores: Collection[str]) -> None:
        for pair in pairs:
            for metric in (*self._counted(), *self._seen(), self.residue):
                metric.remove(*pair)
        for rule in rules:
            for each in (self.failures, self.refusals, self.missed, self.success, self.unknown, self.parked):
                each.remove(rule)
            for cause in CAUSES:
                self.pauses.remove(rule, cause)
            for unset in (self.deadline, self.warning, self.interval, self.mandate):
                unset.remove(rule)
        for store in {store for _, store in self._pairs} - set(stores):
            for of_store in (self.seconds, self.unclassified, self.look_failures, self.read):
                of_store.remove(store)


def _each(gauge: Gauge, value: float) -> None:
    """Set every series of a gauge that has labels."""
    for family in gauge.collect():
        for sample in family.samples:
            gauge.labels(**sample.labels).set(value)

"""Metrics: a fold of the log's entries, and gauges that a look, a turn or the process sets.

Labels are `rule` and `store` as the documents declare them (others: `other`), and `tenant` (an alias) on offboarding
metrics alone. All series of the declared rules and stores exist from the start. What each means: docs/metrics.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

from lifecycle.observe.fold import NOWHERE, OFFBOARDING, OTHER, Plans
from lifecycle.observe.follow import Follower
from lifecycle.observe.series import Rules, Series
from lifecycle.observe.textfile import NOTHING_BEFORE, Before, GoneOn, WithoutCreated, place

_MOST_TENANTS: Final = 200
_HALF_AN_HOUR: Final = 1800
_ALIAS: Final = re.compile(r"t-[a-z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Looked:
    """What the verifier saw of one rule in one store, for one agreement or for several."""

    rule: str
    store: str
    overdue: int = 0
    oldest_age_seconds: float = 0.0
    undatable: int = 0
    next_deadline: datetime | None = None
    unattributed: int = 0


class Metrics:
    """The deployment's metrics. `observe` is given each entry once, in order; the setters whatever else is known."""

    def __init__(self, registry: CollectorRegistry, *, rules: Rules, version: str) -> None:
        """Make every series.

        Args:
            registry: where they are collected; one of its own for each deployment.
            rules: the declared rules, each with the stores that it touches.
            version: the tool's version, for `build_info`.
        """
        self.registry = registry
        self._series = Series(registry)
        self._plans = Plans(self._series.declare(rules))
        self._follower = Follower(self._series, self._plans)
        self._deadlines: dict[tuple[str, str], datetime] = {}
        self._series.build.labels(version).set(1)

    def declare(self, rules: Rules) -> None:
        """Follow a change of documents: new series begin, those of rules and stores that are gone disappear."""
        self._plans.rename(self._series.declare(rules))
        self._deadlines = {pair: at for pair, at in self._deadlines.items() if pair[1] in rules.get(pair[0], ())}

    # ---- the fold ----

    def observe(self, entry: Mapping[str, Any], index: int) -> None:
        """Count one decoded entry. An index that was seen before is passed over; the first may be any."""
        self._follower.entry(entry, index, counts=True)

    def recall(self, entry: Mapping[str, Any], index: int) -> None:
        """Take in an entry from before this process: what stands is set, nothing is counted."""
        self._follower.entry(entry, index, counts=False)

    # ---- what the verifier sees ----

    def set_looks(
        self, found: Iterable[Looked], at: datetime, *, failed: Collection[str] = (), unread: Collection[str] = ()
    ) -> None:
        """Set what a whole look found: a rule and store that it does not name have nothing overdue.

        Several agreements may have a rule of the same name: records are added up, of ages and deadlines the worst
        counts.

        Args:
            found: what was seen, in any order.
            at: when the look ended.
            failed: the stores that could not be read: counted, and what was last known of them stays.
            unread: the same, of which `found` has what could be read and what was seen last.
        """
        silent = {self._plans.store(store) for store in failed}
        seen = _worst((*self._pair(one.rule, one.store), one) for one in found)
        for rule, store in [*self._looked_pairs(), *seen]:
            if store not in silent:
                self._set_look(rule, store, seen.get((rule, store), Looked(rule, store)))
        for rule in {rule for rule, _ in self._looked_pairs()}:
            ceilings = [ceiling for (of_rule, _), ceiling in self._deadlines.items() if of_rule == rule]
            self.set_next_deadline(rule, min(ceilings, default=None))
        for store in (*failed, *unread):
            self.look_failed(store)
        for store in self._series.stores() - silent - {self._plans.store(store) for store in unread}:
            self._series.read.labels(store).set(at.timestamp())
        self.set_last_look(at)

    def _looked_pairs(self) -> Iterator[tuple[str, str]]:
        for family in self._series.overdue.collect():
            yield from ((sample.labels["rule"], sample.labels["store"]) for sample in family.samples)

    def _set_look(self, rule: str, store: str, look: Looked) -> None:
        self.set_overdue(rule, store, records=look.overdue, oldest_age_seconds=look.oldest_age_seconds)
        self.set_undatable(rule, store, look.undatable)
        self.set_unattributed(rule, store, look.unattributed)
        if look.next_deadline is None:
            self._deadlines.pop((rule, store), None)
        else:
            self._deadlines[rule, store] = look.next_deadline

    def set_overdue(self, rule: str, store: str, *, records: int, oldest_age_seconds: float) -> None:
        """Set how many records are past their ceiling, and how long the oldest has been."""
        pair = self._pair(rule, store)
        self._series.overdue.labels(*pair).set(records)
        self._series.oldest.labels(*pair).set(oldest_age_seconds)

    def set_undatable(self, rule: str, store: str, records: int) -> None:
        """Set how many records have no usable time."""
        self._series.undatable.labels(*self._pair(rule, store)).set(records)

    def set_unattributed(self, rule: str, store: str, records: int) -> None:
        """Set how many records have a tenant that the register does not know, or none where one is asked for."""
        self._series.unattributed.labels(*self._pair(rule, store)).set(records)

    def set_unresolved(self, promises: int) -> None:
        """Set how many tenants, and rules on datasets, bind nothing because something is missing."""
        self._series.unresolved.set(promises)

    def set_next_deadline(self, rule: str, moment: datetime | None) -> None:
        """Set when a rule's next record reaches its ceiling."""
        _moment(self._series.deadline, self._label(rule), moment)

    def set_last_look(self, moment: datetime) -> None:
        """Set when the verifier last looked."""
        self._series.looked.set(moment.timestamp())

    def look_failed(self, store: str) -> None:
        """Count a store that the verifier could not read."""
        self._series.look_failures.labels(self._plans.store(store)).inc()

    def set_unclassified(self, store: str, count: int) -> None:
        """Set how many tables and columns of a store the inventory does not classify."""
        self._series.unclassified.labels(self._plans.store(store)).set(count)

    def forget_looks(self) -> None:
        """Take back what only a leader knows, for one that leads no more: it would be an old truth for ever.

        Overdue, undatable and unattributed records, unresolved promises, deadlines, coverage, parked rules, mandates,
        windows, horizons, clock spread.
        """
        self._deadlines.clear()
        self._series.forget_looks()

    # ---- what a rule's turn and its schedule tell ----

    def set_schedule(self, rule: str, *, interval_seconds: float | None, warning_seconds: float) -> None:
        """Set how often a rule's turn comes (None: it has none, like a contract's end), and how near a ceiling may."""
        self._series.interval.labels(self._label(rule)).set(math.nan if interval_seconds is None else interval_seconds)
        self._series.warning.labels(self._label(rule)).set(warning_seconds)

    def set_pace(self, *, tick_seconds: float, look_seconds: float) -> None:
        """Set after how many seconds without its end a tick, and a look, is late under this deployment's schedule."""
        self._series.tick_limit.set(tick_seconds)
        self._series.look_limit.set(look_seconds)

    def set_succeeded(self, rule: str, moment: datetime) -> None:
        """Note that a turn of the rule ended well, also one that found nothing due.

        With several agreements that have a rule of this name: the one whose success is longest ago.
        """
        self._follower.turns_are_told(self._label(rule))
        self._series.success.labels(self._label(rule)).set(moment.timestamp())

    def set_parked(self, rule: str, *, parked: bool) -> None:
        """Set whether a rule failed so often that somebody should look (I27)."""
        self._series.parked.labels(self._label(rule)).set(parked)

    def slots_missed(self, rule: str, count: int) -> None:
        """Count turns that passed while nothing ran (I26)."""
        self._series.missed.labels(self._label(rule)).inc(count)

    def paused(self, rule: str, cause: str) -> None:
        """Count that a job of the rule had to wait."""
        self._series.pauses.labels(self._label(rule), cause).inc()

    def set_mandate_expires(self, rule: str, moment: datetime | None) -> None:
        """Set when the rule's mandate ends (of several, the first), None: it has none."""
        _moment(self._series.mandate, self._label(rule), moment)

    # ---- what a batch or the process knows ----

    def batch_took(self, job: str, step: str, seconds: float, *, store: str | None = None) -> None:
        """Record how long a batch took; entries have whole seconds only.

        `store`: for callers who know it; else the fold must have seen the job's plan, or it counts under `other`.
        """
        known = self._plans.of_job(job).steps.get(step, NOWHERE).store if store is None else self._plans.store(store)
        self._series.seconds.labels(known).observe(seconds)

    def bytes_exported(self, size: int) -> None:
        """Count the bytes of an export (`Manifest.size()`)."""
        self._series.exported.inc(size)

    def objects_deleted(self, rule: str, store: str, count: int) -> None:
        """Count deleted objects of a store without rows."""
        self._series.objects.labels(*self._pair(rule, store)).inc(count)

    def set_holds(self, holds: Collection[str]) -> None:
        """Set which holds are in force, as the register has them; later entries go on from there."""
        self._follower.holds(holds)

    def set_stopped(self, *, stopped: bool) -> None:
        """Set whether the kill switch is on, by whichever of its ways."""
        self._series.stopped.set(stopped)

    def set_export_windows(self, closes: Mapping[str, datetime]) -> None:
        """Set the open export windows, by tenant alias; the 200 that close first by name, the rest under `other`."""
        _per_tenant(self._series.windows, closes)

    def set_backup_horizons(self, clean: Mapping[str, datetime]) -> None:
        """Set when backups no longer hold a tenant's data, likewise."""
        _per_tenant(self._series.horizon, clean)

    def set_clock_spread(self, seconds: float) -> None:
        """Set the greatest difference between the clocks."""
        self._series.spread.set(seconds)

    def set_leader(self, *, leader: bool) -> None:
        """Set whether this process may delete."""
        self._series.leader.set(leader)

    def set_last_tick(self, moment: datetime) -> None:
        """Set when the schedule was last looked at."""
        self._series.ticked.set(moment.timestamp())

    def set_anchored(self, moment: datetime) -> None:
        """Set when the log's present state was last known to be kept outside the database."""
        self._series.anchor.set(moment.timestamp())

    def reload_refused(self) -> None:
        """Note that changed documents were refused: the older ones stay in force."""
        self._series.reload_failures.inc()
        self._series.stale.set(1)

    def reloaded(self) -> None:
        """Note that the documents in force are those on disk."""
        self._series.stale.set(0)

    # ---- out ----

    def render(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(WithoutCreated(self.registry))

    def write_textfile(self, path: Path, before: Before = NOTHING_BEFORE) -> None:
        """Write all series for node_exporter's textfile collector: at once, readable by others.

        `before`: what the run before has left there, read before this one began; its counters are gone on with.

        Raises:
            Transient: the file cannot be written; the old one is still there.
        """
        place(path, generate_latest(GoneOn(WithoutCreated(self.registry), before)))

    def _pair(self, rule: str, store: str) -> tuple[str, str]:
        return self._label(rule), self._plans.store(store)

    def _label(self, rule: str) -> str:
        return rule if rule == OFFBOARDING else self._plans.rule(rule)


def pace_of_service(*, tick_seconds: float, look_seconds: float, longest_run_seconds: float) -> dict[str, float]:
    """Return after how long a service's tick and look are late, for `Metrics.set_pace`.

    A tick lasts as long as its runs: the longest one, and as many ticks as half an hour holds, two at least. Of looks
    four in a row may be missing.
    """
    return {
        "tick_seconds": longest_run_seconds + max(2 * tick_seconds, _HALF_AN_HOUR),
        "look_seconds": 4 * look_seconds,
    }


def pace_of_runs(*, interval_seconds: float, longest_run_seconds: float) -> dict[str, float]:
    """Return the same where a timer calls: one of two runs may be missing, and the other one may last (I15)."""
    late = 2 * interval_seconds + longest_run_seconds
    return {"tick_seconds": late, "look_seconds": late}


def warning_seconds(*, margin_days: int, interval_seconds: float, longest_run_seconds: float) -> float:
    """Return how near a rule's next ceiling may come while its schedule is kept.

    Records go `margin_days` before their ceiling, one interval late at most, and a run may last. The margin is at
    least two intervals and a run (I15): what is left is one more interval in which somebody can act.
    """
    return max(interval_seconds, margin_days * 86_400 - interval_seconds - longest_run_seconds)


def _worst(looks: Iterable[tuple[str, str, Looked]]) -> dict[tuple[str, str], Looked]:
    """Return one look per pair of labels: records added up, of ages and deadlines the worst."""
    merged: dict[tuple[str, str], Looked] = {}
    for rule, store, look in looks:
        known = merged.get((rule, store), Looked(rule, store))
        merged[rule, store] = Looked(
            rule,
            store,
            overdue=known.overdue + look.overdue,
            oldest_age_seconds=max(known.oldest_age_seconds, look.oldest_age_seconds),
            undatable=known.undatable + look.undatable,
            # A dataset's strangers are the same ones for each agreement that binds it.
            unattributed=max(known.unattributed, look.unattributed),
            next_deadline=min((at for at in (known.next_deadline, look.next_deadline) if at), default=None),
        )
    return merged


def _moment(gauge: Gauge, label: str, moment: datetime | None) -> None:
    gauge.labels(label).set(math.nan if moment is None else moment.timestamp())


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

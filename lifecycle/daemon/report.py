"""What the service says about itself: one log, one set of metrics, both from the same entries, turns and looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

import lifecycle
from lifecycle.core.errors import LifecycleError, Paused, Refused
from lifecycle.core.events import ExportDelivered
from lifecycle.core.guard import CLOCK_SPREAD
from lifecycle.core.mandate import Mandate
from lifecycle.flow import registers, slots
from lifecycle.flow.approve import in_force
from lifecycle.flow.controls import refuse_if_stopped
from lifecycle.flow.cycle import DAEMON, Turn
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.execute import Progress
from lifecycle.flow.exporting import Exported
from lifecycle.flow.journal import check_history, decoded
from lifecycle.flow.late import Offboarded
from lifecycle.flow.look import Look, Unbound
from lifecycle.flow.mirror import holds
from lifecycle.flow.overdue import Seen
from lifecycle.observe import Log, Looked, Metrics, Names, log_entry, pace_of_service, warning_seconds
from lifecycle.observe.fold import OFFBOARDING
from lifecycle.wiring.outside import UntilAsked

REMEMBERED = 20_000
"""Entries of the log that a start folds again; what lies further back counts through the registers alone."""

ENDS = frozenset({"contract-end", "window-end"})
"""Start times that are no rule's turn: they are an offboarding's, which people approve."""

CLOCKS_APART = CLOCK_SPREAD.total_seconds() / 2
"""Seconds between the clocks from which on it is told: the alert's bound, and half of what refuses every run."""

NEVER = datetime.fromtimestamp(0, UTC)
"""The last success of a rule that has none, as the metric has it."""

_OURS = Path(lifecycle.__file__).parent

_BAD = frozenset({"refused", "failed", "partial"})


def names_of(deployment: Deployment) -> Names:
    """Return every name that the documents declare: what a log line may say."""
    policy, inventory = deployment.policy, deployment.policy.inventory
    operators = frozenset(operator.id for operator in deployment.operators.operators)
    return Names(
        {
            "rule": frozenset(rule for _, rule in slots.declared(deployment)),
            "store": frozenset(store.id for store in inventory.stores),
            "dataset": frozenset(dataset.id for dataset in inventory.datasets),
            "category": frozenset(dataset.category for dataset in inventory.datasets),
            "agreement": frozenset(agreement.id for agreement in policy.agreements),
            "operator": operators,
            "author": operators | {DAEMON},
        }
    )


def rules_of(deployment: Deployment) -> Mapping[str, frozenset[str]]:
    """Return the declared rules, each with the stores that its categories reach."""
    found: dict[str, set[str]] = {}
    for agreement in deployment.policy.agreements:
        for rule in agreement.rules:
            touched = found.setdefault(rule.id, set())
            for dataset in deployment.policy.inventory.datasets:
                if rule.category == "all" or dataset.category in rule.category:
                    touched.add(dataset.store)
    return {rule: frozenset(stores) for rule, stores in found.items()}


class Report:
    """The log and the metrics of one set of documents; after a reload a new one goes on with the same metrics."""

    def __init__(
        self, deployment: Deployment, log: Log, before: Report | None = None, *, counted: int | None = None
    ) -> None:
        """Make every series, and remember where the deployment's log stands.

        `counted`: how many of the log's entries somebody has counted already; all that there are by default.
        """
        self._deployment = deployment
        self.log = log
        self._parked: frozenset[tuple[str, str]] = frozenset()
        if before is None:
            self.metrics = Metrics(CollectorRegistry(), rules=rules_of(deployment), version=deployment.tool_version)
            size = deployment.state.size()
            self._begun = size if counted is None else min(counted, size)
            self._folded = max(0, self._begun - REMEMBERED)
        else:
            self.metrics = before.metrics
            self._begun, self._folded = before._begun, before._folded  # noqa: SLF001 - one of our own kind
            self._parked = before._parked  # noqa: SLF001 - likewise
            self.metrics.declare(rules_of(deployment))
        self._schedule()

    def _schedule(self) -> None:
        """Set how often each rule's turn comes; what counts from a contract's end has none. And the service's pace."""
        schedule, margin = self._deployment.schedule, self._deployment.limits.margin_days
        longest = schedule.settings.longest_run.seconds
        pace = pace_of_service(
            tick_seconds=schedule.settings.tick.seconds,
            look_seconds=schedule.settings.look.seconds,
            longest_run_seconds=longest,
        )
        self.metrics.set_pace(**pace)
        for agreement, rule in slots.declared(self._deployment):
            every: float | None = schedule.class_of(rule).every.seconds
            warning = warning_seconds(margin_days=margin, interval_seconds=every or 0, longest_run_seconds=longest)
            if all(one.start in ENDS for one in self._deployment.policy.rules(agreement, rule)):
                every = None
            self.metrics.set_schedule(rule, interval_seconds=every, warning_seconds=warning)

    def follow(self, *, aloud: bool) -> None:
        """Fold the entries that the log has gained, and write a line for each where `aloud` (the leader does)."""
        for index, entry in decoded(self._deployment.state.entries(self._folded)):
            if index < self._begun:
                self.metrics.recall(entry, index)
            else:
                self.metrics.observe(entry, index)
                if entry["type"] == ExportDelivered.type:
                    self._exported(entry["export"])
                if aloud:
                    log_entry(self.log, entry, index)
            self._folded = index + 1
        self._registers(aloud=aloud)
        self.anchored()

    def _exported(self, name: str) -> None:
        """Count a delivered package's bytes, as its register has them: the log knows rows and digests."""
        package = registers.load(self._deployment.state, "export", Exported, name)
        if package is not None:
            self.metrics.bytes_exported(package.bytes)

    def _registers(self, *, aloud: bool) -> None:
        """Set what the registers know better than the folded part of the log; of several agreements, the worst."""
        deployment, metrics = self._deployment, self.metrics
        # First: whatever cannot be read below must not hide that everything stands still.
        metrics.set_stopped(stopped=self._stopped())
        states = slots.every(deployment)
        parked: dict[str, bool] = {}
        success: dict[str, datetime] = {}
        # Declared pairs alone: what an agreement that is gone has left behind is nobody's promise any more.
        for agreement, rule in slots.declared(deployment):
            state = states.get((agreement, rule))
            trouble = state.trouble if state else None
            parked[rule] = parked.get(rule, False) or (trouble is not None and trouble.parked)
            moment = state.succeeded_at if state else None
            success[rule] = min(moment or NEVER, success.get(rule, moment or NEVER))
        for rule, is_parked in parked.items():
            metrics.set_parked(rule, parked=is_parked)
        if aloud:
            self._tell_parked(states)
        for rule, last in success.items():
            metrics.set_succeeded(rule, last)
        for rule, end in self._mandates().items():
            metrics.set_mandate_expires(rule, end)
        # Last: an entry that cannot be read leaves everything else told.
        metrics.set_holds([hold.id for hold in holds(deployment)])

    def _tell_parked(self, states: Mapping[tuple[str, str], slots.RuleState]) -> None:
        """Tell once of each rule that failed so often that somebody should look; whoever begins to lead tells anew."""
        declared = slots.declared(self._deployment)
        found = {pair: states[pair].trouble for pair in declared if pair in states}
        parked = {pair: trouble for pair, trouble in found.items() if trouble is not None and trouble.parked}
        for (agreement, rule), trouble in parked.items():
            if (agreement, rule) not in self._parked:
                told = {"agreement": agreement, "rule": rule, "guard": trouble.guard, "number": trouble.failures}
                self.log.error("rule.parked", **told)
        self._parked = frozenset(parked)

    def _stopped(self) -> bool:
        """Return whether the kill switch is on: a process that ends or stands by is not stopped (I28)."""
        kill = self._deployment.kill
        if isinstance(kill, UntilAsked):
            # The outermost question is whether this process ends; what lies within is the kill switch.
            kill = kill.switch
        try:
            refuse_if_stopped(replace(self._deployment, kill=kill))
        except LifecycleError:
            return True
        return False

    def _mandates(self) -> Mapping[str, datetime | None]:
        """Return when each rule's mandate ends: within an agreement the last one counts, across them the first."""
        ends: dict[tuple[str, str], datetime] = {}
        today = self._deployment.clock.now().date()
        for mandate in registers.every(self._deployment.state, "mandate", Mandate):
            if in_force(self._deployment, mandate, today):
                key, end = (mandate.agreement, mandate.rule), datetime.combine(mandate.expires_on, time(), UTC)
                ends[key] = max(end, ends.get(key, end))
        declared = slots.declared(self._deployment)
        found: dict[str, datetime | None] = {rule: None for _, rule in declared}
        for pair in declared:
            if pair not in ends:
                continue
            rule, end = pair[1], ends[pair]
            known = found[rule]
            found[rule] = end if known is None else min(end, known)
        return found

    def anchored(self) -> None:
        """Tell that the log's present state is kept outside the database, if it is (I22)."""
        deployment = self._deployment
        note = deployment.outside.read()
        if note is not None and check_history(deployment, note).size == deployment.state.size():
            self.metrics.set_anchored(deployment.clock.now())

    # ---- what duties tell ----

    def turn(self, turn: Turn) -> None:
        """Tell how a turn ended."""
        fields: dict[str, Any] = {"agreement": turn.agreement, "rule": turn.rule, "number": turn.number}
        if turn.plan is not None:
            fields |= {"plan_hash": turn.plan.hash, "expected": turn.plan.plan.expected()}
        if turn.ran is not None:
            fields |= {"job": turn.ran.job, "deleted": turn.ran.deleted}
        if turn.missed and turn.result != "waiting":
            # A turn that waits comes again with the next tick, and tells of the same slots again.
            self.metrics.slots_missed(turn.rule, turn.missed)
            self.log.warning("tick.missed", agreement=turn.agreement, rule=turn.rule, number=turn.missed)
        if isinstance(turn.error, Paused):
            self.metrics.paused(turn.rule, turn.error.guard)
            told = {"guard": turn.error.guard, "why": turn.error, "advice": turn.error}
            self.log.warning("run.paused", **fields, **told, result=turn.result)
        elif turn.error is not None:
            self.trouble("run.failed", turn.error, **fields, result=turn.result)
        elif turn.result in _BAD:
            self.log.error("run.failed", **fields, result=turn.result)
        else:
            self.log.info("run.finished", **fields, result=turn.result)

    def batch(self, progress: Progress) -> None:
        """Tell what a batch did and how long it took."""
        store = self._deployment.policy.inventory.dataset(progress.dataset).store
        self.metrics.batch_took(progress.job, progress.step, progress.seconds, store=store)
        self.log.debug(
            "batch.done",
            job=progress.job,
            step=progress.step,
            dataset=progress.dataset,
            number=progress.batch,
            done=progress.done,
            expected=progress.expected,
            seconds=progress.seconds,
        )

    def looked(self, found: Look) -> None:
        """Set and tell what the separate verifier saw."""
        metrics = self.metrics
        # What did not answer is in the look as it was last seen: a dataset that nobody may read hides no other (I27).
        metrics.set_looks(
            [
                *(_looked(found.at, seen) for seen in found.rules),
                *(_looked(found.at, left) for left in found.offboarding),
            ],
            found.at,
            unread=sorted({one.store for one in found.unanswered}),
        )
        for store, count in found.gaps.items():
            metrics.set_unclassified(store, count)
        metrics.set_unresolved(sum(max(1, one.tenants) for one in _unbound(found)))
        metrics.set_clock_spread(found.spread_seconds)
        metrics.set_export_windows({one.alias: one.window_closes for one in found.leaving if one.window_closes})
        metrics.set_backup_horizons({one.alias: one.backups_clean for one in found.leaving if one.backups_clean})
        self._tell(found)

    def _tell(self, found: Look) -> None:
        for seen in found.rules:
            if seen.overdue:
                self.log.error("rule.breached", agreement=seen.agreement, rule=seen.rule, overdue=seen.overdue)
        for left in found.leaving:
            if left.overdue:
                self.log.error("rule.breached", tenant=left.alias, overdue=left.overdue)
        for unanswered in found.unanswered:
            self.log.error(
                "look.failed",
                store=unanswered.store,
                error=unanswered.error,
                agreement=unanswered.agreement,
                rule=unanswered.rule,
                dataset=unanswered.dataset,
            )
        for one in _unbound(found):
            # Nothing of theirs is deleted, and nothing of theirs is overdue: silence would be taken for peace.
            self.log.error("look.failed", error=one.error, rule=one.rule, dataset=one.dataset, number=one.tenants)
        for _ in found.unreadable:
            self.log.error("look.failed", error="Corrupt")
        for other in found.disagreements:
            # The executor said that nothing was due; other eyes saw rows that were, before and after (I25).
            self.log.error(
                "look.disagrees", agreement=other.agreement, rule=other.rule, overdue=other.due, guard="second-opinion"
            )
        if found.spread_seconds > CLOCKS_APART:
            self.log.warning("clock.spread", spread_seconds=found.spread_seconds)
        overdue = sum(seen.overdue for seen in found.rules) + sum(left.overdue for left in found.offboarding)
        self.log.info("look.done", overdue=overdue, spread_seconds=found.spread_seconds)

    def trouble(self, event: str, error: LifecycleError, **fields: Any) -> None:
        """Tell of an error of ours: class, guard, why, and what to do. A library's own text is never told (I23)."""
        guard = error.guard if isinstance(error, Refused) else None
        self.log.error(event, error=type(error).__name__, guard=guard, why=error, advice=error, **fields)

    def fault(self, event: str, error: Exception) -> None:
        """Tell of what nobody foresaw by its class and its place in our code, so that somebody can report it (I23)."""
        self.log.critical(event, error=type(error).__name__, where=where(error))


def where(error: Exception) -> str | None:
    """Return file and line of the innermost frame that is ours: `lifecycle/flow/cycle.py:120`."""
    found, trace = None, error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_OURS):
            found = f"{path.relative_to(_OURS.parent).as_posix()}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _unbound(found: Look) -> list[Unbound]:
    """Return what cannot be resolved; that an empty register binds nobody is no fault of a new deployment."""
    return [one for one in found.unbound if one.tenants or one.rule or one.dataset]


def _looked(at: datetime, seen: Seen | Offboarded) -> Looked:
    """Return what was seen as the metrics take it: an age instead of a moment."""
    age = 0.0 if seen.ceiling_of_oldest is None else max(0.0, (at - seen.ceiling_of_oldest).total_seconds())
    return Looked(
        rule=seen.rule if isinstance(seen, Seen) else OFFBOARDING,
        store=seen.store,
        overdue=seen.overdue,
        oldest_age_seconds=age,
        undatable=seen.undatable if isinstance(seen, Seen) else 0,
        unattributed=seen.unattributed + seen.nobodys if isinstance(seen, Seen) else 0,
        next_deadline=seen.next_deadline,
    )

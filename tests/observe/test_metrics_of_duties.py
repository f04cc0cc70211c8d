"""Metrics that the service's duties set: looks, turns, leader, documents; and a fold that begins anywhere."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from lifecycle.observe import Looked, Metrics, warning_seconds
from lifecycle.observe.series import CAUSES
from tests.observe.entries import COMMON, JOB, MOMENT, RULES, feed, plan, receipt, start, value


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry(), rules=RULES, version="0.1.0")


def test_duties_set_gauges(metrics):
    """What turns, looks and reloads tell can be set, and goes back."""
    metrics.set_schedule("logs", interval_seconds=86_400, warning_seconds=151_200)
    metrics.set_parked("logs", parked=True)
    metrics.slots_missed("logs", 3)
    metrics.set_mandate_expires("logs", MOMENT)
    metrics.set_last_tick(MOMENT)
    metrics.set_last_look(MOMENT)
    metrics.look_failed("main")
    metrics.set_stopped(stopped=True)
    metrics.reload_refused()
    assert value(metrics, "rule_interval_seconds", rule="logs") == 86_400
    assert value(metrics, "rule_warning_seconds", rule="logs") == 151_200
    assert value(metrics, "rule_parked", rule="logs") == 1
    assert value(metrics, "slots_missed_total", rule="logs") == 3
    assert value(metrics, "mandate_expires_timestamp_seconds", rule="logs") == MOMENT.timestamp()
    assert value(metrics, "last_tick_timestamp_seconds") == MOMENT.timestamp()
    assert value(metrics, "last_look_timestamp_seconds") == MOMENT.timestamp()
    assert value(metrics, "look_failures_total", store="main") == 1
    assert (value(metrics, "stopped"), value(metrics, "documents_stale")) == (1, 1)
    metrics.reloaded()
    metrics.set_schedule("logs", interval_seconds=None, warning_seconds=259_200)
    assert math.isnan(value(metrics, "rule_interval_seconds", rule="logs"))
    metrics.set_mandate_expires("logs", None)
    metrics.set_parked("logs", parked=False)
    assert (value(metrics, "documents_stale"), value(metrics, "reload_failures_total")) == (0, 1)
    assert math.isnan(value(metrics, "mandate_expires_timestamp_seconds", rule="logs"))
    assert value(metrics, "rule_parked", rule="logs") == 0


def test_a_job_that_waits_is_counted_by_its_cause(metrics):
    """Every cause has its series from the start; an offboarding that waits stands under its own label."""
    assert value(metrics, "job_pauses_total", rule="logs", cause="budget") == 0
    for cause in CAUSES:
        metrics.paused("logs", cause)
    metrics.paused("offboarding", "window")
    assert [value(metrics, "job_pauses_total", rule="logs", cause=cause) for cause in CAUSES] == [1] * len(CAUSES)
    assert value(metrics, "job_pauses_total", rule="offboarding", cause="window") == 1
    metrics.declare({"booking": ["main"]})
    assert value(metrics, "job_pauses_total", rule="logs", cause="budget") is None


def test_I24_looks_of_one_label_add_up(metrics):
    """Two agreements with a rule of one name: the look that found nothing does not cover up the one that did."""
    metrics.set_looks(
        [
            Looked("logs", "main", overdue=2, oldest_age_seconds=50, undatable=1, next_deadline=MOMENT),
            Looked("logs", "main", next_deadline=MOMENT + timedelta(days=9)),
            Looked("booking", "archive", overdue=1, oldest_age_seconds=7),
        ],
        MOMENT,
    )
    assert value(metrics, "overdue_records", rule="logs", store="main") == 2
    assert value(metrics, "overdue_oldest_age_seconds", rule="logs", store="main") == 50
    assert value(metrics, "undatable_records", rule="logs", store="main") == 1
    assert value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs") == MOMENT.timestamp()
    assert value(metrics, "overdue_records", rule="booking", store="archive") == 1
    assert value(metrics, "last_look_timestamp_seconds") == MOMENT.timestamp()
    metrics.set_looks([], MOMENT)
    assert value(metrics, "overdue_records", rule="logs", store="main") == 0
    assert math.isnan(value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs"))


def test_I24_a_store_that_cannot_be_read_keeps_what_was_known(metrics):
    """A look that could not read a store does not report it clean: overdue count and deadline stay."""
    early, late = MOMENT, MOMENT + timedelta(days=2)
    metrics.set_looks(
        [
            Looked("booking", "main", next_deadline=late),
            Looked("booking", "archive", overdue=4, oldest_age_seconds=60, next_deadline=early),
        ],
        MOMENT,
    )
    metrics.set_looks([Looked("booking", "main", next_deadline=late)], late, failed=["archive"])
    assert value(metrics, "overdue_records", rule="booking", store="archive") == 4
    assert value(metrics, "rule_next_deadline_timestamp_seconds", rule="booking") == early.timestamp()
    assert value(metrics, "look_failures_total", store="archive") == 1
    metrics.set_looks([Looked("booking", "main", next_deadline=late)], late)
    assert value(metrics, "rule_next_deadline_timestamp_seconds", rule="booking") == late.timestamp()


def test_a_replica_that_leads_no_more_forgets(metrics):
    """What only a leader knows goes; what happened, and what every replica folds from the log, stays."""
    feed(metrics, plan(), start(), receipt())
    metrics.set_looks([Looked("logs", "main", 4, 90.0, 2, MOMENT)], MOMENT)
    metrics.set_unclassified("main", 1)
    metrics.set_clock_spread(40)
    metrics.set_parked("logs", parked=True)
    metrics.set_mandate_expires("logs", MOMENT)
    metrics.set_export_windows({"t-" + "b" * 16: MOMENT})
    metrics.set_succeeded("logs", MOMENT)
    metrics.forget_looks()
    for name in ("overdue_records", "overdue_oldest_age_seconds", "undatable_records"):
        assert value(metrics, name, rule="logs", store="main") == 0
    assert math.isnan(value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs"))
    assert math.isnan(value(metrics, "mandate_expires_timestamp_seconds", rule="logs"))
    assert value(metrics, "rule_parked", rule="logs") == 0
    assert value(metrics, "coverage_unclassified", store="main") == 0
    assert value(metrics, "clock_spread_seconds") == 0
    assert value(metrics, "export_window_closes_timestamp_seconds", tenant="t-" + "b" * 16) is None
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 3
    assert value(metrics, "rule_last_success_timestamp_seconds", rule="logs") == MOMENT.timestamp()
    assert value(metrics, "last_look_timestamp_seconds") == MOMENT.timestamp()


def test_a_fold_may_begin_in_the_middle_of_the_log(metrics):
    """A process that starts at entry 5,000 counts from there; what it did not see falls under `other`."""
    for index, entry in enumerate([receipt(), plan(), start(), receipt(deleted=4)], start=5_000):
        metrics.observe(entry, index)
    metrics.observe(receipt(deleted=9), 4_999)
    assert value(metrics, "evidence_tree_size") == 5_004
    assert value(metrics, "batches_total", rule="other", store="other") == 1
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 4


def test_what_is_recalled_is_not_counted_again(metrics):
    """Entries of before the process set what stands and name its jobs; counters begin with the process."""
    refusal = {**COMMON, "type": "guard.refused", "guard": "limit", "rule": "logs", "job": None}
    failed = {**COMMON, "type": "job.finished", "job": JOB, "deleted": 0, "outcome": "failed"}
    hold = {**COMMON, "type": "hold.set", "hold": "h-9", "basis": "own-data", "datasets": ["tickets"]}
    stop = {**COMMON, "type": "control.stopped", "operator": None, "reason": "file"}
    past = [plan(), start(), receipt(), refusal, failed, hold, stop]
    metrics.set_holds({"h-1", "h-9"})
    for index, entry in enumerate(past, start=100):
        metrics.recall(entry, index)
    for name in ("guard_refusals_total", "job_failures_total"):
        assert value(metrics, name, rule="logs") == 0
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 0
    assert (value(metrics, "holds_active"), value(metrics, "stopped")) == (2, 1)
    metrics.observe(receipt(deleted=4), 107)
    metrics.observe(refusal, 108)
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 4
    assert value(metrics, "guard_refusals_total", rule="logs") == 1
    assert value(metrics, "evidence_tree_size") == 109


def test_a_turn_knows_more_about_success_than_a_job(metrics):
    """Once a rule's turns are told, a done job that left something does not make the rule look fresh."""
    later = (MOMENT + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    feed(metrics, plan(), start())
    metrics.set_succeeded("logs", MOMENT)
    feed(metrics, {**COMMON, "at": later, "type": "job.finished", "job": JOB, "deleted": 0, "outcome": "done"})
    assert value(metrics, "rule_last_success_timestamp_seconds", rule="logs") == MOMENT.timestamp()


def test_declared_rules_follow_the_documents(metrics):
    """After a reload a new rule has its series, and one that is gone has none that could alarm for ever."""
    feed(metrics, plan(), start(), receipt())
    metrics.set_looks([Looked("logs", "main", 4, 90.0, 2, MOMENT)], MOMENT)
    metrics.declare({"booking": ["main"], "mails": ["main", "outbox"]})
    text = metrics.render().decode()
    assert 'rule="logs"' not in text
    assert 'store="archive"' not in text
    assert value(metrics, "overdue_records", rule="mails", store="outbox") == 0
    assert value(metrics, "look_failures_total", store="outbox") == 0
    feed(metrics, receipt())
    assert value(metrics, "records_deleted_total", rule="other", store="main") == 3
    metrics.declare(RULES)
    assert value(metrics, "overdue_records", rule="logs", store="main") == 0
    assert math.isnan(value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs"))


@pytest.mark.parametrize(
    ("margin", "interval", "longest", "expected"),
    [(3, 24, 6, 42), (3, 1, 6, 65), (15, 168, 6, 186), (1, 24, 6, 24)],
)
def test_I15_a_warning_comes_before_the_last_chance(margin, interval, longest, expected):
    """A schedule that is kept never gets nearer to a ceiling, and one more interval is left to act."""
    found = warning_seconds(margin_days=margin, interval_seconds=interval * 3600, longest_run_seconds=longest * 3600)
    assert found == expected * 3600
    assert found >= interval * 3600


def test_a_scrape_of_a_large_deployment_stays_small():
    """100 rules in 5 stores and 200 tenants, names of 40 characters: less than 1 MiB."""
    stores = [f"store-{number}-{'s' * 32}" for number in range(5)]
    rules = {f"rule-{number:03}-{'r' * 31}": stores for number in range(100)}
    metrics = Metrics(CollectorRegistry(), rules=rules, version="0.1.0")
    letters = "abcdefghijklmnopqrstuvwxyz"
    tenants = {f"t-{'a' * 14}{letters[n // 26]}{letters[n % 26]}": MOMENT for n in range(200)}
    metrics.set_looks(
        [Looked(rule, store, 10**9, 1e8 / 3, 10**9, MOMENT) for rule in rules for store in stores], MOMENT
    )
    metrics.set_export_windows(tenants)
    metrics.set_backup_horizons(tenants)
    assert len(metrics.render()) < 2**20

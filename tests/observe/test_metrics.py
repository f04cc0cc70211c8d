"""Metrics: folds of the log, bounded labels, no person in them."""

from __future__ import annotations

import math
import stat
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lifecycle.core.errors import Transient
from lifecycle.observe import Metrics
from tests.observe.entries import COMMON, JOB, MOMENT, RULES, feed, plan, receipt, start, value


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry(), rules=RULES, version="0.1.0")


def test_series_exist_from_the_start(metrics):
    """Before anything happened, every series of the declared rules and stores is there, with nothing in it."""
    for rule, stores in {**RULES, "offboarding": ["main", "archive"]}.items():
        for store in stores:
            for name in ("records_deleted_total", "records_anonymised_total", "objects_deleted_total", "batches_total"):
                assert value(metrics, name, rule=rule, store=store) == 0
            for name in ("overdue_records", "overdue_oldest_age_seconds", "verification_residual_records"):
                assert value(metrics, name, rule=rule, store=store) == 0
            assert value(metrics, "undatable_records", rule=rule, store=store) == 0
            assert value(metrics, "batch_seconds_count", store=store) == 0
            assert value(metrics, "coverage_unclassified", store=store) == 0
        assert value(metrics, "job_failures_total", rule=rule) == 0
        assert value(metrics, "guard_refusals_total", rule=rule) == 0
        assert value(metrics, "rule_last_success_timestamp_seconds", rule=rule) == 0
        assert value(metrics, "rule_parked", rule=rule) == 0
        assert value(metrics, "slots_missed_total", rule=rule) == 0
        for name in (
            "rule_next_deadline_timestamp_seconds",
            "rule_warning_seconds",
            "rule_interval_seconds",
            "mandate_expires_timestamp_seconds",
        ):
            assert math.isnan(value(metrics, name, rule=rule))
    for store in ("main", "archive"):
        assert value(metrics, "look_failures_total", store=store) == 0
    for name in ("last_tick_timestamp_seconds", "last_look_timestamp_seconds", "reload_failures_total"):
        assert value(metrics, name) == 0
    for name in ("documents_stale", "stopped"):
        assert value(metrics, name) == 0
    for name in ("holds_active", "clock_spread_seconds", "leader", "evidence_tree_size", "bytes_exported_total"):
        assert value(metrics, name) == 0
    assert value(metrics, "evidence_last_anchor_timestamp_seconds") == 0
    assert value(metrics, "build_info", version="0.1.0") == 1
    assert value(metrics, "records_deleted_total", rule="logs", store="archive") is None


def test_receipts_are_counted(metrics):
    """Receipts count deleted records and batches of their rule and store."""
    feed(metrics, plan(), start(), receipt(deleted=3), receipt(deleted=4))
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 7
    assert value(metrics, "batches_total", rule="logs", store="main") == 2
    assert value(metrics, "evidence_tree_size") == 4


@pytest.mark.parametrize(("action", "deleted", "anonymised"), [("delete", 3, 0), ("anonymise", 0, 3), ("detach", 0, 0)])
def test_actions_are_counted_apart(metrics, action, deleted, anonymised):
    """Anonymised records count as such; detached ones as neither."""
    feed(metrics, plan(action=action), start(), receipt(deleted=3))
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == deleted
    assert value(metrics, "records_anonymised_total", rule="logs", store="main") == anonymised
    assert value(metrics, "batches_total", rule="logs", store="main") == 1


def test_entry_seen_twice_counts_once(metrics):
    """Catching up with the log may begin anywhere: what was counted is not counted again."""
    entries = [plan(), start(), receipt()]
    for index, entry in [*enumerate(entries), *enumerate(entries)]:
        metrics.observe(entry, index)
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 3


def test_offboarding_is_a_rule_of_its_own(metrics):
    """Offboarding plans have no rule and count under `offboarding`."""
    feed(metrics, plan(rule=None, kind="offboarding"), start(), receipt())
    assert value(metrics, "records_deleted_total", rule="offboarding", store="main") == 3


def test_jobs_end(metrics):
    """A done job sets the rule's last success, any other end counts as a failure."""
    end = {**COMMON, "type": "job.finished", "job": JOB, "deleted": 0}
    feed(metrics, plan(), start(), {**end, "outcome": "partial"}, {**end, "outcome": "stopped"})
    assert value(metrics, "job_failures_total", rule="logs") == 2
    assert value(metrics, "rule_last_success_timestamp_seconds", rule="logs") == 0
    feed(metrics, {**end, "outcome": "done"})
    assert value(metrics, "rule_last_success_timestamp_seconds", rule="logs") == MOMENT.timestamp()


def test_verification_sets_residue(metrics):
    """The last verification's residue, orphans and unknown outcomes show, and go back to zero."""

    def done(residue, unknown):
        check = {"step": "s001", "dataset": "tickets", "store": "main", "residue": residue, "orphans": 2 * residue}
        checks = [{**check, "undatable": 5}, {**check, "undatable": 1}]
        return {**COMMON, "type": "verification.done", "job": JOB, "checks": checks, "unknown": unknown}

    feed(metrics, plan(), start(), done(1, 2))
    assert value(metrics, "verification_residual_records", rule="logs", store="main") == 6
    assert value(metrics, "undatable_records", rule="logs", store="main") == 0, "a standby never looks: it would stay"
    assert value(metrics, "unknown_outcomes", rule="logs") == 2
    feed(metrics, done(0, 0))
    assert value(metrics, "verification_residual_records", rule="logs", store="main") == 0
    assert value(metrics, "unknown_outcomes", rule="logs") == 0


def test_holds_and_stops(metrics):
    """Holds in force are counted by their ids, the kill switch by its last turn."""
    hold = {**COMMON, "type": "hold.set", "hold": "h-1", "basis": "own-data", "datasets": ["tickets"]}
    feed(metrics, hold, {**hold, "hold": "h-2"}, hold, {**hold, "type": "hold.released"})
    assert value(metrics, "holds_active") == 1
    stop = {**COMMON, "type": "control.stopped", "operator": None, "reason": "file"}
    feed(metrics, stop)
    assert value(metrics, "stopped") == 1
    feed(metrics, {**stop, "type": "control.resumed"})
    assert value(metrics, "stopped") == 0


def test_refusals(metrics):
    """A refusal counts for its rule, or for the rule of its job, or for none."""
    refusal = {**COMMON, "type": "guard.refused", "guard": "limit", "rule": "booking", "job": None}
    feed(metrics, plan(), start(), refusal, {**refusal, "rule": None, "job": JOB}, {**refusal, "rule": None})
    assert value(metrics, "guard_refusals_total", rule="booking") == 1
    assert value(metrics, "guard_refusals_total", rule="logs") == 1
    assert value(metrics, "guard_refusals_total", rule="other") == 1


def test_scan_sets_gauges(metrics):
    """What a scan, a batch and the process know can be set."""
    feed(metrics, plan(), start())
    metrics.set_overdue("logs", "main", records=4, oldest_age_seconds=90.0)
    metrics.set_undatable("logs", "main", 2)
    metrics.set_next_deadline("logs", MOMENT)
    metrics.set_succeeded("logs", MOMENT)
    metrics.set_holds({"h-1", "h-2", "h-3"})
    metrics.set_unclassified("main", 1)
    metrics.set_clock_spread(0.5)
    metrics.set_leader(leader=True)
    metrics.set_anchored(MOMENT)
    metrics.bytes_exported(100)
    metrics.objects_deleted("logs", "main", 7)
    metrics.batch_took(JOB, "s001", 0.3)
    assert value(metrics, "overdue_records", rule="logs", store="main") == 4
    assert value(metrics, "overdue_oldest_age_seconds", rule="logs", store="main") == 90
    assert value(metrics, "undatable_records", rule="logs", store="main") == 2
    assert value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs") == MOMENT.timestamp()
    assert value(metrics, "rule_last_success_timestamp_seconds", rule="logs") == MOMENT.timestamp()
    assert value(metrics, "evidence_last_anchor_timestamp_seconds") == MOMENT.timestamp()
    assert (value(metrics, "holds_active"), value(metrics, "leader")) == (3, 1)
    assert value(metrics, "coverage_unclassified", store="main") == 1
    assert value(metrics, "clock_spread_seconds") == 0.5
    assert value(metrics, "bytes_exported_total") == 100
    assert value(metrics, "objects_deleted_total", rule="logs", store="main") == 7
    assert value(metrics, "batch_seconds_bucket", store="main", le="0.35") == 1
    metrics.batch_took("j-" + "0b" * 12, "s001", 0.3, store="archive")
    assert value(metrics, "batch_seconds_count", store="archive") == 1, (
        "whoever knows the store need not wait for the fold"
    )
    metrics.set_next_deadline("logs", None)
    assert math.isnan(value(metrics, "rule_next_deadline_timestamp_seconds", rule="logs"))


def test_tenant_labels_are_bounded(metrics):
    """At most 200 tenants have a series, those whose window closes first; the rest share one; the gone disappear."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    closes = {f"t-{'a' * 14}{letters[n // 26]}{letters[n % 26]}": MOMENT + timedelta(days=n) for n in range(250)}
    metrics.set_export_windows(closes)
    labels = [
        sample.labels["tenant"]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "lifecycle_export_window_closes_timestamp_seconds"
    ]
    assert len(labels) == 201
    assert value(metrics, "export_window_closes_timestamp_seconds", tenant="other") == (
        (MOMENT + timedelta(days=200)).timestamp()
    )
    metrics.set_export_windows({})
    assert value(metrics, "export_window_closes_timestamp_seconds", tenant="other") is None
    metrics.set_backup_horizons({"t-" + "b" * 16: MOMENT})
    assert value(metrics, "backup_horizon_timestamp_seconds", tenant="t-" + "b" * 16) == MOMENT.timestamp()


def test_I23_no_canary_becomes_a_label(metrics):
    """Names, addresses and ids planted where labels come from fall under `other`."""
    canary = "mara@example.com"
    feed(
        metrics,
        plan(rule=canary),
        start(),
        receipt("s001"),
        receipt("s002"),
        receipt(canary),
        {**COMMON, "type": "guard.refused", "guard": canary, "rule": canary, "job": None},
        {**COMMON, "type": "hold.set", "hold": canary, "basis": canary, "datasets": [canary]},
    )
    metrics.set_overdue(canary, canary, records=1, oldest_age_seconds=1.0)
    metrics.set_next_deadline(canary, MOMENT)
    metrics.set_unclassified(canary, 1)
    metrics.set_export_windows({canary: MOMENT})
    metrics.set_backup_horizons({canary: MOMENT})
    metrics.batch_took(canary, canary, 1.0)
    assert b"mara" not in metrics.render()
    assert value(metrics, "overdue_records", rule="other", store="other") == 1


def test_unknown_jobs_fall_under_other(metrics):
    """An entry of a job that began before the fold did is still counted."""
    feed(metrics, receipt(), start("p-9"), receipt())
    assert value(metrics, "batches_total", rule="other", store="other") == 2


def test_memory_of_plans_is_bounded(metrics):
    """The fold forgets the oldest plans, not the newest."""
    feed(metrics, *(plan(name=f"p-{n}") for n in range(2_100)), start("p-2099"), receipt())
    assert len(metrics._plans._plans) == 2_000
    assert value(metrics, "records_deleted_total", rule="logs", store="main") == 3


def test_render_is_the_text_format(metrics):
    """The text can be parsed, every name has the prefix, and no series shows when the process was started."""
    feed(metrics, plan(), start(), receipt())
    text = metrics.render().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert samples
    assert all(sample.name.startswith("lifecycle_") for sample in samples)
    assert "_created" not in text


def test_textfile_is_replaced_at_once(metrics, tmp_path):
    """The file for node_exporter appears whole, readable by others, and nothing else is left beside it."""
    path = tmp_path / "lifecycle.prom"
    metrics.write_textfile(path)
    feed(metrics, plan(), start(), receipt())
    metrics.write_textfile(path)
    assert path.read_bytes() == metrics.render()
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert [file.name for file in tmp_path.iterdir()] == ["lifecycle.prom"]


def test_textfile_that_cannot_be_written(metrics, tmp_path):
    """A folder that is not there is an error with the old state untouched."""
    with pytest.raises(Transient):
        metrics.write_textfile(tmp_path / "no" / "lifecycle.prom")
    assert list(tmp_path.iterdir()) == []

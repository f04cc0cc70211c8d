"""Metrics: folds of the log, bounded labels, no person in them."""

from __future__ import annotations

import math
import stat
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lifecycle.core.errors import Transient
from lifecycle.observe import Looked, Metrics, warning_seconds

AT = "2026-03-04T05:06:07Z"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
JOB = "j-" + "0a" * 12
RULES = {"logs": ["main"], "booking": ["main", "archive"]}
COMMON = {"v": 1, "at": AT, "tenant": None, "seq": None, "prev": None}


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry(), rules=RULES, version="0.1.0")


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"lifecycle_{name}", labels)


def plan(rule="logs", kind="rule", name="p-1", action="delete"):
    steps = [
        {"step": "s001", "dataset": "tickets", "store": "main", "action": action, "expected": 5, "limit": 5},
        {"step": "s002", "dataset": "old", "store": "mara@example.com", "action": action, "expected": 5, "limit": 5},
    ]
    return {
        **COMMON,
        "type": "plan.created",
        "plan": name,
        "plan_hash": "sha256:" + "0" * 64,
        "kind": kind,
        "rule": rule,
        "author": "op-1",
        "steps": steps,
    }


def start(name="p-1"):
    return {**COMMON, "type": "job.started", "job": JOB, "plan": name, "mandate": None, "effective_now": AT}


def receipt(step="s001", deleted=3):
    return {**COMMON, "type": "batch.receipt", "job": JOB, "step": step, "batch": "b-1", "deleted": deleted}


def feed(metrics, *entries):
    first = int(value(metrics, "evidence_tree_size"))
    for index, entry in enumerate(entries, start=first):
        metrics.observe(entry, index)


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
    metrics.set_mandate_expires("logs", None)
    metrics.set_parked("logs", parked=False)
    assert (value(metrics, "documents_stale"), value(metrics, "reload_failures_total")) == (0, 1)
    assert math.isnan(value(metrics, "mandate_expires_timestamp_seconds", rule="logs"))
    assert value(metrics, "rule_parked", rule="logs") == 0


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

"""What the service does: leader, turns, batches, guards."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.panels import (
    BAD_ABOVE_ZERO,
    JOB,
    Dashboard,
    Panel,
    Query,
    bad_above,
    gained,
    rate,
    since,
    slowest,
    worst,
)

_HERE: Final = "{{rule}} in {{store}}"
_NO_BATCH: Final = "no batch ran in the shown time"

_SERVICE: Final = (
    Panel(
        "stat",
        "Leaders",
        "One replica leads; for a moment at a handover none.",
        (Query(f"sum by (job) (lifecycle_leader{{{JOB}}})", "{{job}}"),),
        width=4,
        steps=((None, "red"), (1, "green"), (2, "orange")),
    ),
    Panel(
        "stat",
        "Last tick, of what it may take",
        "1: later than the longest run takes by the settings. Grows while a long run lasts.",
        (Query(f"({since('last_tick', 'job')}) / {worst('tick_stale_after_seconds', 'job')}", "{{job}}"),),
        width=4,
        steps=bad_above(1),
    ),
    Panel(
        "stat",
        "Parked rules",
        "Rules that failed three times in a row.",
        (Query(f"sum({worst('rule_parked', 'job', 'rule')})"),),
        width=4,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "stat",
        "Clock spread",
        "Between our clock and those of the stores; above 60 s runs are refused.",
        (Query(worst("clock_spread_seconds", "job"), "{{job}}"),),
        unit="s",
        width=4,
        steps=bad_above(30),
    ),
    Panel(
        "stat",
        "Old documents in force",
        "1: a reload was refused.",
        (Query(worst("documents_stale", "job"), "{{job}}"),),
        width=4,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "table",
        "Versions",
        "Replicas by version: two rows while an upgrade rolls.",
        (Query(f"count by (job, version) (lifecycle_build_info{{{JOB}}})", "{{version}}"),),
        width=4,
    ),
    Panel(
        "lines",
        "Who leads",
        "Each change is a takeover.",
        (Query(f"lifecycle_leader{{{JOB}}}", "{{instance}}"),),
        width=24,
    ),
)

_BATCHES: Final = (
    Panel(
        "lines",
        "Records and objects per second",
        "Deleted and anonymised, by receipt.",
        (
            Query(rate("records_deleted", "rule", "store"), _HERE),
            Query(rate("records_anonymised", "rule", "store"), f"{_HERE}, anonymised"),
            Query(rate("objects_deleted", "rule", "store"), f"{_HERE}, objects"),
        ),
        unit="ops",
    ),
    Panel(
        "lines",
        "Batches per second",
        "Batches with a receipt.",
        (Query(rate("batches", "rule", "store"), _HERE),),
        unit="ops",
    ),
    Panel(
        "lines",
        "Seconds of a batch",
        "The pace aims at 0.2 to 0.5 s; above, the application waits for locks longer.",
        (
            Query(slowest(0.5), "{{store}} median", _NO_BATCH),
            Query(slowest(0.95), "{{store}} 95 %", _NO_BATCH),
        ),
        unit="s",
    ),
    Panel(
        "bars",
        "Deleted in the shown time",
        "By receipt.",
        (Query(gained("records_deleted", "rule", "store"), _HERE),),
    ),
)

_NOT_DONE: Final = (
    Panel(
        "bars",
        "Guards that said no",
        "In the shown time. Which guard: `lifecycle status` and the log.",
        (Query(gained("guard_refusals", "rule"), "{{rule}}"),),
        width=8,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "bars",
        "Jobs that did not end well",
        "In the shown time.",
        (Query(gained("job_failures", "rule"), "{{rule}}"),),
        width=8,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "bars",
        "Turns missed",
        "Turns that passed while nothing ran; one run makes up for all of them.",
        (Query(gained("slots_missed", "rule"), "{{rule}}"),),
        width=8,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "bars",
        "Jobs that had to wait",
        "In the shown time, by cause: a night's budget or a store's throttle. They go on by themselves.",
        (Query(gained("job_pauses", "rule", "cause"), "{{rule}}, {{cause}}"),),
        width=12,
    ),
    Panel(
        "bars",
        "Stores that a look could not read",
        "In the shown time.",
        (Query(gained("look_failures", "store"), "{{store}}"),),
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "bars",
        "Reloads refused",
        "In the shown time.",
        (Query(gained("reload_failures", "instance"), "{{instance}}"),),
        steps=BAD_ABOVE_ZERO,
    ),
)

RUNS: Final = Dashboard(
    "lifecycle-runs",
    "lifecycle: runs",
    "What the service does: leader, turns, batches, guards.",
    (("Service", _SERVICE), ("Batches", _BATCHES), ("What was not done", _NOT_DONE)),
)

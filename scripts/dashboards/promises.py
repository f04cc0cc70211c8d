"""Are the promises kept? The first page: deadlines."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.panels import (
    BAD_ABOVE_ZERO,
    Dashboard,
    Panel,
    Query,
    Steps,
    bad_above,
    days,
    left,
    since,
    worst,
)

_DAYS_LEFT: Final[Steps] = ((None, "red"), (1, "orange"), (2, "green"))
_HERE: Final = "{{rule}} in {{store}}"

_NOW: Final = (
    Panel(
        "stat",
        "Oldest overdue",
        "How long the oldest record is past its ceiling. Anything above 0 is a broken promise.",
        (Query(f"max({worst('overdue_oldest_age_seconds', 'job')})"),),
        unit="s",
        width=6,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "stat",
        "Days to the next ceiling",
        "Of all rules. A kept schedule stays above its warning time (42 hours with the defaults).",
        (Query(f"min({days(left('rule_next_deadline', 'job'))})"),),
        unit="d",
        width=6,
        steps=_DAYS_LEFT,
    ),
    Panel(
        "stat",
        "Overdue records",
        "Records past their ceiling, as the separate verifier counts them.",
        (Query(f"sum({worst('overdue_records', 'job', 'rule', 'store')})"),),
        width=4,
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "stat",
        "Kill switch",
        "On: nothing is deleted until `lifecycle resume`.",
        (Query(worst("stopped", "job"), "{{job}}"),),
        unit="bool_on_off",
        width=4,
        steps=bad_above(1),
    ),
    Panel(
        "stat",
        "Age of these numbers",
        "The verifier's last look, as a part of what its age may be by the settings. From 1 on they are too old.",
        (Query(f"({since('last_look', 'job')}) / {worst('look_stale_after_seconds', 'job')}", "{{job}}"),),
        width=4,
        steps=bad_above(1),
    ),
)

_DEADLINES: Final = (
    Panel(
        "bars",
        "Oldest overdue by rule and store",
        "0: every record went before its ceiling.",
        (Query(worst("overdue_oldest_age_seconds", "rule", "store"), _HERE),),
        unit="s",
        steps=BAD_ABOVE_ZERO,
    ),
    Panel(
        "bars",
        "Days to ceiling by rule",
        "Until the next record of the rule reaches its ceiling. A rule without records has no value.",
        (Query(days(left("rule_next_deadline", "rule")), "{{rule}}"),),
        unit="d",
        steps=_DAYS_LEFT,
    ),
    Panel(
        "lines",
        "Time left before the warning, by rule",
        "Saws down to a little above 0 between turns; below 0 DeadlineApproaching fires.",
        (Query(f"{left('rule_next_deadline', 'rule')} - {worst('rule_warning_seconds', 'rule')}", "{{rule}}"),),
        unit="s",
    ),
    Panel(
        "lines",
        "Intervals since the last good turn",
        "Above 2 RuleStale fires. Enormous: the rule never had a good turn.",
        (Query(f"({since('rule_last_success', 'rule')}) / {worst('rule_interval_seconds', 'rule')}", "{{rule}}"),),
    ),
)

_SEEN: Final = (
    Panel(
        "lines",
        "Overdue records by rule and store",
        "Does not fall with the next turn: held back by a guard, a lock, or a missing approval.",
        (Query(worst("overdue_records", "rule", "store"), _HERE),),
        width=8,
    ),
    Panel(
        "lines",
        "Left after verification",
        "Residue and orphans of the last job, and batches whose outcome nobody could read yet.",
        (
            Query(worst("verification_residual_records", "rule", "store"), _HERE),
            Query(worst("unknown_outcomes", "rule"), "{{rule}}: unknown outcomes"),
        ),
        width=8,
    ),
    Panel(
        "lines",
        "Undatable and unattributed records",
        "Without a usable start time, or of no tenant that the register knows: no rule deletes them.",
        (
            Query(worst("undatable_records", "rule", "store"), _HERE),
            Query(worst("unattributed_records", "rule", "store"), "{{rule}} in {{store}}: no known tenant"),
        ),
        width=8,
    ),
)

PROMISES: Final = Dashboard(
    "lifecycle-promises",
    "lifecycle: promises",
    "Are the deletion promises kept? Deadlines first.",
    (("Now", _NOW), ("Deadlines by rule", _DEADLINES), ("What the verifier sees", _SEEN)),
)

"""What proves it, what allows it, and who is leaving."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.panels import (
    BAD_ABOVE_ZERO,
    JOB,
    Dashboard,
    Panel,
    Query,
    bad_above,
    days,
    good_from,
    left,
    since,
    worst,
)

_NOBODY_LEAVES: Final = "no contract is ending"

_LOG: Final = (
    Panel(
        "stat",
        "Since the log's end was kept outside",
        "What came later could be cut off without a trace.",
        (Query(since("evidence_last_anchor", "job"), "{{job}}"),),
        unit="s",
        width=6,
        steps=bad_above(93_600),
    ),
    Panel(
        "lines", "Entries of the log", "Only grows.", (Query(worst("evidence_tree_size", "job"), "{{job}}"),), width=10
    ),
    Panel(
        "stat",
        "Holds in force",
        "Floors without an end: each wants a review date.",
        (Query(worst("holds_active", "job"), "{{job}}"),),
        width=4,
    ),
    Panel(
        "stat",
        "Not in the inventory",
        "Tables and columns; final certificates of the store are blocked.",
        (Query(worst("coverage_unclassified", "store"), "{{store}}"),),
        width=4,
        steps=BAD_ABOVE_ZERO,
    ),
)

_MANDATES: Final = (
    Panel(
        "bars",
        "Days to the end of the mandate",
        "Without one a rule plans and waits for a signature.",
        (Query(days(left("mandate_expires", "rule")), "{{rule}}"),),
        unit="d",
        width=24,
        steps=good_from(30),
    ),
)

_LEAVING: Final = (
    Panel(
        "bars",
        "Days to the end of the export window",
        "Tenants by alias, the 200 that close first; `other`: the first of the rest.",
        (Query(f"sort({days(left('export_window_closes', 'tenant'))})", "{{tenant}}", _NOBODY_LEAVES),),
        unit="d",
        steps=good_from(7),
    ),
    Panel(
        "bars",
        "Days until backups are clean",
        "Until then a certificate is provisional.",
        (Query(f"sort({days(left('backup_horizon', 'tenant'))})", "{{tenant}}", _NOBODY_LEAVES),),
        unit="d",
    ),
    Panel(
        "lines",
        "Bytes exported",
        "In the shown time, before compression.",
        (Query(f"sum by (job) (increase(lifecycle_bytes_exported_total{{{JOB}}}[$__range]))", "{{job}}"),),
        unit="bytes",
        width=24,
    ),
)

EVIDENCE: Final = Dashboard(
    "lifecycle-evidence",
    "lifecycle: evidence and ending contracts",
    "What proves it, what allows it, and who is leaving.",
    (("Evidence", _LOG), ("Mandates", _MANDATES), ("Ending contracts", _LEAVING)),
)

"""Pages of the demo: what the verbs of the same name show."""

from __future__ import annotations

from lifecycle.cli.page import Page
from lifecycle.core.errors import LifecycleError, Refused
from lifecycle.core.offboarding import Timeline
from lifecycle.flow.explaining import Explanation
from lifecycle.flow.planning import Planned
from lifecycle.flow.reporting import Status


def plan(planned: Planned) -> Page:
    """Show a plan: its steps, cutoffs and counts, and what it leaves and why."""
    body = planned.plan
    page = Page().line(f"plan {planned.hash}", "head", indent=2)
    page.table(
        ("step", "level", "dataset", "action", "rows", "of records up to"),
        [
            (s.id, s.level, s.dataset, s.action.kind, s.expected, _cutoff(s.selection.due))
            for s in body.steps
        ],
    )
    kept = [w for s in body.steps for w in s.withheld]
    if kept:
        page.line("what stays, and why:", indent=2)
        page.table(
            ("dataset", "rows", "ground", "deletable from"),
            [(w.dataset, w.count, w.ground, w.ends_on) for w in kept],
        )
    return page


def _cutoff(due: tuple[object, ...]) -> str:
    return ", ".join(str(getattr(before, "day", "")) for before in due) or "all days"


def status(found: Status) -> Page:
    """Show one screen of facts."""
    page = Page().pairs(
        [
            ("tenants", found.tenants),
            ("holds", found.holds),
            ("mandates", len(found.mandates)),
            ("coverage gaps", found.coverage_gaps),
            ("log entries", found.log_size),
            ("certificates", found.certificates),
        ],
        indent=2,
    )
    if found.scanned:
        page.table(
            ("rule", "dataset", "due", "overdue", "held", "next deadline"),
            [
                (f.obligation.rule, f.obligation.dataset, f.due.items, f.overdue.items, f.held, f.deadline)
                for f in found.scanned.findings
            ],
        )
    return page


def timeline(line: Timeline) -> Page:
    """Show the dates of a contract's end."""
    page = Page().pairs(
        [
            ("contract ends", line.contract_end),
            ("export window through", line.window_end),
            ("deletion from", line.due_from),
            ("everything gone by", line.delete_by),
        ],
        indent=2,
    )
    for reason in line.reasons:
        page.line(f"{reason.kind:8} {reason.period or '-':6} {reason.label:8} {reason.source}", "dim", indent=4)
    return page


def explanation(found: Explanation) -> Page:
    """Show each dataset's window with its reasons."""
    rows = []
    for one in found.datasets:
        reason = next((r for r in one.window.reasons if r.binds), None)
        rows.append((one.dataset.id, one.window.earliest, one.window.latest, f"{reason.label}: {reason.source}" if reason else "-"))
    return Page().table(("dataset", "earliest", "gone by", "first reason"), rows)


def refusal(error: LifecycleError) -> Page:
    """Show an error as the command line does."""
    guard = f"refused ({error.guard}): " if isinstance(error, Refused) else ""
    return Page().line(f"lifecycle: {guard}{error.message}", "bad", indent=2).line(error.advice(), indent=2)

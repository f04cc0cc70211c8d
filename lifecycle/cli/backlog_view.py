"""The part of `status` about work under way: how far each begun job is, when it is done, what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cli import words
from lifecycle.cli.page import Page

if TYPE_CHECKING:
    from lifecycle.flow.brakes import Running
    from lifecycle.flow.reporting import Status

HEADERS = ("plan", "of", "rows done", "of rows", "a night", "nights left", "gone on", "approved by")


def page(page: Page, found: Status) -> None:
    """Add what is under way and what holds it back. A breach that is being worked off is said to be one."""
    if found.running:
        page.line("Under way", "head").table(HEADERS, [_row(one) for one in found.running])
        page.lines(
            (f"plan {words.short(one.plan_hash)} waits: {one.waits}" for one in found.running if one.waits), "warn"
        )
        if any(one.backlog.per_night for one in found.running):
            page.line("What is overdue among these rows is a breach until it is gone: acknowledged, not over.")
    for store, brake in found.braked.items():
        if brake is not None:
            late = sum(seen.overdue for seen in found.looked.rules if seen.store == store)
            breach = f"; {words.count(late, 'row')} there outlived the ceiling meanwhile" if late else ""
            page.line(f"store {store} is not changed now: {brake.why}{breach}", "bad" if late else "warn")


def _row(one: Running) -> tuple[object, ...]:
    whose = f"{one.agreement}/{one.rule}" if one.rule else f"{one.agreement}, {one.tenant}"
    backlog = one.backlog
    approved = ", ".join(one.approved_by) or "its mandate"
    return (
        words.short(one.plan_hash), whose, backlog.done, backlog.expected, backlog.per_night, backlog.nights,
        one.gone_on, approved,
    )  # fmt: skip


def document(found: Status) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        "running": [
            {
                "plan": one.plan_hash,
                "agreement": one.agreement,
                "rule": one.rule,
                "tenant": one.tenant,
                "done": one.backlog.done,
                "expected": one.backlog.expected,
                "rows_per_night": one.backlog.per_night,
                "nights_left": one.backlog.nights,
                "gone_on": one.gone_on.isoformat() if one.gone_on else None,
                "approved_by": list(one.approved_by),
                "waits": one.waits,
            }
            for one in found.running
        ],
        "held_back": {
            store: {"cause": brake.cause, "why": brake.why, "until": brake.until.isoformat() if brake.until else None}
            for store, brake in found.braked.items()
            if brake is not None
        },
    }

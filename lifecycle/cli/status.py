"""`lifecycle status`: are we keeping our promises?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import backlog_view, scan, words
from lifecycle.cli.errors import BREACHED, PARTIAL
from lifecycle.cli.page import Page, Style
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.flow.look import Look
    from lifecycle.flow.offboard import Offboarding
    from lifecycle.flow.pending import Marker
    from lifecycle.flow.reporting import Status
    from lifecycle.flow.slots import Trouble
    from lifecycle.flow.waiting import Waiting

TURNS = ("rule", "last turn", "result", "last success", "missed", "trouble", "next turn")
UNSIGNED = ("plan", "of", "rows", "signed", "made", "expires")
GONE = frozenset({"deleted", "remainder", "closed"})


@verb("status", example="status\nstatus --json")
@pass_session
def command(session: Session) -> None:
    """Say on one screen whether the promises are kept, and what comes next; exit 5 when a ceiling is breached."""
    from lifecycle.flow import offboard
    from lifecycle.flow.reporting import status

    with session.open() as deployment:
        found = status(deployment)
        days = {ending.alias: offboard.today_of(deployment, ending.tenant) for ending in found.ending}
    late = [e.alias for e in found.ending if e.tenant.state not in GONE and e.timeline.is_late(days[e.alias])]
    answer, text, style = _answer(found, late)
    page = Page().line(text, style)
    page.lines([f"{found.stopped}; `lifecycle resume` allows changes again"] if found.stopped else [], "bad").line()
    _deadlines(page, found, session.today())
    backlog_view.page(page, found)
    page.lines(_remarks(found, session.today()), "warn")
    page.line(_registers(found), "dim")
    session.show(_document(found, answer, late), page)
    if answer != "kept":
        raise click.exceptions.Exit(BREACHED if answer == "breached" else PARTIAL)


def _answer(found: Status, late: list[str]) -> tuple[str, str, Style]:
    """Return the answer as a word, as a sentence, and its colour."""
    scanned = found.scanned
    counted = sum(finding.overdue.items for finding in scanned.findings) if scanned else 0
    overdue = max(counted, sum(seen.overdue for seen in found.looked.rules))
    ended = sum(left.overdue for left in found.looked.offboarding)
    if overdue or ended or late:
        parts = [words.count(overdue, "row") + " outlived the ceiling"] if overdue else []
        parts += [words.count(ended, "row") + " of ended contracts should be gone"] if ended else []
        parts += [words.count(len(late), "ended tenant") + " should be gone"] if late else []
        return "breached", f"No: {' and '.join(parts)}.", "bad"
    if scanned is None:
        return "unknown", f"Nobody can tell: {found.scan_refused}.", "bad"
    if scanned.unresolved:
        what = words.count(len(scanned.unresolved), "promise")
        return "unknown", f"Nobody can tell for all: {what} could not be looked at.", "bad"
    deadlines = [finding.deadline for finding in scanned.findings if finding.deadline]
    following = f" The next ceiling is {min(deadlines)}." if deadlines else ""
    return "kept", f"Yes: nothing is overdue.{following}", "good"


def _deadlines(page: Page, found: Status, today: date) -> None:
    if found.scanned is not None:
        page.line("Rules", "head").table(scan.HEADERS, scan.rows(found.scanned), empty="no rule binds a dataset today")
    if turns := [_turn(name, found) for name in sorted({*found.following, *_told(found)})]:
        page.line("Turns", "head").table(TURNS, turns)
    if unsigned := [_unsigned(one, found.at) for one in found.unsigned]:
        page.line("Waiting for a signature", "head").table(UNSIGNED, unsigned)
        page.line("To read one: lifecycle plan show PLAN. To sign: lifecycle approve PLAN --by OPERATOR --key FILE")
    open_ = [ending for ending in found.ending if ending.tenant.state != "closed"]
    if open_:
        headers = ("tenant", "state", "window to", "deleted from", "gone before")
        rows = [(alias, state, *days) for alias, state, _, *days in map(_ending, open_)]
        page.line("Ending contracts", "head").table(headers, rows)
    mandates = [m for m in found.mandates if m.live(today)]
    if mandates:
        columns = ("mandate", "rule", "most rows", "expires")
        granted = [(m.id, f"{m.agreement}/{m.rule}", m.most_items, m.expires_on) for m in mandates]
        page.line("Mandates", "head").table(columns, granted)


def _told(found: Status) -> Iterator[tuple[str, str]]:
    """Yield the rules whose last turn is worth telling: not those that bound nobody."""
    yield from (name for name, state in found.turns.items() if state.succeeded_at or state.result != "idle")


def _unsigned(one: Waiting, now: datetime) -> tuple[object, ...]:
    plan = one.plan
    subject = f"{plan.agreement}/{plan.rule}" if plan.rule else f"offboarding of {plan.tenant}"
    made = f"{words.ago(now - plan.created_at)} ago by {plan.author}"
    signed = f"{len(one.signed)} of {one.needed}" + (f": {', '.join(one.signed)}" if one.signed else "")
    return words.short(one.hash), subject, plan.expected(), signed, made, f"in {words.ago(plan.start_by - now)}"


def _turn(name: tuple[str, str], found: Status) -> tuple[object, ...]:
    at = found.following.get(name)
    following = None if at is None else "now" if at <= found.at else words.moment(at)
    state = found.turns.get(name)
    if state is None:
        return "/".join(name), None, "no turn yet", None, 0, None, following
    trouble = state.trouble
    shown = f"{trouble.guard}, {trouble.failures} in a row" if trouble else None
    result = "under way" if state.state == "begun" else state.result
    success = words.moment(state.succeeded_at) if state.succeeded_at else None
    ended = words.moment(state.ended_at or state.begun_at)
    return "/".join(name), ended, result, success, state.missed, shown, following


def _ending(ending: Offboarding) -> tuple[object, ...]:
    line = ending.timeline
    state = "awaiting-choice" if line.awaiting_choice else ending.tenant.state
    return ending.alias, state, line.contract_end, line.window_end, line.due_from, line.delete_by


def _remarks(found: Status, today: date) -> Iterator[str]:
    if found.open_batches:
        yield f"{words.count(found.open_batches, 'batch')} with an unknown outcome; `lifecycle run` reads the receipts"
    yield from _looked(found.looked)
    if found.coverage_gaps:
        yield f"{words.count(found.coverage_gaps, 'coverage gap')}; `lifecycle coverage` shows them"
    yield from _turns(found)
    for mandate in found.mandates:
        if mandate.expires_soon(today):
            yield f"mandate {mandate.id} ends on {mandate.expires_on}; `lifecycle mandate renew {mandate.id}`"
    if found.scanned is not None:
        yield from (f"not looked at: {trouble}" for trouble in found.scanned.unresolved)
        proposed = {(one.plan.agreement, one.plan.rule): words.short(one.hash) for one in reversed(found.unsigned)}
        covered = {(m.agreement, m.rule) for m in found.mandates if m.live(today)}
        bound = {(f.obligation.agreement, f.obligation.rule) for f in found.scanned.findings}
        for agreement, rule in sorted(bound - covered):
            digits = proposed.get((agreement, rule))
            what = f"approve plan {digits} with --mandate" if digits else f"`lifecycle plan {rule}`, then approve it"
            yield f"{agreement}/{rule} only observes: no mandate; {what}"


def _turns(found: Status) -> Iterator[str]:
    for (agreement, rule), state in found.turns.items():
        if (trouble := state.trouble) is not None:
            parked = "is parked" if trouble.parked else "did not run" if trouble.failures else "rests"
            yield f"{agreement}/{rule} {parked} since {words.moment(trouble.since)} ({trouble.guard}): {_why(trouble)}"
    for due in found.missed:
        yield f"{due.agreement}/{due.rule} has missed {words.count(due.missed, 'turn')}: does the service run?"
    # Of a begun job that rests the part about work under way tells.
    begun = {one.plan_hash for one in found.running}
    for one in found.waiting:
        if one.marker.message is None:
            yield f"plan {words.short(one.plan_hash)} is approved and not carried out: the service's next tick does it"
        elif one.plan_hash not in begun or not one.marker.paused:
            yield f"plan {words.short(one.plan_hash)} waits ({one.marker.guard}): {_why(one.marker)}"


def _looked(found: Look) -> Iterator[str]:
    for one in found.disagreements:
        yield f"{one.agreement}/{one.rule}: {words.count(one.due, 'row')} due that its last run did not find"
    nobodys = {seen.rule: seen.unattributed for seen in found.rules if seen.unattributed}
    for rule, count in sorted(nobodys.items()):
        yield f"{words.count(count, 'row')} under {rule} belong to no registered tenant: nothing deletes them"
    for store in found.stale:
        yield f"store {store}: its mirror of tenants or holds is older than the register; the next turn renews it"


def _why(trouble: Trouble | Marker) -> str:
    return f"{trouble.message}; {trouble.advice}"


def _registers(found: Status) -> str:
    return (
        f"{found.deployment}: {words.count(found.tenants, 'tenant')}, {words.count(found.holds, 'hold')}, "
        f"{words.count(found.certificates, 'certificate')}, {words.count(found.log_size, 'log entry')}"
    )


def _document(found: Status, answer: str, late: list[str]) -> dict[str, Any]:
    return {
        "deployment": found.deployment,
        "answer": answer,
        "late_tenants": late,
        "stopped": found.stopped,
        "scan": scan.document(found.scanned) if found.scanned else None,
        "scan_refused": found.scan_refused,
        "ending": [
            dict(zip(("tenant", "state", "contract_end", "window_end", "due_from", "delete_by"),
                     (v.isoformat() if isinstance(v, date) else v for v in _ending(e)), strict=True))
            for e in found.ending
        ],
        "mandates": [
            {"id": m.id, "agreement": m.agreement, "rule": m.rule, "expires_on": m.expires_on.isoformat()}
            for m in found.mandates
        ],
        "holds": found.holds,
        "open_batches": found.open_batches,
        "tenants": found.tenants,
        "coverage_gaps": found.coverage_gaps,
        "log_size": found.log_size,
        "certificates": found.certificates,
        "turns": [
            {"agreement": agreement, "rule": rule, **state.model_dump(mode="json", exclude={"history"})}
            for (agreement, rule), state in found.turns.items()
        ],
        "looked": {
            "overdue": sum(seen.overdue for seen in found.looked.rules),
            "ended": sum(left.overdue for left in found.looked.offboarding),
            "unanswered": sorted({one.store for one in found.looked.unanswered}),
        },
        **backlog_view.document(found),
        "missed": [{"agreement": due.agreement, "rule": due.rule, "turns": due.missed} for due in found.missed],
        "next_turns": [
            {"agreement": agreement, "rule": rule, "at": at.isoformat()}
            for (agreement, rule), at in found.following.items()
        ],
        "unsigned": [
            {
                "plan": one.hash,
                "agreement": one.plan.agreement,
                "rule": one.plan.rule,
                "tenant": one.plan.tenant,
                "rows": one.plan.expected(),
                "signed": list(one.signed),
                "needed": one.needed,
                "author": one.plan.author,
                "created_at": one.plan.created_at.isoformat(),
                "start_by": one.plan.start_by.isoformat(),
            }
            for one in found.unsigned
        ],
        "waiting": [{"plan": one.plan_hash, **one.marker.model_dump(mode="json")} for one in found.waiting],
    }  # fmt: skip

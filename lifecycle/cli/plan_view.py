"""A plan as people read it before they sign, and as JSON; never in the past tense: nothing has happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from lifecycle.cli import words
from lifecycle.cli.page import Page
from lifecycle.cli.plan_facts import SHOWN_KEYS, Facts
from lifecycle.core.plan import Action, Anonymise, Delete, Detach, Step, Withheld
from lifecycle.core.selection import GroupScope, TenantScope
from lifecycle.core.transform import describe_transform
from lifecycle.ports.store import Found

Keys = Mapping[str, Sequence[Found]]
SAYS_ALL = frozenset({"hold", "undatable", "unattributed", "referenced"})
"""Labels whose ground says it already."""
RESULTS = {"done": "carried out", "running": "begun, not finished", "expired": "expired before it started"}


def page(shown: Page, fact: Facts, keys: Keys | None = None) -> Page:
    """Add one plan."""
    plan = fact.plan
    subject = f"rule {plan.agreement}/{plan.rule}" if plan.kind == "rule" else f"offboarding of {plan.tenant}"
    shown.line(f"Plan {words.short(fact.hash)}: {subject}", "head")
    shown.pairs(
        [
            ("hash", fact.hash),
            ("agreement", f"{plan.agreement} {', '.join(plan.agreement_versions)}"),
            ("made", f"{words.moment(plan.created_at)} by {plan.author}"),
            ("start until", words.moment(plan.start_by)),
            ("signed", f"{len(fact.signed)} of {fact.needed}" + (f": {', '.join(fact.signed)}" if fact.signed else "")),
            ("mandate", fact.mandate),
            (
                "state",
                f"{fact.state}: {RESULTS.get(fact.state, 'see `lifecycle status`')}"
                if fact.state != "planned"
                else None,
            ),
            ("pace", _pace(fact)),
        ],
        indent=2,
    )
    for step in plan.steps:
        _step(shown, step, fact.periods, (keys or {}).get(step.id))
    total = words.count(plan.expected(), "row")
    shown.line(f"  In all {total} in {words.count(len(plan.steps), 'step')}.", "head")
    return shown.lines(_next(fact), indent=2)


def _pace(fact: Facts) -> str | None:
    """Return how many nights what is left takes, where one night does not take it all."""
    backlog = fact.backlog
    if backlog.per_night is None or backlog.nights is None or backlog.expected - backlog.done <= backlog.per_night:
        return None
    return f"at most {words.count(backlog.per_night, 'row')} a night: {backlog.nights} nights, under one approval"


def _step(shown: Page, step: Step, periods: Mapping[str, str], keys: Sequence[Found] | None) -> None:
    sign, what = _what(step.action)
    shown.line(
        f"  {sign} {what} {words.count(step.expected, 'row')} of {step.dataset} in {step.store}",
        "bad" if sign == "-" else "warn",
    )
    shown.pairs(
        [
            ("rule", _rule(step, periods.get(step.rule))),
            ("whose", _scope(step)),
            *(("cutoff", f"{b.time} on or before {b.day}, {b.zone}") for b in step.selection.due),
            *(("becomes", describe_transform(one)) for one in step.selection.undone),
            ("limit", f"refuses to change more than {words.count(step.limit, 'row')}"),
            *(("takes along", f"rows of {c.dataset} that reference them ({c.effect})") for c in step.cascade),
            (
                "only if",
                f"no row is left in {', '.join(step.selection.unreferenced_by)}"
                if step.selection.unreferenced_by
                else None,
            ),
            *(("stays", stays) for stays in _stays(step)),
            *(("key", _key(found)) for found in keys or ()),
            ("keys", f"the first {SHOWN_KEYS}; there may be more" if keys and len(keys) == SHOWN_KEYS else None),
        ],
        indent=6,
    )


def _what(action: Action) -> tuple[str, str]:
    """Return the sign and the verb of an action."""
    match action:
        case Delete():
            return "-", "delete"
        case Detach():
            return "~", f"empty {', '.join(action.columns)} of"
        case Anonymise():
            return "~", f"anonymise (clause {action.granted_by})"
        case _:
            assert_never(action)


def _rule(step: Step, period: str | None) -> str:
    source = "operator's own rule" if step.own or step.clause is None else f"clause {step.clause}"
    return f"{step.rule}, {source}" + (f": {period}" if period else "")


def _scope(step: Step) -> str:
    scope = step.selection.scope
    if isinstance(scope, TenantScope):
        return f"of the tenant {scope.tenant}"
    if isinstance(scope, GroupScope):
        return f"of the tenants in {words.count(len(scope.groups), 'group')} with the same promises"
    return "of no tenant: all rows"


def _stays(step: Step) -> Iterator[str]:
    """Yield why rows stay; a statute that frees them year by year is one line, the days are in the JSON."""
    grounds: dict[tuple[str, str, str | None], list[Withheld]] = {}
    for group in step.withheld:
        if group.count:
            grounds.setdefault((group.ground, group.label, group.duty_holder), []).append(group)
    for (ground, label, holder), groups in grounds.items():
        duty = f", {holder}'s duty" if holder else ""
        source = "" if label in SAYS_ALL else f" ({words.label(label)}{duty})"
        days = sorted({group.ends_on for group in groups if group.ends_on})
        until = f", until {days[0]}" if days else ""
        until += f" to {days[-1]}, year by year" if len(days) > 1 else ""
        rows = words.count(sum(group.count for group in groups), "row")
        yield f"{rows}: {ground}{source}{until}"


def _key(found: Found) -> str:
    return ", ".join(str(part) for part in found.key) + (f"  from {found.start}" if found.start else "")


def _next(fact: Facts) -> Iterator[str]:
    """Yield what to do with the plan."""
    digits = words.short(fact.hash)
    if fact.state == "planned":
        if fact.mandate:
            yield f"A mandate covers it: lifecycle apply {digits}, or the next `lifecycle run`."
            return
        if fact.nothing_left and not fact.signed:
            yield "This tenant's deletion is done, and nothing more was found: nothing is to be signed or carried out."
            return
        missing = fact.needed - len(fact.signed)
        if missing > 0:
            call = f"lifecycle approve {digits} --by OPERATOR --key FILE"
            grant = " [--mandate]" if fact.plan.kind == "rule" else ""
            yield f"To approve ({words.count(missing, 'signature')} missing): {call}{grant}"
        yield f"{'Then' if missing > 0 else 'To carry out'}: lifecycle apply {digits}"
    elif fact.state in {"running", "partial", "stopped"}:
        yield f"To go on: lifecycle apply {digits}"
    elif fact.state == "expired":
        yield "Plan again; an expired plan cannot start."
    elif fact.state == "done":
        yield f"To certify: lifecycle certificate issue {digits}"


def listing(found: Sequence[Facts]) -> Page:
    """Return a list of plans."""
    headers = ("plan", "made", "subject", "rows", "approved", "state")
    rows = [
        (
            words.short(fact.hash),
            words.moment(fact.plan.created_at),
            f"{fact.plan.agreement}/{fact.plan.rule}" if fact.plan.rule else fact.plan.tenant,
            fact.plan.expected(),
            "mandate" if fact.mandate and not fact.signed else f"{len(fact.signed)}/{fact.needed}",
            fact.state,
        )
        for fact in found
    ]
    return Page().table(headers, rows, empty="no plan yet")


def short_document(fact: Facts) -> dict[str, Any]:
    """Return a plan's facts as JSON."""
    plan = fact.plan
    return {
        "hash": fact.hash,
        "id": plan.id,
        "kind": plan.kind,
        "agreement": plan.agreement,
        "rule": plan.rule,
        "tenant": plan.tenant,
        "author": plan.author,
        "created_at": plan.created_at.isoformat(),
        "start_by": plan.start_by.isoformat(),
        "expected": plan.expected(),
        "signed": list(fact.signed),
        "needed": fact.needed,
        "mandate": fact.mandate,
        "state": fact.state,
        "done": fact.done,
    }


def document(fact: Facts, keys: Keys | None = None) -> dict[str, Any]:
    """Return a plan with its steps as JSON; `plan` is the document that the hash is over."""
    whole = {**short_document(fact), "plan": fact.plan.model_dump(mode="json", by_alias=True)}
    if keys is not None:
        whole["items"] = {
            step: [{"key": list(f.key), "start": f.start.isoformat() if f.start else None} for f in found]
            for step, found in keys.items()
        }
    return whole

"""`lifecycle explain`: why a datum is still here, and when it goes; each figure with the place it comes from."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from lifecycle.cli import tenant_view, words
from lifecycle.cli.page import Page
from lifecycle.cli.parameters import A_DAY, NAME, tenant_argument
from lifecycle.cli.session import Session, pass_session, verb

if TYPE_CHECKING:
    from lifecycle.core.offboarding import Timeline
    from lifecycle.core.reason import Reason
    from lifecycle.core.window import Window
    from lifecycle.flow.explaining import Explained, Explanation

ENDS = frozenset({"contract-end", "window-end"})


EXAMPLE = """\
explain acme
explain acme access-log --start 2026-03-04
explain acme access-log --key 4711"""


@verb("explain", example=EXAMPLE)
@tenant_argument
@click.argument("dataset", type=NAME, required=False)
@click.option("--start", type=A_DAY, help="Start day of the record that is explained. [default: today]")
@click.option("--key", multiple=True, metavar="VALUE", help="Explain the row of this key; once for each key column.")
@pass_session
def command(session: Session, tenant: str, dataset: str | None, start: date | None, key: tuple[str, ...]) -> None:
    """Show each window of a tenant's data: earliest and latest day, every reason, and which one prevails.

    With --key, for one row: its start times are looked up in the store, and nothing else of it is read.
    """
    from lifecycle.core.errors import InvalidDocument
    from lifecycle.flow import offboard
    from lifecycle.flow.explaining import explain, explain_row

    if key and (dataset is None or start is not None):
        raise click.UsageError("--key names a row: give its dataset, and no --start")
    with session.open(stores=bool(key)) as deployment:
        known = offboard.find(deployment, tenant)
        if dataset is not None and all(dataset != one.id for one in deployment.policy.inventory.datasets):
            raise InvalidDocument("the inventory has no such dataset", advice="`lifecycle scan` names the datasets.")
        if key and dataset is not None:
            explanation = explain_row(deployment, known, dataset, key)
        else:
            explanation = explain(deployment, known, dataset=dataset, start=start)
    session.show(_document(explanation), _page(explanation))


def _page(found: Explanation) -> Page:
    layers = f"{found.agreement} {found.version}" + (f", individual {found.individual}" if found.individual else "")
    page = Page().line(f"{found.tenant.id} ({found.alias}) under {layers}, on {found.today}", "head")
    for name, period in found.tenant.parameters.items():
        page.line(f"parameter {name}: {words.period(str(period))}, set by the controller")
    tenant_view.timeline(page, found.timeline)
    groups: dict[int, list[Explained]] = {}
    for explained in found.datasets:
        # Datasets with the same window, reason for reason, are told together.
        first = next(e for e in found.datasets if e.window == explained.window)
        groups.setdefault(id(first), []).append(explained)
    for group in groups.values():
        _window(page.line(), group, found.timeline)
    if not found.datasets:
        page.line("The tenant's agreement has no category that this dataset belongs to.", "warn")
    return page


def _window(page: Page, group: list[Explained], line: Timeline) -> None:
    window = group[0].window
    names = ", ".join(f"{e.dataset.id} ({e.dataset.category}, {e.dataset.store})" for e in group)
    starts = group[0].starts
    page.line(f"{names}: {'the row of that key' if starts is not None else f'a record of {group[0].example}'}", "head")
    if starts is not None:
        page.pairs(
            ((name, day or "undatable: no rule deletes it by this time") for name, day in starts.items()), indent=2
        )
    page.line(_verdict(window, line), "plain" if window.reasons else "warn", indent=2)
    told: set[str | None] = set()
    for reason in sorted(window.reasons, key=lambda r: (not r.binds, r.kind != "hold", r.kind, r.day or date.max)):
        figure, place = _reason(reason, note=None if reason.note in told else reason.note)
        page.line(figure, "plain" if reason.binds else "dim", indent=2).line(place, "dim", indent=11)
        told.add(reason.note if reason.binds else None)
    page.lines((f"conflict: {conflict}" for conflict in window.conflict), "warn", indent=2)


def _verdict(window: Window, line: Timeline) -> str:
    if any(reason.kind == "hold" and reason.binds for reason in window.reasons):
        return "kept by a hold; no day until it is released"
    parts = [f"may go from {window.earliest}"] if window.earliest else []
    if window.due:
        parts.append(f"is deleted from {window.due}")
    elif not any(reason.start in ENDS for reason in window.reasons):
        parts.append("no rule deletes it")
    elif line.contract_end is None:
        parts.append("is deleted with the contract's end, which is not known")
    else:
        cause = "the choice between deletion and return is made" if line.awaiting_choice else "the return is delivered"
        parts.append(f"is deleted once {cause}")
    if window.latest:
        parts.append(f"gone before {window.latest} begins")
    return " · ".join(parts)


def _reason(reason: Reason, *, note: str | None) -> tuple[str, str]:
    """Return the figure, `binds  gone by 90 days (P90D) after collection → before 2027-02-19`, and its place."""
    what = {"floor": "keep   ", "ceiling": "gone by", "hold": "held   "}[reason.kind]
    figure = words.period(reason.period) if reason.period else ""
    figure += "until it is released" if reason.kind == "hold" else ""
    figure += f" after {_since(reason.start)}" if reason.start else ""
    if reason.day is not None:
        figure += f" → {'free from' if reason.kind == 'floor' else 'before'} {reason.day}"
    # A rule of the operator's own names itself once as the rule's source and once as the figure's.
    source = ": ".join(dict.fromkeys(reason.source.replace("_", " ").split(": ")))
    duty = f"{reason.duty_holder}'s duty" if reason.duty_holder else None
    rule = f"rule {reason.rule}" if reason.rule else None
    layer = f"layer {reason.layer}" if reason.layer else None
    place = [f"{words.label(reason.label)}: {source}", duty, rule, layer, note]
    return f"{'binds ' if reason.binds else '(no)  '} {what} {figure}".rstrip(), " · ".join(
        part for part in place if part
    )


def _since(start: str) -> str:
    """Return a start time as people say it: `the contract's end`, `the end of the year of issue`, `collection`."""
    name, _, turn = start.partition(", ")
    spoken = {"contract-end": "the contract's end", "window-end": "the window's end"}.get(name, name)
    return f"the end of the year of {spoken}" if turn == "year-end" else spoken


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "tenant": found.tenant.id,
        "alias": found.alias,
        "agreement": found.agreement,
        "version": found.version,
        "individual": found.individual,
        "today": found.today.isoformat(),
        "parameters": {name: str(period) for name, period in found.tenant.parameters.items()},
        "timeline": tenant_view.timeline_document(found.timeline),
        "datasets": [_explained(explained) for explained in found.datasets],
    }


def _explained(explained: Explained) -> dict[str, Any]:
    window = explained.window
    return {
        "dataset": explained.dataset.id,
        "category": explained.dataset.category,
        "store": explained.dataset.store,
        "start": explained.example.isoformat() if explained.starts is None else None,
        "starts": None if explained.starts is None else {n: _iso(d) for n, d in explained.starts.items()},
        "earliest": _iso(window.earliest),
        "due": _iso(window.due),
        "latest": _iso(window.latest),
        "reasons": [
            {
                "kind": r.kind, "binds": r.binds, "day": _iso(r.day), "period": r.period, "start": r.start,
                "label": r.label, "source": r.source, "duty_holder": r.duty_holder, "rule": r.rule, "layer": r.layer,
                "note": r.note,
            }
            for r in window.reasons
        ],
        "conflicts": list(window.conflict),
    }  # fmt: skip


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None

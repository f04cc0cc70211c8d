"""A tenant as people and programs read it, and the dates that follow from its contract's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifecycle.cli import words
from lifecycle.cli.page import Page

if TYPE_CHECKING:
    from lifecycle.core.offboarding import Timeline
    from lifecycle.core.tenant import Tenant
    from lifecycle.flow.offboard import Offboarding

STATES = {
    "active": "active",
    "notice": "notice given",
    "ended": "ended; use restricted, export open",
    "awaiting-choice": "ended; the controller's choice is awaited",
    "deleting": "deleting",
    "deleted": "deleted; copies pending",
    "remainder": "deleted, but for what a statute keeps",
    "closed": "closed",
}


def tenant_from(name: str, parameters: Sequence[str], fields: Mapping[str, Any]) -> Tenant:
    """Return the tenant of the arguments. Raises InvalidDocument with every fault, without repeating values."""
    from pydantic import ValidationError

    from lifecycle.core.errors import InvalidDocument
    from lifecycle.core.tenant import Tenant

    pairs = [text.partition("=") for text in parameters]
    if not all(key and equals and value for key, equals, value in pairs):
        raise InvalidDocument("a parameter is written NAME=PERIOD", advice="For example booking_retention=P6M.")
    given = {key: value for key, value in fields.items() if value not in (None, ())}
    try:
        return Tenant.model_validate({"id": name, "parameters": {key: value for key, _, value in pairs}, **given})
    except ValidationError as error:
        fields_ = sorted({".".join(str(part) for part in fault["loc"]) for fault in error.errors()})
        msg = f"the tenant's {', '.join(fields_) or 'entry'} cannot be what it is"
        advice = "`lifecycle schema tenants` says what each field takes; days must be in order."
        raise InvalidDocument(msg, advice=advice) from None


def document(alias: str, tenant: Tenant) -> dict[str, Any]:
    """Return the register's entry as JSON."""
    return {"alias": alias, **tenant.model_dump(mode="json")}


def full_document(seen: Offboarding) -> dict[str, Any]:
    """Return the entry with its timeline as JSON."""
    return {**document(seen.alias, seen.tenant), "timeline": timeline_document(seen.timeline)}


def timeline_document(line: Timeline) -> dict[str, Any]:
    """Return the dates of the contract's end as JSON."""
    return {
        "contract_end": _iso(line.contract_end),
        "windows": [
            {"id": w.id, "label": w.label, "source": w.source, "last_day": _iso(w.last_day)} for w in line.windows
        ],
        "window_end": _iso(line.window_end),
        "due_from": _iso(line.due_from),
        "delete_by": _iso(line.delete_by),
        "state": line.state,
        "awaiting_choice": line.awaiting_choice,
        "licence_note": line.licence_note,
        "conflicts": list(line.conflicts),
    }


def page(seen: Offboarding) -> Page:
    """Return one tenant for people."""
    tenant = seen.tenant
    shown = Page().line(f"{tenant.id}  ({seen.alias})", "head")
    layers = f"{tenant.agreement} {tenant.agreement_version or ''}".strip()
    shown.pairs(
        [
            ("agreement", layers + (f", individual {tenant.individual}" if tenant.individual else "")),
            ("state", STATES[tenant.state]),
            ("firm", tenant.firm),
            ("customer number", tenant.customer_number),
            ("licence", tenant.licence),
            ("authorised", ", ".join(tenant.authorised)),
            *(
                (f"{name}", f"{words.period(str(value))}, set by the controller")
                for name, value in tenant.parameters.items()
            ),
            ("contract from", tenant.contract_start),
            ("notice received", tenant.notice_on),
            ("choice", _choice(seen)),
            ("window waived", tenant.window_waived_on),
        ],
        indent=2,
    )
    return timeline(shown, seen.timeline)


def _choice(seen: Offboarding) -> str | None:
    """Return what the controller chose, or that it did not, once its contract has an end."""
    tenant = seen.tenant
    if tenant.choice:
        return f"{tenant.choice} (on {words.day(tenant.choice_on)})"
    if tenant.contract_end is None or seen.timeline.awaiting_choice:
        return None
    return "none is recorded; without one the data is deleted"


def timeline(shown: Page, line: Timeline) -> Page:
    """Add the contract's end, step by step."""
    if line.contract_end is None:
        return shown.line("Contract: no end is recorded; deletion at its end is not due.")
    shown.line("Contract's end", "head")
    steps: list[tuple[str, object]] = [("last day of the contract", line.contract_end)]
    for window in line.windows:
        last = words.day(window.last_day, "until the promised return is delivered")
        steps.append(("window open through", f"{last}  {words.label(window.label)}: {window.source}"))
    if line.awaiting_choice:
        steps.append(("choice", "awaited: delete or return; nothing is deleted before"))
    steps.append(("deleted from", words.day(line.due_from)))
    steps.append(("gone before the day", words.day(line.delete_by)))
    shown.pairs(steps, indent=2)
    shown.lines((f"note: {line.licence_note}",) if line.licence_note else (), indent=2)
    return shown.lines((f"conflict: {conflict}" for conflict in line.conflicts), "warn", indent=2)


def _iso(value: Any) -> str | None:
    return None if value is None else value.isoformat()

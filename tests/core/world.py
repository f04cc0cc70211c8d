"""Small documents for the core's tests: one agreement, one inventory, one operator, statutes; all names invented."""

from __future__ import annotations

from datetime import date
from typing import Any

from lifecycle.core.agreement import Agreement
from lifecycle.core.hold import Hold
from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.core.operator import OperatorDocument
from lifecycle.core.policy import Policy
from lifecycle.core.statute import Statutes
from lifecycle.core.tenant import Tenant

LOGS = {"id": "logs", "clause": "5.7", "category": ("log",), "start": "collection", "gone_by": "P90D"}
BOOKING = {
    "id": "booking",
    "clause": "3.5",
    "category": ("booking",),
    "start": {"event": "booking-end"},
    "keep": {"parameter": "retention"},
    "gone_by": {"parameter": "retention", "plus": {"operator": "without_delay"}},
}
END = {
    "id": "end",
    "clause": "1.2",
    "category": "all",
    "start": "window-end",
    "gone_by": {"operator": "without_delay"},
}
WINDOW = {"id": "pick-up", "clause": "10(1)", "keep": "P90D"}
RETENTION = {"clause": "4.4", "at_least": "P1M", "at_most": "P2Y"}


def agreement(*rules: dict[str, Any], **more: Any) -> Agreement:
    """An agreement with these rules; everything else plain."""
    values: dict[str, Any] = {
        "lifecycle": "agreement/v1",
        "id": "portal",
        "version": "2026-01",
        "title": "Portal",
        "precedence": {"order": "unknown"},
        "zone": "Europe/Berlin",
        "categories": tuple({"id": name, "name": name} for name in ("log", "booking", "billing", "content")),
        "rules": rules,
        "choice": {"default": "delete"},
        "proof": {"title": "Löschnachweis"},
        "backups": {"delay_agreed": False},
        "on_doubt": "inform",
    }
    return Agreement.model_validate({**values, **more})


def individual(*rules: dict[str, Any], **more: Any) -> Agreement:
    """An individual layer of `portal`."""
    values = {"id": "portal-extra", "layer": "individual", "amends": "portal", "categories": ()}
    return agreement(*rules, **{**values, **more})


def dataset(name: str, category: str, *times: str, **more: Any) -> Dataset:
    """A table with a tenant column and these start times."""
    values: dict[str, Any] = {
        "id": name,
        "store": "main",
        "table": name,
        "category": category,
        "key": ("id",),
        "tenant": {"by": "column", "column": "tenant_id"},
        "times": {time: {"column": time.replace("-", "_"), "encoding": "utc"} for time in times},
    }
    return Dataset.model_validate({**values, **more})


def invoices(holder: str = "processor") -> Dataset:
    """The billing table: invoices that a statute keeps."""
    record = {"kind": "invoice", "holder": holder, "start": "issued"}
    return dataset("invoices", "billing", "issued", statutory=(record,))


LOG = dataset("log", "log", "collection")
BOOKINGS = dataset("bookings", "booking", "booking-end")
CONTENT = dataset("content", "content", "collection")


def statutes(*floors: dict[str, Any], retrieval: bool = True) -> tuple[Statutes, ...]:
    """The invoice floor of eight years (ten before 2025), and the Data Act's thirty days."""
    default = (
        floor(id="invoice-8", period="P8Y", valid_from=date(2025, 1, 1)),
        floor(id="invoice-10", period="P10Y", valid_until=date(2024, 12, 31)),
        floor(id="bank-10", period="P10Y", only_for=("bank",)),
    )
    right = {"id": "retrieval", "citation": "Art. 25(2)(g) Data Act", "period": "P30D", "valid_from": date(2025, 9, 12)}
    return (
        Statutes.model_validate({"lifecycle": "statutes/v1", "id": "de", "floors": floors or default}),
        Statutes.model_validate(
            {"lifecycle": "statutes/v1", "id": "eu", "retrieval": (right,) if retrieval else ()},
        ),
    )


def floor(**more: Any) -> dict[str, Any]:
    """One statutory floor for invoices and vouchers."""
    return {"id": "floor", "citation": "§ 147(3) AO", "kinds": ("invoice", "voucher"), "of": "the issue", **more}


def operator(**more: Any) -> OperatorDocument:
    """The processor, with readings of P14D without delay and P90D for a choice."""
    readings = {
        "without_delay": "P14D",
        "forward_request": "P2D",
        "unlawful_notice": "P1D",
        "delivery_inspection": "P14D",
        "choice_request": "P14D",
        "choice_ceiling": "P90D",
    }
    values: dict[str, Any] = {
        "lifecycle": "operator/v1",
        "firm": "Example Software GmbH",
        "address": "Musterweg 1, 12345 Beispielstadt",
        "dpo_office": "privacy office",
        "federal_state": "BE",
        "readings": readings,
        "approved_on": date(2026, 1, 1),
        "review_by": date(2027, 1, 1),
    }
    return OperatorDocument.model_validate({**values, **more})


def policy(
    *agreements: Agreement,
    datasets: tuple[Dataset, ...] = (LOG, BOOKINGS, CONTENT),
    law: tuple[Statutes, ...] | None = None,
    **more: Any,
) -> Policy:
    """Everything together."""
    inventory = Inventory.model_validate(
        {
            "lifecycle": "inventory/v1",
            "id": "main",
            "stores": ({"id": "main", "kind": "sql", "address": {"env": "DATABASE_URL"}, "place": {"country": "DE"}},),
            "datasets": datasets,
        }
    )
    return Policy(agreements, statutes() if law is None else law, operator(**more), inventory, "sha256:" + "0" * 64)


def tenant(name: str = "acme", **more: Any) -> Tenant:
    """A tenant of the portal agreement."""
    return Tenant.model_validate({"id": name, "agreement": "portal", **more})


def hold(**more: Any) -> Hold:
    """A hold on all of acme's data by a legal order."""
    values = {
        "id": "h-1",
        "tenant": "acme",
        "basis": "legal-order",
        "reason": "proceedings",
        "set_on": date(2026, 1, 1),
        "set_by": "op-1",
    }
    return Hold.model_validate({**values, **more})

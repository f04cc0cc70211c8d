"""Tenants (controllers): which agreement binds them, their parameters, and where their contract stands."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from lifecycle.core.period import Period
from lifecycle.core.value import Fault, Identifier, Line, Value, refuse

TenantId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""The id in the operator's own database: opaque, compared byte-exact, never part of evidence or of a path."""

TenantState = Literal["active", "notice", "ended", "awaiting-choice", "deleting", "deleted", "remainder", "closed"]

_WILDCARDS = frozenset({"*", "%", "0", "_", "?"})
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, format characters (bidi, zero-width), surrogates, line separators: two ids may look the same."""


class Tenant(Value):
    """One tenant under `agreement@version`; several versions may be in force at once."""

    id: TenantId = Field(description="Id in the operator's own database, byte for byte; quote numbers.")
    agreement: Identifier = Field(description="The agreement that binds it.")
    agreement_version: Line | None = Field(
        default=None, description="Its version, in quotes, where several are in force."
    )
    individual: Identifier | None = Field(default=None, description="The individual agreement, if there is one.")
    parameters: dict[Identifier, Period] = Field(
        default_factory=dict, description="Figures that the controller set, for example booking_retention: P6M."
    )
    contract_start: date | None = Field(default=None, description="First day of the contract.")
    notice_on: date | None = Field(default=None, description="Day on which notice of termination was received.")
    contract_end: date | None = Field(default=None, description="Last day of the contract.")
    licence: Line | None = Field(default=None, description="Active licence, where the export offer depends on it.")
    choice: Literal["delete", "return"] | None = Field(default=None, description="The controller's choice at the end.")
    choice_on: date | None = Field(default=None, description="Day of that choice.")
    window_waived_on: date | None = Field(
        default=None, description="Day on which the controller waived the rest of the pick-up period by instruction."
    )
    state: TenantState = Field(default="active", description="Where the contract stands.")
    firm: Line | None = Field(default=None, description="Firm, for the certificate.")
    customer_number: Line | None = Field(
        default=None, description="Customer number, for the certificate; quote numbers."
    )
    authorised: tuple[Identifier, ...] = Field(default=(), description="Who may instruct: roles or pseudonyms.")
    federal_state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(
        default=None, description="Federal state, two letters: its public holidays count for working days."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Tenant:
        faults: list[Fault] = []
        if self.contract_start and self.contract_end and self.contract_end < self.contract_start:
            faults.append(Fault(("contract_end",), "the contract ends before it starts", "correct one of the two days"))
        if self.id.strip() != self.id or self.id in _WILDCARDS:
            what = "a tenant id is never a wildcard, a zero, or padded with blanks"
            faults.append(Fault(("id",), what, "write the id of exactly one tenant"))
        if any(unicodedata.category(character) in _UNSEEN for character in self.id):
            what = "the tenant id holds characters that nobody sees"
            faults.append(Fault(("id",), what, "write the id without control, bidi and zero-width characters"))
        if self.choice_on is not None and self.choice is None:
            faults.append(
                Fault(("choice_on",), "a day of choice without a choice", "write choice, or remove choice_on")
            )
        if faults:
            refuse(*faults)
        return self


class TenantSource(Value):
    """A table of the operator's own database: table and columns by name, no SQL text."""

    store: Identifier = Field(description="Store of the inventory.")
    table: Line = Field(description="Table, by name.")
    id_column: Line = Field(description="Column with the tenant's id.")
    agreement_column: Line | None = Field(default=None, description="Column that names the agreement.")
    agreement: Identifier | None = Field(default=None, description="The agreement of all of them.")

    @model_validator(mode="after")
    def _one_agreement(self) -> TenantSource:
        if (self.agreement is None) == (self.agreement_column is None):
            fix = "write exactly one of agreement and agreement_column"
            refuse(Fault((), "the source says twice, or not at all, which agreement binds", fix))
        return self


class Tenants(Value):
    """The tenants document: a list, or the table they are read from."""

    lifecycle: Literal["tenants/v1"] = Field(description="Kind and version of this document.")
    tenants: tuple[Tenant, ...] = Field(default=(), description="Tenants, one by one.")
    source: TenantSource | None = Field(default=None, description="The table they are read from.")

    @model_validator(mode="after")
    def _unique(self) -> Tenants:
        seen: set[str] = set()
        faults: list[Fault] = []
        for index, tenant in enumerate(self.tenants):
            if tenant.id in seen:
                faults.append(
                    Fault(("tenants", index, "id"), "a tenant id is declared twice", "declare each tenant once")
                )
            seen.add(tenant.id)
        if not self.tenants and self.source is None:
            what = "no tenants and no source: an empty register selects nothing and proves nothing"
            faults.append(Fault((), what, "list tenants, or name the table they are read from"))
        if faults:
            refuse(*faults)
        return self

"""Holds (Aussetzung der Löschung): a floor without an end, with basis, scope, reason and release."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.core.tenant import TenantId
from lifecycle.core.value import Fault, Identifier, Line, Value, refuse

HoldBasis = Literal["controller-instruction", "legal-order", "own-data", "person-restriction"]
"""The processor's wish to keep tenant data as its own proof is none."""


class Hold(Value):
    """Keeps a tenant's rows, in all datasets or in the named ones. Active once every store of its scope mirrors it."""

    id: Identifier = Field(description="Name of the hold.")
    tenant: TenantId = Field(description="Whose rows are kept.")
    datasets: tuple[Identifier, ...] = Field(default=(), description="Which datasets; left out, all.")
    basis: HoldBasis = Field(description="What the hold rests on.")
    reason: Line = Field(description="Why, without names of persons.")
    reference: Line | None = Field(default=None, description="Reference of the order or instruction.")
    set_on: date = Field(description="First day.")
    set_by: Identifier = Field(description="The operator who set it.")
    review_on: date | None = Field(default=None, description="When it is looked at again.")
    released_on: date | None = Field(default=None, description="Day of its release.")
    released_by: Identifier | None = Field(default=None, description="The operator who released it.")
    mirrored_in: tuple[Identifier, ...] = Field(default=(), description="Stores that know it.")

    @model_validator(mode="after")
    def _released(self) -> Hold:
        faults: list[Fault] = []
        if (self.released_on is None) != (self.released_by is None):
            faults.append(Fault((), "a release has a day and an operator", "write both released_on and released_by"))
        if self.released_on is not None and self.released_on < self.set_on:
            faults.append(
                Fault(("released_on",), "the hold is released before it is set", "correct one of the two days")
            )
        if faults:
            refuse(*faults)
        return self

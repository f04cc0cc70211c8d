"""Who runs the deployment (operator document), and whose keys approve (operators file)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from lifecycle.core.agreement import ReadingName
from lifecycle.core.hours import Hours
from lifecycle.core.period import Period
from lifecycle.core.value import Fault, Identifier, Line, Value, refuse

_MOST_DELAY_DAYS = 30
_LEAST_REQUEST_DAYS = 14


class Readings(Value):
    """The operator's own readings where no clause names a number. Each is shown as a reading, never as a clause."""

    without_delay: Period = Field(description="Deletion without delay (§ 121(1) BGB), at most P30D.")
    forward_request: Period = Field(description="Forwarding a person's request that arrived directly.")
    unlawful_notice: Period = Field(description="Telling the controller that an instruction seems unlawful.")
    delivery_inspection: Period = Field(description="Time to inspect a delivered export before its source is deleted.")
    choice_request: Period = Field(description="Period set for the choice delete or return, at least P14D.")
    choice_ceiling: Period = Field(description="After the contract's end a choice is awaited no longer than this.")
    breach_notice: Hours = Field(
        default=Hours(24), description="Telling the controller of a breach, in hours; they run through weekends."
    )
    person_request: Period = Field(
        default=Period(days=10), description="Own date for a person's request; the controller's month is longer."
    )

    def of(self, name: ReadingName) -> Period:
        """Return the reading of that name."""
        value: Period = getattr(self, name)
        return value

    @model_validator(mode="after")
    def _in_bounds(self) -> Readings:
        faults: list[Fault] = []
        if self.without_delay.most_days() > _MOST_DELAY_DAYS:
            faults.append(
                Fault(("without_delay",), "more than 30 days is no longer without delay", "write P30D or less")
            )
        if self.choice_request.least_days() < _LEAST_REQUEST_DAYS:
            fix = "write P14D or more"
            faults.append(Fault(("choice_request",), "a request for the choice needs at least 14 days", fix))
        if faults:
            refuse(*faults)
        return self


class OperatorDocument(Value):
    """The processor: firm, DPO office (a role, not a person), responsibilities, readings, review dates."""

    lifecycle: Literal["operator/v1"] = Field(description="Kind and version of this document.")
    firm: Line = Field(description="Firm of the processor.")
    address: Line = Field(description="Its address.")
    dpo_office: Line = Field(description="Office of the data protection officer: a role, not a person.")
    industry: Literal["bank", "insurer", "investment-firm", "other"] = Field(
        default="other", description="Some statutes bind some industries for longer."
    )
    federal_state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = Field(
        description="Federal state, two letters: its public holidays count for working days."
    )
    responsibilities: dict[Identifier, Line] = Field(default_factory=dict, description="Task and the role that has it.")
    readings: Readings = Field(description="The operator's own readings where no clause names a number.")
    tax_final_through: Annotated[int, Field(ge=1970, le=2200)] | None = Field(
        default=None, description="Last calendar year whose tax assessment is final (§ 147(3) AO); reviewed yearly."
    )
    approved_on: date = Field(description="When this document was approved.")
    review_by: date = Field(description="When it is reviewed at the latest.")

    @model_validator(mode="after")
    def _dates(self) -> OperatorDocument:
        if self.review_by <= self.approved_on:
            refuse(Fault(("review_by",), "the review lies before the approval", "write a later day"))
        return self


class OperatorKey(Value):
    """One operator: an id (a role or pseudonym) and an Ed25519 public key, base64. Removed ones stay, dated."""

    id: Identifier = Field(description="A role or pseudonym.")
    public_key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")] = Field(
        description="Ed25519 public key, 32 bytes in base64."
    )
    added_on: date = Field(description="First day on which its signatures count.")
    removed_on: date | None = Field(default=None, description="From this day on its signatures do not count.")


class OperatorsFile(Value):
    """`operators.yaml`: the public keys that may approve."""

    lifecycle: Literal["operators/v1"] = Field(description="Kind and version of this document.")
    operators: tuple[OperatorKey, ...] = Field(default=(), description="Operators, removed ones included.")

    @model_validator(mode="after")
    def _distinct(self) -> OperatorsFile:
        faults = [
            Fault(("operators", index, field), f"the same {words} stands twice", "give each operator its own")
            for field, words in (("id", "id"), ("public_key", "public key"))
            for index, operator in enumerate(self.operators)
            if getattr(operator, field) in [getattr(earlier, field) for earlier in self.operators[:index]]
        ]
        if faults:
            refuse(*faults)
        return self

"""Instructions (Weisungen): documented orders of the controller by authorised persons (Art. 28(3)(a) GDPR)."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.core.tenant import TenantId
from lifecycle.core.value import Fault, Identifier, Line, Value, refuse

InstructionState = Literal[
    "received",
    "oral-unconfirmed",
    "accepted",
    "suspended",
    "confirmed",
    "replaced",
    "withdrawn",
    "executed",
    "rejected",
]
InstructionKind = Literal[
    "delete-earlier", "return", "set-parameter", "restrict", "hold", "release-hold", "choice", "other"
]

_MAY_BE_ORAL = frozenset({"restrict", "hold"})
"""An oral instruction may stop or restrict. Releasing a hold lets rows go: that waits for text form."""


class Instruction(Value):
    """One instruction. An oral one may stop or restrict, never delete, until it is confirmed in text form."""

    id: Identifier = Field(description="Name of the instruction.")
    tenant: TenantId = Field(description="The controller who gave it.")
    kind: InstructionKind = Field(description="What it orders.")
    given_by: Identifier = Field(description="The authorised person, by role or pseudonym.")
    channel: Literal["text", "written", "oral", "ticket", "portal"] = Field(description="How it arrived.")
    reference: Line | None = Field(default=None, description="Reference, for example a ticket's number.")
    received_on: date = Field(description="Day of receipt.")
    state: InstructionState = Field(description="Where it stands.")
    recorded_by: Identifier = Field(description="The operator who recorded it.")
    note: Line | None = Field(default=None, description="A remark, without names of persons.")

    @model_validator(mode="after")
    def _oral_never_deletes(self) -> Instruction:
        unconfirmed = self.channel == "oral" and self.state in {"accepted", "executed"}
        if unconfirmed and self.kind not in _MAY_BE_ORAL:
            fix = "record its confirmation in text form (state: confirmed), or keep oral-unconfirmed"
            refuse(Fault(("state",), "an oral instruction may stop or restrict only", fix))
        return self

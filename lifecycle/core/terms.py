"""Terms of a rule: from when it counts, and how long; a figure of the clause, of the controller, or of the operator."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from lifecycle.core.period import Period
from lifecycle.core.value import Identifier, Value

ReadingName = Literal[
    "without_delay", "forward_request", "unlawful_notice", "delivery_inspection", "choice_request", "choice_ceiling"
]


class ByParameter(Value):
    """A period that the tenant's parameter gives, plus the operator's reading where the clause names no number."""

    parameter: Identifier = Field(
        description="Name of a parameter of this agreement; the controller sets it per tenant."
    )
    plus: ByReading | None = Field(default=None, description="A reading of the operator that is added to it.")


class ByReading(Value):
    """A period that the operator reads into words such as "without delay" (§ 121(1) BGB)."""

    operator: ReadingName = Field(description="Which reading of the operator document.")


def _term_kind(value: Any) -> str:
    """Tell the three kinds of a term apart, so that an error speaks of the one that was meant."""
    if isinstance(value, ByParameter) or (isinstance(value, dict) and "parameter" in value):
        return "(parameter)"
    if isinstance(value, ByReading | dict):
        return "(operator)"
    return "(period)"


Term = Annotated[
    Annotated[Period, Tag("(period)")]
    | Annotated[ByParameter, Tag("(parameter)")]
    | Annotated[ByReading, Tag("(operator)")],
    Discriminator(_term_kind),
]
"""A period in the clause, a parameter of the tenant, or a reading of the operator."""


class EventStart(Value):
    """A start time that the inventory maps to a column, such as booking-end."""

    event: Identifier = Field(description="Name of the event; each dataset's `times` says which column it is.")


def _start_kind(value: Any) -> str:
    """Tell a start by event from a start by name."""
    return "(event)" if isinstance(value, EventStart | dict) else "(name)"


StartName = Literal["collection", "contract-end", "window-end"]
Start = Annotated[
    Annotated[StartName, Tag("(name)")] | Annotated[EventStart, Tag("(event)")],
    Discriminator(_start_kind),
]
"""`window-end` = the later of contract end and the end of the longest open window."""


ByParameter.model_rebuild()

"""What every document and every value of the core has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NoReturn

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

IDENTIFIER = r"^[a-z0-9][a-z0-9._-]{0,79}$"

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER)]
"""Names that appear in evidence, metrics and certificates: lower case, no personal data."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Alias = Annotated[str, StringConstraints(pattern=r"^t-[a-z2-7]{16}$")]
"""The opaque name of a tenant in plans, evidence and metrics: a keyed digest of its id."""

Column = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A column, table or schema by its exact name in the store."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Value(BaseModel):
    """A frozen, closed, strict value: unknown fields and converted types are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="strings")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that a model's own check found wrong, at a path below the model, with what to do."""

    path: tuple[str | int, ...]
    what: str
    fix: str


FAULTS = "lifecycle_faults"
"""The error type under which a model's faults travel through pydantic; the loader turns each into a position."""


def refuse(*faults: Fault) -> NoReturn:
    """Raise all faults of a model at once, as the ValueError that pydantic collects."""
    message = ". ".join(f"{fault.what}; {fault.fix}" for fault in faults)
    raise PydanticCustomError(FAULTS, "{message}", {"message": message, "faults": faults})

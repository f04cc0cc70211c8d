"""The plan (Löschplan): what will be done, as canonical bytes with a hash, readable before anything happens.

Plans hold aliases, groups, days and counts: no tenant's id, no row key, no value (I23). The hash covers all of it; the
bytes are made once (RFC 8785), stored, and hashed; nobody re-serialises.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lifecycle.core.selection import Selection
from lifecycle.core.transform import Transform
from lifecycle.core.value import Alias, Column, Digest, Fault, Identifier, Line, Value, refuse

Count = Annotated[int, Field(ge=0)]


class Delete(Value):
    """Delete the selected rows."""

    kind: Literal["delete"] = "delete"


class Detach(Value):
    """Set these nullable foreign-key columns to NULL on the selected rows, to break a declared cycle."""

    kind: Literal["detach"] = "detach"
    columns: tuple[Column, ...] = Field(min_length=1)


class Anonymise(Value):
    """Carry these transforms out on the selected rows, start times untouched. `granted_by`: the clause that allows."""

    kind: Literal["anonymise"] = "anonymise"
    transforms: tuple[Transform, ...] = Field(min_length=1)
    granted_by: Line


Action = Annotated[Delete | Detach | Anonymise, Field(discriminator="kind")]


class CascadeCount(Value):
    """How many rows of another dataset go or change with the selected ones by a declared ON DELETE path."""

    dataset: Identifier
    effect: Literal["delete", "set-null"]
    expected: Count


class Withheld(Value):
    """Rows of the step's dataset and scope that stay, and why. `ends_on`: the first day the ground no longer binds."""

    dataset: Identifier
    ground: Line
    label: Literal["clause", "controller", "statute", "reading", "hold", "undatable", "unattributed", "referenced"]
    duty_holder: Literal["processor", "controller"] | None = None
    count: Count
    ends_on: date | None = None


class Step(Value):
    """One dataset in one store: what is selected, what is done, how many are expected, and the limit.

    `path_tenancy`: the dataset hangs on a tenant path; its residue is counted before the parents' level starts.
    `parked`: the dataset could not be counted; the step changes nothing, and its job ends partial (I27).
    """

    id: Annotated[str, Field(pattern=r"^s[0-9]{3}$")]
    store: Identifier
    dataset: Identifier
    category: Identifier
    rule: Identifier
    clause: Line | None = None
    own: bool = False
    action: Action
    selection: Selection
    expected: Count
    cascade: tuple[CascadeCount, ...] = ()
    limit: Count
    level: Count
    path_tenancy: bool = False
    withheld: tuple[Withheld, ...] = ()
    parked: bool = False

    @model_validator(mode="after")
    def _selects_what_it_does(self) -> Step:
        """Anonymising selects what its transforms have not done yet, and nothing else selects so."""
        wanted = self.action.transforms if isinstance(self.action, Anonymise) else ()
        if self.selection.undone != wanted:
            refuse(Fault(("selection",), "the step does not select what its action has not done", "plan again"))
        return self


class StoreBinding(Value):
    """Which store the plan was made against: fingerprint, and the hash of the schema it uses."""

    store: Identifier
    fingerprint: Digest
    used_schema: Digest


class Plan(Value):
    """A frozen plan. Apply must start by `start_by` (72 h), under a signature over the hash or a live mandate."""

    lifecycle: Literal["plan/v1"] = "plan/v1"
    id: Identifier
    kind: Literal["rule", "offboarding"]
    deployment: Identifier
    author: Identifier
    created_at: datetime
    effective_now: datetime
    start_by: datetime
    policy_hash: Digest
    agreement: Identifier
    agreement_versions: tuple[Line, ...]
    rule: Identifier | None = None
    tenant: Alias | None = None
    stores: tuple[StoreBinding, ...] = Field(min_length=1)
    steps: tuple[Step, ...]

    def store_names(self) -> tuple[str, ...]:
        """Return the stores that the plan is bound to."""
        return tuple(binding.store for binding in self.stores)

    def walked(self) -> tuple[Step, ...]:
        """Return the steps that are carried out: those that are not parked."""
        return tuple(step for step in self.steps if not step.parked)

    def expected(self) -> int:
        """Return how many items the plan expects to change in all."""
        return sum(step.expected for step in self.steps)

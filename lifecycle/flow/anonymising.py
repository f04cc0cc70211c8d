"""What anonymising adds to the line: who allows it, what a dataset's rows become, which datasets a plan anonymises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, Inventory
from lifecycle.core.obligation import Obligation
from lifecycle.core.offboarding import OffboardingStep
from lifecycle.core.plan import Anonymise, Plan
from lifecycle.core.transform import Transform


def refuse_ungranted(inventory: Inventory, wanted: Sequence[Obligation]) -> None:
    """Raise Refused unless a clause grants what anonymises, and the inventory says what becomes of each column."""
    for one in wanted:
        if one.action == "anonymise" and one.grant is None:
            raise Refused(
                f"rule {one.rule} anonymises {one.dataset}, and no clause grants it",
                guard="not-granted",
                advice="Write `anonymise_clause`, or `action: delete`.",
            )
        if one.action == "anonymise" and not inventory.dataset(one.dataset).transforms:
            raise Refused(
                f"rule {one.rule} anonymises {one.dataset}, and the inventory does not say how",
                guard="anonymise-undeclared",
                advice="Write `anonymise` in the dataset, with what becomes of each column; or let the rule delete.",
            )


def refuse_at_the_end(wanted: Iterable[OffboardingStep]) -> None:
    """Raise Refused for an end of contract that would anonymise: it deletes or returns (Art. 28(3)(g) GDPR)."""
    for one in wanted:
        if one.action == "anonymise":
            raise Refused(
                f"rule {one.rule} anonymises {one.dataset} at the contract's end",
                guard="not-granted",
                advice="Art. 28(3)(g) GDPR knows deletion and return only: write `action: delete`.",
            )


def action_of(dataset: Dataset, source: Obligation | OffboardingStep) -> Anonymise | None:
    """Return the step's action where it anonymises, else None."""
    if not isinstance(source, Obligation) or source.action != "anonymise":
        return None
    return Anonymise(transforms=dataset.transforms, granted_by=str(source.grant))


def undone(dataset: Dataset, obligation: Obligation) -> tuple[Transform, ...]:
    """Return what must be done on a row before the obligation is met without deleting it."""
    return dataset.transforms if obligation.action == "anonymise" else ()


def anonymised_in(plan: Plan, store: str) -> list[str]:
    """Return the datasets of a store whose rows the plan anonymises."""
    return sorted({s.dataset for s in plan.steps if s.store == store and isinstance(s.action, Anonymise)})

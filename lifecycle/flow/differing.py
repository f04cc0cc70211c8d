"""How many rows change sides today when one set of documents takes another's place: counts by the stores, no plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.core.errors import LifecycleError
from lifecycle.core.inventory import Dataset
from lifecycle.core.obligation import Obligation, resolve
from lifecycle.core.policy import Policy
from lifecycle.core.selection import Bound, Selection
from lifecycle.flow.deployment import Deployment
from lifecycle.flow.scopes import tenants

Place = tuple[str, str, str]
"""Agreement, rule, dataset."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows of one dataset that are due today by one rule, before and after. `why`: they could not be counted."""

    agreement: str
    rule: str
    dataset: str
    before: int | None
    after: int | None
    why: str | None = None

    @property
    def moved(self) -> int | None:
        """Return how many more rows would go today (negative: fewer); None where nobody counted."""
        return None if self.before is None or self.after is None else self.after - self.before


def sides(deployment: Deployment, old: Policy, new: Policy) -> list[Sides]:
    """Count what is due today under both, for the registered tenants as the stores' mirrors know them.

    Changes nothing. Where the new documents describe a dataset otherwise than the deployment does, its rows are not
    counted: the stores select by what the deployment declares.
    """
    before, after = _bindings(deployment, old), _bindings(deployment, new)
    return [_counted(deployment, place, before, after) for place in sorted({*before, *after})]


def _bindings(deployment: Deployment, policy: Policy) -> dict[Place, list[tuple[Obligation, Dataset]]]:
    found: dict[Place, list[tuple[Obligation, Dataset]]] = {}
    resolved = resolve(policy, tenants(deployment), deployment.clock.now(), deployment.limits.margin_days)
    for one in resolved.obligations:
        found.setdefault((one.agreement, one.rule, one.dataset), []).append(
            (one, policy.inventory.dataset(one.dataset))
        )
    return found


def _counted(
    deployment: Deployment,
    place: Place,
    before: Mapping[Place, list[tuple[Obligation, Dataset]]],
    after: Mapping[Place, list[tuple[Obligation, Dataset]]],
) -> Sides:
    try:
        return Sides(*place, _due(deployment, before.get(place, ())), _due(deployment, after.get(place, ())))
    except LifecycleError as error:
        return Sides(*place, None, None, error.message)
    except KeyError:
        return Sides(*place, None, None, "the deployment declares this dataset otherwise, or not at all")


def _due(deployment: Deployment, bindings: Iterable[tuple[Obligation, Dataset]]) -> int:
    """Count the due rows; of several cutoffs for the same tenants the one that selects the most.

    Raises KeyError for a dataset that the deployment does not declare like this.
    """
    most: dict[tuple[str, ...], int] = {}
    for one, dataset in bindings:
        if deployment.policy.inventory.dataset(dataset.id) != dataset:
            raise KeyError(dataset.id)
        selection = Selection(dataset=one.dataset, scope=one.scope, due=one.due, only=dataset.only)
        items = deployment.stores[one.store].count(Bound(selection)).items
        most[one.groups] = max(items, most.get(one.groups, 0))
    return sum(most.values())

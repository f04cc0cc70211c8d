"""Mandates (Dauerfreigabe): one rule's later plans run without a new signature while nothing about them widened.

What ends a mandate: another rule text, dataset, predicate, action, store, used schema or cascade; other columns, tables
or names where the inventory says whose rows are meant and since when; a count above its limit. What does not: another
day, another number of tenants or groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from dateutil.relativedelta import relativedelta

from lifecycle.core.inventory import Dataset
from lifecycle.core.plan import Plan, Step
from lifecycle.core.selection import template
from lifecycle.core.value import Digest, Identifier, Value

LIFE_MONTHS = 12
WARN_DAYS = 30


class Mandate(Value):
    """A standing approval: its template's hash, the signature over it, and how many items a run may change.

    `entries`: the log indices of its grant, renewals and revocation, for certificates of the jobs that ran under it.
    `template`: the signed hash's own text; a plan over some of its stores is covered as well (I27).
    """

    id: Identifier
    agreement: Identifier
    rule: Identifier
    template_hash: Digest
    most_items: int
    operator: Identifier
    signature: str
    granted_on: date
    expires_on: date
    revoked_on: date | None = None
    plan_hash: Digest
    entries: tuple[int, ...] = ()
    template: str | None = None

    def live(self, day: date) -> bool:
        """Return whether the mandate stands on that local day."""
        return self.revoked_on is None and self.granted_on <= day < self.expires_on

    def expires_soon(self, day: date) -> bool:
        """Return whether the renewal is due: within 30 days of its end."""
        return self.live(day) and (self.expires_on - day).days <= WARN_DAYS


def expiry(granted_on: date) -> date:
    """Return the day a mandate granted on that day ends: twelve months later."""
    return granted_on + relativedelta(months=LIFE_MONTHS)


def declaration(dataset: Dataset) -> dict[str, Any]:
    """Return what of a dataset's declaration decides which rows a selection means: where they lie, whose, since when.

    A selection names a time and a tenant; the inventory says which columns, tables or names these are.
    """
    return dataset.model_dump(mode="json", include={"schema_", "table", "key", "tenant", "times", "files"})


def template_of(plan: Plan, rule_digest: str, declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a later plan of the rule must equal: everything but days, groups and counts.

    `rule_digest` is the hash of the rule as the agreement's document has it, periods included; `declared` holds each
    dataset's `declaration`.
    """
    return {
        "agreement": plan.agreement,
        "rule": plan.rule,
        "rule_digest": rule_digest,
        "stores": [store.model_dump(mode="json") for store in plan.stores],
        "steps": _distinct([_step_template(step, declared.get(step.dataset)) for step in plan.steps]),
    }


def is_part(plan: Mapping[str, Any], mandated: Mapping[str, Any]) -> bool:
    """Tell whether a plan's template is the mandated one without some of its stores: nothing else may be missing."""
    names = {store["store"] for store in plan["stores"]}
    part = {
        **mandated,
        "stores": [store for store in mandated["stores"] if store["store"] in names],
        "steps": [step for step in mandated["steps"] if step["store"] in names],
    }
    return bool(names) and dict(plan) == part


def _step_template(step: Step, declared: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "declared": declared,
        "store": step.store,
        "dataset": step.dataset,
        "action": step.action.model_dump(mode="json"),
        "selection": template(step.selection),
        "cascade": sorted(f"{c.dataset}:{c.effect}" for c in step.cascade),
    }


def _distinct(templates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    distinct: list[dict[str, Any]] = []
    for one in templates:
        if one not in distinct:
            distinct.append(one)
    return sorted(distinct, key=repr)

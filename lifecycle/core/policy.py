"""Everything the documents promise, together: what `resolve` reads."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.core.agreement import Agreement, Rule
from lifecycle.core.inventory import Inventory
from lifecycle.core.operator import OperatorDocument
from lifecycle.core.statute import Statutes


@dataclass(frozen=True, slots=True)
class Policy:
    """Agreements in every version in force, statutes, the operator's document and the inventory.

    `digest` is the `sha256:` hash over the exact bytes of all documents, sorted by kind and id.
    """

    agreements: tuple[Agreement, ...]
    statutes: tuple[Statutes, ...]
    operator: OperatorDocument
    inventory: Inventory
    digest: str

    def agreement(self, name: str, version: str | None = None) -> Agreement:
        """Return an agreement; without a version the only one of that id. KeyError when none or several match."""
        found = [a for a in self.agreements if a.id == name and version in {None, a.version}]
        if len(found) != 1:
            raise KeyError(name if version is None else f"{name}@{version}")
        return found[0]

    def rules(self, agreement: str, rule: str, versions: tuple[str, ...] = ()) -> tuple[Rule, ...]:
        """Return the rule of that id in each document of an agreement: its versions and the layers that amend it.

        `versions`: the agreement's versions that count; all without any. Empty when no document has the rule.
        """
        own = [a for a in self.agreements if a.id == agreement and a.amends is None]
        documents = [a for a in own if not versions or a.version in versions]
        documents += [a for a in self.agreements if own and a.amends == agreement]
        return tuple(found for document in documents for found in document.rules if found.id == rule)

"""What looks personal in tables that are declared not personal: names of columns and, on request, shapes of values.

Names suggest and samples count; neither decides. A sampled hit is a contradiction of the inventory, a name is a hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lifecycle.core.guesses import Holds, person_kind
from lifecycle.flow.coverage import is_not_personal
from lifecycle.flow.deployment import Deployment
from lifecycle.ports.store import Likeness, Table

LEAST = 3
"""Values of a shape from which on a column counts as personal: one odd value in a thousand is no column's purpose."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A column that looks personal: `holds` by its name (None: the name says nothing), `seen` by its values.

    `seen` is None where no sample was taken; counts only, the values are gone.
    """

    store: str
    schema: str | None
    table: str
    column: str
    holds: Holds | None
    seen: Likeness | None

    @property
    def contradicts(self) -> bool:
        """Tell whether values themselves speak against the declaration."""
        return self.seen is not None and max(self.seen.emails, self.seen.phones, self.seen.ibans) >= LEAST


@dataclass(frozen=True, slots=True)
class Suspicions:
    """What looks personal, and tables that were to be sampled and could not be."""

    suspects: tuple[Suspect, ...]
    unsampled: tuple[str, ...]


def suspicions(deployment: Deployment, store: str, *, sample: bool) -> Suspicions:
    """Look at each table of the store that the inventory declares not personal."""
    opened = deployment.stores[store]
    tables = [t for t in opened.catalogue().tables if is_not_personal(deployment.policy.inventory, store, t)]
    seen: dict[tuple[str | None, str], list[Likeness]] = {}
    if sample:
        for one in opened.likeness([(table.schema, table.name) for table in tables]):
            seen.setdefault((one.schema, one.table), []).append(one)
    found = tuple(
        suspect for table in tables for suspect in _of(store, table, seen.get((table.schema, table.name), []))
    )
    sampled = {place for place, columns in seen.items() if any(one.sampled for one in columns)}
    silent = [t.name for t in tables if sample and (t.schema, t.name) not in sampled and _has_text(t)]
    return Suspicions(found, tuple(silent))


def _of(store: str, table: Table, seen: list[Likeness]) -> Iterator[Suspect]:
    by_name = {one.column: one for one in seen}
    for column in table.columns:
        suspect = Suspect(
            store, table.schema, table.name, column.name, person_kind(column.name), by_name.get(column.name)
        )
        if suspect.holds is not None or suspect.contradicts:
            yield suspect


def _has_text(table: Table) -> bool:
    return table.kind == "table" and any("char" in c.type.lower() or "text" in c.type.lower() for c in table.columns)

"""Families in a draft: like tables become one dataset, looked at in one member; no tenant's name is drafted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lifecycle.core.drafting import Edge, FamilyDraft, Place, TableDraft
from lifecycle.core.family import Name, tenant_in
from lifecycle.core.inventory import PLACEHOLDER
from lifecycle.core.recognition import Recognised, recognise
from lifecycle.ports.reach import Survey
from lifecycle.ports.store import Catalogue, Table


def place_of(survey: Survey, schema: str | None, name: str) -> Place:
    """Return a table's place as documents write it: without the schema that needs no name."""
    return (None if schema == survey.default_schema() else schema, name)


@dataclass(frozen=True, slots=True)
class Families:
    """`of`: the member that stands for each family; `stands`: who stands for a member; `odd`: tables like none."""

    of: Mapping[Place, Recognised]
    stands: Mapping[Place, Place]
    odd: frozenset[Place]

    @classmethod
    def among(cls, survey: Survey, catalogue: Catalogue, tenant: tuple[Place, str] | None) -> Families:
        """Recognise the families of a store. `tenant`: the table and column with the tenants' ids."""
        tables = {(table.schema, table.name): table for table in catalogue.tables if table.kind == "table"}
        shapes = {name: _shape(table) for name, table in tables.items() if _is_not(survey, name, tenant)}
        ids = None if tenant is None else (lambda among: survey.named(*tenant, among))
        of: dict[Place, Recognised] = {}
        stands: dict[Place, Place] = {}
        for family in recognise(shapes, ids):
            fullest = max(family.members, key=lambda name: tables[name].row_estimate)
            one = place_of(survey, *fullest)
            of[one] = family
            stands |= {place_of(survey, *name): one for name in (*family.members, *family.odd)}
        odd = frozenset(place_of(survey, *name) for family in of.values() for name in family.odd)
        return cls(of, stands, odd)

    def stood_for(self, place: Place) -> bool:
        """Tell whether another table stands for this one."""
        return self.stands.get(place, place) != place

    def edges(self, edges: Iterable[Edge]) -> tuple[Edge, ...]:
        """Return each reference of a family once; what references one tenant's table from outside leads nowhere."""
        found = (
            replace(edge, table=self.stands.get(edge.table, edge.table), to=self.stands.get(edge.to, edge.to))
            for edge in edges
            if not self.odd & {edge.table, edge.to} and (edge.to not in self.stands or edge.table in self.stands)
        )
        return tuple(dict.fromkeys(found))

    def place(self, place: Place) -> Place:
        """Return the place that a dataset names: of a family what its members share."""
        family = self.of.get(place)
        if family is None:
            return place
        return (None if place[0] is None or family.by == "schema" else family.schema, family.table)

    def shown(self, names: Mapping[Place, str]) -> Callable[[Place], str]:
        """Return how a table is called in words: a family by its dataset or pattern, never by a tenant."""

        def name(place: Place) -> str:
            family = self.of.get(place)
            if family is None:
                return place[1]
            return names.get(place, f"{len(family.members)} tables {family.pattern}")

        return name

    def marked(self, tables: Iterable[TableDraft]) -> list[TableDraft]:
        """Say of each draft which family it stands for."""
        return [replace(table, family=_counts(self.of.get(table.place))) for table in tables]

    def drafted(self, table: TableDraft) -> TableDraft:
        """Return the draft without any one tenant's name in it."""
        said = tuple(dict.fromkeys((self._plain(child), column, effect) for child, column, effect in table.on_delete))
        family = self.of.get(table.place)
        if family is None:
            return replace(table, on_delete=said)
        schema, name = table.place
        tenant = tenant_in(family.pattern, name if family.by == "table" else schema or "") or ""
        triggers = tuple(trigger.replace(tenant, PLACEHOLDER) if tenant else trigger for trigger in table.triggers)
        return replace(table, on_delete=said, place=self.place(table.place), triggers=triggers)

    def _plain(self, child: str) -> str:
        return next(self._patterns(child), child)

    def _patterns(self, name: str) -> Iterator[str]:
        for family in self.of.values():
            if family.by == "table" and tenant_in(family.pattern, name) is not None:
                yield family.pattern


def _counts(family: Recognised | None) -> FamilyDraft | None:
    if family is None:
        return None
    return FamilyDraft(family.by, family.pattern, len(family.members), len(family.odd), family.known)


def _is_not(survey: Survey, name: Name, tenant: tuple[Place, str] | None) -> bool:
    """Leave out the tenants' own table: it is nobody's member."""
    return tenant is None or place_of(survey, *name) != tenant[0]


def _shape(table: Table) -> Hashable:
    """What members have in common before anybody knows whose they are; the store looks closer."""
    columns = tuple(sorted((column.name, column.type, column.nullable) for column in table.columns))
    references = tuple(sorted((key.columns, key.to_columns, key.on_delete) for key in table.foreign_keys))
    return columns, table.primary_key, references

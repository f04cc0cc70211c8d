"""The catalogue as queries need it: a dataset's table with its columns, and who references whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.selectable import FromClause

from lifecycle.core.errors import Refused
from lifecycle.core.family import Name, is_family
from lifecycle.core.inventory import Dataset, Hop
from lifecycle.ports.store import Catalogue, ForeignKey, Table
from lifecycle.stores.sql.dialects import Typed
from lifecycle.stores.sql.families import Family, Gathered, Inbound, gather, inbound_of

_ADVICE = "Run `lifecycle doctor` and correct the inventory."


@dataclass(frozen=True, slots=True)
class Shape:
    """A dataset, the relation that it names, and the columns as the catalogue has them.

    `tenant`: of a family's member, whose it is; `others`: whose it would be if its name were read in another way.
    """

    dataset: Dataset
    table: Table
    tenant: str | None = None
    others: tuple[str, ...] = ()

    def word(self, column: str) -> str:
        """Return the server's word for a column's type. Refused (guard `missing-column`) when there is none."""
        return word_of(self.table, column)

    def clause(self) -> sa.TableClause:
        """Return the table for a query. Every identifier is quoted, whatever it holds."""
        return clause_of(self.table)

    def typed(self, source: FromClause, column: str) -> Typed:
        """Return a column of this table in a query. Refused (guard `missing-column`) when there is none."""
        word = self.word(column)
        return Typed(source.c[column], word)

    def keys(self, source: FromClause) -> tuple[Typed, ...]:
        """Return the key's columns in a query."""
        return tuple(self.typed(source, column) for column in self.dataset.key)


@dataclass(frozen=True, slots=True)
class World:
    """One reading of the catalogue, and the datasets that are declared in this store.

    A family has as many tables as tenants: a question about one is asked in the world of one tenant (`of`), where the
    family is that tenant's table and nothing else.
    """

    catalogue: Catalogue
    datasets: Mapping[str, Dataset]
    default_schema: str | None
    tables: Mapping[Name, Table]
    inbound_keys: Inbound
    gathered: Gathered
    stamps: Mapping[Name, str] = field(default_factory=dict, repr=False)
    database: str | None = None
    tenant: str | None = None

    def of(self, tenant: str) -> World:
        """Return the same world as one tenant has it."""
        return replace(self, tenant=tenant)

    def family(self, name: str) -> Family | None:
        """Return the family that a dataset is, None for any other dataset."""
        return self.gathered.families.get(self.dataset(name).id)

    def stamp(self, table: Table) -> str | None:
        """Return the mark that the table's definition had just before it was read."""
        return self.stamps.get((table.schema, table.name))

    def find(self, schema: str | None, name: str) -> Table | None:
        """Return the relation of exactly that name; without a schema the one in the default schema."""
        return self.tables.get((schema or self.default_schema, name))

    def dataset(self, name: str) -> Dataset:
        """Return a declared dataset. Refused (guard `dataset`) for any other name."""
        if name not in self.datasets:
            raise Refused(f"the dataset {name!r} is not declared in this store", guard="dataset", advice=_ADVICE)
        return self.datasets[name]

    def of_dataset(self, name: str) -> Table | None:
        """Return a declared dataset's relation, of a family one that stands for all; None where it is not there."""
        return next(iter(self.tables_of(name)), None)

    def tables_of(self, name: str) -> tuple[Table, ...]:
        """Return every relation of a declared dataset: one, or a family's members."""
        dataset, family = self.dataset(name), self.family(name)
        if family is not None:
            return tuple(member.table for member in family.members.values())
        table = self.find(dataset.schema_, dataset.table)
        return () if table is None else (table,)

    def shape(self, name: str) -> Shape:
        """Return a dataset's shape. Refused (guards `dataset`, `family`, `missing-table`) when it is not there."""
        dataset = self.dataset(name)
        if is_family(dataset):
            return self._member(dataset)
        table = self.find(dataset.schema_, dataset.table)
        if table is None:
            raise Refused(f"the table of dataset {name!r} does not exist", guard="missing-table", advice=_ADVICE)
        return Shape(dataset, table)

    def _member(self, dataset: Dataset) -> Shape:
        if self.tenant is None:
            raise Refused(f"{dataset.id!r} is a family: its tables are asked one by one", guard="family")
        member = self.gathered.families[dataset.id].members.get(self.tenant)
        if member is None:
            what = f"a tenant has no table of the shape that {dataset.id!r} has"
            raise Refused(what, guard="missing-table", advice=_ADVICE)
        return Shape(dataset, member.table, member.tenant, member.others)

    def absent(self, name: str) -> bool:
        """Tell whether the dataset is a family in which this world's tenant has no table."""
        family = self.family(name)
        return family is not None and self.tenant is not None and self.tenant not in family.members

    def hop(self, hop: Hop) -> Table:
        """Return the table that a hop leads to. Refused (guard `missing-table`) when it is not there."""
        table = self.find(hop.schema_, hop.table)
        if table is None:
            raise Refused("a table of a tenant path does not exist", guard="missing-table", advice=_ADVICE)
        return table

    def inbound(self, table: Table) -> list[ForeignKey]:
        """Return every foreign key that references the table."""
        return list(self.inbound_keys.get((table.schema, table.name), ()))

    def of_table(self, schema: str | None, name: str) -> list[Dataset]:
        """Return the datasets that lie in a table: families too, whose member it is."""
        owner = self.gathered.owner.get((schema, name))
        if owner is not None:
            return [self.datasets[dataset] for dataset in owner.datasets]
        return [
            d
            for d in self.datasets.values()
            if not is_family(d) and (d.schema_ or self.default_schema, d.table) == (schema, name)
        ]

    def is_mine(self, key: ForeignKey) -> bool:
        """Tell whether the table that holds a foreign key is this world's tenant's own."""
        owner = self.gathered.owner.get((key.schema, key.table))
        return owner is not None and owner.tenant == self.tenant

    def cascaded(self, dataset: Dataset) -> list[tuple[Dataset, ForeignKey]]:
        """Return the declared ON DELETE paths out of a dataset with their keys, its own table's left out."""
        found = []
        table = self.shape(dataset.id).table
        for key in self.inbound(table):
            for cascade in dataset.cascades:
                child = self.dataset(cascade.dataset)
                lies = child in self.of_table(key.schema, key.table)
                if lies and cascade.column in key.columns and (key.schema, key.table) != (table.schema, table.name):
                    found.append((child, key))
        return found


def world_of(
    catalogue: Catalogue, datasets: Iterable[Dataset], default_schema: str | None, database: str | None = None
) -> World:
    """Put a catalogue and the declared datasets together. `database`: the name that was connected to."""
    tables = {(table.schema, table.name): table for table in catalogue.tables}
    declared = {dataset.id: dataset for dataset in datasets}
    inbound = inbound_of(catalogue)
    gathered = gather(catalogue, declared.values(), inbound, default_schema, database)
    return World(catalogue, declared, default_schema, tables, inbound, gathered, database=database)


def word_of(table: Table, column: str) -> str:
    """Return the type of a column. Refused (guard `missing-column`) when there is none."""
    for found in table.columns:
        if found.name == column:
            return found.type
    raise Refused("a declared column does not exist", guard="missing-column", advice=_ADVICE)


def clause_of(table: Table) -> sa.TableClause:
    """Return a relation for a query, every identifier quoted."""
    columns: list[sa.ColumnClause[object]] = [
        sa.column(quoted_name(column.name, quote=True), sa.types.NullType()) for column in table.columns
    ]
    schema = None if table.schema is None else quoted_name(table.schema, quote=True)
    return sa.table(quoted_name(table.name, quote=True), *columns, schema=schema)

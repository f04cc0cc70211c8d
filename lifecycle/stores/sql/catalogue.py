"""The catalogue as queries need it: a dataset's table with its columns, and who references whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.selectable import FromClause

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset, Hop
from lifecycle.ports.store import Catalogue, ForeignKey, Table
from lifecycle.stores.sql.dialects import Typed

_ADVICE = "Run `lifecycle doctor` and correct the inventory."


@dataclass(frozen=True, slots=True)
class Shape:
    """A dataset, the relation that it names, and the columns as the catalogue has them."""

    dataset: Dataset
    table: Table

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
    """One reading of the catalogue, and the datasets that are declared in this store."""

    catalogue: Catalogue
    datasets: Mapping[str, Dataset]
    default_schema: str | None
    tables: Mapping[tuple[str | None, str], Table]

    def find(self, schema: str | None, name: str) -> Table | None:
        """Return the relation of exactly that name; without a schema the one in the default schema."""
        return self.tables.get((schema or self.default_schema, name))

    def dataset(self, name: str) -> Dataset:
        """Return a declared dataset. Refused (guard `dataset`) for any other name."""
        if name not in self.datasets:
            raise Refused(f"the dataset {name!r} is not declared in this store", guard="dataset", advice=_ADVICE)
        return self.datasets[name]

    def of_dataset(self, name: str) -> Table | None:
        """Return a declared dataset's relation, or None where it is not there."""
        dataset = self.dataset(name)
        return self.find(dataset.schema_, dataset.table)

    def shape(self, name: str) -> Shape:
        """Return a dataset's shape. Refused (guards `dataset`, `missing-table`) when it is not there."""
        dataset = self.dataset(name)
        table = self.find(dataset.schema_, dataset.table)
        if table is None:
            raise Refused(f"the table of dataset {name!r} does not exist", guard="missing-table", advice=_ADVICE)
        return Shape(dataset, table)

    def hop(self, hop: Hop) -> Table:
        """Return the table that a hop leads to. Refused (guard `missing-table`) when it is not there."""
        table = self.find(hop.schema_, hop.table)
        if table is None:
            raise Refused("a table of a tenant path does not exist", guard="missing-table", advice=_ADVICE)
        return table

    def inbound(self, table: Table) -> list[ForeignKey]:
        """Return every foreign key that references the table."""
        return [
            key
            for other in self.catalogue.tables
            for key in other.foreign_keys
            if (key.to_schema, key.to_table) == (table.schema, table.name)
        ]

    def of_table(self, schema: str | None, name: str) -> list[Dataset]:
        """Return the datasets that lie in a table."""
        return [d for d in self.datasets.values() if (d.schema_ or self.default_schema, d.table) == (schema, name)]

    def cascaded(self, dataset: Dataset) -> list[tuple[Dataset, ForeignKey]]:
        """Return the declared ON DELETE paths out of a dataset with their keys, its own table's left out."""
        found = []
        table = self.shape(dataset.id).table
        for key in self.inbound(table):
            for cascade in dataset.cascades:
                child = self.dataset(cascade.dataset)
                lies = (child.schema_ or self.default_schema, child.table) == (key.schema, key.table)
                if lies and cascade.column in key.columns and (key.schema, key.table) != (table.schema, table.name):
                    found.append((child, key))
        return found


def world_of(catalogue: Catalogue, datasets: Iterable[Dataset], default_schema: str | None) -> World:
    """Put a catalogue and the declared datasets together."""
    tables = {(table.schema, table.name): table for table in catalogue.tables}
    return World(catalogue, {dataset.id: dataset for dataset in datasets}, default_schema, tables)


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

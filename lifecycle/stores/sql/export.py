"""Exports: the rows of a scope as a stream, seen at one moment. Holds do not stop a return."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound
from lifecycle.ports.store import Rows
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect
from lifecycle.stores.sql.select import Selected

TENANT = "lifecycle_tenant"
"""The last column of an export whose dataset does not itself export its tenant: for the check of each row."""


@contextmanager
def export(
    connection: Connection, dialect: Dialect, worlds: Sequence[World], dataset: str, bound: Bound
) -> Iterator[Rows]:
    """Stream the rows in the key's order; of a family, table by table: one world for each tenant's."""
    if bound.selection.dataset != dataset:
        raise Refused("the selection is one of another dataset", guard="dataset")
    queries = [_query(dialect, world, bound) for world in worlds]
    dialect.snapshot(connection)
    if not queries:
        # The scope's tenants have no table: nothing is returned, and that is what the export says.
        yield Rows((TENANT,), 0, iter(()))
    elif len(queries) == 1:
        names, index, query = queries[0]
        with dialect.stream(connection, query) as rows:
            yield Rows(names, index, rows)
    else:
        yield Rows(queries[0][0], queries[0][1], _each(connection, dialect, [query for _, _, query in queries]))


def _each(connection: Connection, dialect: Dialect, queries: Sequence[sa.Select[Any]]) -> Iterator[Sequence[object]]:
    for query in queries:
        with dialect.stream(connection, query) as rows:
            yield from rows


def _query(dialect: Dialect, world: World, bound: Bound) -> tuple[tuple[str, ...], int | None, sa.Select[Any]]:
    """Return the columns' names, which of them is the tenant, and the rows."""
    selected = Selected(dialect, world, bound)
    names = list(selected.dataset.columns or (column.name for column in selected.shape.table.columns))
    expressions = [selected.shape.typed(selected.source, name).expression for name in names]
    tenancy, index = selected.dataset.tenant, None
    if tenancy.by != "none":
        if tenancy.by == "column" and tenancy.column in names:
            index = names.index(tenancy.column)
        else:
            index = len(names)
            names.append(TENANT)
            expressions.append(selected.compiler.tenant().expression)
    query = sa.select(*(e.label(f"x{n}") for n, e in enumerate(expressions))).select_from(selected.source)
    order = [column.expression for column in selected.keys()]  # noqa: SIM118 - no mapping
    return tuple(names), index, query.where(*selected.where(respect_holds=False)).order_by(*order)

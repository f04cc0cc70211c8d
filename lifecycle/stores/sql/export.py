"""Exports: the rows of a scope as a stream, seen at one moment. Holds do not stop a return."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
def export(connection: Connection, dialect: Dialect, world: World, dataset: str, bound: Bound) -> Iterator[Rows]:
    """Stream the rows in the key's order."""
    if bound.selection.dataset != dataset:
        raise Refused("the selection is one of another dataset", guard="dataset")
    selected = Selected(dialect, world, bound)
    names = list(selected.dataset.columns or (column.name for column in selected.shape.table.columns))
    expressions = [selected.shape.typed(selected.source, name).expression for name in names]
    tenancy, index = selected.dataset.tenant, None
    if tenancy.column is not None:
        if not tenancy.path and tenancy.column in names:
            index = names.index(tenancy.column)
        else:
            index = len(names)
            names.append(TENANT)
            expressions.append(selected.compiler.tenant().expression)
    query = sa.select(*(e.label(f"x{n}") for n, e in enumerate(expressions))).select_from(selected.source)
    order = [column.expression for column in selected.keys()]  # noqa: SIM118 - no mapping
    query = query.where(*selected.where(respect_holds=False)).order_by(*order)
    dialect.snapshot(connection)
    with dialect.stream(connection, query) as rows:
        yield Rows(tuple(names), index, rows)

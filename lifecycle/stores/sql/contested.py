"""Rows of a tenant that rows of somebody else hold on to: deleting them would break, or change, another tenant."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.selection import Bound, TenantScope
from lifecycle.ports.store import ForeignKey
from lifecycle.stores.sql.catalogue import Shape, World, clause_of
from lifecycle.stores.sql.compile import Compiler
from lifecycle.stores.sql.dialects import Dialect, Truth
from lifecycle.stores.sql.select import Selected

_BLOCKS = {"NO ACTION", "RESTRICT"}


def count(connection: Connection, dialect: Dialect, world: World, bound: Bound) -> int:
    """Count the rows of one tenant's selection that a row of somebody else references; 0 for any other scope."""
    if not isinstance(bound.selection.scope, TenantScope) or bound.tenant is None:
        return 0
    selected = Selected(dialect, world, bound)
    truths = [*selected.where(), _held_by_others(dialect, world, selected, bound.tenant)]
    found: int = connection.execute(sa.select(sa.func.count()).select_from(selected.source).where(*truths)).scalar_one()
    return found


def _held_by_others(dialect: Dialect, world: World, selected: Selected, tenant: str) -> Truth:
    """A row that stays references the selected row: one of another tenant, of no tenant, or of an undeclared table.

    Foreign keys that cascade are not meant: those are declared with their effect, or refused.
    """
    table = selected.shape.table
    keys = [key for key in world.inbound(table) if key.on_delete in _BLOCKS]
    found = [_held(dialect, world, selected, tenant, key, f"holder{n}") for n, key in enumerate(keys)]
    return sa.or_(*found) if found else sa.false()


def _held(dialect: Dialect, world: World, selected: Selected, tenant: str, key: ForeignKey, alias: str) -> Truth:
    holder = world.tables[key.schema, key.table]
    other = clause_of(holder).alias(alias)
    link = [other.c[a] == selected.source.c[b] for a, b in zip(key.columns, key.to_columns, strict=True)]
    owned: list[Truth] = []
    for dataset in world.of_table(key.schema, key.table):
        if dataset.tenant.column is not None:
            compiler = Compiler(dialect, world, Shape(dataset, holder), other)
            owned.append(compiler.reaching(lambda column: dialect.tenant_is(column, tenant)))
    mine = sa.func.coalesce(sa.or_(*owned), sa.literal(False)) if owned else sa.false()
    return sa.exists(sa.select(sa.literal(1)).select_from(other).where(*link, sa.not_(mine)))

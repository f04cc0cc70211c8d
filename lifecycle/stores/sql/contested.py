"""Rows of a tenant that rows of somebody else hold on to: deleting them would break, or change, another tenant."""

from __future__ import annotations

from collections.abc import Sequence

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
    held = _held_by_others(dialect, world, selected, bound.tenant)
    truths = [*selected.where(), sa.or_(held, _taking_others(dialect, world, selected, bound.tenant))]
    found: int = connection.execute(sa.select(sa.func.count()).select_from(selected.source).where(*truths)).scalar_one()
    return found


def taken(connection: Connection, dialect: Dialect, world: World, selected: Selected, truths: Sequence[Truth]) -> int:
    """Count the rows of a piece whose deletion would take or change a row of another tenant; 0 for other scopes."""
    if not isinstance(selected.bound.selection.scope, TenantScope) or selected.bound.tenant is None:
        return 0
    others = _taking_others(dialect, world, selected, selected.bound.tenant)
    query = sa.select(sa.func.count()).select_from(selected.source).where(*truths, others)
    found: int = connection.execute(query).scalar_one()
    return found


def _taking_others(dialect: Dialect, world: World, selected: Selected, tenant: str) -> Truth:
    """A row of another tenant hangs on the selected row by a declared ON DELETE path: it would go or change with it."""
    found: list[Truth] = []
    for number, (dataset, key) in enumerate(world.cascaded(selected.dataset)):
        if dataset.tenant.column is None:
            continue
        holder = world.tables[key.schema, key.table]
        other = clause_of(holder).alias(f"taken{number}")
        link = [other.c[a] == selected.source.c[b] for a, b in zip(key.columns, key.to_columns, strict=True)]
        compiler = Compiler(dialect, world, Shape(dataset, holder), other)
        mine = compiler.reaching(lambda column: dialect.tenant_is(column, tenant))
        owned = [compiler.attached(), sa.not_(sa.func.coalesce(mine, sa.literal(False)))]
        found.append(sa.exists(sa.select(sa.literal(1)).select_from(other).where(*link, *owned)))
    return sa.or_(*found) if found else sa.false()


def _held_by_others(dialect: Dialect, world: World, selected: Selected, tenant: str) -> Truth:
    """A row that stays references the selected row: one of another tenant, of no tenant, or of an undeclared table.

    Foreign keys that cascade are not meant: those are declared with their effect, or refused.
    """
    table = selected.shape.table
    keys = [key for key in world.inbound(table) if key.on_delete in _BLOCKS]
    found = [_held(dialect, world, selected, tenant, key, f"holder{n}") for n, key in enumerate(keys)]
    return sa.or_(*found) if found else sa.false()


def _held(dialect: Dialect, world: World, selected: Selected, tenant: str, key: ForeignKey, alias: str) -> Truth:
    if world.is_mine(key):
        return sa.false()
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

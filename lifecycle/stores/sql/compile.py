"""Conditions, times and tenants of a selection as SQL expressions over catalogue columns and bound values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy.sql.selectable import FromClause

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import TimeColumn
from lifecycle.core.selection import (
    AllOf,
    AnyOf,
    Before,
    Bound,
    Condition,
    GroupScope,
    IsNull,
    Not,
    OneOf,
    TenantScope,
    WholeScope,
)
from lifecycle.core.transform import Transform
from lifecycle.stores.sql.catalogue import Shape, World, clause_of, word_of
from lifecycle.stores.sql.dialects import Dialect, Truth, Typed


class Compiler:
    """Builds expressions for one dataset over one occurrence of its table."""

    def __init__(self, dialect: Dialect, world: World, shape: Shape, source: FromClause) -> None:
        """Take the words of the dialect and the table as it appears in the query."""
        self.dialect = dialect
        self.world = world
        self.shape = shape
        self.source = source

    def condition(self, condition: Condition) -> Truth:
        """Compile a condition; the result is never NULL."""
        match condition:
            case OneOf():
                column = self.shape.typed(self.source, condition.column)
                return sa.or_(*(self.dialect.equals(column, value) for value in condition.values))
            case IsNull():
                return self.shape.typed(self.source, condition.column).expression.is_(None)
            case Not():
                return sa.not_(self.condition(condition.inner))
            case AllOf():
                return sa.and_(*(self.condition(inner) for inner in condition.inner))
            case AnyOf():
                return sa.or_(*(self.condition(inner) for inner in condition.inner))
            case _:
                assert_never(condition)

    def time(self, name: str) -> tuple[Typed, TimeColumn]:
        """Return a declared time's column. Refused (guard `time`) when the dataset has none of that name."""
        time = self.shape.dataset.times.get(name)
        if time is None:
            raise Refused(f"the dataset {self.shape.dataset.id!r} has no time {name!r}", guard="time")
        return self.shape.typed(self.source, time.column), time

    def before(self, before: Before) -> Truth:
        """The time is datable and its local day is on or before the cutoff."""
        column, time = self.time(before.time)
        last = min(before.day, before.not_after)
        return self.dialect.within(column, time, before.zone, before.not_before, last)

    def datable(self, before: Before) -> Truth:
        """The time is believable, due or not."""
        column, time = self.time(before.time)
        return self.dialect.within(column, time, before.zone, before.not_before, before.not_after)

    def reaching(self, tenant: Callable[[Typed], Truth]) -> Truth:
        """The row's tenant column, wherever its path ends, satisfies a condition."""
        tenancy = self.shape.dataset.tenant
        if self.shape.tenant is not None:
            return sa.and_(tenant(self.tenant()), self.plainly(self.shape))
        if tenancy.column is None:
            raise Refused("the rows of this dataset belong to no single tenant", guard="scope")
        if not tenancy.path:
            return tenant(self.shape.typed(self.source, tenancy.column))
        sources, joins, last = self.path()
        query = sa.select(sa.literal(1)).select_from(*sources).where(*joins, tenant(last))
        return sa.exists(query.correlate(self.source))

    def tenant(self) -> Typed:
        """The tenant of a row as an expression; by path a scalar subquery, in a family the name itself."""
        tenancy = self.shape.dataset.tenant
        if self.shape.tenant is not None:
            return Typed(sa.literal(self.shape.tenant, sa.Text()), "text")
        if not tenancy.path:
            return self.shape.typed(self.source, tenancy.column or "")
        sources, joins, last = self.path()
        query = sa.select(last.expression).select_from(*sources).where(*joins).correlate(self.source)
        return Typed(query.scalar_subquery(), last.word)

    def plainly(self, shape: Shape) -> Truth:
        """A member's name means no other tenant that the register knows."""
        mirror = self.dialect.ours.tenant
        if not shape.others:
            return sa.true()
        return sa.not_(sa.exists(sa.select(sa.literal(1)).select_from(mirror).where(mirror.c.id.in_(shape.others))))

    def path(self) -> tuple[list[FromClause], list[Truth], Typed]:
        """Return the tables of the tenant path, how they join (to this row too), and the column at its end."""
        tenancy = self.shape.dataset.tenant
        sources: list[FromClause] = []
        joins: list[Truth] = []
        here, table = self.source, self.shape.table
        for number, hop in enumerate(tenancy.path):
            parent = self.world.hop(hop)
            there = clause_of(parent).alias(f"hop{number}")
            word_of(table, hop.column), word_of(parent, hop.key)
            joins.append(there.c[hop.key] == here.c[hop.column])
            sources.append(there)
            here, table = there, parent
        column = tenancy.column or ""
        return sources, joins, Typed(here.c[column], word_of(table, column)) if column else _no_column()

    def scope(self, bound: Bound, *, free: bool = False) -> Truth:
        """The rows of the scope; `free`: of a group's tenants only those that no hold keeps (I7).

        Refused (guards `scope`, `empty-tenant`) on a scope that does not fit (I5).
        """
        if isinstance(bound.selection.scope, WholeScope):
            if self.shape.dataset.tenant.by != "none":
                raise Refused("a dataset that has tenants is never selected as a whole", guard="scope")
            return sa.true()
        return self.reaching(lambda column: self.of_scope(bound, column, free=free))

    def of_scope(self, bound: Bound, column: Typed, *, free: bool = False) -> Truth:
        """A tenant column names a tenant of the scope."""
        scope = bound.selection.scope
        untenanted = self.shape.dataset.tenant.by == "none"
        match scope:
            case TenantScope():
                if not bound.tenant or untenanted:
                    guard = "scope" if untenanted else "empty-tenant"
                    raise Refused("a tenant's scope needs a tenant and a dataset that has tenants", guard=guard)
                return self.dialect.tenant_is(column, bound.tenant)
            case GroupScope():
                if not scope.groups or untenanted:
                    raise Refused("a group's scope needs groups and a dataset that has tenants", guard="scope")
                return self._mirrored(column, scope.groups, free=free)
            case WholeScope():
                raise Refused("a dataset that has tenants is never selected as a whole", guard="scope")
            case _:
                assert_never(scope)

    def _mirrored(self, column: Typed, groups: tuple[str, ...] | None, *, free: bool = False) -> Truth:
        mirror = self.dialect.ours.tenant
        query = (
            sa.select(sa.literal(1))
            .select_from(mirror)
            .where(self.dialect.tenant_matches(column, mirror.c.id, mirror.c.number))
        )
        if groups is not None:
            query = query.where(mirror.c.grp.in_(groups))
        if free:
            query = query.where(sa.not_(self.kept()))
        return sa.exists(query)

    def attached(self) -> Truth:
        """The row reaches a tenant column that is not NULL."""
        return self.reaching(lambda column: column.expression.is_not(None))

    def known(self) -> Truth:
        """The row's tenant is one that the register knows."""
        return self.reaching(lambda column: self._mirrored(column, None))

    def held(self) -> Truth:
        """A hold keeps the row: its tenant's, for all datasets or this one or one that a deletion would take along.

        Rows without tenants are held as a whole when a hold names their dataset.
        """
        if self.shape.dataset.tenant.by == "none":
            return sa.exists(self._holds())
        hold = self.dialect.ours.hold
        return self.reaching(
            lambda column: sa.exists(
                self._holds().where(self.dialect.tenant_matches(column, hold.c.tenant, hold.c.number))
            )
        )

    def undone(self, transforms: Sequence[Transform]) -> Truth:
        """At least one of these is not done on the row."""
        columns = ((self.shape.typed(self.source, transform.column), transform) for transform in transforms)
        return sa.or_(*(sa.not_(self.dialect.done(column, transform)) for column, transform in columns))

    def kept(self) -> Truth:
        """A hold keeps the mirror's tenant: its id is the row's tenant, so what holds the one holds the other."""
        hold, mirror = self.dialect.ours.hold, self.dialect.ours.tenant
        return sa.exists(self._holds().where(hold.c.tenant == mirror.c.id).correlate(mirror))

    def _holds(self) -> sa.Select[Any]:
        """Holds of this dataset or of one that a deletion takes along; those of all too where rows have tenants."""
        hold = self.dialect.ours.hold
        named = hold.c.dataset.in_([self.shape.dataset.id, *(c.dataset for c in self.shape.dataset.cascades)])
        every = named if self.shape.dataset.tenant.by == "none" else sa.or_(hold.c.dataset.is_(None), named)
        return sa.select(sa.literal(1)).select_from(hold).where(every)

    def referenced_by(self, name: str, stays: Callable[[FromClause], Truth] | None = None) -> Truth:
        """A row of another dataset references this one by a foreign key or by its declared tenant path.

        `stays` says of an occurrence of that dataset which of its rows count.
        """
        if self.world.absent(name):
            return sa.false()
        child = self.world.shape(name)
        other = child.clause().alias(f"child_{name}")
        links = [
            sa.and_(*(other.c[a] == self.source.c[b] for a, b in zip(key.columns, key.to_columns, strict=True)))
            for key in child.table.foreign_keys
            if (key.to_schema, key.to_table) == (self.shape.table.schema, self.shape.table.name)
        ]
        links += [
            other.c[hop.column] == self.source.c[hop.key]
            for hop in child.dataset.tenant.path[:1]
            if self.world.hop(hop) == self.shape.table
        ]
        if not links:
            raise Refused(f"nothing in {name!r} references {self.shape.dataset.id!r}", guard="unreferenced-by")
        counts = [] if stays is None else [stays(other)]
        return sa.or_(*(sa.exists(sa.select(sa.literal(1)).select_from(other).where(link, *counts)) for link in links))

    def has_children_inside(self) -> Truth:
        """Another row of the same table references this one, by a key that is not declared to lose its reference."""
        table, dataset = self.shape.table, self.shape.dataset
        loosened = {c.column for c in dataset.cascades if c.effect == "set-null" and c.dataset == dataset.id}
        found: list[Truth] = []
        for number, key in enumerate(table.foreign_keys):
            if (key.to_schema, key.to_table) != (table.schema, table.name) or loosened & set(key.columns):
                continue
            other = self.shape.clause().alias(f"inside{number}")
            same = sa.and_(*(other.c[k] == self.source.c[k] for k in dataset.key))
            link = [other.c[a] == self.source.c[b] for a, b in zip(key.columns, key.to_columns, strict=True)]
            found.append(sa.exists(sa.select(sa.literal(1)).select_from(other).where(*link, sa.not_(same))))
        return sa.or_(*found) if found else sa.false()

    def refers_inside(self) -> bool:
        """Tell whether the table references itself."""
        table = self.shape.table
        return any((key.to_schema, key.to_table) == (table.schema, table.name) for key in table.foreign_keys)


def _no_column() -> Typed:
    raise Refused("the rows of this dataset belong to no single tenant", guard="scope")

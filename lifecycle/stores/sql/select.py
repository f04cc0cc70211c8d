"""Selections as queries: what counts, plans, walks and changes share, so that they mean the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.selectable import FromClause

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Bound, GroupScope, WholeScope
from lifecycle.ports.store import NOTHING_GOES, Counted, Found, Going, Json, Oddities, Starts
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.compile import Compiler
from lifecycle.stores.sql.dialects import Dialect, Expression, Truth, Typed

_KEY = "Name a value for each key column, in the inventory's order, as `plan --items` shows them."


class Selected:
    """A bound selection over one occurrence of its table."""

    def __init__(
        self,
        dialect: Dialect,
        world: World,
        bound: Bound,
        *,
        alias: str | None = None,
        source: FromClause | None = None,
        going: Going = NOTHING_GOES,
    ) -> None:
        """Resolve the dataset; nothing is read yet. `source` is an occurrence of its table in another query."""
        self.dialect = dialect
        self.world = world
        self.bound = bound
        self.going = going
        self.shape = world.shape(bound.selection.dataset)
        table = self.shape.clause()
        here = table if alias is None else table.alias(alias)
        self.source: FromClause = here if source is None else source
        self.table = table
        self.compiler = Compiler(dialect, world, self.shape, self.source)

    @property
    def dataset(self) -> Dataset:
        """The dataset."""
        return self.shape.dataset

    def scope(self, *, free: bool = False) -> list[Truth]:
        """Scope and the dataset's own restriction: whose rows, due or not; `free`: without held tenants."""
        return [self.compiler.scope(self.bound, free=free), *(self.compiler.condition(c) for c in self.dataset.only)]

    def where(self, *, respect_holds: bool = True) -> list[Truth]:
        """Everything that makes a row selected."""
        # A group's held tenants are sorted out of the few thousand tenants, not out of the rows.
        free = respect_holds and isinstance(self.bound.selection.scope, GroupScope)
        truths = [self.compiler.scope(self.bound, free=free), *self.of_rows()]
        if respect_holds and not free:
            truths.append(sa.not_(self.compiler.held()))
        return truths

    def of_rows(self) -> list[Truth]:
        """Everything but whose the row is and whether a hold keeps it."""
        selection = self.bound.selection
        truths = [self.compiler.condition(c) for c in self.dataset.only]
        truths += [self.compiler.before(b) for b in selection.due]
        truths += [self.compiler.condition(c) for c in selection.only]
        truths += [sa.not_(self.compiler.referenced_by(name, self._stays(name))) for name in selection.unreferenced_by]
        if selection.undone:
            truths.append(self.compiler.undone(selection.undone))
        return truths

    def _stays(self, name: str) -> Callable[[FromClause], Truth] | None:
        """Return what makes a row of another dataset stay: none of the selections that are going selects it."""
        bounds = self.going.get(name)
        if not bounds:
            return None
        rest = {other: bound for other, bound in self.going.items() if other != name}

        def stays(source: FromClause) -> Truth:
            going = [Selected(self.dialect, self.world, b, source=source, going=rest) for b in bounds]
            # In a family whose rows go was decided by their table's tenant: `going` holds what goes of this one's.
            goes = (one.where() if one.shape.tenant is None else one.of_rows() for one in going)
            return sa.not_(sa.or_(*(sa.and_(*truths) for truths in goes)))

        return stays

    def changing(self) -> list[Truth]:
        """Everything that makes a row changeable now: children of the same table go first, where rows go."""
        if not self.bound.selection.respect_holds or self.going:
            raise Refused("only a count may look past holds, or ahead", guard="holds")
        truths = self.where()
        if self.compiler.refers_inside() and not self.bound.selection.undone:
            truths.append(sa.not_(self.compiler.has_children_inside()))
        return truths

    def keys(self) -> tuple[Typed, ...]:
        """The key's columns."""
        return self.shape.keys(self.source)

    def oldest(self) -> Expression:
        """An aggregate: the first due time's least day, NULL without one."""
        due = self.bound.selection.due
        if not due:
            return sa.null()
        column, time = self.compiler.time(due[0].time)
        return self.dialect.oldest(column, time, due[0].zone)


def count(connection: Connection, selected: Selected) -> tuple[int, date | None]:
    """Count the selected rows and find the oldest."""
    truths = selected.where(respect_holds=selected.bound.selection.respect_holds)
    query = sa.select(sa.func.count(), selected.oldest()).select_from(selected.source).where(*truths)
    items, oldest = connection.execute(query).one()
    return items, as_day(oldest)


def cascades(connection: Connection, world: World, selected: Selected, truths: Sequence[Truth]) -> dict[str, int]:
    """Count, for each declared ON DELETE path, the rows that hang on the rows of `selected` where `truths` hold."""
    found: dict[str, int] = {}
    for child, key in world.cascaded(selected.dataset):
        other = world.shape(child.id).clause().alias("child")
        link = [other.c[a] == selected.source.c[b] for a, b in zip(key.columns, key.to_columns, strict=True)]
        hangs = sa.exists(sa.select(sa.literal(1)).select_from(selected.source).where(*link, *truths))
        items = connection.execute(sa.select(sa.func.count()).select_from(other).where(hangs)).scalar_one()
        found[child.id] = found.get(child.id, 0) + items
    return found


def counted(connection: Connection, dialect: Dialect, world: World, bound: Bound, going: Going) -> Counted:
    """Count what the selection selects, and what declared cascades take along."""
    selected = Selected(dialect, world, bound, going=going)
    items, oldest = count(connection, selected)
    if not selected.dataset.cascades:
        return Counted(items, oldest)
    inner = Selected(dialect, world, bound, alias="parent")
    truths = inner.where(respect_holds=bound.selection.respect_holds)
    return Counted(items, oldest, cascades(connection, world, inner, truths))


def oddities(connection: Connection, dialect: Dialect, world: World, bound: Bound) -> Oddities:
    """Count what no rule may touch. Rows of nobody's may be any tenant's: they count for each."""
    selected = Selected(dialect, world, bound)
    compiler, own = selected.compiler, [selected.compiler.condition(c) for c in selected.dataset.only]

    def rows(*truths: Truth) -> int:
        query = sa.select(sa.func.count()).select_from(selected.source).where(*truths)
        found: int = connection.execute(query).scalar_one()
        return found

    due = bound.selection.due
    undatable = rows(*selected.scope(), sa.or_(*(sa.not_(compiler.datable(b)) for b in due))) if due else 0
    unattributed = null_tenant = 0
    if not isinstance(bound.selection.scope, WholeScope):
        unattributed = rows(*own, compiler.attached(), sa.not_(compiler.known()))
        if selected.dataset.tenant.nulls == "refuse":
            null_tenant = rows(*own, sa.not_(compiler.attached()))
    return Oddities(undatable, unattributed, 0, null_tenant)


def find(connection: Connection, dialect: Dialect, world: World, bound: Bound, after: Json, limit: int) -> list[Found]:
    """Return keys in key order; each key is the next call's `after`."""
    if limit < 1:
        raise Refused("a page has at least one item", guard="limit")
    selected = Selected(dialect, world, bound)
    keys = selected.keys()
    truths = selected.where()
    if after is not None:
        truths.append(beyond(dialect, keys, texts(after)))
    columns: list[Expression] = [dialect.as_cursor(key) for key in keys]
    due = bound.selection.due
    if due:
        column, time = selected.compiler.time(due[0].time)
        columns.append(dialect.oldest(column, time, due[0].zone))
    else:
        columns.append(sa.null())
    expressions = [key.expression for key in keys]
    query = sa.select(*columns).select_from(selected.source).where(*truths)
    # The key is unique: each group is one row, and the aggregate is that row's day.
    query = query.group_by(*expressions).order_by(*expressions).limit(limit)
    return [Found(tuple(row[:-1]), as_day(row[-1])) for row in connection.execute(query)]


def starts(
    connection: Connection, dialect: Dialect, world: World, bound: Bound, asked: tuple[Sequence[str], str, date]
) -> Starts | None:
    """Return the start days of the row of a key in the scope, each by a question of its own; None without such a row.

    Refused (guard `bounds`) for a key of another width.
    """
    key, zone, today = asked
    selected = Selected(dialect, world, bound)
    keys = selected.keys()
    if len(key) != len(keys):
        raise Refused(f"the key has {len(keys)} columns", guard="bounds", advice=_KEY)
    spelled = [dialect.health().spelled(column.word, text) for column, text in zip(keys, key, strict=True)]
    same = [column.expression == dialect.from_cursor(column, text) for column, text in zip(keys, spelled, strict=True)]
    truths = [*selected.scope(), *same]
    try:
        there = connection.execute(sa.select(sa.literal(1)).select_from(selected.source).where(*truths)).first()
    except sa.exc.DataError:
        there = None
    if there is None:
        return None
    days: dict[str, date | None] = {}
    for name in selected.dataset.times:
        column, time = selected.compiler.time(name)
        believed = dialect.within(column, time, zone, time.not_before, today)
        query = sa.select(dialect.oldest(column, time, zone)).select_from(selected.source).where(*truths, believed)
        days[name] = as_day(connection.execute(query).scalar_one())
    return Starts(days)


def beyond(dialect: Dialect, columns: Sequence[Typed], values: Sequence[str]) -> Truth:
    """(columns) > (values), compared as a row."""
    return sa.tuple_(*(c.expression for c in columns)) > _row(dialect, columns, values)


def up_to(dialect: Dialect, columns: Sequence[Typed], values: Sequence[str]) -> Truth:
    """(columns) <= (values), compared as a row."""
    return sa.tuple_(*(c.expression for c in columns)) <= _row(dialect, columns, values)


def _row(dialect: Dialect, columns: Sequence[Typed], values: Sequence[str]) -> sa.Tuple:
    if len(columns) != len(values):
        raise Refused("a cursor of another walk", guard="bounds")
    return sa.tuple_(*(dialect.from_cursor(c, v) for c, v in zip(columns, values, strict=True)))


def texts(cursor: Json) -> list[str]:
    """Read a cursor's values. Refused (guard `bounds`) on anything but a list of texts."""
    if not isinstance(cursor, list | tuple) or not cursor or not all(isinstance(part, str) for part in cursor):
        raise Refused("a cursor of another walk", guard="bounds")
    return [str(part) for part in cursor]


def as_day(value: Any) -> date | None:
    """Read an aggregate's day: a date, ISO text, or nothing."""
    return date.fromisoformat(value) if isinstance(value, str) else value

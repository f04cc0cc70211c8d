"""The walk over a selection in bounded pieces, with a lower bound that moves: never what is left, never OFFSET.

Three ways, chosen once for a walk and kept in its cursor:

- `edge`: an index leads with the first due time and most rows of the table are in scope. A piece starts at the next
  selected row and ends before the time of the row that is `size` places further in the index, selected or not.
- `time`: such an index, but few rows in scope: a piece ends with its last selected row, by (time, key).
- `key`: no such index: the same in the order of the key.

Rows of a table that references itself go in layers: each pass takes the rows that no other row of the table references
any more, and the next pass starts when the last one has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound, GroupScope, TenantScope
from lifecycle.ports.store import Cut, Json
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Expression, Truth, Typed
from lifecycle.stores.sql.select import Selected, beyond, texts, up_to

MOST_PASSES = 1_000
MOST_ITEMS = 250_000

Way = Literal["edge", "time", "key"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a walk: by which columns, in which pass, at which values (none: at the pass's beginning).

    A single value in a walk by time lies between rows: everything earlier is behind it, that time itself ahead.
    """

    by: Way
    number: int
    at: tuple[str, ...]

    def to_json(self) -> Json:
        """Return the cursor as the caller keeps it: text only, so that big keys survive JSON."""
        return {"by": self.by, "pass": self.number, "at": list(self.at)}


def read_cursor(value: Json) -> Cursor:
    """Read a cursor back. Refused (guard `bounds`) on anything else."""
    if isinstance(value, dict) and value.keys() == {"by", "pass", "at"}:
        number, at = value["pass"], value["at"]
        for way in get_args(Way):
            if value["by"] == way and isinstance(number, int):
                return Cursor(way, number, tuple(texts(at)) if at else ())
    raise Refused("a cursor of another walk", guard="bounds")


def columns(selected: Selected, by: Way) -> tuple[Typed, ...]:
    """Return the columns that a walk goes by."""
    return (*(() if by == "key" else (_time(selected),)), *selected.keys())


def _time(selected: Selected) -> Typed:
    return selected.compiler.time(selected.bound.selection.due[0].time)[0]


def bounds(dialect: Dialect, selected: Selected, after: Cursor | None, upto: Cursor | None) -> list[Truth]:
    """Return the truths of a piece (after, upto]."""
    truths: list[Truth] = []
    for cursor, side in ((after, beyond), (upto, up_to)):
        if cursor is None or not cursor.at:
            continue
        found = columns(selected, cursor.by)
        if cursor.by != "key" or len(cursor.at) > 1:
            # The bare bound on the leading column is what the index starts and stops at: MariaDB knows none in a row's.
            edge = dialect.from_cursor(found[0], cursor.at[0])
            time = found[0].expression
            if side is beyond:
                truths.append(time >= edge)
            else:
                truths.append(time < edge if len(cursor.at) == 1 else time <= edge)
        if cursor.by == "key" or len(cursor.at) > 1:
            truths.append(side(dialect, found, cursor.at))
    return truths


def nearer(world: World, bound: Bound, after: Cursor | None) -> Bound:
    """Return the same selection for rows behind a cursor by time, with a lower bound that follows it.

    It selects the same rows: the cursor says more. But a lower bound below all values makes PostgreSQL's planner look
    for the real least value at every planning, and after some batches that is a walk over the index's dead entries.
    """
    selection = bound.selection
    if after is None or after.by == "key" or not after.at:
        return bound
    first = selection.due[0]
    if world.shape(selection.dataset).dataset.times[first.time].encoding not in {"date", "utc", "local"}:
        return bound
    try:
        reached = date.fromisoformat(after.at[0][:10])
    except ValueError:
        return bound
    # No zone is two days away from the cursor's own.
    moved = first.model_copy(update={"not_before": max(first.not_before, reached - timedelta(days=2))})
    return replace(bound, selection=selection.model_copy(update={"due": (moved, *selection.due[1:])}))


def sized(size: int) -> None:
    """Raise Refused unless a batch may be so large."""
    if not 1 <= size <= MOST_ITEMS:
        raise Refused(f"a batch has 1 to {MOST_ITEMS} items", guard="limit")


def cut(connection: Connection, dialect: Dialect, world: World, bound: Bound, after: Json, size: int) -> Cut | None:
    """Return the next piece of at most `size` changeable rows, None at the end."""
    sized(size)
    selected = Selected(dialect, world, bound)
    place = Cursor(_way(connection, dialect, selected), 1, ()) if after is None else read_cursor(after)
    selected = Selected(dialect, world, nearer(world, bound, place))
    found = _next(connection, dialect, selected, place, size)
    if found is None and place.at and place.number < MOST_PASSES and selected.compiler.refers_inside():
        place = Cursor(place.by, place.number + 1, ())
        found = _next(connection, dialect, selected, place, size)
    if found is None:
        return None
    items, at = found
    return Cut(place.to_json() if place.at or place.number > 1 else None, replace(place, at=at).to_json(), items)


def _way(connection: Connection, dialect: Dialect, selected: Selected) -> Way:
    due = selected.bound.selection.due
    if not due:
        return "key"
    time = selected.dataset.times[due[0].time]
    leads = any(index[0] == time.column for index in selected.shape.table.indexed)
    if not leads or not dialect.walks_by_time(selected.shape.word(time.column)):
        return "key"
    first = sa.select(sa.literal(1)).select_from(selected.source).where(selected.compiler.before(due[0]))
    if dialect.prefers_key(connection, selected.shape.table.row_estimate, first):
        return "key"
    return "edge" if _dense(connection, dialect, selected) else "time"


def _dense(connection: Connection, dialect: Dialect, selected: Selected) -> bool:
    """Guess whether most rows of the table are in scope; a wrong guess costs time only."""
    selection = selected.bound.selection
    narrowed = selection.only or selected.dataset.only or selection.unreferenced_by
    if narrowed or isinstance(selection.scope, TenantScope) or selected.compiler.refers_inside():
        return False
    if not isinstance(selection.scope, GroupScope):
        return True
    mirror = dialect.ours.tenant
    tenants = sa.select(sa.func.count()).select_from(mirror)
    members = tenants.where(mirror.c.grp.in_(selection.scope.groups))
    of_all: int = connection.execute(tenants).scalar_one()
    return 2 * connection.execute(members).scalar_one() >= of_all


def _next(
    connection: Connection, dialect: Dialect, selected: Selected, place: Cursor, size: int
) -> tuple[int, tuple[str, ...]] | None:
    if place.by == "edge":
        first, edge = _edge(connection, dialect, selected, place, size)
        if first is None:
            return None
        if edge is not None and edge != first:
            return size, (edge,)
        # The table ends here, or more than `size` rows share one time: by (time, key), exactly.
    found = columns(selected, place.by)
    truths = [*selected.changing(), *bounds(dialect, selected, place, None)]
    order = [column.expression for column in found]
    named = [column.expression.label(f"c{number}") for number, column in enumerate(found)]
    piece = sa.select(*named).select_from(selected.source).where(*truths).order_by(*order).limit(size).cte("piece")
    inner = [Typed(piece.c[f"c{number}"], column.word) for number, column in enumerate(found)]
    last: list[Expression] = [dialect.as_cursor(column) for column in inner]
    # A window, not a second look at the piece: MariaDB would select it twice.
    items = sa.func.count().over()
    query = sa.select(items, *last).order_by(*(column.expression.desc() for column in inner)).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], tuple(row[1:]))


def _edge(
    connection: Connection, dialect: Dialect, selected: Selected, place: Cursor, size: int
) -> tuple[str | None, str | None]:
    """Return the time of the next selected row, and the time `size` rows of the table further, as cursor texts."""
    time = _time(selected)
    truths = [*selected.changing(), *bounds(dialect, selected, place, None)]
    rows = sa.select(time.expression.label("at")).select_from(selected.source)
    first = rows.where(*truths).order_by(time.expression).limit(1).cte("first")
    start = sa.select(first.c.at).scalar_subquery()
    # One step of a bounded piece over the index alone: the lower bound moves, so nothing is passed twice.
    reached = rows.where(time.expression >= start).order_by(time.expression).offset(size).limit(1).subquery()
    edge = sa.select(dialect.as_cursor(Typed(reached.c.at, time.word))).scalar_subquery()
    query = sa.select(dialect.as_cursor(Typed(first.c.at, time.word)), edge).select_from(first)
    row = connection.execute(query).one_or_none()
    return (None, None) if row is None else (row[0], row[1])

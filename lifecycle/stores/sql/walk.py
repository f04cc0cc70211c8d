"""The walk over a selection in bounded pieces, with a lower bound that moves: never what is left, never OFFSET.

Where an index leads with the first due time, the walk is in the order of time; otherwise in the order of the key. Rows
of a table that references itself go in layers: each pass takes the rows that no other row of the table references any
more, and the next pass starts when the last one has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound
from lifecycle.ports.store import Cut, Json
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Expression, Truth, Typed
from lifecycle.stores.sql.select import Selected, beyond, texts, up_to

MOST_PASSES = 1_000
MOST_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a walk: by which columns, in which pass, at which values (none: at the pass's beginning)."""

    by: Literal["time", "key"]
    number: int
    at: tuple[str, ...]

    def to_json(self) -> Json:
        """Return the cursor as the caller keeps it: text only, so that big keys survive JSON."""
        return {"by": self.by, "pass": self.number, "at": list(self.at)}


def read_cursor(value: Json) -> Cursor:
    """Read a cursor back. Refused (guard `bounds`) on anything else."""
    if isinstance(value, dict) and value.keys() == {"by", "pass", "at"}:
        by, number, at = value["by"], value["pass"], value["at"]
        if isinstance(number, int) and by in {"time", "key"}:
            return Cursor("time" if by == "time" else "key", number, tuple(texts(at)) if at else ())
    raise Refused("a cursor of another walk", guard="bounds")


def columns(dialect: Dialect, selected: Selected, by: str) -> tuple[Typed, ...]:
    """Return the columns that a walk goes by."""
    return (*((time_column(dialect, selected),) if by == "time" else ()), *selected.keys())


def time_column(dialect: Dialect, selected: Selected) -> Typed:
    """Return the first due time's column."""
    del dialect
    return selected.compiler.time(selected.bound.selection.due[0].time)[0]


def strategy(dialect: Dialect, selected: Selected) -> Literal["time", "key"]:
    """Choose how to walk."""
    if not selected.bound.selection.due:
        return "key"
    time = selected.dataset.times[selected.bound.selection.due[0].time]
    leads = any(index[0] == time.column for index in selected.shape.table.indexed)
    return "time" if leads and dialect.walks_by_time(selected.shape.word(time.column)) else "key"


def bounds(dialect: Dialect, selected: Selected, after: Cursor | None, upto: Cursor | None) -> list[Truth]:
    """Return the truths of a piece (after, upto]."""
    truths: list[Truth] = []
    for cursor, side in ((after, beyond), (upto, up_to)):
        if cursor is None or not cursor.at:
            continue
        found = columns(dialect, selected, cursor.by)
        truths.append(side(dialect, found, cursor.at))
        if cursor.by == "time":
            # The bare bound on the leading column is what the index starts and stops at.
            edge = dialect.from_cursor(found[0], cursor.at[0])
            truths.append(found[0].expression >= edge if side is beyond else found[0].expression <= edge)
    return truths


def cut(connection: Connection, dialect: Dialect, world: World, bound: Bound, after: Json, size: int) -> Cut | None:
    """Return the next piece of at most `size` changeable rows, None at the end."""
    if not 1 <= size <= MOST_ITEMS:
        raise Refused(f"a batch has 1 to {MOST_ITEMS} items", guard="limit")
    selected = Selected(dialect, world, bound)
    place = Cursor(strategy(dialect, selected), 1, ()) if after is None else read_cursor(after)
    found = _next(connection, dialect, selected, place, size)
    if found is None and place.at and place.number < MOST_PASSES and selected.compiler.refers_inside():
        place = Cursor(place.by, place.number + 1, ())
        found = _next(connection, dialect, selected, place, size)
    if found is None:
        return None
    items, at = found
    return Cut(place.to_json() if place.at or place.number > 1 else None, replace(place, at=at).to_json(), items)


def _next(
    connection: Connection, dialect: Dialect, selected: Selected, place: Cursor, size: int
) -> tuple[int, tuple[str, ...]] | None:
    found = columns(dialect, selected, place.by)
    truths = [*selected.changing(), *bounds(dialect, selected, place, None)]
    order = [column.expression for column in found]
    named = [column.expression.label(f"c{number}") for number, column in enumerate(found)]
    piece = sa.select(*named).select_from(selected.source).where(*truths).order_by(*order).limit(size).cte("piece")
    inner = [Typed(piece.c[f"c{number}"], column.word) for number, column in enumerate(found)]
    last: list[Expression] = [dialect.as_cursor(column) for column in inner]
    items = sa.select(sa.func.count()).select_from(piece).scalar_subquery()
    query = sa.select(items, *last).order_by(*(column.expression.desc() for column in inner)).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else (row[0], tuple(row[1:]))

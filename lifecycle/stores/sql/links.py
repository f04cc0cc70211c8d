"""Values by which rows reference objects: of a selection, of a batch under lock, of a whole table. Byte-exact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.plan import Delete
from lifecycle.core.selection import Bound, Selection, WholeScope
from lifecycle.ports.links import Value
from lifecycle.ports.store import Batch, Json
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Truth
from lifecycle.stores.sql.select import Selected
from lifecycle.stores.sql.walk import bounds, read_cursor

COLLATIONS = {"postgresql": "C", "sqlite": "BINARY"}
"""By dialect, the collation in which two texts are equal when their bytes are."""


def exact(dialect: Dialect, selected: Selected, column: str) -> Any:
    """Return the column, compared by its bytes. Refused (guard `reference-type`) for what is no text."""
    word = selected.shape.word(column).lower()
    collation = COLLATIONS.get(dialect.name)
    if collation is None or not ("char" in word or "text" in word):
        raise Refused(
            f"the column {column!r} of {selected.dataset.id} is no text: objects are referenced by text here",
            guard="reference-type",
            advice="Leave the reference out; the objects then stay, and coverage of their store is yours.",
        )
    return sa.collate(selected.source.c[column], collation)


def linked(
    connection: Connection, dialect: Dialect, world: World, bound: Bound, place: tuple[str, str | None, int]
) -> list[Value]:
    """Return the next values of the selected rows: of `place`'s column, after its value, as many as it says."""
    column, after, limit = place
    selected = Selected(dialect, world, bound)
    truths = selected.where(respect_holds=bound.selection.respect_holds)
    value = exact(dialect, selected, column)
    query = sa.select(value.label("v"), sa.func.count()).select_from(selected.source)
    query = query.where(*truths, value > (after or "")).group_by(value).order_by(value).limit(limit)
    return [Value(str(row[0]), int(row[1])) for row in connection.execute(query)]


def linking(
    connection: Connection,
    dialect: Dialect,
    world: World,
    asked: tuple[str, str, Collection[str]],
    bound: Bound | None,
) -> Mapping[str, int]:
    """Count rows by value: of `asked`'s whole table, whatever the dataset is restricted to, or of the selected ones."""
    dataset, column, values = asked
    selected = Selected(dialect, world, bound or _nobody(dataset))
    # The bare comparison is what an index serves; the exact one decides.
    value = exact(dialect, selected, column)
    truths: list[Truth] = [selected.source.c[column].in_(list(values)), value.in_(list(values))]
    if bound is not None:
        truths += selected.where(respect_holds=bound.selection.respect_holds)
    query = sa.select(value, sa.func.count()).select_from(selected.source).where(*truths).group_by(value)
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def linked_in(
    connection: Connection, dialect: Dialect, world: World, bound: Bound, place: tuple[str, Json, Json]
) -> frozenset[str]:
    """Return the values of the changeable rows of a piece."""
    column, after, upto = place
    selected = Selected(dialect, world, bound)
    begin = None if after is None else read_cursor(after)
    truths = [*selected.changing(), *bounds(dialect, selected, begin, read_cursor(upto))]
    return _values(connection, dialect, selected, column, truths)


def check_released(
    connection: Connection, dialect: Dialect, selected: Selected, truths: list[Truth], batch: Batch
) -> int | None:
    """Lock the batch's rows and return how many there are; None where they reference nothing.

    Raises Refused (guard `object`) when the object of one of them is not known to be gone.
    """
    references = selected.dataset.references
    if not references or not isinstance(batch.action, Delete):
        return None
    if batch.released is None:
        raise Refused("the rows reference objects, and nobody says that these are gone", guard="object")
    dialect.lock_rows(connection, sa.select(sa.literal(1)).select_from(selected.source).where(*truths))
    for reference in references:
        found = _values(connection, dialect, selected, reference.column, truths)
        left = len(found - batch.released.get(reference.column, frozenset()))
        if left:
            raise Refused(
                f"{left} objects that rows of {selected.dataset.id} reference are still there",
                guard="object",
                advice="Run the job again: objects go first. If one stays, `lifecycle doctor` says what keeps it.",
            )
    count = sa.select(sa.func.count()).select_from(selected.source).where(*truths)
    rows: int = connection.execute(count).scalar_one()
    return rows


def _values(
    connection: Connection, dialect: Dialect, selected: Selected, column: str, truths: list[Truth]
) -> frozenset[str]:
    value = exact(dialect, selected, column)
    query = sa.select(value).select_from(selected.source).where(*truths, value > "").distinct()
    return frozenset(str(row[0]) for row in connection.execute(query))


def _nobody(dataset: str) -> Bound:
    return Bound(Selection(dataset=dataset, scope=WholeScope()))

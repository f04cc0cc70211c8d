"""The verifier's own reading of the values by which rows reference objects; they are compared here, not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.residue import Look, Mirrors, Text, believable


def linked(connection: Connection, mirrors: Mirrors, world: World, bound: Bound, column: str) -> Mapping[str, int]:
    """Count the selected rows of each value."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds", guard="holds")
    look = Look(connection, mirrors, world, bound)
    text, due = look.text(), bound.selection.due
    value, _ = look.column(text, column)
    truths = [*look.scope(text), *look.free(text)]
    truths += [look.condition(text, condition) for condition in bound.selection.only]
    listed = "".join(f", {day}" for day in look.days(text))
    where = " AND ".join([f"{value} IS NOT NULL", *truths])
    found: Counter[str] = Counter()
    for row in text.run(connection, f"SELECT {value}{listed} FROM {look.source(text, look.shape)} WHERE {where}"):  # noqa: S608
        days = [look.read(before, day) for before, day in zip(due, list(row)[1:], strict=True)]
        if all(believable(b, day) and day is not None and day <= b.day for b, day in zip(due, days, strict=True)):
            found[str(row[0])] += 1
    found.pop("", None)
    return found


def linking(
    connection: Connection, world: World, dataset: str, column: str, values: Collection[str]
) -> Mapping[str, int]:
    """Count the whole table's rows of each value."""
    table = world.shape(dataset).table
    text = Text(connection.dialect.identifier_preparer.initial_quote)
    name = text.name(column)
    listed = ", ".join(text.value(value) for value in values)
    query = f"SELECT {name} FROM {text.name(table.schema, table.name)} WHERE {name} IN ({listed})"  # noqa: S608
    found = Counter(str(row[0]) for row in text.run(connection, query))
    return {value: found[value] for value in values if found[value]}

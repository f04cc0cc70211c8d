"""How many rows a dataset has in all, whoever they belong to: what receipts are weighed against afterwards.

A look for what is left cannot see a deletion of too much; a count of everything can. It belongs to the verifier and
shares nothing with what deletes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from lifecycle.core.selection import Bound, Selection, WholeScope
from lifecycle.core.transform import Transform
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.residue import Look, Mirrors


def population(
    connection: Connection, mirrors: Mirrors, world: World, dataset: str, undone: Sequence[Transform] = ()
) -> int:
    """Count the rows of the dataset's table, restricted only as the inventory restricts the dataset itself."""
    everything = Bound(Selection(dataset=dataset, scope=WholeScope()))
    question = Look(connection, mirrors, world, everything)
    text = question.text()
    table = question.shape.table
    rest = [question.undone(text, undone)] if undone else []
    where = " AND ".join(["1 = 1", *question.own(text), *rest])
    query = f"SELECT count(*) FROM {text.name(table.schema, table.name)} AS r WHERE {where}"  # noqa: S608
    row: Any = text.run(connection, query).one()
    return int(row[0])

"""References that no foreign key declares: what the names in a stranger's schema suggest, for a reviewer to judge.

Histories and archives are written beside the tables that they copy, most often without one foreign key: nobody deletes
from them, until a customer leaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from lifecycle.core.drafting import Edge, Place
from lifecycle.core.guesses import copied_table

Types = Mapping[Place, Mapping[str, str]]
"""Each table's columns with the words of their types."""


def references(types: Types, keys: Mapping[Place, str], edges: Collection[Edge]) -> tuple[Edge, ...]:
    """Return references by name and type alone, none of them in place of a foreign key.

    Args:
        types: every table that the store shows.
        keys: the key of each table whose key is one column.
        edges: the foreign keys.

    A table that is named as another one's history references that one by the same key, and whatever that one
    references. Otherwise a column references what all foreign keys of its name reference, if they agree.
    """
    declared = {(edge.table, edge.column) for edge in edges}
    agreed = _agreed(edges)
    by_table: dict[Place, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_table[edge.table].append(edge)
    found: list[Edge] = []
    for place, columns in types.items():
        ends = {column: agreed[column] for column in columns if column in agreed}
        ends |= _copied(place, types, keys, by_table)
        found += [
            Edge(place, column, to, key, declared=False)
            for column, (to, key) in ends.items()
            if (place, column) not in declared and to != place and _alike(types, place, column, to, key)
        ]
    return tuple(found)


def _agreed(edges: Collection[Edge]) -> dict[str, tuple[Place, str]]:
    """Return what each column name references wherever it is a foreign key; a reference inside a table says nothing."""
    ends: dict[str, set[tuple[Place, str]]] = defaultdict(set)
    for edge in edges:
        if edge.to != edge.table:
            ends[edge.column].add((edge.to, edge.key))
    return {column: next(iter(found)) for column, found in ends.items() if len(found) == 1}


def _copied(
    place: Place, types: Types, keys: Mapping[Place, str], by_table: Mapping[Place, list[Edge]]
) -> dict[str, tuple[Place, str]]:
    """Return what a history's columns reference: the table that it copies, and what that one references."""
    name = copied_table(place[1], {table for schema, table in types if schema == place[0]})
    if name is None:
        return {}
    copied = (place[0], name)
    ends = {edge.column: (edge.to, edge.key) for edge in by_table.get(copied, ())}
    return ends | ({keys[copied]: (copied, keys[copied])} if copied in keys else {})


def _alike(types: Types, place: Place, column: str, to: Place, key: str) -> bool:
    """Tell whether both ends can be compared: a database may refuse to compare a text with a number."""
    here, there = types[place].get(column), types.get(to, {}).get(key)
    return here is not None and there is not None and _family(here) == _family(there)


def _family(word: str) -> str:
    return word.partition("(")[0].strip().lower()

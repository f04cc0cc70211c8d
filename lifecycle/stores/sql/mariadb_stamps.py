"""A mark of a table's definition in MariaDB: a hash over what information_schema says about it.

A metadata lock keeps the table itself as it is. It does not keep another table from referencing this one meanwhile: so
a batch looks at the mark again once its rows have gone, and what has come since then can no longer go with them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.family import Name
from lifecycle.stores.sql.mariadb_catalogue import triggers_of

_LINES = (
    """
    SELECT table_schema, table_name, table_type, engine, create_options, create_time
    FROM information_schema.tables WHERE table_schema {schema} AND table_name {name}
    """,
    """
    SELECT table_schema, table_name, column_name, column_type, collation_name, is_nullable, is_generated, extra,
      column_key FROM information_schema.columns WHERE table_schema {schema} AND table_name {name}
    """,
    """
    SELECT constraint_schema, table_name, constraint_name, unique_constraint_schema, referenced_table_name, delete_rule,
      update_rule FROM information_schema.referential_constraints
    WHERE constraint_schema {schema} AND table_name {name}
    """,
    """
    SELECT unique_constraint_schema, referenced_table_name, constraint_schema, table_name, constraint_name, delete_rule,
      update_rule, 'inbound' FROM information_schema.referential_constraints
    WHERE unique_constraint_schema {schema} AND referenced_table_name {name}
    """,
)
_ANY = {"schema": "= DATABASE()", "name": "IS NOT NULL"}
_THIS = {"schema": "= :schema", "name": "= :name"}


def read_all(connection: Connection) -> Mapping[Name, str]:
    """Return the mark of every relation of the database."""
    return _read(connection, _ANY, {})


def read(connection: Connection, schema: str, name: str) -> str | None:
    """Return the mark of one relation, None when it is not there."""
    return _read(connection, _THIS, {"schema": schema, "name": name}).get((schema, name))


def _read(connection: Connection, which: Mapping[str, str], values: Mapping[str, str]) -> dict[Name, str]:
    lines: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for query in _LINES:
        for row in connection.execute(sa.text(query.format(**which)), values):
            lines[row[0], row[1]].append(tuple(row[2:]))
    for place, triggers in triggers_of(connection).items():
        if place in lines:
            lines[place] += triggers
    return {
        place: hashlib.sha256(repr(sorted(map(repr, found))).encode()).hexdigest() for place, found in lines.items()
    }

"""The hash over what a plan's meaning depends on: a mandate ends when it changes, a plan stops."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.core.errors import Refused
from lifecycle.evidence.canonical import encode
from lifecycle.evidence.digest import digest
from lifecycle.ports.store import ForeignKey, Json, Table
from lifecycle.stores.sql.catalogue import World


def used_schema(world: World, datasets: Sequence[str]) -> str:
    """Return `sha256:` over columns, keys, types, foreign keys in both directions, triggers and RLS of the tables.

    The tables on tenant paths count too. Sizes and indexes do not: they change the pace, not the meaning. Of a family
    the shape counts that its members share, not which members there are: a new tenant changes nothing.
    """
    tables: dict[tuple[str, str], Table] = {}
    shapes: dict[str, Json] = {}
    for name in datasets:
        family = world.family(name)
        if family is not None:
            shapes[name] = _plain(family.shape)
            continue
        shape = world.shape(name)
        tables[shape.table.schema or "", shape.table.name] = shape.table
        for hop in shape.dataset.tenant.path:
            parent = world.hop(hop)
            tables[parent.schema or "", parent.name] = parent
    found: list[Json] = [_table(world, tables[place]) for place in sorted(tables)]
    return digest(encode([*found, shapes] if shapes else found))


def _plain(shape: object) -> Json:
    """Return a family's shape as JSON; Refused (guard `missing-table`) where there is none."""
    if shape is None:
        raise Refused("a family has no table, or no shape that most of its tables have", guard="missing-table")
    return _json(shape)


def _json(value: object) -> Json:
    if isinstance(value, tuple | list):
        return [_json(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _table(world: World, table: Table) -> Json:
    inbound = sorted(world.inbound(table), key=lambda key: (key.schema or "", key.table, key.columns))
    return {
        "schema": table.schema,
        "name": table.name,
        "kind": table.kind,
        "columns": [[c.name, c.type, c.nullable, c.generated] for c in sorted(table.columns, key=lambda c: c.name)],
        "key": list(table.primary_key),
        "outbound": [_key(key) for key in sorted(table.foreign_keys, key=lambda key: (key.columns, key.to_table))],
        "inbound": [_key(key) for key in inbound],
        "triggers": list(table.triggers),
        "row_security": table.row_security,
    }


def _key(key: ForeignKey) -> Json:
    return [
        [key.schema, key.table, list(key.columns)],
        [key.to_schema, key.to_table, list(key.to_columns)],
        [key.on_delete, key.enforced, key.deferrable],
    ]

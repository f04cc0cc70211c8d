"""Which privileges each dataset's work needs, and which of them our role does not have (deploy/sql lists them)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.engine import Connection

from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import AllOf, AnyOf, Condition, IsNull, Not, OneOf
from lifecycle.ports.store import Finding, Table
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Need

_FIX = "Grant the role what deploy/sql lists for a dataset."
Action = tuple[str, str, bool]
_PLAN: Action = ("may-not-read", "nothing of it can be counted or planned", True)
_DELETE: Action = ("may-not-delete", "its rows cannot be deleted", True)
_DETACH: Action = ("may-not-detach", "a cycle cannot be broken", True)
_LOCK: Action = ("may-not-lock", "its tenant path cannot be locked", True)
_RETURN: Action = ("may-not-return", "its rows cannot be returned to the tenant", False)


def lacking(
    store: str, dialect: Dialect, connection: Connection, world: World, datasets: Sequence[str]
) -> Iterator[Finding]:
    """Yield one finding for each dataset and kind of work that our role may not do."""
    needs: list[tuple[str, Action, Need]] = []
    for name in datasets:
        if (table := world.of_dataset(name)) is not None:
            needs += [(name, action, need) for action, need in _needs(world, world.dataset(name), table)]
    missing = {id(need) for need in dialect.health().lacking(connection, [need for _, _, need in needs])}
    grouped: dict[tuple[str, Action], list[Need]] = {}
    for name, action, need in needs:
        if id(need) in missing:
            grouped.setdefault((name, action), []).append(need)
    for (name, (code, consequence, fatal)), lacks in grouped.items():
        yield Finding(code, store, name, f"our role lacks {_said(lacks)}: {consequence}", _FIX, fatal)


def _said(needs: Sequence[Need]) -> str:
    """Return `SELECT on ticket (id, created_at), UPDATE on portal (id)`."""
    columns: dict[tuple[str, str], list[str]] = {}
    for need in needs:
        columns.setdefault((need.privilege, need.table), []).extend([need.column] if need.column else [])
    parts = (
        f"{privilege} on {table}" + (f" ({', '.join(dict.fromkeys(names))})" if names else "")
        for (privilege, table), names in columns.items()
    )
    return ", ".join(parts)


def _needs(world: World, dataset: Dataset, table: Table) -> Iterator[tuple[Action, Need]]:
    there = {column.name for column in table.columns}
    for column in dict.fromkeys(_read(world, dataset, table)):
        if column in there:
            yield _PLAN, Need(table.schema, table.name, "SELECT", column)
    yield _DELETE, Need(table.schema, table.name, "DELETE")
    for column in dataset.detach:
        yield _DETACH, Need(table.schema, table.name, "UPDATE", column)
    if dataset.cascades:
        yield _LOCK, Need(table.schema, table.name, "UPDATE", dataset.key[0])
    hops = dataset.tenant.path
    for number, hop in enumerate(hops):
        parent = world.find(hop.schema_, hop.table)
        if parent is not None:
            after = hops[number + 1].column if number + 1 < len(hops) else dataset.tenant.column
            for column in dict.fromkeys(name for name in (hop.key, after) if name is not None):
                yield _PLAN, Need(parent.schema, parent.name, "SELECT", column)
            yield _LOCK, Need(parent.schema, parent.name, "UPDATE", hop.key)
    if dataset.export:
        for column in dataset.columns or sorted(there):
            yield _RETURN, Need(table.schema, table.name, "SELECT", column)


def _read(world: World, dataset: Dataset, table: Table) -> Iterator[str]:
    """Yield the columns that plans read: key, tenant, times, conditions, references to other datasets."""
    yield from dataset.key
    if dataset.tenant.path:
        yield dataset.tenant.path[0].column
    elif dataset.tenant.column is not None:
        yield dataset.tenant.column
    yield from (time.column for time in dataset.times.values())
    for condition in dataset.only:
        yield from _named(condition)
    for key in table.foreign_keys:
        if world.of_table(key.to_schema, key.to_table):
            yield from key.columns


def _named(condition: Condition) -> Iterator[str]:
    match condition:
        case OneOf() | IsNull():
            yield condition.column
        case Not():
            yield from _named(condition.inner)
        case AllOf() | AnyOf():
            for inner in condition.inner:
                yield from _named(inner)

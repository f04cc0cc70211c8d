"""One query for many tables: compiled once over names that no table can have, then spoken for each member.

A name with a NUL in it is no identifier anywhere, and no bound value stands in the text: putting the quoted name of a
real table in its place cannot hit anything else. Building each member's query anew costs forty times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.family import Name
from lifecycle.ports.store import ForeignKey, Table
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.families import Family, Gathered, Member, Owner


def _mark(owner: Owner) -> str:
    return f"\0{owner.datasets[0]}\0"


def stand_in(world: World, tenant: str) -> World:
    """Return one tenant's world with its tables under names that no table has."""
    gathered = world.gathered
    mine = {name: family.members[tenant] for name, family in gathered.families.items() if tenant in family.members}
    marks = {member.place: _mark(gathered.owner[member.place]) for member in mine.values()}
    tables = {place: _renamed(world.tables[place], marks) for place in marks}
    families = {
        name: Family(family.dataset, _members(mine, name, tables), (), family.shape)
        for name, family in gathered.families.items()
    }
    owner: dict[Name, Owner] = {(None, mark): gathered.owner[place] for place, mark in marks.items()}
    inbound: dict[Name, tuple[ForeignKey, ...]] = {
        (None, mark): tuple(_moved(key, marks) for key in world.inbound_keys.get(place, ()))
        for place, mark in marks.items()
    }
    return replace(
        world,
        tables={**world.tables, **{(None, table.name): table for table in tables.values()}},
        inbound_keys={**world.inbound_keys, **inbound},
        gathered=Gathered(families, {**gathered.owner, **owner}),
        tenant=tenant,
    )


def _members(mine: Mapping[str, Member], name: str, tables: Mapping[Name, Table]) -> dict[str, Member]:
    if name not in mine:
        return {}
    member = mine[name]
    return {member.tenant: Member(member.tenant, tables[member.place], member.others)}


def _renamed(table: Table, marks: Mapping[Name, str]) -> Table:
    mark = marks[table.schema, table.name]
    return replace(table, schema=None, name=mark, foreign_keys=tuple(_moved(key, marks) for key in table.foreign_keys))


def _moved(key: ForeignKey, marks: Mapping[Name, str]) -> ForeignKey:
    here, there = marks.get((key.schema, key.table)), marks.get((key.to_schema, key.to_table))
    if here is not None:
        key = replace(key, schema=None, table=here)
    return key if there is None else replace(key, to_schema=None, to_table=there)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A query over stand-ins: its text, its values, and the quoted marks with the family that each stands for."""

    text: str
    values: Mapping[str, Any]
    order: tuple[str, ...] | None
    marks: tuple[tuple[str, str], ...]
    readers: Mapping[int, Callable[[Any], Any]]
    """By place, how a value is read that comes out in another type than it means."""

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return a row of this query as a query that is not spoken would give it; a number stands before its values."""
        if not self.readers:
            return row
        return (row[0], *(self.readers.get(n, _same)(value) for n, value in enumerate(row[1:])))

    def over(self, connection: Connection, world: World, tenant: str) -> str:
        """Return the text for one tenant's tables."""
        text = self.text
        for mark, name in self.marks:
            table = world.gathered.families[name].members[tenant].table
            text = text.replace(mark, quoted(connection, table))
        return text

    def bound(self, times: int) -> Any:
        """Return the values for so many copies of the text in one statement."""
        if self.order is None:
            return dict(self.values)
        return tuple(self.values[name] for name in self.order) * times


def spoken(connection: Connection, world: World, query: sa.Select[Any]) -> Spoken:
    """Compile a query over the stand-ins of `world`."""
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    found: dict[str, str] = {}
    for name, family in world.gathered.families.items():
        for member in family.members.values():
            found.setdefault(quoted(connection, member.table), name)
    marks = tuple((mark, name) for mark, name in found.items() if mark in compiled.string)
    order = tuple(compiled.positiontup or ()) if compiled.positional else None
    readers = {
        place: reader
        for place, column in enumerate(query.selected_columns)
        if isinstance(column.type, sa.types.TypeDecorator)
        and (reader := column.type.result_processor(connection.dialect, None)) is not None
    }
    return Spoken(compiled.string, compiled.params, order, marks, readers)


def _same(value: Any) -> Any:
    return value


def quoted(connection: Connection, table: Table) -> str:
    """Return a table's name as it stands in a statement, always quoted."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    return ".".join(quote(part) for part in (table.schema, table.name) if part is not None)


def rows_of(connection: Connection, texts: Sequence[str], values: Any = ()) -> Sequence[Any]:
    """Ask many tables at once, and let go of them.

    A transaction holds a lock on every table and index that it read, and a server has only so many: it ends here.
    """
    found = connection.exec_driver_sql(" UNION ALL ".join(texts), values or None).all()
    connection.rollback()
    return found

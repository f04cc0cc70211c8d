"""The verifier's look: the same question asked in another way, over another connection.

Shares neither query builder nor time arithmetic with what deletes: here the local day of each row is computed, by the
server's own calendar or in Python, and compared as a day; tenants are compared as text; paths are outer joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import (
    AllOf,
    AnyOf,
    Before,
    Bound,
    Condition,
    GroupScope,
    IsNull,
    Not,
    OneOf,
    TenantScope,
    WholeScope,
)
from lifecycle.core.transform import Transform
from lifecycle.ports.store import Oddities, Register, Residue, Table
from lifecycle.stores.sql.catalogue import Shape, World, word_of
from lifecycle.stores.sql.dialects import Fresh
from lifecycle.stores.sql.kin import Kin
from lifecycle.stores.sql.tables import OurTables


@dataclass(slots=True)
class Text:
    """SQL text under construction, with its bound values."""

    quote: str
    values: dict[str, Any] = field(default_factory=dict)

    def name(self, *parts: str | None) -> str:
        """Quote an identifier, always; a colon in it is no parameter."""
        return ".".join(self._quoted(part) for part in parts if part is not None)

    def _quoted(self, part: str) -> str:
        return self.quote + part.replace(self.quote, self.quote * 2).replace(":", "\\:") + self.quote

    def value(self, value: object) -> str:
        """Bind a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def run(self, connection: Connection, query: str) -> sa.CursorResult[Any]:
        """Run a query with the values bound so far."""
        return connection.execution_options(stream_results=True).execute(sa.text(query), self.values)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Whose tenants and holds count: the target's mirrors, or a register that the caller brought along."""

    fresh: Fresh
    ours: OurTables
    register: Register | None = None
    kin: Kin = field(default_factory=lambda: Kin({}))

    def members(self, text: Text, groups: Sequence[str]) -> str:
        """A query of the tenants of these groups."""
        if self.register is not None:
            ids = [tenant.id for tenant in self.register.tenants if tenant.group in groups]
            return self.fresh.listed(text.value, ids)
        mirror = text.name(self.ours.tenant.schema, self.ours.tenant.name)
        return f"SELECT id FROM {mirror} WHERE grp IN ({', '.join(text.value(group) for group in groups)})"  # noqa: S608

    def known(self, text: Text) -> str:
        """A query of all tenants."""
        if self.register is not None:
            return self.fresh.listed(text.value, [tenant.id for tenant in self.register.tenants])
        return f"SELECT id FROM {text.name(self.ours.tenant.schema, self.ours.tenant.name)}"  # noqa: S608

    def held(self, text: Text, datasets: Sequence[str]) -> str:
        """A query of the tenants that are held whole or in one of these datasets."""
        if self.register is not None:
            holds = (hold for hold in self.register.holds if hold.dataset is None or hold.dataset in datasets)
            return self.fresh.listed(text.value, sorted({hold.tenant for hold in holds}))
        named = f"dataset IN ({', '.join(text.value(name) for name in datasets)})"
        hold = text.name(self.ours.hold.schema, self.ours.hold.name)
        return f"SELECT tenant FROM {hold} WHERE dataset IS NULL OR {named}"  # noqa: S608

    def untenanted_held(self, text: Text, datasets: Sequence[str]) -> str:
        """How many holds name one of these datasets."""
        if self.register is not None:
            return text.value(sum(hold.dataset in datasets for hold in self.register.holds))
        hold = text.name(self.ours.hold.schema, self.ours.hold.name)
        return f"(SELECT count(*) FROM {hold} WHERE dataset IN ({', '.join(text.value(name) for name in datasets)}))"  # noqa: S608


class Look:
    """One question about one dataset."""

    def __init__(
        self, connection: Connection, mirrors: Mirrors, world: World, bound: Bound, shape: Shape | None = None
    ) -> None:
        """Describe the rows; nothing is read yet. `shape`: of a family, the one table that is meant."""
        self.connection = connection
        self.mirrors = mirrors
        self.fresh = mirrors.fresh
        self.world = world
        self.bound = bound
        self.shape = world.shape(bound.selection.dataset) if shape is None else shape

    def text(self) -> Text:
        """Begin a query."""
        return Text(self.connection.dialect.identifier_preparer.initial_quote)

    def source(self, text: Text, shape: Shape) -> str:
        """The table as `r`, and its tenant path as outer joins."""
        joined = f"{text.name(shape.table.schema, shape.table.name)} AS r"
        for number, hop in enumerate(shape.dataset.tenant.path):
            parent = self.world.hop(hop)
            here = "r" if number == 0 else f"p{number - 1}"
            on = f"p{number}.{text.name(hop.key)} = {here}.{text.name(hop.column)}"
            joined += f" LEFT JOIN {text.name(parent.schema, parent.name)} AS p{number} ON {on}"
        return joined

    def column(self, text: Text, name: str) -> tuple[str, str]:
        """A column of the dataset, and its type."""
        return f"r.{text.name(name)}", self.shape.word(name)

    def tenant(self, text: Text) -> str:
        """The tenant as text."""
        tenancy = self.shape.dataset.tenant
        table: Table = self.shape.table
        place = "r"
        if tenancy.path:
            table, place = self.world.hop(tenancy.path[-1]), f"p{len(tenancy.path) - 1}"
        name = tenancy.column or ""
        return self.fresh.text(f"{place}.{text.name(name)}", word_of(table, name))

    def own(self, text: Text) -> list[str]:
        """The dataset's own restriction."""
        return [self.condition(text, condition) for condition in self.shape.dataset.only]

    def scope(self, text: Text) -> list[str]:
        """Whose rows. Refused (guards `scope`, `empty-tenant`) on a scope that does not fit."""
        scope, untenanted = self.bound.selection.scope, self.shape.dataset.tenant.by == "none"
        if untenanted != isinstance(scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        match scope:
            case WholeScope():
                return self.own(text)
            case TenantScope():
                if not self.bound.tenant:
                    raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
                return [*self.own(text), f"{self.tenant(text)} = {text.value(self.bound.tenant)}"]
            case GroupScope():
                return [*self.own(text), f"{self.tenant(text)} IN ({self.mirrors.members(text, scope.groups)})"]
            case _:
                assert_never(scope)

    def free(self, text: Text) -> list[str]:
        """No hold keeps the row, and no row of a named dataset still needs it."""
        names = [self.shape.dataset.id, *(cascade.dataset for cascade in self.shape.dataset.cascades)]
        if self.shape.dataset.tenant.by == "none":
            truths = [f"{self.mirrors.untenanted_held(text, names)} = 0"]
        else:
            truths = [f"{self.tenant(text)} NOT IN ({self.mirrors.held(text, names)})"]
        return [*truths, *(self.unneeded(text, name) for name in self.bound.selection.unreferenced_by)]

    def unneeded(self, text: Text, name: str) -> str:
        """No row of another dataset references this one."""
        child = self.child(name)
        if child is None:
            return "1 = 1"
        pairs = [
            tuple(zip(key.columns, key.to_columns, strict=True))
            for key in child.table.foreign_keys
            if (key.to_schema, key.to_table) == (self.shape.table.schema, self.shape.table.name)
        ]
        pairs += [((hop.column, hop.key),) for hop in child.dataset.tenant.path[:1] if self.leads_here(hop.table)]
        if not pairs:
            raise Refused(f"nothing in {name!r} references {self.shape.dataset.id!r}", guard="unreferenced-by")
        other = text.name(child.table.schema, child.table.name)
        links = " OR ".join(
            "(" + " AND ".join(f"c.{text.name(a)} = r.{text.name(b)}" for a, b in pair) + ")" for pair in pairs
        )
        return f"COALESCE((SELECT 1 FROM {other} AS c WHERE {links} LIMIT 1), 0) = 0"  # noqa: S608

    def child(self, name: str) -> Shape | None:
        """Return another dataset's table; None where the same tenant has none of it."""
        if self.shape.tenant is None:
            return self.world.shape(name)
        table = self.mirrors.kin.table(name, self.shape.tenant)
        return None if table is None else Shape(self.world.dataset(name), table)

    def leads_here(self, table: str) -> bool:
        """Tell whether a hop's table is this dataset's."""
        return table == self.shape.table.name

    def undone(self, text: Text, transforms: Sequence[Transform]) -> str:
        """Something is not anonymised yet, by the verifier's own reading."""
        told = []
        for transform in transforms:
            column, word = self.column(text, transform.column)
            told.append(self.fresh.done(column, word, text.value, transform))
        return f"(NOT ({' AND '.join(told)}))"

    def condition(self, text: Text, condition: Condition) -> str:
        """A condition; never NULL."""
        match condition:
            case OneOf():
                column, word = self.column(text, condition.column)
                same = (self.fresh.same(column, word, text.value, value) for value in condition.values)
                return "COALESCE(" + " OR ".join(same) + ", FALSE)"
            case IsNull():
                return f"({self.column(text, condition.column)[0]} IS NULL)"
            case Not():
                return f"(NOT {self.condition(text, condition.inner)})"
            case AllOf():
                return "(" + " AND ".join(self.condition(text, inner) for inner in condition.inner) + ")"
            case AnyOf():
                return "(" + " OR ".join(self.condition(text, inner) for inner in condition.inner) + ")"
            case _:
                assert_never(condition)

    def days(self, text: Text) -> list[str]:
        """One expression for each due time."""
        found = []
        for before in self.bound.selection.due:
            time = self.shape.dataset.times[before.time]
            column, word = self.column(text, time.column)
            found.append(self.fresh.day(column, word, time, before.zone))
        return found

    def counted(self, text: Text) -> str:
        """A query: for each row in scope whether it is wanted (w), and its days (d0, d1, …)."""
        scope, free = self.scope(text), self.free(text)
        only = [self.condition(text, condition) for condition in self.bound.selection.only]
        only += [self.undone(text, self.bound.selection.undone)] if self.bound.selection.undone else []
        wanted = " AND ".join(free + only) or "1 = 1"
        listed = "".join(f", {day} AS d{number}" for number, day in enumerate(self.days(text)))
        where = " AND ".join(scope) if scope else "1 = 1"
        return f"SELECT CASE WHEN {wanted} THEN 1 ELSE 0 END AS w{listed} FROM {self.source(text, self.shape)} WHERE {where}"  # noqa: S608, E501

    def tally(self) -> tuple[int, int, date | None]:
        """Count rows that should be gone and rows without a believable time; and the oldest of the former."""
        text = self.text()
        return self.sum_up(text, self.counted(text))

    def sum_up(self, text: Text, inner: str) -> tuple[int, int, date | None]:
        """Sum up what `counted` yields, of one table or of many."""
        due = self.bound.selection.due
        grouped = ", ".join(["w", *(f"d{number}" for number in range(len(due)))])
        items = undatable = 0
        oldest: date | None = None
        rows: Any = text.run(self.connection, f"SELECT count(*), {grouped} FROM ({inner}) AS x GROUP BY {grouped}")  # noqa: S608
        for row in rows:
            number, counts, values = row[0], row[1], list(row)[2:]
            read = [self.read(before, value) for before, value in zip(due, values, strict=True)]
            if not all(believable(before, day) for before, day in zip(due, read, strict=True)):
                undatable += number
            elif counts and all(day is not None and day <= b.day for b, day in zip(due, read, strict=True)):
                items += number
                oldest = min((day for day in (oldest, *read[:1]) if day is not None), default=None)
        return items, undatable, oldest

    def read(self, before: Before, value: object) -> date | None:
        """The local day of what came out."""
        return self.fresh.read_day(value, self.shape.dataset.times[before.time], before.zone)

    def odd_tenants(self) -> tuple[int, int]:
        """Count rows of unknown tenants and of none: whoever leaves, they may be theirs."""
        if isinstance(self.bound.selection.scope, WholeScope):
            return 0, 0
        text = self.text()
        tenant, known = self.tenant(text), self.mirrors.known(text)
        source, own = self.source(text, self.shape), " AND ".join(["1 = 1", *self.own(text)])
        query = (
            f"SELECT sum(CASE WHEN x.t IS NOT NULL AND x.t NOT IN ({known}) THEN 1 ELSE 0 END), "  # noqa: S608
            f"sum(CASE WHEN x.t IS NULL THEN 1 ELSE 0 END) FROM (SELECT {tenant} AS t FROM {source} WHERE {own}) AS x"
        )
        row: Any = text.run(self.connection, query).one()
        counted = self.shape.dataset.tenant.nulls == "refuse"
        return int(row[0] or 0), int(row[1] or 0) if counted else 0

    def orphans(self) -> int:
        """Count rows whose way to a tenant breaks at this dataset, or that are below it."""
        return sum(self._broken(dataset) for dataset in self.world.datasets.values() if dataset.tenant.path)

    def _broken(self, dataset: Dataset) -> int:
        found = 0
        shape = self.world.shape(dataset.id)
        for number, hop in enumerate(dataset.tenant.path):
            if dataset.id != self.shape.dataset.id and self.world.hop(hop) != self.shape.table:
                continue
            text = self.text()
            here = "r" if number == 0 else f"p{number - 1}"
            broken = f"{here}.{text.name(hop.column)} IS NOT NULL AND p{number}.{text.name(hop.key)} IS NULL"
            query = f"SELECT count(*) FROM {self.source(text, shape)} WHERE {broken}"  # noqa: S608
            found += text.run(self.connection, query).scalar_one()
        return found


def believable(before: Before, day: date | None) -> bool:
    """A day that is neither missing, nor before all records, nor in the future."""
    return day is not None and before.not_before <= day <= before.not_after


def look(connection: Connection, mirrors: Mirrors, world: World, bound: Bound, *, narrow: bool = False) -> Residue:
    """Count what is left; `narrow`: neither orphans nor rows of unknown tenants or of none."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds", guard="holds")
    question = Look(connection, mirrors, world, bound)
    items, undatable, oldest = question.tally()
    if narrow:
        return Residue(items, 0, oldest, Oddities(undatable))
    unknown, nobody = question.odd_tenants()
    return Residue(items, question.orphans(), oldest, Oddities(undatable, unknown, 0, nobody))

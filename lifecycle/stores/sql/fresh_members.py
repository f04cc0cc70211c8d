"""The verifier's look at a family: its own list of tables, many of them in one query, tenants compared here.

Whose table counts is decided in Python over the ids that the mirror, or the caller's register, names; the executor
asks the database. Neither reads the other's list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.selection import Bound, GroupScope, Selection, WholeScope
from lifecycle.ports.store import Oddities, Residue
from lifecycle.stores.sql.catalogue import Shape, World
from lifecycle.stores.sql.kin import Relative
from lifecycle.stores.sql.residue import Look, Mirrors, Text

_TABLES = 150


class MemberLook(Look):
    """One member's part of a question: its scope and holds are decided before, by its tenant."""

    def scope(self, text: Text) -> list[str]:
        """Every row of the table, as far as the dataset goes."""
        return self.own(text)

    def free(self, text: Text) -> list[str]:
        """No row of a named dataset still needs it."""
        return [self.unneeded(text, name) for name in self.bound.selection.unreferenced_by]


class FamilyLook:
    """One question about one family."""

    def __init__(self, connection: Connection, mirrors: Mirrors, world: World, bound: Bound) -> None:
        """Take the relatives; nothing is read yet."""
        self.connection = connection
        self.mirrors = mirrors
        self.world = world
        self.bound = bound
        self.dataset = world.dataset(bound.selection.dataset)
        self.relatives = mirrors.kin.of[self.dataset.id]

    def text(self) -> Text:
        """Begin a query."""
        return Text(self.connection.dialect.identifier_preparer.initial_quote)

    def ids(self, query: Callable[[Text], str]) -> set[str]:
        """Return the tenants that a query of the mirrors yields."""
        text = self.text()
        rows: Any = text.run(self.connection, query(text))
        return {row[0] for row in rows}

    def grouped(self, groups: Sequence[str]) -> set[str]:
        """Return the tenants of these groups; a register that was brought along need not go through the database."""
        if self.mirrors.register is not None:
            return {tenant.id for tenant in self.mirrors.register.tenants if tenant.group in groups}
        return self.ids(lambda text: self.mirrors.members(text, groups))

    def known(self) -> set[str]:
        """Return all tenants."""
        if self.mirrors.register is not None:
            return {tenant.id for tenant in self.mirrors.register.tenants}
        return self.ids(self.mirrors.known)

    def in_scope(self) -> list[Relative]:
        """Return the tables that count, held ones too. Refused (guards `scope`, `empty-tenant`, `family-shape`)."""
        scope = self.bound.selection.scope
        if isinstance(scope, WholeScope):
            raise Refused("the scope does not fit the dataset's tenancy", guard="scope")
        wanted = self.grouped(scope.groups) if isinstance(scope, GroupScope) else {self.one()}
        found = [relative for relative in self.relatives if relative.like and relative.tenant in wanted]
        if any(relative.rivals for relative in found):
            known = self.known()
            found = [relative for relative in found if not relative.rivals & known]
        return found

    def one(self) -> str:
        """Return the scope's one tenant, whose table, if there is one, has the family's shape."""
        tenant = self.bound.tenant
        if not tenant:
            raise Refused("a tenant's scope needs a tenant", guard="empty-tenant")
        if any(relative.tenant == tenant and not relative.like for relative in self.relatives):
            raise Refused(f"a tenant's table of {self.dataset.id} has another shape", guard="family-shape")
        return tenant

    def held(self) -> set[str]:
        """Return the tenants that a hold keeps, whole or here."""
        names = [self.dataset.id, *(cascade.dataset for cascade in self.dataset.cascades)]
        if self.mirrors.register is not None:
            kept = (hold for hold in self.mirrors.register.holds if hold.dataset is None or hold.dataset in names)
            return {hold.tenant for hold in kept}
        return self.ids(lambda text: self.mirrors.held(text, names))

    def tally(self) -> tuple[int, int, date | None]:
        """Count rows that should be gone, rows without a believable time in the scope, and the oldest of the former."""
        scope, held = self.in_scope(), self.held()
        items, undatable, oldest = self._tally([relative for relative in scope if relative.tenant not in held])
        return items, undatable + self._tally([r for r in scope if r.tenant in held])[1], oldest

    def _tally(self, relatives: Sequence[Relative]) -> tuple[int, int, date | None]:
        items = undatable = 0
        days: list[date] = []
        for start in range(0, len(relatives), _TABLES):
            text = self.text()
            looks = [self._one(relative) for relative in relatives[start : start + _TABLES]]
            inner = " UNION ALL ".join(look.counted(text) for look in looks)
            more, odd, oldest = looks[0].sum_up(text, inner)
            # The locks on these tables go with the transaction: a server has only so many.
            self.connection.rollback()
            items, undatable = items + more, undatable + odd
            days += [] if oldest is None else [oldest]
        return items, undatable, min(days, default=None)

    def _one(self, relative: Relative) -> MemberLook:
        shape = Shape(self.dataset, relative.table, relative.tenant)
        return MemberLook(self.connection, self.mirrors, self.world, self.bound, shape)

    def nobodys(self) -> int:
        """Count the rows of tables of unknown tenants, of unclear names and of other shapes: they may be anyone's."""
        known = self.known()
        lost = [r for r in self.relatives if not r.like or r.tenant not in known or r.rivals & known]
        return self.rows(lost)

    def rows(self, relatives: Sequence[Relative], *, own: bool = False) -> int:
        """Count all rows of these tables; `own`: those of the dataset only, where the table has its columns."""
        found = 0
        for start in range(0, len(relatives), _TABLES):
            text = self.text()
            parts = []
            for relative in relatives[start : start + _TABLES]:
                where = self._one(relative).own(text) if own and relative.like else []
                name = text.name(relative.table.schema, relative.table.name)
                parts.append(f"SELECT count(*) AS n FROM {name} AS r WHERE {' AND '.join(['1 = 1', *where])}")  # noqa: S608
            row: Any = text.run(self.connection, f"SELECT sum(n) FROM ({' UNION ALL '.join(parts)}) AS x").one()  # noqa: S608
            found += int(row[0])
            self.connection.rollback()
        return found


def look(connection: Connection, mirrors: Mirrors, world: World, bound: Bound, *, narrow: bool = False) -> Residue:
    """Count what is left in a family; `narrow`: without tables of nobody's. A table of its own leaves no orphans."""
    if not bound.selection.respect_holds:
        raise Refused("only a count may look past holds", guard="holds")
    question = FamilyLook(connection, mirrors, world, bound)
    items, undatable, oldest = question.tally()
    return Residue(items, 0, oldest, Oddities(undatable, 0 if narrow else question.nobodys()))


def population(connection: Connection, mirrors: Mirrors, world: World, dataset: str) -> int:
    """Count the rows of every table of the family, whoever they belong to."""
    question = FamilyLook(connection, mirrors, world, Bound(Selection(dataset=dataset, scope=WholeScope())))
    return question.rows(question.relatives, own=True)

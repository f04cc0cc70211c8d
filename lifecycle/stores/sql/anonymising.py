"""Anonymising rows of a SQL table: the one UPDATE, its proof inside the transaction, and what forbids it beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.errors import Refused
from lifecycle.core.family import is_family
from lifecycle.core.plan import Anonymise
from lifecycle.core.transform import Keep, SetNull, Token, Transform, Treatment
from lifecycle.ports.store import Batch, Column, Finding, ForeignKey, Table
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import RENEWED, Dialect, Expression, Truth
from lifecycle.stores.sql.select import Selected


def statement(dialect: Dialect, selected: Selected, action: Anonymise, truths: Sequence[Truth]) -> sa.Update:
    """Return the change. What is done already stays; times that must not become young again are written back.

    Those are the start times, and every time that the database itself renews with each change of a row.

    Raises Refused (guard `anonymise`) for transforms that are not exactly the inventory's, or not those selected by.
    """
    wanted = selected.dataset.transforms
    if not action.transforms == selected.bound.selection.undone == wanted:
        raise Refused("only what the inventory declares is anonymised, and all of it", guard="anonymise")
    table = selected.table
    values: dict[str, Expression] = {}
    for transform in action.transforms:
        column = selected.shape.typed(table, transform.column)
        done = dialect.done(column, transform)
        values[transform.column] = sa.case((done, column.expression), else_=dialect.transformed(column, transform))
    stored = {column.name for column in selected.shape.table.columns if not column.generated}
    for time in selected.dataset.times.values():
        if time.column in stored:
            values[time.column] = table.c[time.column]
    for found in selected.shape.table.columns:
        if found.type.endswith(RENEWED):
            values.setdefault(found.name, table.c[found.name])
    return sa.update(table).values({table.c[name]: value for name, value in values.items()}).where(*truths)


def standing(connection: Connection, selected: Selected, near: Sequence[Truth], batch: Batch) -> int:
    """Count the due rows of the piece, anonymised or not; 0 for any other action."""
    if not isinstance(batch.action, Anonymise):
        return 0
    due = (selected.compiler.before(before) for before in selected.bound.selection.due)
    return _count(connection, selected, [*selected.scope(), *due, *near])


def prove(
    connection: Connection,
    selected: Selected,
    truths: Sequence[Truth],
    near: Sequence[Truth],
    batch: Batch,
    before: int,
) -> None:
    """Look in the same transaction whether the database did what it was told: it may have code of its own.

    Raises Refused: guard `start-time` when rows are no longer due (a trigger or a column that notes the last change),
    `anonymise` when a row is still not done.
    """
    if not isinstance(batch.action, Anonymise):
        return
    if standing(connection, selected, near, batch) != before:
        raise Refused(
            "the database changed a start time of rows that were anonymised",
            guard="start-time",
            advice="Keep triggers and automatic columns off the start time, or name another column for it.",
        )
    if left := _count(connection, selected, truths):
        raise Refused(
            f"{left} rows were written and are not anonymised: the database interferes",
            guard="anonymise",
            advice="Look for triggers and rules on the table with `lifecycle doctor`.",
        )


def _count(connection: Connection, selected: Selected, truths: Sequence[Truth]) -> int:
    query = sa.select(sa.func.count()).select_from(selected.source).where(*truths)
    found: int = connection.execute(query).scalar_one()
    return found


# ---- what forbids it ----


def findings(store: str, dialect: Dialect, world: World, datasets: Sequence[str]) -> list[Finding]:
    """Return what forbids or endangers anonymising these datasets, each with what to do."""
    return [finding for name in datasets for finding in _Judged(store, dialect, world, name).run()]


class _Judged:
    """One dataset that is to be anonymised."""

    def __init__(self, store: str, dialect: Dialect, world: World, name: str) -> None:
        self.store = store
        self.dialect = dialect
        self.world = world
        self.dataset = world.dataset(name)

    def say(self, code: str, what: str, fix: str, *, fatal: bool = True) -> Finding:
        """Make a finding."""
        return Finding(code, self.store, self.dataset.id, what, fix, fatal)

    def run(self) -> Iterator[Finding]:
        """Yield every finding; a table that does not exist is told elsewhere."""
        if is_family(self.dataset):
            fix = "Let the rule delete, where the agreement grants either."
            yield self.say("anonymise-family", "rows of a family are not anonymised in this version", fix)
            return
        table = self.world.find(self.dataset.schema_, self.dataset.table)
        if table is None:
            return
        if not self.dataset.transforms:
            fix = "Write `anonymise` with what becomes of each column, or let the rule delete."
            yield self.say("anonymise-undeclared", "the inventory does not say how its columns are anonymised", fix)
            return
        yield from self.unaccounted(table)
        yield from self.linked(table)
        columns = {column.name: column for column in table.columns}
        for treatment in self.dataset.anonymise:
            column = columns.get(treatment.column)
            if column is None:
                what = f"the table has no column {treatment.column!r}"
                yield self.say("missing-column", what, "Correct the column's name; names are compared exactly.")
            elif isinstance(treatment, Keep):
                yield from self.linking(table, treatment)
            else:
                yield from self.changing(table, column, treatment)

    def unaccounted(self, table: Table) -> Iterator[Finding]:
        """Columns that nobody decided about: what they hold would stay."""
        treated = {treatment.column for treatment in self.dataset.anonymise}
        for column in table.columns:
            if column.name not in treated:
                what = f"the column {column.name!r} is not accounted for: it would stay as it is"
                yield self.say("unaccounted-column", what, "Say under `anonymise` what becomes of it, or why it stays.")

    def changing(self, table: Table, column: Column, transform: Transform) -> Iterator[Finding]:
        """What the database would refuse, or answer in a way that nobody wants."""
        name = column.name
        if column.generated:
            fix = "Transform the columns that it is made from, and keep it with that reason."
            yield self.say("generated-column", f"the column {name!r} is generated and cannot be written", fix)
            return
        if isinstance(transform, SetNull) and not column.nullable:
            fix = "Use a constant or a token, or let the column be NULL."
            yield self.say("not-nullable", f"the column {name!r} may not be NULL", fix)
        if (misfit := self.dialect.misfit(column.type, transform)) is not None:
            fix = "Use set-null, another transform, or a wider column."
            yield self.say("transform-type", f"the column {name!r} cannot be transformed so: {misfit}", fix)
        if any(name in index for index in table.unique) and not isinstance(transform, SetNull | Token):
            what = f"the column {name!r} is part of a unique index, and many rows would get one value"
            yield self.say("unique-column", what, "Use a token or set-null.")
        if any(name in key.columns for key in table.foreign_keys) and not isinstance(transform, SetNull):
            what = f"the column {name!r} is a foreign key: a made-up value references nothing"
            yield self.say("foreign-key-column", what, "Use set-null, or keep it where it links to nobody.")
        if any(name in key.to_columns for key in self.world.inbound(table)):
            what = f"other tables reference the column {name!r}: they would break, or change with it"
            yield self.say("referenced-column", what, "Anonymise no column that is referenced; delete these rows.")

    def linked(self, table: Table) -> Iterator[Finding]:
        """Rows elsewhere that name somebody and reference these: they are the link until they have gone themselves."""
        for key in self.world.inbound(table):
            for child in self.world.of_table(key.schema, key.table):
                if child.persons and not child.anonymise and child.id != self.dataset.id:
                    what = f"rows of {child.id} name persons and reference these rows over {', '.join(key.columns)}"
                    fix = "See that they are deleted or anonymised no later than these."
                    yield self.say("linked-from", what, fix, fatal=False)

    def linking(self, table: Table, treatment: Treatment) -> Iterator[Finding]:
        """A kept reference leads to rows that may still name the person."""
        for key in table.foreign_keys:
            if treatment.column in key.columns and not self._tenants(key):
                yield from self._link(treatment.column, key)

    def _tenants(self, key: ForeignKey) -> bool:
        tenancy = self.dataset.tenant
        own = tenancy.path[0].column if tenancy.path else tenancy.column
        return key.columns == (own,)

    def _link(self, name: str, key: ForeignKey) -> Iterator[Finding]:
        linked = self.world.of_table(key.to_schema, key.to_table)
        named = [dataset.id for dataset in linked if dataset.persons and not dataset.anonymise]
        if named:
            what = f"the column {name!r} is kept and links to {', '.join(named)}, whose rows name persons"
            yield self.say("linking-identifier", what, "Use set-null, or anonymise those rows too.")
        elif not any(dataset.anonymise for dataset in linked):
            what = f"the column {name!r} is kept and references {key.to_table!r}"
            fix = "Make sure that nobody is named there; else use set-null."
            yield self.say("linking-identifier", what, fix, fatal=False)

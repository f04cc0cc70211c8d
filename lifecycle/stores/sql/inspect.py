"""What forbids or endangers a plan over a dataset (I11), each with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lifecycle.core.errors import Refused
from lifecycle.core.family import is_family
from lifecycle.core.inventory import Dataset
from lifecycle.ports.store import Finding, ForeignKey, Table
from lifecycle.stores.sql import order
from lifecycle.stores.sql.catalogue import World
from lifecycle.stores.sql.dialects import Dialect, Facts
from lifecycle.stores.sql.families import without
from lifecycle.stores.sql.typical import typical

BIG = 100_000
"""From this many rows on, a foreign key without an index turns minutes into hours."""

Size = Callable[[Table, int], int]
"""How many rows a table has, counted up to a number."""

_KINDS = {
    "view": "a view shows rows of other tables",
    "partitioned": "a table with partitions or heirs is not served yet",
    "foreign": "a foreign table lies in another database",
    "virtual": "a virtual table keeps its rows elsewhere",
    "non-transactional": "its engine has no transactions: a batch that fails could not be taken back",
    "versioned": "a system-versioned table keeps every deleted row in its history",
}
_TAKES = {"CASCADE": "delete", "SET NULL": "set-null", "SET DEFAULT": "set-default"}


class Inspection:
    """The findings about one dataset."""

    def __init__(self, store: str, dialect: Dialect, world: World, dataset: Dataset, size: Size) -> None:
        """Take what the findings are about, and how a table's rows are counted where nobody estimated them."""
        self.size = size
        self.store = store
        self.dialect = dialect
        self.world, self.table, self.before = typical(world, dataset)
        self.dataset = dataset

    def say(self, code: str, what: str, fix: str, *, fatal: bool = True) -> Finding:
        """Make a finding."""
        return Finding(code, self.store, self.dataset.id, what, fix, fatal)

    def run(self) -> Iterator[Finding]:
        """Yield every finding."""
        for code, what, fix, fatal in self.before:
            yield self.say(code, what, fix, fatal=fatal)
        table = self.table
        if table is None:
            yield self.say(
                "missing-table",
                f"the table {self.dataset.table!r} does not exist or our role does not see it",
                "Correct the dataset's table and schema; names are compared exactly.",
            )
            return
        if table.kind != "table":
            yield self.say(
                "not-a-table", f"{_KINDS.get(table.kind, table.kind)}", "Declare the table that holds the rows."
            )
        missing = list(self.missing(table))
        yield from missing
        if missing:
            return
        yield from self.keys(table)
        yield from self.types(table)
        yield from self.path(table)
        yield from self.inbound(table)
        yield from self.triggers(table)
        yield from self.security(table)

    def missing(self, table: Table) -> Iterator[Finding]:
        """Declared columns that are not there."""
        dataset, names = self.dataset, {column.name for column in table.columns}
        declared = [*dataset.key, *dataset.columns, *dataset.detach, *(t.column for t in dataset.times.values())]
        declared += [person.column for person in dataset.persons]
        if dataset.tenant.column is not None and not dataset.tenant.path:
            declared.append(dataset.tenant.column)
        declared += [hop.column for hop in dataset.tenant.path[:1]]
        for name in dict.fromkeys(declared):
            if name not in names:
                what = f"the table has no column {name!r}"
                yield self.say("missing-column", what, "Correct the column's name; names are compared exactly.")

    def keys(self, table: Table) -> Iterator[Finding]:
        """The key must name one row, and the same row tomorrow."""
        if not table.primary_key:
            fix = "Add a primary key: a deleted row must be named in its receipt."
            yield self.say("no-primary-key", "the table has no primary key", fix)
        elif set(self.dataset.key) != set(table.primary_key):
            fix = f"Declare the key as {', '.join(table.primary_key)}."
            yield self.say("key-mismatch", "the declared key is not the table's primary key", fix)
        for name in self.dataset.detach:
            column = next(column for column in table.columns if column.name == name)
            keyed = any(name in key.columns for key in table.foreign_keys)
            if not column.nullable or column.generated or not keyed:
                what = f"the column {name!r} cannot be detached: it is not a nullable, stored foreign key"
                yield self.say("detach", what, "Declare only nullable foreign-key columns under `detach`.")

    def types(self, table: Table) -> Iterator[Finding]:
        """Times and tenants must have types that are compared without guessing."""
        words = {column.name: column.type for column in table.columns}
        for name, time in self.dataset.times.items():
            if not self.dialect.fits_time(words[time.column], time):
                what = f"the time {name!r} is declared as {time.encoding}, its column has the type {words[time.column]}"
                yield self.say("time-type", what, "Correct the time's encoding, or name another column.")
        tenancy = self.dataset.tenant
        if tenancy.column is not None and not tenancy.path and not self.dialect.fits_tenant(words[tenancy.column]):
            what = f"a tenant cannot be named byte-exact by the type {words[tenancy.column]}"
            yield self.say("tenant-type", what, "Name a column of an integer, uuid or text type.")

    def path(self, table: Table) -> Iterator[Finding]:
        """Each hop leads to at most one row; the last has the tenant's column."""
        here = table
        for hop in self.dataset.tenant.path:
            there = self.world.find(hop.schema_, hop.table)
            names = set() if there is None else {column.name for column in there.columns}
            if there is None or hop.key not in names or hop.column not in {c.name for c in here.columns}:
                what = f"the tenant path breaks at {hop.table!r}"
                yield self.say("path", what, "Correct the hop's table, column and key.")
                return
            if there.primary_key != (hop.key,) and not self._unique(there, hop.key):
                what = f"the key {hop.key!r} of {hop.table!r} is not known to be unique"
                yield self.say("path-not-unique", what, "Lead the path over primary keys.")
            if there.row_security == "may-hide":
                what = f"row security may hide rows of {hop.table!r} on the tenant path"
                yield self.say("row-security", what, "Give our role BYPASSRLS or a policy USING (true).")
            here = there
        tenancy = self.dataset.tenant
        if tenancy.path:
            word = next((column.type for column in here.columns if column.name == tenancy.column), None)
            if word is None or not self.dialect.fits_tenant(word):
                what = f"the table {here.name!r} at the path's end does not name a tenant byte-exact"
                yield self.say("path", what, "Correct the tenant's column.")

    def _unique(self, table: Table, column: str) -> bool:
        """A foreign key onto the column proves that it is unique."""
        return any(key.to_columns == (column,) for key in self.world.inbound(table))

    def inbound(self, table: Table) -> Iterator[Finding]:
        """What references the rows, and what happens to it."""
        for key in self.world.inbound(table):
            name, columns = self.shown(key.table), ", ".join(key.columns)
            inside = (key.schema, key.table) == (table.schema, table.name)
            effect = _TAKES.get(key.on_delete)
            # A reference inside the table never fires: its rows go from the leaves.
            if effect is not None and not inside and not self._declared(key, effect):
                what = f"deleting takes effect in {name!r} over {columns}: ON DELETE {key.on_delete}"
                yield self.say("undeclared-cascade", what, "Declare it under `cascades`, or change the foreign key.")
            declared = self.world.of_table(key.schema, key.table)
            if any(is_family(child) for child in declared) and not self.world.is_mine(key):
                what = f"tables of the family {declared[0].id!r} reference the rows"
                fix = "Leave the dataset out: rows that every tenant's tables may reference are not deleted yet."
                yield self.say("referenced-by-family", what, fix)
                return
            if effect is None and not declared and not inside:
                what = f"{name!r} references the rows over {columns} and belongs to no dataset"
                yield self.say("referenced-by-undeclared", what, "Declare the table as a dataset.", fatal=False)
            if not key.indexed:
                child = self.world.find(key.schema, key.table)
                rows = 0 if child is None else child.row_estimate or self.size(child, BIG)
                what = f"the foreign key of {name!r} over {columns} has no index: each deletion reads the whole table"
                fix = f"Create an index on {columns} of {name!r}; from {BIG:,} rows on nothing is planned without it."
                yield self.say("foreign-key-without-index", what, fix, fatal=rows >= BIG)
            if not key.enforced:
                what = f"the foreign key of {name!r} over {columns} is not validated"
                yield self.say("not-validated", what, "Validate it: orphans may exist already.", fatal=False)

    def shown(self, table: str) -> str:
        """Return a table's name as a refusal may tell it: beside a family's member it may hold the tenant's id."""
        return table if self.world.tenant is None else without(table, self.world.tenant)

    def _declared(self, key: ForeignKey, effect: str) -> bool:
        children = {dataset.id for dataset in self.world.of_table(key.schema, key.table)}
        return any(
            cascade.dataset in children and cascade.column in key.columns and cascade.effect == effect
            for cascade in self.dataset.cascades
        )

    def triggers(self, table: Table) -> Iterator[Finding]:
        """Code that runs when rows go."""
        declared = {trigger.name: trigger for trigger in self.dataset.triggers}
        for name in table.triggers:
            if name not in declared:
                what = f"the trigger or rule {name!r} is not declared"
                yield self.say("undeclared-trigger", what, "Declare it under `triggers` with its effect.")
        for name, trigger in declared.items():
            if name not in table.triggers:
                what = f"the declared trigger {name!r} does not exist"
                yield self.say("missing-trigger", what, "Remove it from the inventory.", fatal=False)
            elif trigger.effect == "writes" and trigger.dataset is None:
                what = f"the trigger {name!r} writes, and the inventory does not say where"
                yield self.say("undeclared-trigger", what, "Name the dataset that it writes.")

    def security(self, table: Table) -> Iterator[Finding]:
        """Rows that our role might not see."""
        if table.row_security == "may-hide":
            fix = "Give our role BYPASSRLS, or a permissive policy USING (true) for SELECT and DELETE."
            yield self.say("row-security", "row security may hide rows from our role", fix)


def findings(
    store: str, dialect: Dialect, world: World, facts: Facts, datasets: Sequence[str], size: Size
) -> list[Finding]:
    """Return the findings about these datasets, the server's first."""
    found: list[Finding] = []
    if facts.more.get("replica") == "on":
        what = "the server is a replica"
        found.append(Finding("replica", store, None, what, "Name the primary server.", True))
    elif facts.read_only:
        what = "the server accepts no changes: it is read-only"
        found.append(Finding("read-only", store, None, what, "Let it be written, or name the primary server.", True))
    if facts.more.get("superuser") == "on":
        what = "our role is a superuser"
        fix = "Use the executor role of deploy/sql."
        found.append(Finding("superuser", store, None, what, fix, False))
    found += [Finding(note.code, store, None, note.what, note.fix, note.fatal) for note in facts.notes]
    for name in datasets:
        found += Inspection(store, dialect, world, world.dataset(name), size).run()
    if not any(finding.code == "missing-table" for finding in found):
        try:
            order.levels(world, datasets)
        except Refused as refused:
            found.append(Finding(refused.guard, store, None, refused.message, refused.advice(), True))
    return found

"""The long look that doctor takes: start times sampled, grants, collations, room. Never a part of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.inventory import Dataset, TimeColumn
from lifecycle.ports.store import Examined, Finding, Table
from lifecycle.stores.sql.catalogue import World, clause_of
from lifecycle.stores.sql.dialects import Dialect, Typed
from lifecycle.stores.sql.grants import lacking
from lifecycle.stores.sql.samples import Looks, Tally, tally
from lifecycle.stores.sql.wording import listed, share

HALF = 2_500
"""Rows that are sampled from either end of the key."""

MOST = 0.5
"""Above this share of its values a time is not read as it was meant."""

_LEFT = "such rows have no usable start: no rule deletes them"


def examined(store: str, dialect: Dialect, connection: Connection, world: World, datasets: Sequence[str]) -> Examined:
    """Return what the long look found."""
    health = dialect.health()
    today = dialect.facts(connection).clock.date()
    tables = {id(table): table for name in datasets for table in world.tables_of(name)}
    declared = [*tables.values(), *_on_paths(world, datasets)]
    known = {id(table) for table in declared}
    others = [table for table in world.catalogue.tables if id(table) not in known]
    remarks = [*health.remarks(connection), *health.too_wide(connection, declared, others)]
    found = [Finding(r.code, store, None, r.what, r.fix, r.fatal) for r in remarks]
    found += lacking(store, dialect, connection, world, datasets)
    for name in datasets:
        if (table := world.of_dataset(name)) is not None:
            look = _Look(store, dialect, connection, world.dataset(name), table)
            found += [*look.collation(), *look.times(today)]
    return Examined(tuple(found), health.facts(connection))


def _on_paths(world: World, datasets: Sequence[str]) -> Iterator[Table]:
    for name in datasets:
        for hop in world.dataset(name).tenant.path:
            table = world.find(hop.schema_, hop.table)
            if table is not None:
                yield table


class _Look:
    """The findings about one dataset's rows."""

    def __init__(self, store: str, dialect: Dialect, connection: Connection, dataset: Dataset, table: Table) -> None:
        self.store = store
        self.dialect = dialect
        self.connection = connection
        self.dataset = dataset
        self.table = table
        self.words = {column.name: column.type for column in table.columns}

    def say(self, code: str, what: str, fix: str, *, fatal: bool = False) -> Finding:
        """Make a finding."""
        return Finding(code, self.store, self.dataset.id, what, fix, fatal)

    def collation(self) -> Iterator[Finding]:
        """A tenant column whose own equality is looser than ours: nothing is confused, but an index may not serve."""
        column = self.dataset.tenant.column
        if column is None or self.dataset.tenant.path or column not in self.words:
            return
        health = self.dialect.health()
        if not self.dialect.fits_tenant(self.words[column]) or not health.loose(self.connection, self.table, column):
            return
        if not any(lead[:1] == (column,) for lead in self.table.indexed):
            served = "no index begins with it"
        else:
            place = clause_of(self.table)
            named = self.dialect.tenant_is(Typed(place.c[column], self.words[column]), "x")
            by_index = health.uses_index(self.connection, sa.select(sa.literal(1)).select_from(place).where(named))
            served = "its index still serves" if by_index else "its index does not serve that: the table is read whole"
        yield self.say(
            "tenant-collation",
            f"the tenant column {column!r} takes different spellings for equal; we compare byte by byte: {served}",
            "Nothing is confused. For speed, add an index under a byte-exact collation.",
        )

    def times(self, today: date) -> Iterator[Finding]:
        """Sample every start time."""
        columns = {name: time for name, time in self.dataset.times.items() if time.column in self.words}
        keyed = set(self.table.primary_key) == set(self.dataset.key) and self.table.kind == "table"
        if not columns or not keyed:
            return
        wanted = list(dict.fromkeys(time.column for time in columns.values()))
        try:
            with self.connection.begin_nested():
                rows = self._sampled(wanted)
        except sa.exc.DBAPIError:
            what = "its start times could not be sampled: our role may not read them, or the server was too slow"
            yield self.say("not-sampled", what, "Grant SELECT on key and time columns, then run doctor again.")
            return
        for name, time in columns.items():
            values = [row[wanted.index(time.column)] for row in rows]
            native = self.dialect.health().is_time(self.words[time.column])
            yield from self._of_time(name, time, tally(values, time, today, native=native))

    def _sampled(self, columns: Sequence[str]) -> list[tuple[str | None, ...]]:
        """Read rows from both ends of the key: the oldest and the newest, as texts."""
        place = clause_of(self.table)
        keys = [place.c[name] for name in self.table.primary_key]
        spelled = [self.dialect.as_cursor(Typed(place.c[name], self.words[name])) for name in self.table.primary_key]
        picked = [sa.cast(place.c[name], sa.Text()) for name in columns]
        found: dict[tuple[object, ...], tuple[str | None, ...]] = {}
        for order in (keys, [key.desc() for key in keys]):
            query = sa.select(*spelled, *picked).select_from(place).order_by(*order).limit(HALF)
            for row in self.connection.execute(query):
                found[tuple(row[: len(keys)])] = tuple(row[len(keys) :])
        return list(found.values())

    def _of_time(self, name: str, time: TimeColumn, seen: Tally) -> Iterator[Finding]:
        """Yield what of the sample does not fit the declaration, the worst first."""
        filled = seen.sampled - seen.of("null")
        if not seen.sampled:
            return
        for code, kinds, what, fix in _told(time):
            if count := seen.of(*kinds):
                fatal = code in _MISREAD and count > MOST * max(1, filled)
                more = f" ({listed(seen.sentinels)})" if code == "time-sentinel" else ""
                said = f"the time {name!r}: {share(count, seen.sampled)} {what}{more}; {_LEFT}"
                yield self.say(code, said, fix, fatal=fatal)
        if seen.of("naive") and seen.of("aware"):
            said = f"the time {name!r}: {share(seen.of('naive'), seen.sampled)} have no offset, the others have one"
            fix = (
                f"Those without are read as {time.zone or 'UTC'}: declare another `zone` if the application means one."
            )
            yield self.say("time-mixed", said, fix)


_MISREAD = frozenset({"time-scale", "time-numbers", "time-unreadable"})


def _told(time: TimeColumn) -> Iterator[tuple[str, tuple[Looks, ...], str, str]]:
    """Yield code, kinds of values, what to say of them, and what to do."""
    declared = f"declared as {time.encoding}"
    if time.encoding in {"epoch-s", "epoch-ms"}:
        other: Looks = "milliseconds" if time.encoding == "epoch-s" else "seconds"
        fix = f"Declare encoding: {'epoch-ms' if other == 'milliseconds' else 'epoch-s'}, if they all are."
        yield "time-scale", (other,), f"read as {other} since 1970, {declared}", fix
        yield (
            "time-scale",
            ("finer",),
            f"are too large for a time, {declared}",
            "Name a column in seconds or milliseconds.",
        )
    else:
        fix = "Declare encoding: epoch-s or epoch-ms, or name another column."
        yield "time-numbers", ("seconds",), f"are numbers that read as seconds since 1970, {declared}", fix
        yield "time-numbers", ("milliseconds",), f"are numbers that read as milliseconds since 1970, {declared}", fix
        yield "time-numbers", ("number", "finer"), f"are numbers that read as no time, {declared}", fix
    yield "time-unreadable", ("unreadable",), f"do not read as a time, {declared}", "Mend the rows, or the encoding."
    yield "time-sentinel", ("sentinel",), "stand for none or never", "Store NULL for none; give ended things an end."
    yield (
        "time-future",
        ("future",),
        "lie in the future",
        "Is this the right column? An end that is planned is no start.",
    )
    yield "time-early", ("early",), f"lie before {time.not_before}", "Mend the rows, or lower the time's `not_before`."
    yield "time-null", ("null",), "are NULL", "Name a time that every row has, if there is one."

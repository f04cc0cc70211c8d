"""What foreign-key paths reach, counted by the database itself: the evidence of a draft inventory. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.sql.selectable import FromClause

from lifecycle.core.drafting import Backwards, Place, Route, TimeGuess
from lifecycle.core.errors import LifecycleError
from lifecycle.core.guesses import looks_like_time
from lifecycle.core.inventory import Encoding, TimeColumn
from lifecycle.ports.reach import Reached
from lifecycle.ports.store import Catalogue, Table
from lifecycle.stores.sql.catalogue import World, clause_of, word_of, world_of
from lifecycle.stores.sql.dialects import Dialect, Expression, Typed
from lifecycle.stores.sql.isotext import local_day
from lifecycle.stores.sql.store import SqlStore

SAMPLE = 500
_PAGE = 1_000
_LAST = date(2999, 12, 31)
_FIRST_SECOND, _LAST_SECOND = 631_152_000, 4_102_444_800  # 1990 to 2100: what a count of seconds plausibly means


@contextmanager
def survey(url: str) -> Iterator[SqlSurvey]:
    """Open a database for reading; every count sees the same moment. Nothing of ours need be there.

    Raises:
        Refused: no store is built for the address, or it names no database. Transient: the server did not answer.
    """
    store = SqlStore("draft", url, (), deployment="draft")
    expected: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, *store.dialect.driver_errors())
    problem: LifecycleError | None = None
    try:
        engine = store.dialect.engine(url, pooled=False)
        try:
            with engine.connect() as connection:
                store.dialect.snapshot(connection)
                yield SqlSurvey(connection, store.dialect)
        finally:
            engine.dispose()
    except expected as error:
        problem = store.problem(error)
    if problem is not None:
        raise problem


class SqlSurvey:
    """One reading transaction. Every identifier comes from the catalogue and is quoted."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        """Read the catalogue."""
        self._connection = connection
        self._dialect = dialect
        self._world: World = world_of(dialect.catalogue(connection), (), dialect.default_schema(connection))

    def catalogue(self) -> Catalogue:
        """Return the catalogue that was read at the beginning."""
        return self._world.catalogue

    def default_schema(self) -> str | None:
        """Return the schema of names without one."""
        return self._world.default_schema

    def rows(self, table: Place) -> int:
        """Count the rows."""
        source = clause_of(self._table(table))
        return self._number(sa.select(sa.func.count()).select_from(source))

    def reach(self, table: Place, route: Route) -> Reached:
        """Count rows, rows with a tenant at the route's end, and tenants, in one query."""
        source = clause_of(self._table(table)).alias("source")
        joined, end = self._joined(source, source, self._table(table), route, "a")
        query = sa.select(sa.func.count(), sa.func.count(end), sa.func.count(sa.distinct(end))).select_from(joined)
        rows, reached, tenants = self._connection.execute(query).one()
        return Reached(rows, reached, tenants)

    def disagreement(self, table: Place, one: Route, other: Route) -> int:
        """Count rows for which both routes reach a tenant, and not the same. NULL disagrees with nothing."""
        source = clause_of(self._table(table)).alias("source")
        joined, first = self._joined(source, source, self._table(table), one, "a")
        joined, second = self._joined(joined, source, self._table(table), other, "b")
        return self._number(sa.select(sa.func.count()).select_from(joined).where(first != second))

    def named(self, table: Place, column: str, among: Collection[str]) -> set[str]:
        """Return which names are values of the column; the rows stream by, and are compared as texts."""
        wanted = frozenset(among)
        query = sa.select(sa.cast(clause_of(self._table(table)).c[column], sa.String))
        rows = self._connection.execute(query, execution_options={"yield_per": _PAGE})
        return {value for (value,) in rows if value in wanted}

    def times(self, table: Place, columns: Sequence[str], today: date) -> list[TimeGuess]:
        """Return the columns that hold times; samples are judged here and forgotten."""
        found = []
        for column in columns:
            guess = self._time(self._table(table), column, today)
            if guess is not None:
                found.append(guess)
        return found

    def backwards(self, table: Place, key: str, link: Place, column: str, route: Route) -> Backwards:
        """Count rows by how many tenants the link table ties them to."""
        parent, tie = clause_of(self._table(table)).alias("parent"), clause_of(self._table(link)).alias("link")
        joined: FromClause = parent.outerjoin(tie, tie.c[column] == parent.c[key])
        joined, end = self._joined(joined, tie, self._table(link), route, "a")
        tenants = sa.func.count(sa.distinct(end)).label("tenants")
        each = sa.select(tenants).select_from(joined).group_by(parent.c[key]).subquery()
        counts: list[Expression] = [
            sa.func.count(sa.case((truth, 1)))
            for truth in (each.c.tenants == 0, each.c.tenants == 1, each.c.tenants > 1)
        ]
        counted = self._connection.execute(sa.select(*counts).select_from(each)).one()
        return Backwards(link[1], *(int(count) for count in counted))

    # ---- paths ----

    def _table(self, place: Place) -> Table:
        found = self._world.find(*place)
        if found is None:
            raise KeyError(place)
        return found

    def _joined(
        self, joined: FromClause, here: FromClause, table: Table, route: Route, prefix: str
    ) -> tuple[FromClause, Expression]:
        """Join a route's tables: what a foreign key references is unique, so no row is counted twice."""
        for number, hop in enumerate(route.hops):
            parent = self._world.hop(hop)
            there = clause_of(parent).alias(f"{prefix}{number}")
            joined = joined.outerjoin(there, there.c[hop.key] == here.c[hop.column])
            here, table = there, parent
        word_of(table, route.column)
        return joined, here.c[route.column]

    # ---- times ----

    def _time(self, table: Table, column: str, today: date) -> TimeGuess | None:
        word = word_of(table, column)
        typed = self._by_type(word)
        sampled = fits = None
        # A type that says "local" and nothing else does not say whose clock it means.
        naive = self._fits(word, "local") and not self._fits(word, "iso-text")
        if typed is None:
            if not _worth_a_sample(word, column):
                return None
            values = self._sample(table, column)
            typed, fits = _judge(values)
            sampled = len(values)
            naive = any(_no_offset(value) for value in values)
            if typed is None and not values and _declared_time(word):
                # Nobody has written one yet; the declaration is all there is.
                typed = "iso-text"
            if typed is None:
                return None
        encoding = self._spelled(word, typed)
        if encoding is None:
            return None
        filled, future = self._filled(table, column, encoding, today)
        return TimeGuess(column, encoding, filled, future, naive, sampled, fits)

    def _by_type(self, word: str) -> Encoding | None:
        """Return what the type alone tells: an interval fits nothing, and a type that takes texts tells nothing."""
        sure: tuple[Encoding, ...] = ("date", "utc")
        return next((e for e in sure if self._fits(word, e) and not self._fits(word, "iso-text")), None)

    def _fits(self, word: str, encoding: Encoding) -> bool:
        zone = "UTC" if encoding == "local" else None
        return self._dialect.fits_time(word, TimeColumn(column="any", encoding=encoding, zone=zone))

    def _sample(self, table: Table, column: str) -> list[object]:
        source = clause_of(table)
        query = sa.select(source.c[column]).where(source.c[column].is_not(None)).limit(SAMPLE)
        return [row[0] for row in self._connection.execute(query)]

    def _spelled(self, word: str, encoding: Encoding) -> Encoding | None:
        """Return the encoding, or the textual one, whichever the dialect takes for the type."""
        spellings: tuple[Encoding, ...] = (encoding, "iso-text")
        for spelling in spellings if encoding in {"date", "iso-text"} else spellings[:1]:
            if self._fits(word, spelling):
                return spelling
        return None

    def _filled(self, table: Table, column: str, encoding: Encoding, today: date) -> tuple[int, int]:
        source = clause_of(table)
        typed = Typed(source.c[column], word_of(table, column))
        time = TimeColumn(column=column, encoding=encoding)
        ahead = self._dialect.within(typed, time, "UTC", today + timedelta(days=1), _LAST)
        query = sa.select(sa.func.count(source.c[column]), sa.func.count(sa.case((ahead, 1)))).select_from(source)
        filled, future = self._connection.execute(query).one()
        return filled, future

    def _number(self, query: sa.Select[Any]) -> int:
        found: int = self._connection.execute(query).scalar_one()
        return found


def _worth_a_sample(word: str, column: str) -> bool:
    """Texts and numbers by name, and what was declared as a date where a declaration promises nothing."""
    if _declared_time(word):
        return True
    return any(part in word.upper() for part in ("CHAR", "TEXT", "INT", "NUMERIC", "REAL", "DOUBLE")) and (
        "INTERVAL" not in word.upper() and looks_like_time(column)
    )


def _declared_time(word: str) -> bool:
    return any(part in word.upper() for part in ("DATE", "TIMESTAMP"))


def _no_offset(value: object) -> bool:
    """A text with a time of day that does not say where: readers take it for UTC, writers may have meant otherwise."""
    return local_day(value, "local", None, "UTC") is not None


def _judge(values: list[object]) -> tuple[Encoding | None, int]:
    """Return the encoding that nearly all values have, and how many have it."""
    tried: list[tuple[int, Encoding]] = [
        (sum(local_day(value, "date", None, "UTC") is not None for value in values), "date"),
        (sum(local_day(value, "iso-text", None, "UTC") is not None for value in values), "iso-text"),
        (sum(_plausible(value, 1) for value in values), "epoch-s"),
        (sum(_plausible(value, 1000) for value in values), "epoch-ms"),
    ]
    fits, encoding = max(tried, key=lambda each: each[0])
    return (encoding, fits) if values and fits >= 0.9 * len(values) else (None, 0)


def _plausible(value: object, scale: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return _FIRST_SECOND <= value / scale <= _LAST_SECOND

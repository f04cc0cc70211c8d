"""What differs between databases, behind one small interface. Nothing else asks which database it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from lifecycle.core.errors import LifecycleError
from lifecycle.core.family import Name
from lifecycle.core.inventory import TimeColumn
from lifecycle.core.throttle import Pressure
from lifecycle.core.transform import Transform
from lifecycle.ports.store import Catalogue, Table
from lifecycle.stores.sql.tables import OurTables

Expression = sa.ColumnElement[Any]
Truth = sa.ColumnElement[bool]

RENEWED = " on update"
"""What a catalogue adds to the type of a column that every update of its row sets to the present."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A column in a query, with the server's word for its type."""

    expression: Expression
    word: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What a server tells that somebody should know: as a finding about the whole store."""

    code: str
    what: str
    fix: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server says about itself. `system` identifies the installation where we may read that."""

    version: str
    read_only: bool
    clock: datetime
    system: str
    alias: str
    more: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[Remark] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """What one change did: rows, their keys as one opaque block, tenants' counts where they were asked for."""

    count: int
    keys: bytes
    tenants: Mapping[str, int]


class Dialect(Protocol):
    """One database product. Methods that take a connection neither commit nor roll back."""

    name: str
    ours: OurTables
    random_id: str
    """SQL that makes a random text id."""

    def engine(self, url: str, *, pooled: bool) -> Engine:
        """Return an engine whose connections are set up: UTC, no autocommit surprises, timeouts, foreign keys."""

    def driver_errors(self) -> tuple[type[Exception], ...]:
        """Return the driver's own error classes."""

    def translate(self, error: BaseException) -> LifecycleError:
        """Turn a driver's error into ours, without a word of the driver's message (I23)."""

    def uncertain(self, error: BaseException) -> bool:
        """Tell whether an error of COMMIT leaves open whether it happened."""

    def begin(self, connection: Connection, *, lock_timeout_ms: int, statement_timeout_ms: int) -> None:
        """Begin a writing transaction with these timeouts."""

    def snapshot(self, connection: Connection) -> None:
        """Begin a reading transaction that sees one moment."""

    def analyze(self, connection: Connection) -> None:
        """Let the planner know how large our mirrors are: without it a join over them may be a nested loop."""

    def settle(self, connection: Connection) -> None:
        """Leave nothing of deleted rows behind in files that the database could clean now."""

    def facts(self, connection: Connection) -> Facts:
        """Read facts."""

    def prepared(self, connection: Connection) -> bool:
        """Tell whether our fence table exists."""

    def catalogue(self, connection: Connection) -> Catalogue:
        """Read the catalogue: one query for each kind of thing, whatever the number of tables."""

    def stamps(self, connection: Connection) -> Mapping[Name, str]:
        """Return a mark of each table that changes whenever its definition does; read before the catalogue.

        It may also change when nothing of ours did: whoever sees another mark reads the catalogue again and compares.
        """

    def keep_schema(self, connection: Connection, table: Table) -> str | None:
        """Let nobody change the table's definition until the transaction ends, and return its mark now.

        The first statement of a batch: what it reads afterwards is not older than this.
        """

    def schema_kept(self, connection: Connection, table: Table, mark: str | None) -> bool:
        """Tell, once the rows are changed, whether the mark that `keep_schema` returned is still the table's."""

    def default_schema(self, connection: Connection) -> str | None:
        """Return the schema in which a table without one lies."""

    def prefers_key(self, connection: Connection, rows: int, due: sa.Select[Any]) -> bool:
        """Tell whether so many of a table's rows are due (`due` selects them) that a walk by key beats one by time."""

    # ---- types: which columns can carry a tenant, a time, a value ----

    def fits_time(self, word: str, time: TimeColumn) -> bool:
        """Tell whether a column of this type can hold times so encoded."""

    def fits_tenant(self, word: str) -> bool:
        """Tell whether a column of this type can name tenants byte-exact."""

    # ---- expressions ----

    def within(self, column: Typed, time: TimeColumn, zone: str, first: date, last: date) -> Truth:
        """The start's local day in `zone` is first, last, or between; never NULL, false for undatable values."""

    def oldest(self, column: Typed, time: TimeColumn, zone: str) -> Expression:
        """An aggregate: the least local day among the rows, as date or ISO text. All rows are datable."""

    def tenant_is(self, column: Typed, tenant: str) -> Truth:
        """Byte-exact equality. Refused (guard `tenant-type`) when the id is no value of the column's type."""

    def tenant_text(self, column: Typed) -> Expression:
        """The tenant as our mirror spells it; byte-exact comparable."""

    def tenant_matches(self, column: Typed, id: Expression, number: Expression) -> Truth:
        """The tenant is the mirror's: by its number on an integer column, else by its text, byte by byte."""

    def equals(self, column: Typed, value: str | int | bool) -> Truth:  # noqa: FBT001
        """Byte-exact equality with a document's value. Refused (guard `value-type`) on a value of another type."""

    def as_cursor(self, column: Typed) -> Expression:
        """The value as text that `from_cursor` reads back without loss."""

    def from_cursor(self, column: Typed, value: str) -> Expression:
        """The value again, with the column's type."""

    def walks_by_time(self, word: str) -> bool:
        """Tell whether an index on a time column of this type is in the order of time."""

    # ---- anonymising ----

    def misfit(self, word: str, transform: Transform) -> str | None:
        """Why a column of this type cannot be so transformed, in words; None when it can."""

    def done(self, column: Typed, transform: Transform) -> Truth:
        """The value is what the transform leaves behind, or NULL; never NULL itself."""

    def transformed(self, column: Typed, transform: Transform) -> Expression:
        """What takes the value's place; random for each row where the transform is."""

    # ---- the change ----

    def lock_parents(self, connection: Connection, query: sa.Select[Any]) -> None:
        """Lock what the query reads against change until the transaction ends."""

    def lock_rows(self, connection: Connection, query: sa.Select[Any]) -> None:
        """Lock the rows that the query reads against change and new references until the transaction ends."""

    def change(
        self, connection: Connection, statement: sa.Delete | sa.Update, keys: Sequence[Typed], tenant: Typed | None
    ) -> Changed:
        """Carry the statement out and return keys and counts per tenant, in one round trip where possible."""

    def open_keys(self, block: bytes) -> list[tuple[object, ...]]:
        """Read what `change` returned as `keys`."""

    def stream(self, connection: Connection, query: sa.Select[Any]) -> AbstractContextManager[Iterator[Sequence[Any]]]:
        """Stream rows; memory does not grow with them."""

    # ---- doctor ----

    def health(self) -> Health:
        """Return what the server can be asked about itself, its roles and its room."""

    # ---- fresh eyes ----

    def fresh(self) -> Fresh:
        """Return this dialect's way to look again, which shares no expression with the methods above."""


@dataclass(frozen=True, slots=True)
class Need:
    """A privilege that some work needs: on a table, or on one column of it."""

    schema: str | None
    table: str
    privilege: Literal["SELECT", "UPDATE", "DELETE"]
    column: str | None = None


class Health(Protocol):
    """What doctor and throttles ask: each answer is made of catalogues and counters, never of the application's rows.

    What a server does not tell, or not to our role, is said so, and is no error.
    """

    def facts(self, connection: Connection) -> Mapping[str, str]:
        """Return size and room in words, by topic."""

    def remarks(self, connection: Connection) -> Iterator[Remark]:
        """Yield what endangers a first run: too little room, logs that pile up, settings."""

    def too_wide(self, connection: Connection, declared: Sequence[Table], others: Sequence[Table]) -> Iterator[Remark]:
        """Yield what our role may do and never needs; `others` are the tables of no dataset."""

    def lacking(self, connection: Connection, needs: Sequence[Need]) -> list[Need]:
        """Return which of the privileges our role does not have, on tables that exist."""

    def loose(self, connection: Connection, table: Table, column: str) -> bool:
        """Tell whether the column's own equality folds case, accents or blanks."""

    def uses_index(self, connection: Connection, query: sa.Select[Any]) -> bool:
        """Tell whether the server could serve the query's condition by an index."""

    def spelled(self, word: str, text: str) -> str:
        """Return what a person typed for a key's value as `from_cursor` reads it."""

    def is_time(self, word: str) -> bool:
        """Tell whether the type holds dates or times by nature, and not as text or numbers."""

    def pressure(self, connection: Connection, tables: Sequence[Table]) -> Pressure:
        """Return what the server tells about its load."""


class Fresh(Protocol):
    """SQL text for the independent verifier: own words for days, tenants and values."""

    def day(self, column: str, word: str, time: TimeColumn, zone: str) -> str:
        """SQL of the local day, or of the value that `read_day` turns into one."""

    def read_day(self, value: object, time: TimeColumn, zone: str) -> date | None:
        """The local day of a value that came out."""

    def text(self, column: str, word: str) -> str:
        """SQL of the column as text, compared byte by byte."""

    def listed(self, bind: Callable[[object], str], texts: Sequence[str]) -> str:
        """SQL of a query that yields these texts, bound as one value however many they are."""

    def same(self, column: str, word: str, bind: Callable[[object], str], value: str | int | bool) -> str:  # noqa: FBT001
        """SQL that the column equals a document's value."""

    def done(self, column: str, word: str, bind: Callable[[object], str], transform: Transform) -> str:
        """SQL that the column is anonymised, by the verifier's own reading; never NULL."""

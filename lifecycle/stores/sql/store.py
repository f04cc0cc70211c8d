"""A SQL database as a store: the seam's methods, each on a connection of its own."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from functools import partial, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from lifecycle.core.errors import Corrupt, LifecycleError, Refused, Transient, Unknown
from lifecycle.core.family import is_family
from lifecycle.core.inventory import Dataset
from lifecycle.core.selection import Bound
from lifecycle.core.throttle import Brake, Pressure
from lifecycle.core.transform import Transform
from lifecycle.evidence.errors import SealBroken
from lifecycle.ports.clock import Clock
from lifecycle.ports.failpoint import Failpoint, no_failpoint
from lifecycle.ports.links import Value
from lifecycle.ports.store import (
    NOTHING_GOES,
    Ask,
    Batch,
    Catalogue,
    Closing,
    Counted,
    Cut,
    Examined,
    Fence,
    Finding,
    Found,
    Going,
    HoldRow,
    Json,
    Likeness,
    Oddities,
    Probe,
    Receipt,
    Register,
    Residue,
    Rows,
    Starts,
    TenantRow,
)
from lifecycle.stores.sql import (
    anonymising,
    apply,
    contested,
    examine,
    export,
    fresh_links,
    fresh_members,
    inspect,
    keys,
    likeness,
    links,
    members,
    order,
    receipts,
    registers,
    residue,
    schema,
    select,
    sizes,
    survivors,
    tables,
    walk,
)
from lifecycle.stores.sql.catalogue import World, world_of
from lifecycle.stores.sql.dialects import Dialect, Facts
from lifecycle.stores.sql.kin import Kin, kin_of
from lifecycle.stores.sql.mariadb import MariadbDialect
from lifecycle.stores.sql.postgresql import PostgresqlDialect
from lifecycle.stores.sql.residue import Mirrors
from lifecycle.stores.sql.sqlite import SqliteDialect

DIALECTS: dict[str, Callable[[], Dialect]] = {
    "mariadb": MariadbDialect,
    "mysql": MariadbDialect,
    "postgresql": PostgresqlDialect,
    "sqlite": SqliteDialect,
}

P = ParamSpec("P")
T = TypeVar("T")


def _driver_error(store: SqlStore, error: BaseException) -> BaseException | None:
    """Return the driver's error inside, or None when it is no database's."""
    if isinstance(error, sa.exc.DBAPIError) and error.orig is not None:
        return error.orig
    if isinstance(error, (*store.dialect.driver_errors(), sa.exc.TimeoutError)):
        return error
    return None


def translated(method: Callable[Concatenate[SqlStore, P], T]) -> Callable[Concatenate[SqlStore, P], T]:
    """Let only our own errors out: a driver's error, and what it quotes, is left behind with its chain (I23)."""

    @wraps(method)
    def inner(store: SqlStore, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(store, *args, **kwargs)
        except store.errors as error:
            problem = store.problem(error)
        raise problem

    return inner


class _Look(threading.local):
    """One thread's look at a server and its catalogue, while it lasts."""

    lasting = False
    world: World | None = None
    facts: Facts | None = None


class SqlStore:
    """One SQLite, PostgreSQL or MariaDB database. Thread-safe; connections are made on use."""

    def __init__(
        self,
        id: str,
        url: str,
        datasets: Sequence[Dataset],
        *,
        deployment: str,
        failpoint: Failpoint = no_failpoint,
        clock: Clock | None = None,
    ) -> None:
        """Describe the store; nothing is connected yet. `clock` replaces the server's in tests and the demo only."""
        backend = make_url(url).get_backend_name()
        if backend not in DIALECTS:
            raise Refused(f"no store is built for {backend!r}", guard="store-kind")
        self.id = id
        self.dialect = DIALECTS[backend]()
        self.errors: tuple[type[Exception], ...] = (sa.exc.SQLAlchemyError, *self.dialect.driver_errors())
        self._url = url
        self._datasets = tuple(datasets)
        self._deployment = deployment
        self._failpoint = failpoint
        self._clock = clock
        self._engine: Engine | None = None
        self._world: World | None = None
        self._look = _Look()

    def problem(self, error: BaseException) -> LifecycleError:
        """Turn a database's error into ours."""
        found = _driver_error(self, error)
        if found is None:
            return Transient(f"the database layer failed ({type(error).__name__})")
        problem = self.dialect.translate(found)
        if isinstance(problem, Refused) and problem.guard == "constraint" and any(map(is_family, self._datasets)):
            # Databases name constraints after tables, and a family's tables are named after tenants (I23).
            return Refused("a constraint said no; in a family its name may hold a tenant's id", guard="constraint")
        return problem

    # ---- connections ----

    def _connect(self) -> Connection:
        if self._engine is None:
            self._engine = self.dialect.engine(self._url, pooled=True)
        return self._engine.connect()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction on our own tables: committed at the end, rolled back and discarded on any error."""
        with self._connect() as connection:
            try:
                self.dialect.begin(connection, lock_timeout_ms=10_000, statement_timeout_ms=30_000)
                yield connection
                connection.commit()
            except BaseException:
                _discard(connection)
                raise

    def _known(self, connection: Connection, *, again: bool = False) -> World:
        seen = self._look.world if again else self._world
        if seen is not None:
            return seen
        self._world = self._read(connection)
        self._look.world = self._world if self._look.lasting else None
        return self._world

    def _read(self, connection: Connection) -> World:
        # The marks first: a definition that changes while the catalogue is read has another one afterwards.
        stamps = self.dialect.stamps(connection)
        return replace(self._world_of(connection, self.dialect.catalogue(connection)), stamps=stamps)

    def _world_of(self, connection: Connection, catalogue: Catalogue) -> World:
        default = self.dialect.default_schema(connection)
        # By database the tenant is who the database is named after: the address names it, the fingerprint binds it.
        database = Path(connection.engine.url.database or "").name
        return world_of(catalogue, self._datasets, default, database)

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Read facts and catalogue once for this thread's questions until the end; a look inside a look is the same."""
        if self._look.lasting:
            yield
            return
        self._look.lasting = True
        try:
            yield
        finally:
            self._look.lasting, self._look.world, self._look.facts = False, None, None

    def _facts(self, connection: Connection) -> Facts:
        if self._look.facts is not None:
            return self._look.facts
        facts = self.dialect.facts(connection)
        self._look.facts = facts if self._look.lasting else None
        return facts

    # ---- what is there ----

    @translated
    def probe(self) -> Probe:
        """Return facts read now."""
        with self._connect() as connection:
            facts = self._facts(connection)
            prepared = self.dialect.prepared(connection)
            identity = ["", ""]
            if prepared:
                fence = self.dialect.ours.fence
                row = connection.execute(sa.select(fence.c.deployment, fence.c.identity)).one_or_none()
                identity = list(row) if row is not None else identity
            told = "\n".join([*identity, facts.alias, facts.system])
            fingerprint = "sha256:" + hashlib.sha256(told.encode()).hexdigest()
            clock = facts.clock if self._clock is None else self._clock.now()
            return Probe(self.dialect.name, facts.version, fingerprint, clock, facts.read_only, prepared, facts.more)

    @translated
    def catalogue(self) -> Catalogue:
        """Read the catalogue again and return it."""
        with self._connect() as connection:
            world = self._known(connection, again=True)
            strange = {member.place for family in world.gathered.families.values() for member in family.odd}
            return replace(world.catalogue, strange=frozenset(strange))

    @translated
    def used_schema(self, datasets: Sequence[str]) -> str:
        """Return the hash, over a catalogue read now."""
        with self._connect() as connection:
            return schema.used_schema(self._known(connection, again=True), datasets)

    @translated
    def inspect(self, datasets: Sequence[str], anonymised: Sequence[str] = ()) -> list[Finding]:
        """Return findings, over a catalogue read now."""
        with self._connect() as connection:
            facts = self._facts(connection)
            world = self._known(connection, again=True)
            size = partial(sizes.at_least, connection)
            found = inspect.findings(self.id, self.dialect, world, facts, datasets, size)
            return found + anonymising.findings(self.id, self.dialect, world, anonymised)

    @translated
    def examine(self, datasets: Sequence[str]) -> Examined:
        """Look long: samples, grants, collations, room; over a catalogue read now."""
        with self._connect() as connection:
            world = self._known(connection, again=True)
            return examine.examined(self.id, self.dialect, connection, world, datasets)

    @translated
    def likeness(self, tables: Sequence[tuple[str | None, str]]) -> list[Likeness]:
        """Count in a sample what looks like a person's."""
        with self._connect() as connection:
            return likeness.counted(self.dialect, connection, self._known(connection, again=True), tables)

    @translated
    def starts(self, bound: Bound, key: Sequence[str], zone: str, today: date) -> Starts | None:
        """Look one row up by its key."""
        with self._connect() as connection:
            world = self._known(connection)
            if (asked := members.ask(connection, self.dialect, world, bound)) is not None:
                return members.starts(asked, (key, zone, today))
            return select.starts(connection, self.dialect, world, bound, (key, zone, today))

    @translated
    def pressure(self, datasets: Sequence[str]) -> Pressure:
        """Ask the server how busy it is."""
        with self._connect() as connection:
            world = self._known(connection)
            lying = {table.name: name for name in datasets for table in world.tables_of(name)}
            tables = [table for name in datasets for table in world.tables_of(name)]
            told = self.dialect.health().pressure(connection, tables)
            if told.vacuuming is None:
                return told
            # Datasets are told, not tables: a family's are named after tenants, and a brake is logged (I23).
            return replace(told, vacuuming=tuple(sorted({lying.get(table, "a table") for table in told.vacuuming})))

    def held_back(self) -> Brake | None:
        """Return nothing: whoever throttles wraps this store."""
        return None

    @translated
    def levels(self, datasets: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the datasets by level, children first."""
        with self._connect() as connection:
            return order.levels(self._known(connection), datasets)

    # ---- our tables ----

    @translated
    def prepare_statements(self, deployment: str) -> list[str]:
        """Return the statements."""
        with self._connect() as connection:
            return tables.statements(self.dialect.ours, deployment, connection.dialect, self.dialect.random_id)

    @translated
    def prepare(self, deployment: str) -> None:
        """Run them; Refused when the fence names another deployment."""
        with self._writing() as connection:
            if self.dialect.prepared(connection):
                self._own(connection, deployment)
            for statement in tables.statements(
                self.dialect.ours, deployment, connection.dialect, self.dialect.random_id
            ):
                connection.exec_driver_sql(statement)
            self._own(connection, deployment)

    def _own(self, connection: Connection, deployment: str) -> None:
        fence = tables.read_fence(connection, self.dialect.ours)
        if fence is not None and fence.deployment != deployment:
            raise Refused("the target belongs to another deployment", guard="deployment")

    def _require_prepared(self, connection: Connection) -> None:
        if not self.dialect.prepared(connection):
            raise _unprepared()

    def _fence(self, connection: Connection) -> Fence:
        self._require_prepared(connection)
        found = tables.read_fence(connection, self.dialect.ours)
        if found is None:
            raise _unprepared()
        return found

    @translated
    def fence(self) -> Fence:
        """Read the fence row."""
        with self._connect() as connection:
            return self._fence(connection)

    @translated
    def advance_epoch(self, deployment: str, epoch: int) -> None:
        """Raise the epoch; the same epoch again is fine."""
        with self._writing() as connection:
            self._require_prepared(connection)
            registers.advance_epoch(connection, self.dialect.ours, deployment, epoch)

    @translated
    def set_stop(self, *, stopped: bool) -> None:
        """Write the stop bit; a running batch ends first."""
        with self._writing() as connection:
            self._fence(connection)
            registers.set_stop(connection, self.dialect.ours, stopped=stopped)

    @translated
    def mirror_tenants(self, rows: Sequence[TenantRow]) -> None:
        """Make the tenant mirror equal to the rows."""
        with self._writing() as connection:
            self._require_prepared(connection)
            if registers.mirror_tenants(connection, self.dialect.ours, rows):
                self.dialect.analyze(connection)
            else:
                # Only the fence was locked: to give it back needs no wait for the disk.
                connection.rollback()

    @translated
    def mirror_holds(self, rows: Sequence[HoldRow]) -> int:
        """Make the hold mirror equal to the rows; the version rises when anything changed."""
        with self._writing() as connection:
            self._require_prepared(connection)
            version, changed = registers.mirror_holds(connection, self.dialect.ours, rows)
            if changed:
                self.dialect.analyze(connection)
            else:
                connection.rollback()
            return version

    # ---- what is selected ----

    @translated
    def count(self, bound: Bound, going: Going = NOTHING_GOES) -> Counted:
        """Count what is selected now, or will be once what is going has gone."""
        with self._connect() as connection:
            world = self._known(connection)
            asked = members.ask(connection, self.dialect, world, bound)
            if asked is not None:
                return members.counted(asked, going)
            return select.counted(connection, self.dialect, world, bound, going)

    @translated
    def oddities(self, dataset: str, bound: Bound) -> Oddities:
        """Count what no rule may touch."""
        if bound.selection.dataset != dataset:
            raise Refused("the selection is one of another dataset", guard="dataset")
        with self._connect() as connection:
            world = self._known(connection)
            asked = members.ask(connection, self.dialect, world, bound)
            if asked is not None:
                return members.oddities(asked)
            seen = select.oddities(connection, self.dialect, world, bound)
            return replace(seen, contested=contested.count(connection, self.dialect, world, bound))

    @translated
    def find(self, bound: Bound, after: Json, limit: int) -> list[Found]:
        """Return keys as text, in key order; `after` is the key of the last item of the page before."""
        with self._connect() as connection:
            world = self._known(connection)
            asked = members.ask(connection, self.dialect, world, bound)
            if asked is not None:
                return members.find(asked, after, limit)
            return select.find(connection, self.dialect, world, bound, after, limit)

    @translated
    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Return the next piece; at the end of the walk what deletion left in files is cleaned (I32)."""
        with self._connect() as connection:
            world = self._known(connection)
            asked = members.ask(connection, self.dialect, world, bound)
            if asked is not None:
                found = members.cut(asked, after, size)
            else:
                found = walk.cut(connection, self.dialect, world, bound, after, size)
            if found is None and after is not None:
                self.dialect.settle(connection)
            return found

    # ---- rows that reference objects ----

    @translated
    def linked(self, bound: Bound, column: str, after: str | None, limit: int) -> Sequence[Value]:
        """Return the next values of the selected rows."""
        with self._connect() as connection:
            return links.linked(connection, self.dialect, self._known(connection), bound, (column, after, limit))

    @translated
    def linking(
        self, dataset: str, column: str, values: Collection[str], bound: Bound | None = None
    ) -> Mapping[str, int]:
        """Count rows by value."""
        with self._connect() as connection:
            asked = (dataset, column, values)
            return links.linking(connection, self.dialect, self._known(connection), asked, bound)

    @translated
    def linked_in(self, bound: Bound, column: str, after: Json, upto: Json) -> frozenset[str]:
        """Return the values of a piece's rows."""
        with self._connect() as connection:
            return links.linked_in(connection, self.dialect, self._known(connection), bound, (column, after, upto))

    @translated
    def linked_anew(self, bound: Bound, column: str, register: Register | None = None) -> Mapping[str, int]:
        """Count the selected rows by value, on a connection made for this look."""
        with self._fresh() as (connection, world, kin):
            mirrors = Mirrors(self.dialect.fresh(), self.dialect.ours, register, kin)
            return fresh_links.linked(connection, mirrors, world, bound, column)

    @translated
    def linking_anew(self, dataset: str, column: str, values: Collection[str]) -> Mapping[str, int]:
        """Count rows by value, on a connection made for this look."""
        with self._fresh() as (connection, world, _):
            return fresh_links.linking(connection, world, dataset, column, values)

    @translated
    def mirrored(self) -> Register:
        """Return what the mirrors hold."""
        with self._connect() as connection:
            self._fence(connection)
            return registers.mirrored(connection, self.dialect.ours)

    def residue(self, bound: Bound, register: Register | None = None) -> Residue:
        """Look again, on a connection made for this look."""
        with self.looking() as ask:
            return ask(bound, register)

    @contextmanager
    def looking(self) -> Iterator[Ask]:
        """Look again and again, on a connection made for these looks; each sees what is committed when it begins."""
        problem: LifecycleError | None = None
        try:
            with self._fresh() as (connection, world, kin):

                def ask(bound: Bound, register: Register | None = None, *, narrow: bool = False) -> Residue:
                    mirrors = Mirrors(self.dialect.fresh(), self.dialect.ours, register, kin)
                    return self._ask(connection, mirrors, world, bound, narrow=narrow)

                yield ask
        except self.errors as error:
            problem = self.problem(error)
        if problem is not None:
            raise problem

    @translated
    def _ask(self, connection: Connection, mirrors: Mirrors, world: World, bound: Bound, *, narrow: bool) -> Residue:
        try:
            if is_family(world.dataset(bound.selection.dataset)):
                return fresh_members.look(connection, mirrors, world, bound, narrow=narrow)
            return residue.look(connection, mirrors, world, bound, narrow=narrow)
        finally:
            # Neither a snapshot nor a failed transaction is left for the next question.
            with contextlib.suppress(*self.errors):
                connection.rollback()

    @translated
    def population(self, dataset: str, undone: Sequence[Transform] = ()) -> int:
        """Count everything, on a connection made for this look."""
        with self._fresh() as (connection, world, kin):
            mirrors = Mirrors(self.dialect.fresh(), self.dialect.ours, kin=kin)
            if is_family(world.dataset(dataset)):
                return fresh_members.population(connection, mirrors, world, dataset)
            return survivors.population(connection, mirrors, world, dataset, undone)

    @contextmanager
    def _fresh(self) -> Iterator[tuple[Connection, World, Kin]]:
        """A connection of its own and a catalogue read over it: nothing that the executor has seen."""
        engine = self.dialect.engine(self._url, pooled=False)
        try:
            with engine.connect() as connection:
                catalogue = self.dialect.catalogue(connection)
                world = self._world_of(connection, catalogue)
                yield connection, world, kin_of(catalogue, self._datasets, world.default_schema, world.database)
        finally:
            engine.dispose()

    def export(self, dataset: str, bound: Bound) -> AbstractContextManager[Rows]:
        """Stream the rows of the scope; held rows too."""
        return self._export(dataset, bound)

    @contextmanager
    def _export(self, dataset: str, bound: Bound) -> Iterator[Rows]:
        problem: LifecycleError | None = None
        try:
            with self._connect() as connection:
                world = self._known(connection)
                # Reading the catalogue began a transaction; the snapshot must be the first thing of its own.
                connection.rollback()
                asked = members.ask(connection, self.dialect, world, bound)
                worlds = [world] if asked is None else [world.of(tenant) for tenant in asked.scope()]
                connection.rollback()
                with export.export(connection, self.dialect, worlds, dataset, bound) as rows:
                    yield rows
        except self.errors as error:
            problem = self.problem(error)
        if problem is not None:
            raise problem

    # ---- batches ----

    def apply(self, batch: Batch) -> Receipt:
        """Carry a batch out; Unknown only when the connection broke around COMMIT."""
        if batch.deployment != self._deployment:
            raise Refused("the batch is one of another deployment", guard="deployment")
        done = self._apply(batch)
        if done is None:
            found = self.receipt(batch.id)
            if found is None:
                raise Transient("a receipt was there and is gone")
            return found
        self._failpoint("batch.committed")
        return done

    @translated
    def _apply(self, batch: Batch) -> Receipt | None:
        with self._connect() as connection:
            world = self._known(connection)
        try:
            return self._carry_out(batch, world)
        except apply.SchemaMoved:
            again = self._compared(batch, world)
        try:
            return self._carry_out(batch, again)
        except apply.SchemaMoved:
            raise Transient("the schema changes while a batch begins") from None

    def _compared(self, batch: Batch, before: World) -> World:
        """Read the catalogue again. Refused (guard `schema-changed`) when the batch's dataset is another one now."""
        names = [batch.bound.selection.dataset]
        with self._connect() as connection:
            world = self._read(connection)
        if schema.used_schema(world, names) != schema.used_schema(before, names):
            raise Refused(
                "the schema has changed since the batch was planned",
                guard="schema-changed",
                advice="Run `lifecycle doctor`, then plan again: what deletion would do may be another thing now.",
            )
        self._world = world
        return world

    def _carry_out(self, batch: Batch, world: World) -> Receipt | None:
        connection = self._connect()
        try:
            connection.rollback()
            try:
                done = apply.carry_out(connection, self.dialect, world, batch, self._failpoint)
            except apply.AlreadyThere:
                connection.rollback()
                return None
            self._commit(connection)
            return done
        except BaseException:
            _discard(connection)
            raise
        finally:
            connection.close()

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
            return
        except self.errors as error:
            found = _driver_error(self, error) or error
            uncertain = self.dialect.uncertain(found)
            problem = self.dialect.translate(found)
        if uncertain:
            raise Unknown("the connection broke while the batch was committed")
        raise problem

    @translated
    def void(self, batch_id: str, closing: Closing | None = None) -> Receipt:
        """Close an intent. Waits for a transaction that has the receipt open; Transient when that takes too long."""
        del closing
        with self._writing() as connection:
            self._fence(connection)
            return receipts.void(connection, self.dialect.ours, batch_id)

    @translated
    def receipt(self, batch_id: str) -> Receipt | None:
        """Read a receipt."""
        with self._connect() as connection:
            return receipts.read(connection, self.dialect.ours, batch_id)

    def breakdown(self, receipt: Receipt, key: bytes) -> Mapping[str, int]:
        """Open the sealed list."""
        if receipt.sealed is None:
            return {}
        try:
            return keys.open_tenants(receipt.sealed, key, receipt.batch)
        except SealBroken:
            raise Corrupt("a receipt's sealed list does not open with this deployment's key") from None

    @translated
    def receipts(self, after: str | None, limit: int) -> list[Receipt]:
        """Return receipts that no checkpoint covers yet, by batch id."""
        with self._connect() as connection:
            return receipts.unacknowledged(connection, self.dialect.ours, after, limit)

    @translated
    def acknowledge(self, batch_ids: Sequence[str], checkpoint: str) -> None:
        """Mark receipts as covered."""
        with self._writing() as connection:
            self._fence(connection)
            receipts.acknowledge(connection, self.dialect.ours, batch_ids, checkpoint)

    @translated
    def close(self) -> None:
        """Clean up behind deletions and release connections."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def _unprepared() -> Refused:
    return Refused("the target is not prepared", guard="not-prepared", advice="Run `lifecycle store prepare`.")


def _discard(connection: Connection) -> None:
    """Roll back as far as the connection still answers, and never use it again."""
    with contextlib.suppress(Exception):
        connection.rollback()
    if not connection.closed:
        connection.invalidate()

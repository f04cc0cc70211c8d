"""Schema versions of our own state: which one is there, who may use it, and how to get to ours.

The rule that lets an upgrade happen while an older replica still runs:

1. `lifecycle db upgrade` comes first, with the new version; then the replicas are replaced one after the other.
2. A migration is *additive* where that is possible at all: a new table, a nullable or defaulted column, an index on a
   table that is small or new. What the older code writes stays valid, what it reads stays where and what it was.
3. Each migration names, as `compatible_since`, the oldest revision whose code still reads and writes the schema that
   it leaves. An additive one repeats its predecessor's; one that moves, renames, narrows or gives a new meaning names
   itself. The greatest of the chain is kept in the state, beside the revision.
4. Code accepts its own schema, and a newer one that names our revision or an older one; it reads columns by name and
   ignores those it does not know. Everything else is refused with the way out, at the start and again before leading
   and before deleting.
5. An upgrade that older code cannot follow takes both locks first: it is refused while a replica leads or deletes.
6. Nothing is ever taken back. What older code stopped needing goes in a migration of a later version.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, func, inspect, select, text

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.state import engine as engines
from lifecycle.state import leader
from lifecycle.state.failures import translated
from lifecycle.state.schema import HEAD, VERSION_TABLE, compatible, metadata

MIGRATION_KEY: Final = 0x6C66_6379_0003
_FOLDER: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Migrations:
    """The steps to a schema: the newest revision, and the folders that hold the files."""

    head: str
    folders: tuple[Path, ...]


OURS: Final = Migrations(HEAD, (_FOLDER / "versions",))


def current(url: str) -> str | None:
    """Return the schema revision of the state, or None when there is no state yet.

    Raises:
        InvalidDocument: not a state URL. Transient: the database does not answer. Corrupt: it is no database.
    """
    parsed = engines.parse(url)
    path = engines.file_of(parsed)
    with translated():
        if path is not None and not path.exists():
            return None
        engine = engines.connect(parsed)
        try:
            with engine.connect() as connection:
                return _revision(connection)
        finally:
            engine.dispose()


def upgrade(url: str, *, migrations: Migrations = OURS) -> str:
    """Bring the state to this version's schema, creating it where there is none, and return the revision.

    All steps happen in one transaction: a failure leaves the schema as it was. Repeating is safe. A newer schema that
    our code may use stays as it is: an older replica that starts again undoes nothing.

    Raises:
        Refused: the schema is newer than this version can use (guard `state-schema`); replicas are at work that the
            new schema would break (guard `not-leader`); or the database holds other tables of the same names (guard
            `state-occupied`). Transient and Corrupt as for every use of the state.
    """
    parsed = engines.parse(url)
    path = engines.file_of(parsed)
    with translated():
        if path is not None:
            engines.make_private(path, create=True)
        engine = engines.connect(parsed)
        try:
            with ExitStack() as stack:
                connection = stack.enter_context(engine.connect().execution_options(**{engines.WRITE: True}))
                stack.enter_context(connection.begin())
                _lock(connection, parsed)
                found = _revision(connection)
                if found is not None and found > migrations.head:
                    require_readable(connection, head=migrations.head)
                    return found
                since = _compatible_since(migrations)
                if found is not None and since > found:
                    stack.enter_context(_nobody_at_work(connection, path))
                _migrate(connection, found, migrations)
                _keep_compatible(connection, since)
        finally:
            engine.dispose()
    return migrations.head


def require_readable(connection: Connection | Engine, *, head: str = HEAD) -> None:
    """Refuse every schema that our code may not use (guards `state-missing`, `state-schema`), with the way out."""
    if isinstance(connection, Engine):
        with connection.connect() as opened:
            require_readable(opened, head=head)
        return
    found = _revision(connection)
    if found is None:
        raise missing()
    if found < head:
        raise Refused(
            f"the state has schema {found}, this version needs {head}",
            guard="state-schema",
            advice="Back the state up with the version that wrote it, then run `lifecycle db upgrade` with this one.",
        )
    if found > head and not _allows(connection, head):
        raise Refused(
            f"the state has schema {found}, newer than this version's {head} can use",
            guard="state-schema",
            advice="Install the version that wrote the state; schemas are never taken back.",
        )


def missing() -> Refused:
    """Return the refusal of a place where no state is."""
    return Refused(
        "there is no state here yet",
        guard="state-missing",
        advice="Run `lifecycle init` for a new deployment, or restore the state from its backup.",
    )


def _allows(connection: Connection, head: str) -> bool:
    """Whether the schema that is there names our revision, or an older one, as one that may still use it."""
    if not inspect(connection).has_table(compatible.name):
        return False
    since = connection.execute(select(compatible.c.since)).scalar()
    return since is not None and since <= head


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    rows = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608  # constant
    if len(rows) > 1:
        raise Corrupt("the state has more than one schema version")
    return rows[0] if rows else None


def _lock(connection: Connection, url: URL) -> None:
    # SQLite's BEGIN IMMEDIATE has locked already.
    if engines.file_of(url) is None:
        connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_KEY)))


@contextmanager
def _nobody_at_work(connection: Connection, path: Path | None) -> Iterator[None]:
    """Hold both locks while code that cannot follow might run. On a server they end with the transaction."""
    with ExitStack() as stack:
        for lock in (leader.LEADER, leader.WRITER):
            try:
                if path is not None:
                    stack.enter_context(leader.file_lock(path, lock))
                    continue
            except Refused:
                raise _working() from None
            if not connection.execute(select(func.pg_try_advisory_xact_lock(lock.key))).scalar():
                raise _working()
        yield


def _working() -> Refused:
    return Refused(
        "a replica is at work that could not use the new schema",
        guard="not-leader",
        advice="Stop every replica first: this upgrade cannot be rolled out one by one.",
    )


def _migrate(connection: Connection, found: str | None, migrations: Migrations) -> None:
    if found is None:
        taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
        if taken:
            raise Refused(
                f"the database already has a table of the name {taken[0]}",
                guard="state-occupied",
                advice="Give the state a database of its own.",
            )
    # Alembic is only needed here, and takes longer to import than most commands take to run.
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = _config(migrations)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, migrations.head)
    except CommandError:
        raise Corrupt("the state has a schema version that no version of ours wrote") from None


def _compatible_since(migrations: Migrations) -> str:
    """Return the oldest revision whose code can use the newest schema: the greatest that a step of the chain names."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory.from_config(_config(migrations))
    return max(str(step.module.compatible_since) for step in scripts.walk_revisions(head=migrations.head))


def _config(migrations: Migrations) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    # A newline: it is the one separator that no folder's name has.
    config.set_main_option("path_separator", "newline")
    folders = "\n".join(str(folder) for folder in migrations.folders)
    config.set_main_option("version_locations", folders.replace("%", "%%"))
    return config


def _keep_compatible(connection: Connection, since: str) -> None:
    if not inspect(connection).has_table(compatible.name):
        # A schema from before the table: only its own code may use it.
        return
    connection.execute(compatible.delete())
    connection.execute(compatible.insert().values(id=1, since=since))

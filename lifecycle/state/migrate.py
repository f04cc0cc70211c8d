"""Schema versions of our own state: which one is there, and how to get to ours."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, Connection, Engine, inspect, text

from lifecycle.core.errors import Corrupt, Refused
from lifecycle.state import engine as engines
from lifecycle.state.failures import translated
from lifecycle.state.schema import HEAD, VERSION_TABLE, metadata

_SCRIPTS: Final = "lifecycle.state:migrations"


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
            return revision(engine)
        finally:
            engine.dispose()


def upgrade(url: str) -> str:
    """Bring the state to this version's schema, creating it where there is none, and return the revision.

    All steps happen in one transaction: a failure leaves the schema as it was. Repeating is safe.

    Raises:
        Refused: the schema is newer than this version (guard `state-schema`), or the database holds other tables of
            the same names (guard `state-occupied`). Transient and Corrupt as for every use of the state.
    """
    parsed = engines.parse(url)
    path = engines.file_of(parsed)
    with translated():
        if path is not None:
            engines.make_private(path, create=True)
        engine = engines.connect(parsed)
        try:
            with engine.connect().execution_options(**{engines.WRITE: True}) as connection, connection.begin():
                _lock(connection, parsed)
                _migrate(connection)
        finally:
            engine.dispose()
    return HEAD


def revision(engine: Engine) -> str | None:
    """Return the revision that the version table holds, None without one."""
    with engine.connect() as connection:
        return _revision(connection)


def require_head(found: str | None) -> None:
    """Refuse every schema but ours, and say which way out there is."""
    if found == HEAD:
        return
    if found is None:
        raise Refused(
            "there is no state here yet",
            guard="state-missing",
            advice="Run `lifecycle init` for a new deployment, or restore the state from its backup.",
        )
    if found < HEAD:
        raise Refused(
            f"the state has schema {found}, this version needs {HEAD}",
            guard="state-schema",
            advice="Back the state up, then run `lifecycle db upgrade`.",
        )
    raise Refused(
        f"the state has schema {found}, newer than this version's {HEAD}",
        guard="state-schema",
        advice="Install the version that wrote the state; schemas are never taken back.",
    )


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
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_KEY})


MIGRATION_KEY: Final = 0x6C66_6379_0003


def _migrate(connection: Connection) -> None:
    found = _revision(connection)
    if found is not None and found > HEAD:
        require_head(found)
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
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError:
        raise Corrupt("the state has a schema version that no version of ours wrote") from None

"""What doctor asks about a SQLite file: its folder's room, how it is journaled. There are no roles and no replicas."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lifecycle.core.throttle import Pressure
from lifecycle.ports.store import Table
from lifecycle.stores.sql.dialects import Need, Remark
from lifecycle.stores.sql.wording import sized

_LEAST_FREE = 64 * 1024 * 1024


class SqliteHealth:
    """SQLite in a file."""

    def facts(self, connection: Connection) -> Mapping[str, str]:
        """Return the file's size, its journal and what the disk has left."""
        path = _path(connection)
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        return {
            "size": f"the file has {sized(path.stat().st_size)}",
            "log": f"journal mode {mode}: its journal may grow as large as what a first run changes",
            "disk": f"{sized(_free(path))} are free beside it",
        }

    def remarks(self, connection: Connection) -> Iterator[Remark]:
        """Yield too little room for the journal, and a folder in which none can be made."""
        path = _path(connection)
        free, size = _free(path), path.stat().st_size
        if free < max(size, _LEAST_FREE):
            yield Remark(
                "disk",
                f"{sized(free)} are free beside a file of {sized(size)}: a first run's journal may fill the disk",
                "Make room for once the file's size, or set limits.rows_per_night.",
                fatal=free < min(size, _LEAST_FREE),
            )
        if not os.access(path.parent, os.W_OK):
            what = "the file's folder cannot be written: SQLite makes its journal there"
            yield Remark("folder", what, "Let our user write the folder.", fatal=True)

    def too_wide(self, connection: Connection, declared: Sequence[Table], others: Sequence[Table]) -> Iterator[Remark]:
        """Yield nothing: whoever may write the file may do everything to it."""
        del connection, declared, others
        yield from ()

    def lacking(self, connection: Connection, needs: Sequence[Need]) -> list[Need]:
        """Return nothing: a file that is not writable is a finding of its own."""
        del connection, needs
        return []

    def loose(self, connection: Connection, table: Table, column: str) -> bool:
        """Compare two letters under the column's own collation: no catalogue of SQLite's names it."""
        place = sa.table(sa.quoted_name(table.name, quote=True), sa.column(sa.quoted_name(column, quote=True)))
        own = sa.select(place.c[column].label("x")).where(sa.false())
        either = [own.union_all(sa.select(sa.literal_column(other).label("x"))).subquery() for other in ("'a'", "'a '")]
        return any(
            connection.execute(sa.select(probe.c.x == sa.literal_column(other))).scalar_one()
            for probe, other in zip(either, ("'A'", "'a'"), strict=True)
        )

    def uses_index(self, connection: Connection, query: sa.Select[Any]) -> bool:
        """Read SQLite's own account of its plan: a search goes by an index, a scan reads everything."""
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        binds = tuple(compiled.params[name] for name in compiled.positiontup or ())
        steps = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + compiled.string, binds).all()
        return any(str(step[-1]).startswith("SEARCH") for step in steps)

    def spelled(self, word: str, text: str) -> str:
        """Numbers as they are in a column of numbers, texts in quotes; a literal is taken as one."""
        quoted = len(text) > 1 and text[0] == text[-1] == "'"
        number = "INT" in word.upper() and text.removeprefix("-").isdecimal() and text.isascii()
        return text if quoted or number else "'" + text.replace("'", "''") + "'"

    def is_time(self, word: str) -> bool:
        """Never: times are texts or numbers."""
        del word
        return False

    def pressure(self, connection: Connection, tables: Sequence[Table]) -> Pressure:
        """Return nothing: a file tells of no load. Whoever asks for such a signal here is held back for good."""
        del connection, tables
        return Pressure()


def _path(connection: Connection) -> Path:
    return Path(connection.engine.url.database or "").resolve()


def _free(path: Path) -> int:
    return shutil.disk_usage(path.parent).free

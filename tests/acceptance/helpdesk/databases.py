"""The databases on which the ticket system lives: how each is made, copied and asked. One entry in `KINDS` for each.

A database is named by its SQLAlchemy address; the application's settings read the same address.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

Database = contextlib.AbstractContextManager[str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of database. `empty` and `copy` give an address for the caller alone, gone at the end."""

    empty: Callable[[pytest.FixtureRequest], Database]
    copy: Callable[[str], Database]
    moment: Callable[[dt.datetime], object]
    """How an aware moment is written where it is compared with the application's columns."""
    spelling: str
    """How a draft reads the application's time columns: by their type, or by a sample of texts."""


def _empty_postgresql(request: pytest.FixtureRequest) -> Database:
    return servers.fresh_database(request.getfixturevalue("postgres_server").url)


def _copied_postgresql(url: str) -> Database:
    return servers.fresh_database(url, template=sa.make_url(url).database or "")


@contextlib.contextmanager
def _empty_sqlite(_: object) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="lifecycle-helpdesk-") as folder:
        path = Path(folder) / "helpdesk.sqlite"
        path.touch()
        yield f"sqlite:///{path}"


@contextlib.contextmanager
def _copied_sqlite(url: str) -> Iterator[str]:
    with _empty_sqlite(None) as target:
        shutil.copyfile(_file(url), _file(target))
        yield target


def _file(url: str) -> str:
    return sa.make_url(url).database or ""


def _as_text(moment: dt.datetime) -> str:
    """As the framework writes times into SQLite: in UTC, without an offset."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ")


KINDS = {
    "postgresql": Kind(_empty_postgresql, _copied_postgresql, lambda moment: moment, spelling="utc"),
    "sqlite": Kind(_empty_sqlite, _copied_sqlite, _as_text, spelling="iso-text"),
}


def kind_of(url: str) -> Kind:
    """The kind of the database at that address."""
    return KINDS[sa.make_url(url).get_backend_name()]


def ask(url: str, query: str, **values: object) -> list[tuple[object, ...]]:
    """The rows of a query written by hand, `:name` for each value; a moment is aware."""
    with _connected(url) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), _written(url, values))]


def change(url: str, *statements: str, **values: object) -> None:
    """Statements written by hand, in one transaction."""
    with _connected(url) as connection:
        for statement in statements:
            connection.execute(sa.text(statement), _written(url, values))


def now(url: str) -> dt.datetime:
    """The database's own time, in whole seconds: the story ends at the moment at which the product looks."""
    with _connected(url) as connection:
        moment = connection.execute(sa.select(sa.func.current_timestamp(type_=sa.DateTime(timezone=True)))).scalar_one()
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return cast("dt.datetime", aware).astimezone(dt.UTC).replace(microsecond=0)


@contextlib.contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def _written(url: str, values: dict[str, object]) -> dict[str, object]:
    """Values as the application writes them."""
    write = kind_of(url).moment
    return {name: write(value) if isinstance(value, dt.datetime) else value for name, value in values.items()}

"""What the person on call reads when a store is not there: what happened, and where to look."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest

from lifecycle.core.errors import Refused, Transient
from lifecycle.stores.sql.postgresql import PostgresqlDialect
from lifecycle.stores.sql.sqlite import SqliteDialect


def test_a_stopped_postgresql_is_told_as_such() -> None:
    """Nothing listens: no SQLSTATE is quoted, the advice names what to look at, and no password is shown."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(f"postgresql://somebody:secret@127.0.0.1:{port}/portal", connect_timeout=5)
    told = PostgresqlDialect().translate(caught.value)
    assert isinstance(told, Transient)
    assert told.message == "PostgreSQL gave no answer: not reached, not let in, or cut off"
    assert "whether the server runs" in told.advice()
    assert "secret" not in str(told)


def test_a_moved_sqlite_file_is_refused_with_what_to_look_at(tmp_path: Path) -> None:
    """An empty database has nothing overdue: none is made, and the advice names the address."""
    path = tmp_path / "gone.sqlite"
    with pytest.raises(Refused) as caught:
        SqliteDialect().engine(f"sqlite:///{path}", pooled=False)
    assert "correct the store's address" in caught.value.advice()
    assert not path.exists()

"""Some interleavings of each kind on each server; all of them with `python -m tests.interleavings`."""

import pytest

from lifecycle.stores.sql import apply
from lifecycle.stores.sql.select import Selected
from lifecycle.stores.sql.sqlite import SqliteDialect
from tests.interleavings.arena import SERVERS, Arena
from tests.interleavings.kinds import KINDS
from tests.interleavings.race import races

RUNS = 6


@pytest.fixture(params=sorted(SERVERS))
def arena(request, tmp_path):
    if request.param == "sqlite":
        path = tmp_path / "app.db"
        path.touch()
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue({"mariadb": "mariadb_url", "postgresql": "postgres_url"}[request.param])
    made = Arena(url)
    yield made
    made.connection.close()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_a_writer_committed_in_time_stands(arena, kind):
    """Held, re-activated and moved rows survive (I7, I1, I6), no child is orphaned, a new schema refuses (I2)."""
    tally = races(arena, kind, range(RUNS))
    assert tally.wrong == []
    assert tally.kept


@pytest.fixture
def embedded(tmp_path):
    path = tmp_path / "app.db"
    path.touch()
    made = Arena(f"sqlite:///{path}")
    yield made
    made.connection.close()


def test_the_oracle_sees_a_batch_that_does_not_look_at_the_schema(embedded, monkeypatch):
    """Planted: the mark of the schema is believed instead of read; rows go after the change, and it is seen."""
    monkeypatch.setattr(SqliteDialect, "_version", staticmethod(lambda connection: "always"))
    assert races(embedded, "schema", range(12)).wrong


def test_the_oracle_sees_a_batch_that_does_not_look_at_holds(embedded, monkeypatch):
    """Planted: neither the fence nor the statement asks for holds."""
    monkeypatch.setattr(apply, "_check_fence", lambda connection, dialect, batch: None)
    monkeypatch.setattr(
        Selected, "where", lambda self, *, respect_holds=True: [self.compiler.scope(self.bound), *self.of_rows()]
    )
    assert races(embedded, "hold", range(12)).wrong

"""Schema versions, addresses and files."""

from __future__ import annotations

import stat

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url

from lifecycle.core.errors import Corrupt, InvalidDocument, Refused
from lifecycle.state import current, open_state, upgrade
from lifecycle.state.schema import HEAD, VERSION_TABLE, metadata
from tests.state.sample import check_whole, step


def test_missing_state_is_refused(url):
    """Nothing is made by opening: a missing state is refused with the way to make one."""
    assert current(url) is None
    with pytest.raises(Refused) as caught:
        open_state(url)
    assert caught.value.guard == "state-missing"
    assert "lifecycle init" in caught.value.advice()
    assert current(url) is None


def test_upgrade_creates_and_repeats(url):
    """Upgrade makes the newest schema, and does nothing the second time."""
    assert (upgrade(url), upgrade(url), current(url)) == (HEAD, HEAD, HEAD)
    state = open_state(url)
    step(state, "job-a", 0)
    state.close()
    upgrade(url)
    state = open_state(url, create=True)
    assert check_whole(state) == 2
    state.close()


@pytest.mark.parametrize(("version", "way"), [("0000", "lifecycle db upgrade"), ("9999", "Install the version")])
def test_other_schema_is_refused(state, url, version, way):
    """An older schema is refused with the upgrade command, a newer one that does not name us with the newer version."""
    with state._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lifecycle_state_compatible SET since = '9999'")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{version}'")
    with pytest.raises(Refused) as caught:
        open_state(url, create=True)
    assert caught.value.guard == "state-schema"
    assert way in caught.value.advice()


def test_newer_schema_is_never_taken_back(state, url):
    """Upgrade refuses a state that a newer version wrote, and that this one cannot use."""
    with state._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lifecycle_state_compatible SET since = '9999'")
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(Refused):
        upgrade(url)


def test_foreign_tables_are_left_alone(state, url):
    """A database that holds other tables of our names is refused, and stays as it was."""
    with state._engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        connection.exec_driver_sql("DROP TABLE log_node")
    with pytest.raises(Refused) as caught:
        upgrade(url)
    assert caught.value.guard == "state-occupied"
    assert current(url) is None


def test_migrations_make_what_the_code_reads(state):
    """The tables that the migrations make are those of the code, and the newest revision is the one it names."""
    config = Config()
    config.set_main_option("script_location", "lifecycle.state:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    with state._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "state.sqlite",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x?mode=ro",
        "postgresql://localhost",
        "mysql://h/d",
    ],
)
def test_bad_addresses_are_documents_faults(address):
    """An address that cannot hold a state is a fault of the settings, with an example."""
    with pytest.raises(InvalidDocument) as caught:
        open_state(address)
    assert "sqlite:///PATH" in caught.value.advice()


def test_bad_address_does_not_quote_its_password():
    """A broken URL is not repeated: it may hold a password."""
    with pytest.raises(InvalidDocument) as caught:
        open_state("postgresql:/lifecycle:geheim@db.example/state")
    assert "geheim" not in str(caught.value)


def test_files_are_private(tmp_path):
    """The database, its WAL and the leader's lock belong to the service alone, also where the file was wider before."""
    path = tmp_path / "state.sqlite"
    state = open_state(f"sqlite:///{path}", create=True)
    with state.exclusive():
        step(state, "job-a", 0)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    state.close()
    assert set(modes) == {"state.sqlite", "state.sqlite-wal", "state.sqlite-shm", "state.sqlite.leader"}
    assert set(modes.values()) == {0o600}
    path.chmod(0o644)
    open_state(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_file_has_one_lock(tmp_path):
    """A link to the state leads to the same leader's lock."""
    state = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "state.sqlite")
    other = open_state(f"sqlite:///{tmp_path / 'link.sqlite'}")
    with state.exclusive(), pytest.raises(Refused), other.exclusive():
        pass
    state.close()
    other.close()


def test_I17_commits_are_durable_whatever_the_server_prefers(postgres_url):
    """A server that confirms commits before they are durable is told not to do so to us."""
    name = make_url(postgres_url).database
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    engine.dispose()
    state = open_state(postgres_url, create=True)
    with state._reader() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    state.close()


def test_I17_file_commits_are_durable(tmp_path):
    """Each commit of the file is synchronised by itself."""
    state = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    with state._reader() as connection:
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    state.close()
    assert settings == ["wal", 2]


def test_I32_removed_registers_leave_the_file(tmp_path):
    """A removed body is in no file of ours after scrubbing, free pages and WAL included."""
    state = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    with state.transaction() as transaction:
        for number in range(50):
            transaction.put("tenant", f"t{number}", b"mara@example.com " * 400)
    before = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with state.transaction() as transaction:
        for number in range(50):
            transaction.remove("tenant", f"t{number}")
    state.scrub()
    after = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    state.close()
    assert b"mara@example.com" in before
    assert b"mara@example.com" not in after


def test_unknown_revision_is_corrupt(state, url):
    """A schema version that never existed is not upgraded."""
    with state._engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0000'")
    with pytest.raises(Corrupt):
        upgrade(url)

"""The servers of the tests are real, private and gone afterwards."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import servers


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(servers.libpq_url(url)) as connection:
        return connection.execute(query).fetchall()


def test_each_test_has_a_database_of_its_own(postgres_server):
    """What one test writes, another never sees; and the database goes even with a connection open."""
    with servers.fresh_database(postgres_server.url) as first, servers.fresh_database(postgres_server.url) as second:
        left_open = psycopg.connect(servers.libpq_url(first), autocommit=True)
        left_open.execute("CREATE TABLE seen (id int)")
        assert rows(second, "SELECT count(*) FROM pg_tables WHERE tablename = 'seen'") == [(0,)]
    left_open.close()
    left = {name for (name,) in rows(postgres_server.url, "SELECT datname FROM pg_database")}
    assert left.isdisjoint({url.rsplit("/", 1)[1] for url in (first, second)})


def test_a_database_can_start_from_a_template(postgres_server):
    """A prepared database is copied, so that expensive worlds are built once."""
    with servers.fresh_database(postgres_server.url) as prepared:
        with psycopg.connect(servers.libpq_url(prepared)) as connection:
            connection.execute("CREATE TABLE world (id int)")
        name = prepared.rsplit("/", 1)[1]
        with servers.fresh_database(postgres_server.url, template=name) as copy:
            assert rows(copy, "SELECT count(*) FROM world") == [(0,)]


def test_a_killed_server_comes_back_with_what_was_committed():
    """kill -9 loses nothing that was committed and keeps nothing that was not; afterwards no trace is left."""
    with servers.own_postgres_server() as server:
        connection = psycopg.connect(servers.libpq_url(server.url))
        connection.execute("CREATE TABLE ledger (id int)")
        connection.execute("INSERT INTO ledger VALUES (1)")
        connection.commit()
        connection.execute("INSERT INTO ledger VALUES (2)")
        killed = server.pid
        server.kill9()
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        connection.close()
        server.restart()
        assert rows(server.url, "SELECT id FROM ledger") == [(1,)]
        assert server.pid != killed
        assert rows(server.url, "SHOW fsync") == [("on",)]
        home, last = server.home, server.pid
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_a_server_starts_where_its_account_cannot_read(tmp_path, monkeypatch):
    """Neither the working directory nor TMPDIR need be readable by the account that runs the server."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.chdir(closed)
    monkeypatch.setattr("tempfile.tempdir", str(closed))
    with servers.own_postgres_server() as server:
        assert rows(server.url, "SELECT 1") == [(1,)]


def test_a_server_dies_with_the_run_that_started_it(tmp_path):
    """A killed test run leaves no server behind (Linux)."""
    if not servers._dies_with_us():
        pytest.fail("setpriv (package util-linux) is needed to tie a server to its run")
    script = (
        "import sys; from tests import servers\n"
        "with servers.own_postgres_server() as s:\n"
        "    print(s.pid, s.home, flush=True); sys.stdin.read()\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, home = run.stdout.readline().split()
    log = Path(home) / "log"
    watch = os.pidfd_open(int(pid))
    run.kill()
    run.communicate()
    ended, _, _ = select.select([watch], [], [], servers.START_SECONDS)
    os.close(watch)
    assert ended
    assert "immediate shutdown" in log.read_text()
    servers._remove(Path(home), (Path(home) / servers.MARKER).read_text())


def test_a_given_server_is_used_and_never_stopped(monkeypatch):
    """With the variable set, nothing is started, and killing is refused by name of the variable."""
    monkeypatch.setenv(servers.POSTGRES_VARIABLE, "postgres://someone:word@db.example:5433/app?sslmode=require")
    with servers.postgres_server() as server:
        assert server.url == "postgresql+psycopg://someone:word@db.example:5433/app?sslmode=require"
        assert servers._with_database(server.url, "x").endswith("@db.example:5433/x?sslmode=require")
        with pytest.raises(servers.ServerUnavailable, match=servers.POSTGRES_VARIABLE):
            server.kill9()


def test_a_missing_server_names_its_package(tmp_path, monkeypatch):
    """Where nothing can be installed, the error says which package or variable is missing; it is no skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(servers.ServerUnavailable, match="`postgresql` or set LIFECYCLE_TEST_POSTGRES_URL"):
        servers._install_debian(servers.POSTGRES_PACKAGE, servers.POSTGRES_VARIABLE, {})


def test_a_folder_without_our_mark_is_not_removed(tmp_path):
    """Cleaning up never removes a directory that is not ours."""
    (tmp_path / servers.MARKER).write_text("someone else's")
    with pytest.raises(servers.ServerUnavailable, match="not ours"):
        servers._remove(tmp_path, "ours")
    assert tmp_path.exists()

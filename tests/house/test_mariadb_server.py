"""The MariaDB of the tests is real, private and gone afterwards."""

from __future__ import annotations

import os

import pymysql
import pytest

from tests import mariadb, servers


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    connection = mariadb.connect(url)
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = list(cursor.fetchall())
    connection.close()
    return found


def test_a_killed_server_comes_back_with_what_was_committed():
    """kill -9 loses nothing that was committed and keeps nothing that was not; afterwards no trace is left."""
    with mariadb.own_mariadb_server() as server, mariadb.fresh_mariadb(server.url) as url:
        connection = mariadb.connect(url, autocommit=False)
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE ledger (id int PRIMARY KEY)")
        cursor.execute("INSERT INTO ledger VALUES (1)")
        connection.commit()
        cursor.execute("INSERT INTO ledger VALUES (2)")
        killed = server.pid
        server.kill9()
        with pytest.raises(pymysql.err.Error):
            connection.commit()
        server.restart()
        assert rows(url, "SELECT id FROM ledger") == [(1,)]
        assert server.pid != killed
        home, last = server.home, server.pid
        assert home.stat().st_mode & 0o777 == 0o700
    assert not home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_nobody_comes_in_without_the_password():
    """The installation's own accounts, which have none, are gone."""
    with mariadb.own_mariadb_server(*mariadb.QUICK) as server:
        assert rows(server.url, "SELECT user FROM mysql.global_priv") == [("tester",)]


def test_a_database_can_start_from_a_template(mariadb_server):
    """A prepared database is copied with keys and rows, so that expensive worlds are built once."""
    with mariadb.fresh_mariadb(mariadb_server.url) as prepared:
        rows(prepared, "CREATE TABLE world (id int PRIMARY KEY, up int REFERENCES world (id))")
        rows(prepared, "INSERT INTO world VALUES (1, NULL), (2, 1)")
        with mariadb.fresh_mariadb(mariadb_server.url, template=prepared.rsplit("/", 1)[1]) as copy:
            assert rows(copy, "SELECT count(*) FROM world") == [(2,)]
            with pytest.raises(pymysql.err.IntegrityError):
                rows(copy, "DELETE FROM world WHERE id = 1")


def test_a_given_server_is_used_and_never_stopped(monkeypatch):
    """With the variable set, nothing is started, and killing is refused by name of the variable."""
    monkeypatch.setenv(mariadb.MARIADB_VARIABLE, "mysql://someone:word@db.example:3307/app")
    with mariadb.mariadb_server() as server:
        assert server.url == "mariadb+pymysql://someone:word@db.example:3307/app"
        with pytest.raises(servers.ServerUnavailable, match=mariadb.MARIADB_VARIABLE):
            server.kill9()


def test_a_missing_server_names_its_package(tmp_path, monkeypatch):
    """Where nothing can be installed, the error says which package or variable is missing; it is no skip."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mariadb, "PROGRAMS", str(tmp_path))
    with pytest.raises(servers.ServerUnavailable, match="`mariadb-server-core` or set LIFECYCLE_TEST_MARIADB_URL"):
        mariadb._programs()

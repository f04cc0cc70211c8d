"""Kills, full disks, torn files: the log is a prefix, or the state says that it is not."""

# ruff: noqa: PT012  # a refused transaction is several statements, and its end is part of what is tested

from __future__ import annotations

import random
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import event, make_url

from lifecycle.core.errors import Corrupt, LifecycleError, Refused, Transient, Unknown
from lifecycle.state import open_state
from tests import servers
from tests.state.sample import ALIAS, check_whole, child, intent, step

DEADLINE = 30


@pytest.mark.parametrize("seed", range(4))
def test_I16_killed_writer_leaves_a_prefix(state, url, seed):
    """After SIGKILL at a random moment the log is whole, and holds all that was acknowledged and at most one more."""
    chance = random.Random(seed)
    process = child("write", url, "5000", "job-k")
    assert process.stdout.readline() == "ready\n"
    for _ in range(chance.randrange(1, 60)):
        process.stdout.readline()
    for _ in range(chance.randrange(20_000)):
        pass
    process.kill()
    acknowledged = len(process.communicate()[0].splitlines())
    with state.transaction():
        # A server may still be finishing what the killed client had sent: its turn is over when ours begins.
        last = int(state.get("job", "job-k"))
    assert check_whole(state) == 2 * last
    assert last >= acknowledged
    step(state, "job-k", last)
    assert check_whole(state) == 2 * last + 2


def test_I16_kill_before_every_statement(state, url):
    """Whichever statement is the last, a transaction is kept whole or not at all, and never lost once confirmed."""
    process = child("die", url, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n"
    killed = 0
    while True:
        before = state.size()
        process.stdin.write(f"{killed}\n")
        process.stdin.flush()
        confirmed, status = map(int, process.stdout.readline().split())
        if state.size():
            # The child starts each time from number 0 of its job; entries carry on.
            with state.transaction() as transaction:
                transaction.put("job", "job-d", str(state.size() // 2).encode())
        assert check_whole(state) - before == 2 * confirmed
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
    process.communicate(timeout=DEADLINE)
    assert confirmed == 2
    assert killed >= 12


def test_killed_leader_gives_way(state, url):
    """The lock of a killed leader is free as soon as its process is gone, and the next epoch is higher."""
    process = child("lead", url)
    assert process.stdout.readline() == "1\n"
    with pytest.raises(Refused), state.exclusive():
        pass
    process.kill()
    process.communicate()
    deadline = time.monotonic() + DEADLINE
    while True:
        # A server notices the end of a connection a moment later.
        try:
            with state.exclusive() as epoch:
                assert epoch == 2
                return
        except Refused:
            assert time.monotonic() < deadline


def test_two_processes_write_without_gaps(state, url):
    """Two processes that write at the same time leave one gap-free log with two gap-free registers."""
    processes = [child("write", url, "60", f"job-{n}") for n in range(2)]
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert check_whole(state) == 240
    assert [state.get("job", f"job-{n}") for n in range(2)] == [b"60", b"60"]


def test_server_killed_between_transactions():
    """A database server that was killed and came back has all that was confirmed; the state goes on by itself."""
    with servers.own_postgres_server() as server, servers.fresh_database(server.url) as url:
        state = open_state(url, create=True)
        step(state, "job-a", 0)
        with pytest.raises(Transient), state.transaction() as transaction:
            transaction.append(intent("job-a", 2))
            server.kill9()
            transaction.put("job", "job-a", b"2")
        with pytest.raises(Transient):
            state.size()
        server.restart()
        assert check_whole(state) == 2
        step(state, "job-a", 1)
        assert check_whole(state) == 4
        state.close()


# ---- the answer to COMMIT is lost -----------------------------------------------------------------------------------


class Proxy:
    """Forwards to a server; at the first COMMIT after `arm` it forwards (or not) and cuts every connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.armed: str | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()[1]
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.armed == "gone":
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.port))
            self.pairs.append((client, server))
            for source, target, watched in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, target, watched), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, watched: bool) -> None:
        try:
            while data := source.recv(65536):
                if watched and b"COMMIT" in data and self.armed in {"before", "after", "gone-after"}:
                    self._cut(source, target, data)
                    return
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def _cut(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        # Before the client can notice: its next connection already meets a server that is gone.
        how, self.armed = self.armed, "gone" if self.armed == "gone-after" else None
        client.shutdown(socket.SHUT_RD)
        if how != "before":
            # The other pump would hand the answer on: it is read here, and kept.
            client.shutdown(socket.SHUT_WR)
            server.sendall(data)
        client.close()
        server.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.listener.close()
        for pair in self.pairs:
            for end in pair:
                end.close()


@pytest.fixture
def proxied(postgres_url):
    """A state behind a proxy, and the proxy."""
    parsed = make_url(postgres_url)
    proxy = Proxy(parsed.port)
    url = parsed.set(host="127.0.0.1", port=proxy.address).render_as_string(hide_password=False)
    state = open_state(url, create=True)
    yield state, proxy, postgres_url
    state.close()
    proxy.close()


def test_I18_commit_that_never_arrived_is_transient(proxied):
    """A connection cut before COMMIT: the state looks, finds nothing of it, and says that nothing was kept."""
    state, proxy, _ = proxied
    step(state, "job-a", 0)
    proxy.armed = "before"
    with pytest.raises(Transient):
        step(state, "job-a", 1)
    assert check_whole(state) == 2
    step(state, "job-a", 1)
    assert check_whole(state) == 4


def test_I18_commit_whose_answer_was_lost_counts(proxied):
    """A connection cut after COMMIT: the state looks, finds its entry, and the transaction has succeeded."""
    state, proxy, _ = proxied
    step(state, "job-a", 0)
    proxy.armed = "after"
    step(state, "job-a", 1)
    assert proxy.armed is None
    assert check_whole(state) == 4


def test_I18_commit_that_cannot_be_looked_up_is_unknown(proxied):
    """If the server stays away after the cut, the state says that it does not know; it never guesses."""
    state, proxy, url = proxied
    step(state, "job-a", 0)
    proxy.armed = "gone-after"
    with pytest.raises(Unknown) as caught:
        step(state, "job-a", 1)
    assert "Bring the state's database back" in caught.value.advice()
    direct = open_state(url)
    assert check_whole(direct) in {2, 4}
    direct.close()


def test_I18_commit_without_entry_is_unknown(proxied):
    """A change of registers alone leaves nothing in the log to look for: unknown, until it is read again."""
    state, proxy, _ = proxied
    proxy.armed = "after"
    with pytest.raises(Unknown), state.transaction() as transaction:
        transaction.put("tenant", "a", b"1")
    assert state.get("tenant", "a") in {None, b"1"}


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file_state(tmp_path):
    """A state in a file, with some entries, and the file."""
    path = tmp_path / "state.sqlite"
    state = open_state(f"sqlite:///{path}", create=True)
    for number in range(120):
        step(state, "job-a", number)
    yield state, path
    state.close()


def test_full_disk_keeps_nothing(file_state):
    """A write that finds no space raises Transient with advice; the log is what it was, and goes on later."""
    state, path = file_state
    pages: list[sqlite3.Connection] = []

    def confine(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {path.stat().st_size // 4096 + 1}")
        pages.append(connection)

    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    state.close()
    event.listen(state._engine, "connect", confine)
    with pytest.raises(Transient) as caught, state.transaction() as transaction:
        transaction.put("document", "big", b"x" * 200_000)
        transaction.append(intent("job-a", 240))
    assert "SQLITE_FULL" in str(caught.value)
    assert "Free space" in caught.value.advice()
    assert (check_whole(state), state.get("document", "big")) == (240, None)
    event.remove(state._engine, "connect", confine)
    state.close()
    step(state, "job-a", 120)
    assert check_whole(state) == 242
    assert pages


def test_failure_that_the_caller_swallows_still_keeps_nothing(file_state):
    """A caller who goes on after a failed write gets Transient at the end: nothing is half kept."""
    state, _ = file_state
    state.close()

    def confine(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 30")

    event.listen(state._engine, "connect", confine)
    with pytest.raises(Transient), state.transaction() as transaction:
        transaction.append(intent("job-a", 240))
        with pytest.raises(Transient):
            transaction.put("document", "big", b"x" * 2_000_000)
        with pytest.raises(Transient):
            transaction.put("tenant", "a", b"1")
        with pytest.raises(Transient):
            transaction.append(intent("job-a", 241))
    event.remove(state._engine, "connect", confine)
    state.close()
    assert (check_whole(state), state.get("tenant", "a")) == (240, None)


def test_file_that_may_not_grow(file_state, tmp_path):
    """At the file system's size limit the writer gets Transient, and all that it had confirmed is there."""
    state, path = file_state
    wal = path.with_name("state.sqlite-wal")
    process = child("fill", f"sqlite:///{path}", str(max(path.stat().st_size, wal.stat().st_size) + 400_000))
    answer = process.communicate(timeout=120)[0].split()
    assert answer[0] == "Transient"
    assert int(answer[2]) == 240 + 2 * int(answer[1])
    assert int(answer[1]) > 0
    assert check_whole(state) == 240 + 2 * int(answer[1])


def test_read_only_file_is_transient(file_state):
    """A state that may not be written says so and how to mend it."""
    state, _ = file_state
    state.close()
    forbid = lambda connection, _record: connection.execute("PRAGMA query_only = ON")  # noqa: E731
    event.listen(state._engine, "connect", forbid)
    with pytest.raises(Transient, match="SQLITE_READONLY"):
        step(state, "job-a", 120)
    assert state.size() == 240


def test_locked_file_is_transient(file_state, monkeypatch):
    """A writer that waits in vain for another process gives up with nothing kept."""
    state, path = file_state
    state.close()
    hurry = lambda connection, _record: connection.execute("PRAGMA busy_timeout = 20")  # noqa: E731
    event.listen(state._engine, "connect", hurry)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Transient, match="SQLITE_BUSY"):
        step(state, "job-a", 120)
    other.execute("ROLLBACK")
    other.close()
    step(state, "job-a", 120)
    assert check_whole(state) == 242


def _closed(file_state) -> Path:
    state, path = file_state
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    state.close()
    return path


def _walk(path: Path) -> int:
    state = open_state(f"sqlite:///{path}")
    try:
        return check_whole(state)
    finally:
        state.close()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.8, 0.99, 0.9999])
def test_truncated_file_is_corrupt(file_state, share):
    """A file that lost its end is corrupt, never a shorter log."""
    path = _closed(file_state)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(Corrupt) as caught:
        _walk(path)
    assert "backup" in caught.value.advice()


@pytest.mark.parametrize("lost", [1, 511, 512, 1024, 4095])
def test_file_that_lost_part_of_its_last_page_is_corrupt(file_state, lost):
    """SQLite reads what is missing of a last page as zeros: we do not."""
    path = _closed(file_state)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(Corrupt, match="lost its end"):
        open_state(f"sqlite:///{path}")


def test_overwritten_file_is_corrupt(file_state):
    """A file whose beginning is something else is no state."""
    path = _closed(file_state)
    data = path.read_bytes()
    path.write_bytes(b"\0" * 100 + data[100:])
    with pytest.raises(Corrupt):
        _walk(path)


@pytest.mark.parametrize("seed", range(8))
def test_I22_flipped_bytes_of_an_entry_are_found(file_state, seed):
    """A flipped byte inside an entry's body is found when it is read: the leaf hash does not fit."""
    path = _closed(file_state)
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    places = [i for i in range(len(data) - 13) if data[i : i + 13] == b'"batch.intent']
    data[chance.choice(places) + 2] ^= 1 << chance.randrange(7)
    path.write_bytes(bytes(data))
    with pytest.raises((Corrupt, AssertionError)) as caught:
        _walk(path)
    # A flip in the indexed `type` column is not evidence; every flip in a body is found by the state itself.
    assert isinstance(caught.value, Corrupt)


def test_I22_changed_entry_is_corrupt(state):
    """Whoever changes an entry's bytes, or removes one, in the database itself, is found by the next reader."""
    for number in range(4):
        step(state, "job-a", number)
    with state._engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE log_entry SET body = (SELECT body FROM log_entry WHERE entry_index = 2) WHERE entry_index = 3",
        )
    with pytest.raises(Corrupt, match="leaf hash"):
        state.entry(3)
    with pytest.raises(Corrupt, match="leaf hash"):
        list(state.of_tenant(ALIAS))
    with state._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_entry WHERE entry_index = 3")
    with pytest.raises(Corrupt, match="missing"):
        list(state.entries())
    with state._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_node WHERE level = 1 AND node_index = 3")
    with pytest.raises(Corrupt, match="lacks node"):
        state.node(1, 3)


def test_damaged_edge_is_found_on_opening(state, url):
    """Opening reads the newest entry and the tree's right edge."""
    for number in range(3):
        step(state, "job-a", number)
    with state._engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_node WHERE level = 1 AND node_index = 2")
    with pytest.raises(Corrupt):
        open_state(url)


def test_errors_quote_no_values(state):
    """I23: a database's own words (keys, values) never reach the message of an error."""
    with pytest.raises(LifecycleError) as caught, state.transaction() as transaction:
        transaction.put("tenant", "Mara\0Beispiel", b"mara@example.com")
        transaction._connection.exec_driver_sql("SELECT 1")
        with transaction._watched():
            transaction._connection.exec_driver_sql("INSERT INTO record VALUES ('tenant', 'Mara Beispiel', NULL)")
    assert "Mara" not in str(caught.value)
    assert "example.com" not in str(caught.value)
    assert caught.value.__cause__ is None

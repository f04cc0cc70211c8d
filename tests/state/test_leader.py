"""Who leads and who deletes: locks that end with their process, and writers that notice it."""

from __future__ import annotations

import signal
import subprocess
import threading
from contextlib import ExitStack
from typing import Self

import psycopg
import pytest
from sqlalchemy import make_url

from lifecycle.core.errors import Refused, Transient
from lifecycle.state import engine, leader, open_state
from lifecycle.state.session import elapsed
from tests.replicas.wire import Wire
from tests.servers import libpq_url
from tests.state.sample import check_whole, child, step

DEADLINE = 20.0


class Replica:
    """A process that is asked for what it holds."""

    def __init__(self, url: str) -> None:
        self.process = child("reign", url, stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, word: str) -> str:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def until(seen) -> float:
    """Return how many seconds it took until it was seen."""
    begin = elapsed()
    while not seen():
        assert elapsed() - begin < DEADLINE, "it never happened"
    return elapsed() - begin


def backends(url: str, name: str) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
    with psycopg.connect(libpq_url(url)) as connection:
        return [pid for (pid,) in connection.execute(query, (name,))]


def terminate(url: str, name: str) -> None:
    """End the sessions of that name, as an operator or a failover does."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        for pid in backends(url, name):
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def takes_over(state) -> float:
    """Return how many seconds it took to become the one writer, and write as it."""

    def tried() -> bool:
        try:
            with state.exclusive():
                step(state, "job-successor", 0)
        except Refused as refusal:
            if refusal.guard != "not-leader":
                raise
            return False
        return True

    return until(tried)


def test_one_leads_and_another_deletes(state, url):
    """Leading and deleting are two locks: a command line can work while a replica leads, and each is held once."""
    again = open_state(url)
    with state.lead() as lease, again.exclusive():
        assert not lease.lost()
        for taken in (again.lead, state.exclusive):
            with pytest.raises(Refused) as caught, taken():
                pass
            assert caught.value.guard == "not-leader"
        step(state, "job-a", 0)
        step(again, "job-a", 1)
    with again.lead(), state.exclusive():
        step(state, "job-a", 2)
    assert check_whole(state) == 6
    again.close()


def test_lock_is_free_at_once(state):
    """A lock that was given back can be taken in the same instant."""
    for number in range(5):
        with state.lead(), state.exclusive() as epoch:
            assert epoch == number + 1


def test_killed_replica_gives_way_at_once(state, url):
    """SIGKILL frees both locks as soon as the server has noticed: under a second or two, not after a lease."""
    with Replica(url) as replica:
        assert (replica.ask("lead"), replica.ask("exclusive")) == ("leads", "1")
        replica.process.kill()
        assert takes_over(state) < 3
    with state.lead() as lease:
        assert not lease.lost()


def test_I20_stopped_writer_is_deposed(postgres_url):
    """SIGSTOP: the server takes the locks away after three seconds, and the woken process writes nothing."""
    state = open_state(postgres_url, create=True)
    with Replica(postgres_url) as replica:
        assert (replica.ask("lead"), replica.ask("exclusive"), replica.ask("write")) == ("leads", "1", "None")
        replica.send(signal.SIGSTOP)
        taken = takes_over(state)
        replica.send(signal.SIGCONT)
        assert (replica.ask("lost"), replica.ask("write")) == ("True", "stale-epoch")
        assert taken < 2 * leader.LEASE_SECONDS
        assert check_whole(state) == 4
        with state.lead():
            assert replica.ask("lost") == "True"
    state.close()


def test_I20_stopped_writer_knows_it_although_nobody_took_over(postgres_url):
    """The woken process finds its lock lost on the first use, whether or not somebody else wanted it."""
    state = open_state(postgres_url, create=True)
    with Replica(postgres_url) as replica:
        assert (replica.ask("lead"), replica.ask("exclusive")) == ("leads", "1")
        replica.send(signal.SIGSTOP)
        until(lambda: not backends(postgres_url, "lifecycle write"))
        replica.send(signal.SIGCONT)
        assert (replica.ask("write"), replica.ask("lost")) == ("stale-epoch", "True")
        assert replica.ask("end") == "ended"
    assert state.size() == 0
    state.close()


def test_stopped_file_writer_keeps_its_lock(tmp_path):
    """On SQLite the lock is the kernel's: a stopped process keeps it, nobody else gets it, it goes on later."""
    url = f"sqlite:///{tmp_path / 'state.sqlite'}"
    state = open_state(url, create=True)
    with Replica(url) as replica:
        assert replica.ask("exclusive") == "1"
        replica.send(signal.SIGSTOP)
        with pytest.raises(Refused), state.exclusive():
            pass
        replica.send(signal.SIGCONT)
        assert replica.ask("write") == "None"
    state.close()


def test_removed_lock_file_is_a_lost_lock(tmp_path):
    """Whoever removes or replaces the lock file takes the lock away: the holder notices before its next write."""
    state = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    with state.lead() as lease, state.exclusive():
        assert not lease.lost()
        (tmp_path / "state.sqlite.lead").unlink()
        (tmp_path / "state.sqlite.leader").rename(tmp_path / "elsewhere")
        (tmp_path / "state.sqlite.leader").touch()
        assert lease.lost()
        with pytest.raises(Refused) as caught:
            step(state, "job-a", 0)
    assert caught.value.guard == "stale-epoch"
    assert state.size() == 0
    state.close()


def test_I20_terminated_session_is_noticed(postgres_url):
    """A lock session that the server ended is noticed within two seconds, and nothing is written any more."""
    state = open_state(postgres_url, create=True)
    with state.lead() as lease, state.exclusive():
        step(state, "job-a", 0)
        terminate(postgres_url, "lifecycle lead")
        assert until(lease.lost) < 2
        terminate(postgres_url, "lifecycle write")
        until(lambda: _refused(state))
    assert check_whole(state) == 2
    with state.lead() as lease, state.exclusive() as epoch:
        assert (lease.lost(), epoch) == (False, 2)
    state.close()


def _refused(state) -> bool:
    try:
        with state.transaction():
            pass
    except Refused as refusal:
        return refusal.guard == "stale-epoch"
    return False


def test_I20_superseded_epoch_is_refused_in_every_thread(state, url):
    """A later epoch in the state stops the earlier writer's writes, whichever thread makes them, lock or no lock."""
    other = open_state(url)
    guards: list[str] = []

    def write() -> None:
        try:
            step(state, "job-a", 1)
        except Refused as refusal:
            guards.append(refusal.guard)

    with state.exclusive() as epoch:
        step(state, "job-a", 0)
        with other.transaction() as transaction:
            transaction.put("setting", "epoch", str(epoch + 1).encode())
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        write()
        assert state.size() == 2
    assert guards == ["stale-epoch", "stale-epoch"]
    step(state, "job-a", 1)
    assert check_whole(state) == 4
    other.close()


def test_I20_cut_network_is_noticed_before_somebody_else_leads(postgres_url):
    """A silent network: the leader knows it before another replica can lead, and its own end does not hang."""
    wire = Wire(make_url(postgres_url).port)
    parsed = make_url(postgres_url).set(host="127.0.0.1", port=wire.port)
    far = open_state(parsed.render_as_string(hide_password=False), create=True)
    near = open_state(postgres_url)
    known: list[bool] = []

    def led() -> bool:
        if _leads(near):
            known.append(lease.lost())
        return bool(known)

    with far.lead() as lease:
        begin = elapsed()
        wire.cut()
        until(led)
        taken, left = elapsed() - begin, elapsed()
    assert known == [True]
    assert leader.LEASE_SECONDS - leader.BEAT_SECONDS < taken < 2 * leader.LEASE_SECONDS
    assert elapsed() - left < leader.TRUST_SECONDS + 0.5
    with pytest.raises(Transient), far.lead():
        pass
    near.close()
    wire.close()
    far.close()


def _leads(state) -> bool:
    try:
        with state.lead():
            return True
    except Refused:
        return False


def test_lock_sessions_are_kept_alive(postgres_url):
    """A lock outlives the server's three seconds for as long as its process lives, busy or not."""
    state = open_state(postgres_url, create=True)
    with state.lead() as lease, state.exclusive():
        until_later = elapsed() + leader.LEASE_SECONDS + 1.5
        wait = threading.Event()
        while elapsed() < until_later:
            wait.wait(0.2)
            assert not lease.lost()
        step(state, "job-a", 0)
        with psycopg.connect(libpq_url(postgres_url)) as connection:
            count = connection.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE locktype = 'advisory' AND datname = current_database()"
            ).fetchone()
    assert count == (2,)
    assert check_whole(state) == 2
    state.close()


def test_old_servers_cannot_have_a_leader():
    """Before PostgreSQL 14 no server frees a hung leader's lock: leading is refused, and the way out is named."""
    with pytest.raises(Refused) as caught:
        leader.require_idle_timeout(130_014)
    assert caught.value.guard == "server-too-old"
    assert "PostgreSQL 14" in caught.value.advice()
    leader.require_idle_timeout(140_000)


def test_second_clock_is_the_servers(postgres_url, tmp_path):
    """A state on a server has a clock to compare with; one in a file has none."""
    state = open_state(postgres_url, create=True)
    with psycopg.connect(libpq_url(postgres_url), autocommit=True) as connection:
        before, now, after = (
            connection.execute("SELECT clock_timestamp()").fetchone()[0],
            state.second_clock(),
            connection.execute("SELECT clock_timestamp()").fetchone()[0],
        )
    assert before <= now <= after
    assert now.utcoffset().total_seconds() == 0
    state.close()
    file = open_state(f"sqlite:///{tmp_path / 'state.sqlite'}", create=True)
    assert file.second_clock() is None
    file.close()


def test_writer_stopped_inside_a_transaction_gives_way(postgres_url):
    """The server ends a transaction of ours that idles, sooner than the next writer gives up; nothing of it is kept."""
    state = open_state(postgres_url, create=True)
    other = open_state(postgres_url)
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(Transient, match="25P03"))
        transaction = stack.enter_context(other.transaction())
        transaction.put("job", "x", b"1")
        shown = "SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'"
        patience = transaction._connection.exec_driver_sql(shown).scalar()
        transaction._connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 300")
        step(state, "job-a", 0)
    assert 0 < patience < engine.WAIT_MS
    assert (check_whole(state), state.get("job", "x")) == (2, None)
    other.close()
    state.close()

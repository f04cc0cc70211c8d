"""What a real PostgreSQL tells of its load: to whom it tells it, a vacuum under way, sessions, a replica that lags."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from lifecycle.core.span import Span
from lifecycle.core.throttle import Pressure, Throttle
from lifecycle.flow import preflight
from lifecycle.ports.clock import SimulatedClock, SystemClock
from lifecycle.stores.paced import PacedStore
from lifecycle.testing import store_world as w
from tests import portal, servers
from tests.servers import libpq_url
from tests.stores.family_worlds import PostgresqlFamily
from tests.stores.test_roles import login, run_psql
from tests.stores.worlds import PostgresqlWorld
from tests.waiting import until

NAMES = [dataset.id for dataset in w.DATASETS]


STREAMING = "SELECT count(*) AS n FROM pg_stat_replication WHERE state = 'streaming'"


def count(world, query):
    return world.run(query).fetchone()["n"]


@pytest.fixture
def world(postgres_url):
    made = PostgresqlWorld(postgres_url)
    yield made
    made.close()


@contextmanager
def beside(url, *statements):
    """Run statements in a session of its own until the end of the context, which cancels them."""
    connection = psycopg.connect(libpq_url(url), autocommit=True)

    def run():
        try:
            for statement in statements:
                connection.execute(statement)
        except psycopg.errors.QueryCanceled:
            return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        connection.cancel()
        thread.join(30)
        connection.close()


def test_only_who_may_read_all_statistics_is_told(world):
    """A plain role is told nothing, which a throttle takes for the worst; the grant that doctor names mends it."""
    with login(world.url) as url:
        plain = PostgresqlWorld(url, tables=["SELECT 1"])
        assert plain.store().pressure(NAMES) == Pressure()
        name = plain.connection.info.user
        run_psql(world.url, ["--command", f"GRANT pg_read_all_stats TO {name}"])
        told = plain.store().pressure(NAMES)
        plain.close()
    assert (told.replica_lag, told.vacuuming) == (0.0, ())
    assert told.active_sessions is not None


def test_sessions_at_work_are_counted_without_ours(world):
    """One that sleeps in a statement is at work; one that waits for its client is not."""
    store = world.store()
    calm = store.pressure(NAMES).active_sessions
    with beside(world.url, "SELECT pg_sleep(60)"):
        assert until(lambda: store.pressure(NAMES).active_sessions == calm + 1, "the session is counted")


def test_a_vacuum_of_one_of_our_tables_is_seen_while_it_lasts(world):
    """By the dataset's name; a vacuum of another table holds nothing back."""
    world.run("CREATE TABLE other AS SELECT generate_series(1, 20000) AS id")
    world.run("INSERT INTO logs SELECT n, 'acme', now(), current_date, 'x' FROM generate_series(1, 20000) AS n")
    world.run("DELETE FROM logs")
    world.run("DELETE FROM other")
    store = world.store()
    slow = "SET vacuum_cost_limit = 1", "SET vacuum_cost_delay = 100"
    progress = "SELECT count(*) AS n FROM pg_stat_progress_vacuum"
    with beside(world.url, *slow, "VACUUM other"):
        until(lambda: count(world, progress), "the vacuum has begun")
        assert store.pressure(NAMES).vacuuming == ()
    with beside(world.url, *slow, "VACUUM logs"):
        until(lambda: store.pressure(NAMES).vacuuming == ("logs",), "the vacuum is seen")


def test_I23_a_vacuum_of_any_member_is_told_by_its_dataset(postgres_url):
    """Each table of a family is watched, and what holds back names none: it is logged, and they name tenants."""
    world = PostgresqlFamily(postgres_url)
    name = world.named("logs", "borealis")
    world.run(f"INSERT INTO {name} SELECT n, now(), current_date, 'x' FROM generate_series(1, 20000) AS n")
    world.run(f"DELETE FROM {name} WHERE id > 0")
    store = world.store()
    with beside(world.url, "SET vacuum_cost_limit = 1", "SET vacuum_cost_delay = 100", f"VACUUM {name}"):
        assert until(lambda: store.pressure(NAMES).vacuuming == ("logs",), "the vacuum is seen")
    world.close()


def test_a_replica_that_does_not_replay_holds_back_and_one_that_follows_does_not():
    """A real standby whose replay is paused falls behind; the throttle says so, and lets go when it follows again."""
    with servers.own_postgres_server() as primary, servers.standby(primary) as behind:
        world = PostgresqlWorld(primary.url)
        store = PacedStore(
            world.store(),
            Throttle(replica_lag=Span(1)),
            clock=SystemClock(),
            folder=primary.home,
            datasets=NAMES,
        )
        with psycopg.connect(libpq_url(behind.url), autocommit=True) as replica:
            until(lambda: count(world, STREAMING), "the standby streams")
            assert store.held_back() is None
            replica.execute("SELECT pg_wal_replay_pause()")

            def lagging():
                world.insert("logs", [{"id": next(numbers), "firm": "acme"}])
                return store.held_back()

            numbers = iter(range(1, 10_000))
            brake = until(lagging, "the paused standby lags")
            assert brake.cause == "replica-lag"
            replica.execute("SELECT pg_wal_replay_resume()")
            until(lambda: lagging() is None, "it has caught up")
        seen = PostgresqlWorld(behind.url, tables=["SELECT 1"])
        assert [f.code for f in seen.store().inspect(NAMES) if f.fatal] == ["replica"]
        seen.close()
        world.close()


def test_I12_a_store_whose_clock_is_apart_is_found_by_doctor(postgres_url, tmp_path):
    """Ten seconds are worth knowing, two minutes stand in the way: then no run would start."""
    now = SystemClock().now()
    portal.create_application(postgres_url, now)
    site = portal.create_deployment(tmp_path / "deployment", postgres_url, now)
    found = {}
    with site.open() as deployment:
        for seconds in (0, 10, 120):
            moved = SimulatedClock(SystemClock().now())
            moved.jump(timedelta(seconds=seconds))
            checkup = preflight.doctor(replace(deployment, clock=moved))
            found[seconds] = [f.fatal for f in checkup.findings if f.code == "clock"]
    assert found == {0: [], 10: [False], 120: [True]}

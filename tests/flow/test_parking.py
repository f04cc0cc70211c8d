"""Parking (I27): a dataset that cannot be counted keeps nobody else's rows, and no certificate says it was clean."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from lifecycle.core.errors import Refused
from lifecycle.core.schedule import Schedule
from lifecycle.core.settings import RuleClass, ScheduleSettings
from lifecycle.core.span import Span
from lifecycle.flow import certify, cycle, slots
from lifecycle.ports.clock import SimulatedClock
from tests import portal
from tests.flow import world as made
from tests.servers import fresh_database, libpq_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = ("clientport", "server-logs")
HOURLY = Schedule.of(ScheduleSettings(default="hourly", classes={"hourly": RuleClass(every=Span(3600))}))
MAIL_LOG = """  - {id: mail-log, store: main, table: mail_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: utc}}}
"""


@pytest.fixture
def role(postgres_server) -> Iterator[str]:
    """A role of the executor's own, without which nothing could be taken from it."""
    name, password = f"executor_{secrets.token_hex(4)}", secrets.token_hex(8)
    with psycopg.connect(libpq_url(postgres_server.url), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    yield f"{name}:{password}"
    with psycopg.connect(libpq_url(postgres_server.url), autocommit=True) as admin:
        admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def world(tmp_path: Path, postgres_server, role: str) -> Iterator[portal.World]:
    """The portal with a second log table, reached by that role."""
    name, password = role.split(":")
    with fresh_database(postgres_server.url) as url:
        world = made.tempting(tmp_path / "deployment", url, logs=4)
        with psycopg.connect(libpq_url(url), autocommit=True) as admin:
            admin.execute("CREATE TABLE mail_log (id int PRIMARY KEY, portal_id text, at timestamptz)")
            admin.execute("CREATE INDEX ON mail_log (at)")
            for schema in ("public", "lifecycle"):
                admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
                admin.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}")
        inventory = world.folder / "inventory.yaml"
        inventory.write_text(inventory.read_text().replace("not_personal:\n", MAIL_LOG + "not_personal:\n"))
        theirs = make_url(url).set(username=name, password=password).render_as_string(hide_password=False)
        portal.point_to(world.folder, theirs)
        yield world
        with psycopg.connect(libpq_url(url), autocommit=True) as admin:
            admin.execute(f"DROP OWNED BY {name}")


def grant(world: portal.World, role: str, verb: str) -> None:
    """Give or take what the role may do with the second log."""
    word = "TO" if verb == "GRANT" else "FROM"
    with psycopg.connect(libpq_url(world.url), autocommit=True) as admin:
        admin.execute(f"{verb} ALL ON mail_log {word} {role.split(':', maxsplit=1)[0]}")


def expire(world: portal.World, table: str, number: int) -> None:
    """Write rows that had to be gone long ago."""
    columns = {"access_log": "(id, portal_id, ip, at)", "mail_log": "(id, portal_id, at)"}[table]
    ip = "'192.0.2.1'," if table == "access_log" else ""
    with psycopg.connect(libpq_url(world.url), autocommit=True) as admin:
        admin.execute(
            f"INSERT INTO {table} {columns} SELECT 8000000 + i, 'acme2', {ip} now() - interval '300 days' "
            f"FROM generate_series(1, {number}) AS i ON CONFLICT DO NOTHING"
        )


def left(world: portal.World, table: str) -> int:
    """Count those rows."""
    return int(world.rows(f"SELECT count(*) FROM {table} WHERE id >= 8000000")[0][0])


def turn(world: portal.World, clock: SimulatedClock) -> cycle.Turn:
    """Let the rule's next slot come, and take its turn."""
    clock.advance(timedelta(hours=1))
    with world.open(clock=clock) as deployment:
        from dataclasses import replace

        hourly = replace(deployment, schedule=HOURLY)
        return next(one for one in cycle.tick(hourly, scheduled=True) if one.rule == RULE[1])


def test_I27_a_dataset_that_cannot_be_counted_keeps_no_other_rows(world: portal.World, role: str) -> None:
    """One table may not be read any more: the other one's rows go, the turn says which, nothing is certified."""
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        made.plan_rule(world, deployment, mandate=True)
        cycle.tick(deployment)
        certificates = len(certify.certificates(deployment))
    expire(world, "access_log", 3)
    expire(world, "mail_log", 2)
    grant(world, role, "REVOKE")
    partial = turn(world, clock)
    assert partial.result == "partial", partial.error
    assert partial.error is not None
    assert "mail-log" in partial.error.message
    assert (left(world, "access_log"), left(world, "mail_log")) == (0, 2)
    with world.open(clock=clock) as deployment:
        state = slots.read(deployment, *RULE)
        assert state is not None
        assert state.trouble is not None
        assert "mail-log" in state.trouble.message
        assert len(certify.certificates(deployment)) == certificates
    grant(world, role, "GRANT")
    assert turn(world, clock).result == "applied"
    assert left(world, "mail_log") == 0


def test_I27_alone_it_is_a_failure_and_no_idle_turn(world: portal.World, role: str) -> None:
    """Nothing else is due: that nobody could count is not that nothing is there."""
    clock = SimulatedClock(world.now)
    with world.open(clock=clock) as deployment:
        made.plan_rule(world, deployment, mandate=True)
        cycle.tick(deployment)
    grant(world, role, "REVOKE")
    failed = turn(world, clock)
    assert failed.result == "refused"
    assert isinstance(failed.error, Refused)
    assert failed.error.guard == "privilege"

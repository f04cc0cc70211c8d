"""One PostgreSQL with a state and a target, both traced; a portal company whose logs never stop; a folder a replica."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from lifecycle.flow import approve, execute, planning
from lifecycle.ports.clock import SystemClock
from lifecycle.state import dump, open_state
from lifecycle.stores.sql.keys import open_keys
from tests import portal, servers
from tests.faults import oracle
from tests.replicas.model import Seen, Took, parse
from tests.replicas.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = "server-logs"
LEADER_KEY = 0x6C66_6379_0004
SETTINGS = """
limits: {least_batch: 4, first_batch: 4, most_batch: 4}
schedule: {tick: PT1S, look: PT10S, classes: {often: {every: PT2S}}, rules: {server-logs: often}}
guards: {shadow: false, history_floor: 1000000}
http: {bind: "127.0.0.1:0"}
"""
STATE_TRACE = """
CREATE SCHEMA watch;
CREATE TABLE watch.seen (seq bigserial PRIMARY KEY, who text, what text, name text, body bytea);
CREATE FUNCTION watch.of_record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO watch.seen (who, what, name, body)
    VALUES (current_setting('application_name'), NEW.kind, NEW.name, NEW.body);
  RETURN NULL; END $$;
CREATE FUNCTION watch.of_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO watch.seen (who, what, name, body)
    VALUES (current_setting('application_name'), NEW.type, NEW.entry_index::text, NEW.body);
  RETURN NULL; END $$;
CREATE TRIGGER watch AFTER INSERT OR UPDATE ON record FOR EACH ROW
  WHEN (NEW.kind = 'rule' OR (NEW.kind = 'setting' AND NEW.name = 'epoch')) EXECUTE FUNCTION watch.of_record();
CREATE TRIGGER watch AFTER INSERT ON log_entry FOR EACH ROW
  WHEN (NEW.type IN ('job.started', 'job.finished', 'batch.intent', 'batch.receipt', 'batch.void'))
  EXECUTE FUNCTION watch.of_entry();
"""
TARGET_TRACE = """
CREATE TABLE {schema}.seen (seq bigserial PRIMARY KEY, batch text, deleted bigint, fence bigint);
CREATE FUNCTION {schema}.of_receipt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO {schema}.seen (batch, deleted, fence)
    SELECT NEW.batch_id, NEW.deleted, epoch FROM {fence};
  RETURN NULL; END $$;
CREATE TRIGGER watch AFTER UPDATE ON {receipt} FOR EACH ROW
  WHEN (NEW.state = 'done' AND OLD.state = 'open') EXECUTE FUNCTION {schema}.of_receipt();
"""


class Arena:
    """Everything that is not a replica. `wires[n]` are those of replica n to the state and to the target."""

    def __init__(self, home: Path, replicas: int, stack: ExitStack) -> None:
        """Build it: a server of our own, the company, its deployment with a mandate, and a folder for each replica."""
        self._stack = stack
        server = stack.enter_context(servers.own_postgres_server())
        self.state_url = stack.enter_context(servers.fresh_database(server.url))
        self.target_url = stack.enter_context(servers.fresh_database(server.url))
        self.now = SystemClock().now()
        ports = _free_ports(replicas)
        self.wires = [
            tuple(Wire(server.port, _host(n, which), ports[which]) for which in (0, 1)) for n in range(replicas)
        ]
        for pair in self.wires:
            for wire in pair:
                stack.callback(wire.close)
        portal.create_application(self.target_url, self.now)
        self.folders = [home / f"replica-{n}" for n in range(replicas)]
        self.first = portal.create_deployment(self.folders[0], self._through(self.target_url, 0, 1), self.now)
        self._begin()
        self._move_state()
        self._trace()
        for n, folder in enumerate(self.folders):
            if n:
                shutil.copytree(self.folders[0], folder)
            self._point(folder, n)
        self.before = oracle.read(self.rows)
        self.fresh: set[int] = set()

    # ---- what replicas and rounds ask ----

    def state(self) -> psycopg.Connection[Any]:
        """Open a session of ours in the state's database, past every wire."""
        return psycopg.connect(servers.libpq_url(self.state_url), autocommit=True)

    def target(self) -> psycopg.Connection[Any]:
        """Open a session of ours in the target, past every wire."""
        return psycopg.connect(servers.libpq_url(self.target_url), autocommit=True)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the target."""
        with self.target() as connection:
            return list(connection.execute(sql).fetchall())

    def replica_of(self, port: int) -> int | None:
        """Return the replica whose wire carries a session now, by the port that the server sees."""
        return next((n for n, pair in enumerate(self.wires) if any(port in wire.carried for wire in pair)), None)

    def due(self) -> int:
        """Count what must go by now."""
        return len(self._must_go() & {("access_log", key) for (key,) in self.rows("SELECT id FROM access_log")})

    @contextmanager
    def arriving(self, each: int = 2, fresh_every: int = 5) -> Iterator[None]:
        """Let new log rows arrive all the time: overdue ones, and now and then one that has to stay."""
        end = threading.Event()

        def arrive() -> None:
            number = 50_000_000
            with self.target() as connection:
                while not end.wait(0.2):
                    rows = []
                    for _ in range(each):
                        number += 1
                        young = number % fresh_every == 0
                        days = 1 if young else 100 + number % 50
                        moment = datetime.fromisoformat(portal.stamp(self.now - timedelta(days=days)))
                        rows.append((number, portal.TENANTS[number % 4], "192.0.2.9", moment))
                    with connection.transaction():
                        connection.cursor().executemany("INSERT INTO access_log VALUES (%s, %s, %s, %s)", rows)
                    self.before["access_log"].update({row[0]: row for row in rows})

        thread = threading.Thread(target=arrive)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    # ---- what the model reads ----

    def trace(self) -> list[Seen]:
        """Return the writes to the state in their order."""
        with self.state() as connection:
            found = connection.execute("SELECT who, what, name, body FROM watch.seen ORDER BY seq").fetchall()
        return [Seen(who, what, name, parse(what, bytes(body))) for who, what, name, body in found]

    def receipts(self) -> list[Took]:
        """Return the target's committed receipts."""
        return [Took(*row) for row in self.rows(f"SELECT batch, deleted, fence FROM {self._schema}.seen ORDER BY seq")]

    def verdict(self) -> oracle.Verdict:
        """Compare the rows with what had to go, and with the opened sealed lists."""
        with self.first.open() as deployment:
            sealed = [("access_log", key[0]) for took in self.receipts() for key in _opened(deployment, took.batch)]
        return oracle.judge(self.before, oracle.read(self.rows), self._must_go(), sealed)

    def _must_go(self) -> set[oracle.Key]:
        return {key for key in oracle.expected(dict(self.before), "nobody", self.now) if key[0] == "access_log"}

    # ---- building ----

    def _through(self, url: str, replica: int, which: int) -> str:
        """Return the address of a database as that replica sees it: one name and port for all, its own wire behind."""
        parts = urlsplit(url)
        wire = self.wires[replica][which]
        name = ("state", "target")[which]
        place = f"{parts.username}:{parts.password}@{name}.example:{wire.port}"
        return urlunsplit(
            parts._replace(netloc=place, query=f"hostaddr={_host(replica, which)}&application_name=replica-{replica}")
        )

    def _begin(self) -> None:
        """Let an operator plan, sign and mandate the rule, and carry the first plan out."""
        settings = self.folders[0] / "lifecycle.yaml"
        settings.write_text(settings.read_text() + SETTINGS)
        with self.first.open() as deployment:
            plan = planning.plan_rule(deployment, "clientport", RULE, author="lifecycle")
            assert plan is not None
            key = self.first.key("op-one")
            # Long outages are part of the run: what has gathered meanwhile is no reason to ask a person.
            approve.approve(deployment, plan.hash, "op-one", key, grant_mandate=True, most_items=1_000_000)
            execute.apply(deployment, plan.hash)

    def _move_state(self) -> None:
        """Move the state from its file to the server: by backup and restore."""
        folder = self.folders[0]
        source = open_state(f"sqlite:///{folder / 'state.db'}")
        dump.backup(source, folder / "moving")
        source.close()
        state = open_state(self.state_url, create=True)
        dump.restore(state, folder / "moving")
        state.close()
        for file in (*folder.glob("state.db*"), folder / "moving"):
            file.unlink()

    def _trace(self) -> None:
        with self.state() as connection:
            connection.execute(STATE_TRACE)
        query = (
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema = 'lifecycle' AND table_name ~ '(fence|receipt)$' ORDER BY table_name"
        )
        (schema, fence), (_, receipt) = self.rows(query)
        self._schema = schema
        names = {"fence": f"{schema}.{fence}", "receipt": f"{schema}.{receipt}", "schema": schema}
        with self.target() as connection:
            connection.execute(TARGET_TRACE.format(**names))

    def _point(self, folder: Path, replica: int) -> None:
        portal.point_to(folder, self._through(self.target_url, replica, 1))
        address = folder / "state.url"
        address.write_text(self._through(self.state_url, replica, 0) + "\n")
        address.chmod(0o600)
        settings = folder / "lifecycle.yaml"
        settings.write_text(re.sub(r"(?m)^state: .*$", "state: {file: state.url}", settings.read_text()))


def _host(replica: int, which: int) -> str:
    return f"127.0.1.{2 * replica + which + 1}"


def _opened(deployment: Any, batch: str) -> list[tuple[Any, ...]]:
    receipt = deployment.stores["main"].receipt(batch)
    return list(open_keys(receipt.sealed, deployment.keys.sealing, batch)) if receipt.sealed else []


def _free_ports(replicas: int) -> tuple[int, int]:
    """Return two ports that are free on the addresses of all wires."""
    found: list[int] = []
    while len(found) < 2:
        with socket.socket() as probe:
            probe.bind(("127.0.1.1", 0))
            port = probe.getsockname()[1]
        try:
            for n in range(replicas):
                for which in (0, 1):
                    socket.create_server((_host(n, which), port)).close()
        except OSError:
            continue
        if port not in found:
            found.append(port)
    return found[0], found[1]


def finished_jobs(connection: psycopg.Connection[Any]) -> int:
    """Count the jobs that ended so far."""
    row = connection.execute("SELECT count(*) FROM watch.seen WHERE what = 'job.finished'").fetchone()
    assert row is not None
    return int(row[0])


def at_work(connection: psycopg.Connection[Any]) -> bool:
    """Return whether a job was in the middle of its batches just now."""
    row = connection.execute("SELECT what FROM watch.seen ORDER BY seq DESC LIMIT 1").fetchone()
    return row is not None and row[0] in {"batch.intent", "batch.receipt", "job.started"}


def leader(connection: psycopg.Connection[Any]) -> tuple[int, int] | None:
    """Return (backend, client port) of the session that holds the leader's lock."""
    found = connection.execute(
        "SELECT l.pid, a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s"
        " AND a.datname = current_database()",
        (LEADER_KEY >> 32, LEADER_KEY & 0xFFFF_FFFF),
    ).fetchone()
    return None if found is None else (found[0], found[1])

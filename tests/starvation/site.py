"""One deployment to starve: a portal with a mandate in force, its daemon, and the Prometheus that watches it."""

from __future__ import annotations

import os
import re
import secrets
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from lifecycle.flow import approve, execute, planning
from lifecycle.ports.clock import SimulatedClock, SystemClock
from tests import portal
from tests.daemon.process import Daemon, running
from tests.observe.watching import Watch, prometheus
from tests.servers import OwnPostgres, fresh_database, libpq_url, own_postgres_server
from tests.starvation.proxy import Network, network

if TYPE_CHECKING:
    from tests.starvation.scenario import Scenario

AGREEMENT, RULE, STORE, DATASET, TABLE = "clientport", "server-logs", "main", "access-log", "access_log"
ZONE = "Europe/Berlin"
TENANT = "Acme"
DAYS = 90
"""The rule's ceiling: a log is gone before its ninetieth day has begun."""
FIRST_KEY = 10_000_000
ROWS = 20
BEFORE = timedelta(hours=26)
"""The mandate is older than the daemon's first turn: nothing is in its shadow cycle, and no clock has jumped."""
PATIENCE = 60.0

_MIGRATING = threading.Lock()
"""Alembic keeps its migration in the module: one at a time in a process."""

SETTINGS = """\
schedule:
  tick: PT1S
  look: PT1S
  default: often
  classes: {{often: {{every: PT{every}S}}}}
http: {{bind: "127.0.0.1:0"}}
"""


def until(what: Callable[[], Any], why: str, *, patience: float = PATIENCE) -> Any:
    """Look until something is true and return it. Raises AssertionError."""
    end, pause = time.monotonic() + patience, threading.Event()
    while not (found := what()):
        assert time.monotonic() < end, f"not within {patience:.0f} s: {why}"
        pause.wait(0.1)
    return found


@dataclass
class Site:
    """The deployment. `owner`: the database's address for the application itself, past proxy and role.

    `ceiling`: when the rows must be gone, where that lies ahead; `session` and `also`: statements of the application
    before and after its rows, in the same transaction.
    """

    scenario: Scenario
    world: portal.World
    owner: str
    server: OwnPostgres | None = None
    network: Network | None = None
    role: str | None = None
    ceiling: datetime | None = None
    session: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    processes: ExitStack = field(default_factory=ExitStack)
    _daemon: Daemon | None = None
    _watch: Watch | None = None

    @property
    def folder(self) -> Path:
        """Return the deployment's folder."""
        return self.world.folder

    @property
    def state(self) -> Path:
        """Return the file of a SQLite state."""
        return self.folder / "state.db"

    @property
    def daemon(self) -> Daemon:
        """Return the running daemon."""
        assert self._daemon is not None
        return self._daemon

    @property
    def watch(self) -> Watch:
        """Return the Prometheus."""
        assert self._watch is not None
        return self._watch

    @property
    def settings(self) -> Path:
        """Return the settings file."""
        return self.folder / "lifecycle.yaml"

    # ---- the application ----

    def execute(self, *statements: str) -> None:
        """Run statements as the application's owner, each at once durable."""
        for statement in statements:
            with portal.raw(self.owner) as connection:
                connection.execute(statement)

    def insert(
        self, *, number: int = ROWS, tenant: str | None = TENANT, first: int = FIRST_KEY, days: int = 0
    ) -> float:
        """Commit rows past their ceiling (or `days` old), and return when that was, by the monotonic clock."""
        now = SystemClock().now()
        at = now - timedelta(days=days or 200)
        if self.ceiling is not None:
            # A minute into the day whose ninetieth successor begins at the ceiling, by our zone and by the real one,
            # in which a server reckons: there it begins at 22:00 or 23:00 UTC of the day before.
            begins = self.ceiling - timedelta(days=DAYS)
            at = max(begins, begins.replace(hour=23, minute=0, second=0)) + timedelta(minutes=1)
        mark = "?" if self.owner.startswith("sqlite") else "%s"
        rows = [(first + i, tenant, "192.0.2.77", portal.stamp(at)) for i in range(number)]
        with portal.raw(self.owner) as connection:
            for statement in self.session:
                connection.execute(statement)
            columns, marks = "id, portal_id, ip, at", ", ".join([mark] * 4)
            connection.cursor().executemany(f"INSERT INTO {TABLE} ({columns}) VALUES ({marks})", rows)
            for statement in self.also:
                connection.execute(statement)
        return time.monotonic()

    def left(self) -> int:
        """Count the rows that were inserted and are still there."""
        with portal.raw(self.owner) as connection:
            found = connection.execute(f"SELECT count(*) FROM {TABLE} WHERE id >= {FIRST_KEY}").fetchone()
        return int(found[0])

    # ---- the daemon ----

    def turns(self) -> list[dict[str, Any]]:
        """Return the log's lines of the rule's turns."""
        ended = self.daemon.events("run.finished") + self.daemon.events("run.failed")
        return [line for line in ended if line.get("rule") == RULE]

    def start(self) -> None:
        """Start the daemon."""
        command = self.scenario.command(self)
        self._daemon = self.processes.enter_context(running(self.folder, environment=self.environment, command=command))

    def start_again(self) -> None:
        """Kill the daemon and start another one where Prometheus looks for it."""
        port = self.daemon.port
        self.daemon.signal(signal.SIGKILL)
        self.daemon.ended()
        text = self.settings.read_text()
        self.settings.write_text(text.replace('bind: "127.0.0.1:0"', f'bind: "127.0.0.1:{port}"'))
        self.start()
        assert self.daemon.port == port

    def after_turn(self) -> None:
        """Return when a turn of the rule has just ended: the next one is an interval away."""
        before = len(self.daemon.events("run.finished"))

        def ended() -> bool:
            return any(line.get("rule") == RULE for line in self.daemon.events("run.finished")[before:])

        until(ended, "a turn ends")

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a sample of the daemon's own page."""
        return self.daemon.metric(name, **labels)

    def firing(self, alarm: str) -> bool:
        """Tell whether the alert fires; one that is about a rule, for this rule."""
        found = self.watch.query(f'ALERTS{{alertstate="firing", alertname="{alarm}"}}')
        return any(one["metric"].get("rule", RULE) == RULE for one in found)

    # ---- what an operator does ----

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Open the deployment beside the daemon, as the command line does."""
        with self.world.open(register=False) as deployment:
            yield deployment


@contextmanager
def built(scenario: Scenario, folder: Path, server: OwnPostgres | None) -> Iterator[Site]:
    """Make the application and its deployment; the mandate is granted and its first plan carried out."""
    with ExitStack() as stack:
        if scenario.own_server:
            server = stack.enter_context(own_postgres_server())
        owner = _owner(scenario, folder, server, stack)
        now = SystemClock().now().replace(microsecond=0)
        portal.create_application(owner, now)
        with _MIGRATING:
            world = portal.create_deployment(folder / "deployment", owner, now - BEFORE)
        site = Site(scenario, world, owner, server)
        url = owner
        if scenario.role:
            url = _role(site, stack)
        if scenario.proxied:
            url = _behind(site, url, stack)
        portal.point_to(world.folder, url)
        site.world = portal.World(world.folder, url, world.now)
        with site.settings.open("a") as file:
            file.write(SETTINGS.format(every=scenario.every) + scenario.settings)
        scenario.prepare(site)
        if not scenario.grants:
            grant(site)
        yield site


def _owner(scenario: Scenario, folder: Path, server: OwnPostgres | None, stack: ExitStack) -> str:
    if scenario.store == "sqlite":
        return f"sqlite:///{folder}/app.db"
    assert server is not None
    return stack.enter_context(fresh_database(server.url))


def _role(site: Site, stack: ExitStack) -> str:
    """Make a login role that owns nothing and may do what a batch does, and return the address with it."""
    name, word = f"starving_{secrets.token_hex(6)}", secrets.token_hex(8)
    role = sql.Identifier(name)
    site.role = name
    rights = (
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(word)),
        sql.SQL("GRANT USAGE ON SCHEMA lifecycle, public TO {}").format(role),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lifecycle, public TO {}").format(role),
    )
    with psycopg.connect(libpq_url(site.owner), autocommit=True) as connection:
        for right in rights:
            connection.execute(right)

    def drop() -> None:
        with psycopg.connect(libpq_url(site.owner), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))

    stack.callback(drop)
    return re.sub(r"//[^@]*@", f"//{name}:{word}@", site.owner)


def _behind(site: Site, url: str, stack: ExitStack) -> str:
    parts = urlsplit(libpq_url(url))
    site.network = stack.enter_context(network(str(parts.hostname), int(parts.port or 5432)))
    return url.replace(f"@{parts.hostname}:{parts.port}/", f"@127.0.0.1:{site.network.port}/")


def grant(site: Site, clock: SimulatedClock | None = None) -> None:
    """Plan, sign with a mandate, carry out: as one does on a rule's first day, a day ago."""
    before = clock or SimulatedClock(SystemClock().now() - BEFORE)
    with site.world.open(clock=before) as deployment:
        planned = planning.plan_rule(deployment, AGREEMENT, RULE, author="lifecycle")
        assert planned is not None
        key = site.world.key("op-one")
        most = site.scenario.most_items
        approve.approve(deployment, planned.hash, "op-one", key, grant_mandate=True, most_items=most)
        assert execute.apply(deployment, planned.hash).clean


@contextmanager
def alive(site: Site) -> Iterator[Site]:
    """Start the daemon and the Prometheus that scrapes it."""
    if site.scenario.known:
        site.ceiling = SystemClock().now().replace(microsecond=0) + timedelta(seconds=4 * site.scenario.every)
        site.environment["PYTHONTZPATH"] = f"{_zones(site.folder.parent, site.ceiling)}:/usr/share/zoneinfo"
    with site.processes:
        site.start()
        with prometheus({"lifecycle": [f"127.0.0.1:{site.daemon.port}"]}) as watch:
            site._watch = watch
            yield site


def healthy(site: Site) -> None:
    """Return once a turn ended well, nothing is overdue, Prometheus has seen it, and the alarm is silent."""

    def ended_well() -> bool:
        return any(line.get("result") in {"applied", "idle"} for line in site.turns())

    until(ended_well, "a first good turn")
    turned = SystemClock().now().timestamp()
    until(lambda: (site.metric("lifecycle_last_look_timestamp_seconds") or 0) >= int(turned), "a look after it")
    assert site.metric("lifecycle_overdue_records", rule=RULE, store=STORE) == 0, "overdue before the fault"
    until(lambda: site.watch.value("lifecycle_leader") == 1, "Prometheus has scraped the leader")
    # Down fires for a moment in a Prometheus that has never scraped anybody.
    until(
        lambda: not site.firing(site.scenario.alarm), f"{site.scenario.alarm} is silent before the fault", patience=10
    )


def _zones(folder: Path, midnight: datetime) -> Path:
    """Write the agreement's zone so that its next local day begins at that moment, and return the folder (RFC 8536).

    A ceiling passes at a local midnight; nobody waits for one.
    """
    seconds = 86_400 - (midnight.hour * 3600 + midnight.minute * 60 + midnight.second)
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    block = struct.pack(">lBB", seconds, 0, 0) + b"LCL\0"
    head = b"TZif2" + bytes(15) + counts
    path = folder / "zones" / ZONE
    path.parent.mkdir(parents=True)
    path.write_bytes(head + block + head + block + b"\n\n")
    # What every process of ours needs beside it comes from the system's own database.
    assert midnight.tzinfo is UTC
    assert os.path.isdir("/usr/share/zoneinfo")  # noqa: PTH112 - a precondition of the machine
    return folder / "zones"

"""A small deployment made by the command line itself: three tables in SQLite, two tenants, three operators."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lifecycle.cli.app import root
from lifecycle.cli.session import Session
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring.deployment import Options

NOW = datetime(2026, 6, 15, 10, tzinfo=UTC)
STAYS, LEAVES = "tenant-stays-4711", "tenant-leaves-0815"
CANARIES = ("wanda.canary@example.com", "Wanda Canary", "203.0.113.77", "Canary Portal Ltd")
OPERATORS = ("op-one", "op-two", "op-three")

DDL = """
CREATE TABLE ticket (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, author TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE access_log (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, ip TEXT NOT NULL, at TEXT);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, email TEXT NOT NULL, issued_on TEXT NOT NULL);
"""

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - {id: main, kind: sql, address: {file: main.url}, place: {country: DE, region: Frankfurt}}
datasets:
  - id: tickets
    store: main
    table: ticket
    category: communication-data
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {collection: {column: created_at, encoding: iso-text}}
    columns: [id, portal_id, author, created_at]
  - id: access-log
    store: main
    table: access_log
    category: technical-data
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {collection: {column: at, encoding: iso-text}}
    columns: [id, portal_id, ip, at]
  - id: invoices
    store: main
    table: invoice
    category: documents
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {issue: {column: issued_on, encoding: iso-text}}
    statutory: [{kind: invoice, holder: processor, start: issue}]
    columns: [id, portal_id, email, issued_on]
"""


@dataclass(frozen=True)
class Ended:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the document on standard output."""
        return json.loads(self.out)

    @property
    def all(self) -> str:
        """Return everything that was shown."""
        return self.out + self.err


@dataclass
class Cli:
    """The command line over one folder, in this process, under a clock that stands until it is moved."""

    folder: Path
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(NOW))

    def __call__(self, *args: str, code: int = 0, typed: str | None = None) -> Ended:
        """Run one command line and expect its exit code."""
        session = Session(folder=str(self.folder), options=Options(clock=self.clock))
        result = CliRunner().invoke(root, list(args), obj=session, input=typed)
        ended = Ended(result.exit_code, result.stdout, result.stderr)
        assert ended.code == code, f"{args} ended with {ended.code}, not {code}:\n{ended.all}"
        return ended

    def json(self, *args: str, code: int = 0) -> Any:
        """Run one command line with `--json` and return its document."""
        return self(*args, "--json", code=code).json

    def process(self, *args: str, **options: Any) -> Ended:
        """Run one command line in a process of its own, under the machine's clock."""
        call = [sys.executable, "-m", "lifecycle", "--dir", str(self.folder), *args]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False, **options)
        return Ended(done.returncode, done.stdout, done.stderr)

    def key(self, operator: str) -> str:
        """Return the path of an operator's private key."""
        return str(self.folder / f"{operator}.pem")

    def signed(self, plan: str, *operators: str, mandate: bool = False) -> Any:
        """Let operators sign a plan and return the last answer."""
        answer = None
        for operator in operators:
            grant = ["--mandate"] if mandate else []
            answer = self.json("approve", plan, "--by", operator, "--key", self.key(operator), *grant)
        return answer

    def rows(self, table: str, tenant: str) -> int:
        """Count a tenant's rows with the database's own driver."""
        with sqlite3.connect(self.folder / "portal.sqlite") as connection:
            sql = f"SELECT count(*) FROM {table} WHERE portal_id = ?"
            return int(connection.execute(sql, (tenant,)).fetchone()[0])


def stamp(moment: datetime) -> str:
    """Return a moment as the application writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create_application(path: Path, now: datetime) -> None:
    """Make the portal's database: per tenant 5 tickets, 20 log rows of 0 to 190 days, 10 invoices of ten years."""
    with sqlite3.connect(path) as connection:
        connection.executescript(DDL)
        for base, tenant in ((0, STAYS), (1000, LEAVES)):
            tickets = [(base + i, tenant, CANARIES[1], stamp(now - timedelta(days=30 * i + 1))) for i in range(5)]
            logs = [(base + i, tenant, CANARIES[2], stamp(now - timedelta(days=10 * i, hours=1))) for i in range(20)]
            invoices = [(base + i, tenant, CANARIES[0], date(now.year - i, 3, 4).isoformat()) for i in range(10)]
            connection.executemany("INSERT INTO ticket VALUES (?, ?, ?, ?)", tickets)
            connection.executemany("INSERT INTO access_log VALUES (?, ?, ?, ?)", logs)
            connection.executemany("INSERT INTO invoice VALUES (?, ?, ?, ?)", invoices)
    connection.close()


def begun(folder: Path, now: datetime = NOW) -> Cli:
    """Make a folder, settings, keys, inventory and operators by command line; no store is prepared yet."""
    cli = Cli(folder, SimulatedClock(now - timedelta(days=1)))
    origin = "lifecycle.example.com/portal"
    cli("init", str(folder), "--deployment", "portal", "--origin", origin, "--agreement", "clientport")
    (folder / "inventory.yaml").write_text(INVENTORY)
    url = folder / "main.url"
    url.write_text(f"sqlite:///{folder / 'portal.sqlite'}\n")
    url.chmod(0o600)
    create_application(folder / "portal.sqlite", now)
    for operator in OPERATORS:
        cli("operator", "new", operator, "--key", cli.key(operator))
    cli.clock.set(now)
    return cli


def deployed(folder: Path, now: datetime = NOW) -> Cli:
    """Make a deployment with its store prepared and both tenants registered."""
    cli = begun(folder, now)
    cli("store", "prepare", "--run")
    for tenant in (STAYS, LEAVES):
        cli("tenant", "add", tenant, "--agreement", "clientport", "--start", "2020-01-01", "--firm", CANARIES[3])
    return cli

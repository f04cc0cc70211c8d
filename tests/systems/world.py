"""A company's deployment over an application of its own in SQLite, under a clock that the story moves.

The machinery only; the stories state the facts. What is left in the application is read by sqlite3, not by the product.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from lifecycle.cli.app import root
from lifecycle.cli.session import Session
from lifecycle.core.calendar import start_of_day
from lifecycle.core.errors import Refused
from lifecycle.core.tenant import Tenant
from lifecycle.evidence import verify as offline
from lifecycle.evidence.keys import SigningKey
from lifecycle.evidence.trust import Trust
from lifecycle.flow import certify, controls, cycle, exporting, offboard
from lifecycle.flow.approve import approve
from lifecycle.flow.execute import apply
from lifecycle.flow.planning import plan_offboarding, plan_rule
from lifecycle.flow.trust import trust_document
from lifecycle.ports.clock import SimulatedClock
from lifecycle.wiring import creation
from lifecycle.wiring.deployment import Options, open_deployment
from lifecycle.wiring.exports import package_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.flow.cycle import Turn
    from lifecycle.flow.deployment import Deployment
    from lifecycle.flow.execute import Ran
    from lifecycle.flow.planning import Planned

BERLIN = ZoneInfo("Europe/Berlin")
AUTHOR, FIRST, SECOND = OPERATORS = ("planner", "op-one", "op-two")
OFFICE_HOURS = time(9)


def at(day: date, hour: time = OFFICE_HOURS) -> datetime:
    """Return a wall-clock time in Berlin."""
    return datetime.combine(day, hour, tzinfo=BERLIN)


def utc(moment: datetime) -> str:
    """Return a moment as the applications write it."""
    return moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Application:
    """What a company runs: its agreement, its tables, and the data map over them."""

    agreement: str
    ddl: str
    inventory: str


@dataclass
class Company:
    """A deployment whose story is being told. `trust` is the file of its first day."""

    folder: Path
    application: Application
    clock: SimulatedClock
    line: Deployment = field(init=False)
    trust: bytes = field(init=False)

    @property
    def database(self) -> Path:
        """The application's database."""
        return self.folder / "application.sqlite"

    # ---- the application

    def write(self, table: str, *rows: tuple[Any, ...]) -> None:
        """Let the application write rows."""
        marks = ", ".join("?" * len(rows[0]))
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def change(self, sql: str) -> None:
        """Let the application change rows."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(sql)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the application's database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql, values).fetchall()

    def column(self, sql: str, *values: Any) -> list[Any]:
        """Return the first column of an answer."""
        return [row[0] for row in self.rows(sql, *values)]

    def everything(self, column: str, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return a tenant's rows of every table that has the column, for a comparison before and after."""
        tables = self.column("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'lifecycle%'")
        owned = [name for name in tables if column in {row[1] for row in self.rows(f"PRAGMA table_info({name})")}]
        return {name: self.rows(f"SELECT * FROM {name} WHERE {column} = ? ORDER BY 1", tenant) for name in owned}

    # ---- time

    def go(self, day: date, hour: time = OFFICE_HOURS) -> None:
        """Let time pass; after more than two days an operator says that the clock is right (I13)."""
        before = self.clock.now()
        self.clock.set(at(day, hour))
        if self.clock.now() - before > timedelta(days=1):
            controls.accept_clock(self.line, FIRST, self.key(FIRST))

    def tick(self) -> list[tuple[str, str]]:
        """Let the nightly run take its turn; return each rule and what came of it."""
        return [(turn.rule, turn.result) for turn in self.turns()]

    def turns(self) -> list[Turn]:
        """Let the nightly run take its turn."""
        return cycle.tick(self.line)

    def nights(self, after: date, until: date) -> None:
        """Let each night after that day run, through the night of `until`; nothing may be refused or fail."""
        day = after
        while day < until:
            day += timedelta(days=1)
            self.go(day)
            assert {result for _, result in self.tick()} <= {"applied", "partial", "observing", "idle"}

    # ---- people

    def tenant(self, name: str) -> Tenant:
        """Look a tenant up in the register."""
        return offboard.find(self.line, name)

    def state(self, name: str) -> str:
        """Return where a tenant's contract stands, after today's dates and receipts were looked at."""
        cycle.settle(self.line)
        return self.tenant(name).state

    def key(self, operator: str) -> SigningKey:
        """Return an operator's private key."""
        return SigningKey.load(self.folder / f"{operator}.pem")

    def sign(self, plan: Planned, operator: str, *, mandate: bool = False) -> bool:
        """Let an operator sign a plan; return whether that is enough."""
        return approve(self.line, plan.hash, operator, self.key(operator), grant_mandate=mandate).enough

    # ---- the line

    def authorise(self, rule: str) -> Ran:
        """Plan a rule, let an operator sign it with a mandate, and carry it out."""
        planned = plan_rule(self.line, self.application.agreement, rule, author=AUTHOR)
        assert planned is not None
        assert self.sign(planned, FIRST, mandate=True)
        return apply(self.line, planned.hash)

    def plan_leaving(self, name: str) -> Planned:
        """Plan a tenant's offboarding."""
        return plan_offboarding(self.line, self.tenant(name), author=AUTHOR)

    def not_yet(self, name: str, words: str) -> None:
        """Expect that the tenant's data cannot be planned for deletion, for the reason in words."""
        with pytest.raises(Refused, match=words) as refusal:
            self.plan_leaving(name)
        assert refusal.value.guard == "window-open"

    def let_go(self, name: str) -> Planned:
        """Plan the tenant's offboarding, sign with two keys, and carry it out; one signature is not enough."""
        planned = self.plan_leaving(name)
        with pytest.raises(Refused) as refusal:
            self.sign(planned, AUTHOR)
        assert refusal.value.guard == "author-approves"
        assert not self.sign(planned, FIRST)
        with pytest.raises(Refused) as refusal:
            apply(self.line, planned.hash)
        assert refusal.value.guard == "not-approved"
        assert self.sign(planned, SECOND)
        ran = apply(self.line, planned.hash)
        assert (ran.outcome, ran.clean, ran.deleted) == ("done", True, planned.plan.expected())
        return planned

    def export(self, name: str) -> dict[str, list[dict[str, Any]]]:
        """Deliver the tenant's export; return the rows of its JSONL files by dataset."""
        tenant = self.tenant(name)
        folder = self.folder / "outbox"
        folder.mkdir(exist_ok=True)
        writer = package_writer(self.line, self.line.zone_of(tenant))
        exported, _ = exporting.export(self.line, tenant, writer, folder)
        with zipfile.ZipFile(folder / exported.file) as archive:
            names = [one for one in archive.namelist() if one.endswith(".jsonl")]
            found = {Path(one).stem: [json.loads(row) for row in archive.read(one).splitlines()] for one in names}
        return {stem.partition("-")[2]: rows for stem, rows in found.items()}  # 001-tickets

    def certify(self, planned: Planned) -> dict[str, Any]:
        """Issue a certificate and let the offline verifier judge its bundle; return what a reader learns from it."""
        return self.certify_hash(planned.hash)

    def certify_hash(self, plan_hash: str) -> dict[str, Any]:
        """Do the same for the plan of that hash."""
        certificate = certify.issue(self.line, plan_hash)
        data = certify.bundle(self.line, certificate)
        report = offline.verify(data, Trust.parse(self.trust), now=self.clock.now())
        assert (report.verdict, report.findings) == ("valid", ())
        middle = len(data) // 2
        forged = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        assert offline.verify(forged, Trust.parse(self.trust), now=self.clock.now()).verdict == "invalid"
        return dict(report.facts)

    # ---- the command line

    def cli(self, *arguments: str, code: int = 0) -> str:
        """Run a command line over the folder and return what it shows."""
        session = Session(folder=str(self.folder), options=Options(clock=self.clock))
        result = CliRunner().invoke(root, list(arguments), obj=session)
        assert result.exit_code == code, f"{arguments} ended with {result.exit_code}:\n{result.stdout}{result.stderr}"
        return result.stdout

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command line with --json and return its document."""
        return json.loads(self.cli(*arguments, "--json", code=code))


@contextmanager
def company(
    folder: Path,
    application: Application,
    start: date,
    *tenants: Tenant,
    policies: Callable[[Path], None] | None = None,
) -> Iterator[Company]:
    """Found a company: its application's empty tables, its deployment, its tenants; open on the first day.

    `policies` may change the deployment's copy of the policies before it is opened.
    """
    found = Company(folder, application, SimulatedClock(at(start)))
    origin = f"lifecycle.example.com/{application.agreement}"
    creation.create(folder, deployment=application.agreement, origin=origin, agreements=(application.agreement,))
    if policies is not None:
        policies(folder / "policies")
    (folder / "inventory.yaml").write_text(application.inventory)
    address = folder / "application.url"
    address.write_text(f"sqlite:///{found.database}\n")
    address.chmod(0o600)
    with closing(sqlite3.connect(found.database)) as connection:
        connection.executescript(application.ddl)
    for operator in OPERATORS:
        key = SigningKey.generate()
        key.save(folder / f"{operator}.pem")
        creation.add_operator(folder, operator, key.public, start)
    with open_deployment(folder, Options(clock=found.clock)) as line:
        found.line = line
        for store in line.stores.values():
            store.prepare(line.id)
        for tenant in tenants:
            offboard.register(line, tenant)
        found.trust = trust_document(line)
        yield found


def customer(application: Application, name: str, **fields: Any) -> Tenant:
    """Return a tenant under the application's agreement."""
    return Tenant.model_validate(
        {"id": name, "agreement": application.agreement, "firm": f"Firm {name.title()}", **fields}
    )


def withheld(facts: dict[str, Any]) -> dict[str, list[tuple[int, str]]]:
    """Return what a certificate says is kept: per dataset the counts and the day each ends."""
    kept: dict[str, list[tuple[int, str]]] = {}
    for group in facts["withheld"]:
        kept.setdefault(group["dataset"], []).append((group["count"], group["ends_on"]))
    return kept


def local_days(moments: list[str]) -> list[date]:
    """Return the dates in Berlin of the applications' time stamps."""
    return [datetime.fromisoformat(moment).astimezone(BERLIN).date() for moment in moments]


def midnight(day: date) -> datetime:
    """Return the instant at which a day begins in Berlin."""
    return start_of_day(day, "Europe/Berlin")

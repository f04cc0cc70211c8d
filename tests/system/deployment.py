"""What an operator does on a machine until the unit can be started: the commands of docs/operations/systemd.md."""

from __future__ import annotations

import os
import shutil
import sqlite3
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

from lifecycle.ports.clock import SystemClock
from tests.system.base import ROOT
from tests.system.machine import Done, Machine

UNITS = ROOT / "deploy" / "systemd"
LIFECYCLE = "/opt/lifecycle/bin/lifecycle"
TENANTS = ("tenant-stays-4711", "tenant-leaves-0815")
APPLICATION = "srv/portal/portal.sqlite"
KEY = "/media/op-one.pem"

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - {id: main, kind: sql, address: {credential: address_main}, place: {country: DE, region: Frankfurt}}
datasets:
  - id: access-log
    store: main
    table: access_log
    category: technical-data
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {collection: {column: at, encoding: iso-text}}
    columns: [id, portal_id, ip, at]
"""

# A slot every few seconds, and batches so small that a job lasts long enough to be hit.
HASTE = """\
limits: {first_batch: 200, least_batch: 200, most_batch: 200}
guards: {history_floor: 1000000, shadow: false}
schedule:
  tick: PT1S
  look: PT30S
  longest_run: PT1H
  default: often
  classes: {often: {every: PT5S}}
"""

# What the site adds: the database is a file of an application, and waiting is shorter than in earnest.
SITE = """\
[Service]
ReadWritePaths=/srv/portal
SupplementaryGroups=portal
UMask=0007
"""
SHORT = """\
[Service]
WatchdogSec=5
RestartSec=1
"""


class Application:
    """The portal: connected to its database all the time, as this host sees the file."""

    def __init__(self, path: Path) -> None:
        """Connect; the files beside the database are its group's from the first moment."""
        before = os.umask(0o007)
        try:
            path.touch(mode=0o660)
            self._connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(
                "CREATE TABLE access_log (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, ip TEXT NOT NULL, at TEXT)"
            )
            self._connection.execute("CREATE INDEX access_log_at ON access_log (at)")
        finally:
            os.umask(before)

    def log(self, count: int, age_days: int) -> None:
        """Write rows of an age, for both tenants in turn."""
        at = _stamp(age_days)
        rows = ((TENANTS[number % 2], "203.0.113.77", at) for number in range(count))
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO access_log (portal_id, ip, at) VALUES (?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def left(self) -> dict[str, int]:
        """How many rows are older than ninety days, and how many are not."""
        limit = _stamp(90)
        sql = "SELECT coalesce(sum(at < ?), 0), coalesce(sum(at >= ?), 0) FROM access_log"
        due, young = self._connection.execute(sql, (limit, limit)).fetchone()
        return {"due": due, "young": young}

    def leave(self) -> None:
        """Disconnect."""
        self._connection.close()


class Operator:
    """Root at the machine's terminal."""

    def __init__(self, machine: Machine) -> None:
        """Nothing is done yet."""
        self.machine = machine
        self.application: Application

    def plain(self, *call: str) -> Done:
        """The command line as root: for documents and keys, which are root's."""
        return self.machine.run(LIFECYCLE, "--dir", "/etc/lifecycle", *call)

    def ctl(self, *call: str, code: int | None = 0) -> Done:
        """The command line as the service runs it: for everything that touches the state or a store."""
        return self.machine.run("lifecycle-ctl", *call, code=code)

    def json(self, *call: str) -> Any:
        """The document that such a command prints."""
        return self.ctl(*call, "--json").json

    def install(self) -> None:
        """Put units and wrapper where they belong."""
        root = self.machine.root
        units = root / "etc/systemd/system"
        for name in ("lifecycle.service", "lifecycle-run.service", "lifecycle-run.timer"):
            shutil.copy(UNITS / name, units)
        shutil.copytree(UNITS / "lifecycle-ctl-.service.d", units / "lifecycle-ctl-.service.d")
        shutil.copy(UNITS / "lifecycle-ctl", root / "usr/local/sbin")
        self.drop_in("lifecycle.service", "site.conf", SITE)
        self.drop_in("lifecycle-.service", "site.conf", SITE)
        self.drop_in("lifecycle.service", "short.conf", SHORT)
        self.machine.run("systemctl", "daemon-reload")

    def drop_in(self, unit: str, name: str, text: str) -> None:
        """Add to a unit, as an administrator does."""
        folder = self.machine.root / "etc/systemd/system" / f"{unit}.d"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def start_application(self) -> None:
        """Start the portal: its database belongs to its group."""
        run = self.machine.run
        run("groupadd", "--system", "portal")
        run("install", "--directory", "--mode=2770", "--group=portal", "/srv/portal")
        self.application = Application(self.machine.root / APPLICATION)

    def deploy(self) -> None:
        """Make the deployment: documents and secrets of root's, the state of the service's."""
        call = ("--deployment", "portal", "--origin", "lifecycle.example.com/portal", "--agreement", "clientport")
        self.plain("init", "/etc/lifecycle", *call)
        folder = self.machine.root / "etc/lifecycle"
        (folder / "inventory.yaml").write_text(INVENTORY)
        (folder / "lifecycle.yaml").write_text((UNITS / "lifecycle.yaml").read_text() + HASTE)
        (folder / "state.db").unlink()
        (folder / "credentials").mkdir(mode=0o700)
        address = folder / "credentials" / "main"
        address.write_text(f"sqlite:////{APPLICATION}\n")
        address.chmod(0o600)
        self.plain("operator", "new", "op-one", "--key", KEY)
        # The documents hold no secrets, and the service's user is nobody that root could name beforehand.
        self.machine.run("chmod", "-R", "a+rX", "/etc/lifecycle/policies")
        self.machine.run("sh", "-c", "chmod 755 /etc/lifecycle; chmod 644 /etc/lifecycle/*.yaml")
        self.ctl("db", "upgrade")
        self.ctl("store", "prepare", "--run")
        for tenant in TENANTS:
            self.ctl("tenant", "add", tenant, "--agreement", "clientport", "--start", "2020-01-01")

    def sign(self, rule: str) -> str:
        """Plan a rule, sign the plan and grant its mandate; return the plan's hash."""
        plan = str(self.json("plan", rule)["plans"][0]["hash"])
        call = ("--by", "op-one", "--key", KEY, "--mandate", "--most", "1000000")
        self.ctl("approve", plan, *call)
        return plan


def _stamp(age_days: int) -> str:
    """A moment of the past as the application writes it."""
    return (SystemClock().now() - timedelta(days=age_days)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

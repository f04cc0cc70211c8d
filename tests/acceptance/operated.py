"""A deployment of the product beside a foreign application, operated as a person would: by its command line alone."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(sys.executable).with_name("lifecycle")
ADDRESS = "APPLICATION_DATABASE"
# The Data Act's thirty days have passed, and a few more.
ENDED_AGO = dt.timedelta(days=40)
OPERATORS = ("op-one", "op-two", "op-three")


@dataclass(frozen=True, slots=True)
class Operated:
    """One deployment in `folder`, whose store is the database at `url`; `name` is the application's."""

    folder: Path
    url: str
    name: str

    def init(self, *more: str) -> dict[str, Any]:
        """Start the deployment; with a tenant's column its inventory is drafted."""
        named = ["--deployment", self.name, "--origin", f"lifecycle.example.com/{self.name}"]
        return self.run("init", str(self.folder), *named, "--agreement", "clientport", *more)

    def draft(self, tenant: str) -> tuple[dict[str, Any], str]:
        """Start the deployment with a drafted inventory: what the command said, and the draft."""
        said = self.init("--from", f"env:{ADDRESS}", "--tenant-table", tenant)["draft"]
        return said, Path(said["inventory"]).read_text()

    def review(self, inventory: str, *supplements: Path) -> None:
        """Put the reviewed inventory and the operator's own supplements in place, and enrol three operators."""
        (self.folder / "inventory.yaml").write_text(inventory)
        for supplement in supplements:
            target = self.folder / "policies" / "agreements" / f"{self.name}-{supplement.name}"
            target.write_bytes(supplement.read_bytes())
        for name in OPERATORS:
            self.run("operator", "new", name, "--key", str(self._key(name)))

    def enrol(self, firms: Mapping[object, str], *, individual: str | None = None) -> None:
        """Register a tenant for each of the application's customers, by its id."""
        lines = ["lifecycle: tenants/v1", "tenants:"]
        more = f", individual: {individual}" if individual else ""
        for number, firm in firms.items():
            bound = f"agreement: clientport{more}, contract_start: 2020-01-01"
            lines.append(f'  - {{id: "{number}", {bound}, firm: {json.dumps(firm)}}}')
        register = self.folder / "register.yaml"
        register.write_text("\n".join(lines) + "\n")
        self.run("tenant", "import", str(register))

    def sign(self, plan: str, *operators: str, mandate: bool = False) -> None:
        """Approve a plan with each operator's key."""
        for name in operators:
            more = ["--mandate"] if mandate else []
            self.run("approve", plan, "--by", name, "--key", str(self._key(name)), *more)

    def carry_out(self, plan: str) -> dict[str, Any]:
        """Apply an approved plan, confirmed by its hash."""
        return self.run("apply", plan, "--yes", plan)

    def keep(self, rule: str) -> dict[str, Any]:
        """Plan one rule, approve it and carry it out."""
        plan = self.run("plan", rule)["plans"][0]["hash"]
        self.sign(plan, "op-one")
        return self.carry_out(plan)

    def end(self, tenant: str, now: dt.datetime) -> None:
        """Enter a contract's end so far back that every window of its offboarding has passed."""
        ended = (now - ENDED_AGO).date().isoformat()
        self.run("tenant", "end", tenant, "--on", ended, "--choice", "delete")

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run one command in a process of its own and return its JSON; its exit code must be `code`."""
        done = self.process(*words)
        assert done.returncode == code, f"{' '.join(words[:2])}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout else {}

    def process(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command in a process of its own; the address reaches it by its environment only."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("LIFECYCLE", "PYTHON"))}
        environment = ours | {ADDRESS: self.url, "LIFECYCLE_DIR": str(self.folder), "LIFECYCLE_DEBUG": "1"}
        command: list[str | Path] = [PROGRAM, "--json", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")

    def _key(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

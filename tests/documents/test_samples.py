"""The samples of deploy/samples: their steps work as written, and they say what this version refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.core.errors import Refused
from lifecycle.core.schedule import Schedule
from lifecycle.documents import load_operators, read_policy
from lifecycle.ports.failpoint import no_failpoint
from lifecycle.wiring.deployment import read_settings
from lifecycle.wiring.kinds import open_store
from lifecycle.wiring.links import refuse_unbuilt

SOURCE = Path(__file__).parents[2]
SAMPLES = SOURCE / "deploy" / "samples"
ADDRESSES = {"files": "file:///nowhere", "s3": "s3+http://KEY:SECRET@127.0.0.1:1/?own=lifecycle-own"}
SYSTEMS = ("clientport", "nexcore", "parking-reminder", "planuro", "vertriebskraftwerk")


def steps(readme: str) -> str:
    """Return the commands of the first step."""
    return re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[0]


def told(readme: str) -> dict[str, str]:
    """Return what the sample says of each store: served or refused."""
    return dict(re.findall(r"^- `([a-z-]+)`: (served|refused)", readme, re.MULTILINE))


def test_there_is_a_sample_for_each_system() -> None:
    """Five systems, each with settings, operators and the steps."""
    assert {path.name for path in SAMPLES.iterdir()} == set(SYSTEMS)
    wanted = {"README.md", "lifecycle.yaml", "operators.yaml"}
    assert all({path.name for path in (SAMPLES / name).iterdir()} == wanted for name in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_first_step_makes_a_valid_deployment(system: str, tmp_path: Path) -> None:
    """The commands run as they stand in the sample, `lifecycle validate` included; settings and documents agree."""
    readme, target = (SAMPLES / system / "README.md").read_text(), tmp_path / "deployment"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"SOURCE": str(SOURCE), "TARGET": str(target), "PATH": path}
    done = subprocess.run(["bash", "-euc", steps(readme)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "documents valid" in done.stdout
    settings = read_settings(target)
    policy = read_policy(target / settings.policies, inventory=target / settings.inventory).policy
    assert policy.inventory.agreements == (system,)
    assert len(load_operators(target / settings.operators).operators) == 2
    rules = {rule.id for agreement in policy.agreements for rule in agreement.rules}
    assert set(settings.schedule.rules) <= rules
    assert all(Schedule.of(settings.schedule).class_of(rule) for rule in rules)
    # Every figure's clause in the table is one that the agreement's document names.
    document = (target / "policies" / "agreements" / f"{system}.yaml").read_text()
    table = re.findall(r"^\| (?!figure|-).* \| (.*) \|$", readme, re.MULTILINE)
    clauses = [clause for clause in table if not clause.startswith("none")]
    assert clauses
    assert all(part in document for clause in clauses for part in clause.split(", "))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_sample_says_which_stores_are_refused(system: str) -> None:
    """What the sample calls served opens, what it calls refused is refused as not built; no store is left out."""
    inventory = read_policy(
        SOURCE / "policies", inventory=SOURCE / "policies" / "inventories" / f"{system}.yaml"
    ).policy
    found = {}
    for entry in inventory.inventory.stores:
        datasets = inventory.inventory.in_store(entry.id)
        address = ADDRESSES.get(entry.kind, "sqlite:///nowhere.sqlite")
        try:
            refuse_unbuilt(inventory.inventory, (entry.id,))
            open_store(entry, datasets, address, system, failpoint=no_failpoint, clock=None).close()
            found[entry.id] = "served"
        except Refused as refusal:
            found[entry.id] = {"not-built": "refused"}.get(refusal.guard, refusal.guard)
    assert told((SAMPLES / system / "README.md").read_text()) == found

"""`lifecycle policy diff`: what a pull request over the documents does to rows, and how many move today."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.world import CANARIES, Cli, deployed

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A deployment with its store prepared; the branch's documents lie beside it."""
    made = deployed(tmp_path / "d")
    made.json("scan", code=5)
    return made


def branch(cli: Cli, old: str, new: str, file: str = "agreements/clientport.yaml") -> str:
    """Copy the deployment's policies and change one text in one of them; return the copy's path."""
    folder = cli.folder.parent / "branch"
    shutil.copytree(cli.folder / "policies", folder)
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return str(folder)


def test_a_shorter_period_is_marked_and_counted(cli: Cli) -> None:
    """Ninety days become sixty: three more of each tenant's rows, one every ten days, would go today."""
    ours = str(cli.folder / "policies")
    other = branch(cli, "gone_by: P90D", "gone_by: P60D")
    found = cli.json("policy", "diff", ours, other, "--count", "--detailed-exitcode", code=10)
    change = next(c for c in found["changes"] if c["field"] == "gone_by")
    assert (change["subject"].split(" ", 1)[1], change["old"], change["new"]) == ("rule server-logs", "P90D", "P60D")
    assert (found["widens"], change["effect"], change["widens"]) == (True, "earlier", True)
    logs = next(s for s in found["due_today"] if s["dataset"] == "access-log")
    assert logs["more"] == logs["after"] - logs["before"] == 2 * 3
    shown = cli("policy", "diff", ours, other, "--count").out
    assert "WIDENS  rows go earlier" in shown
    assert "gone_by P90D → P60D" in shown
    assert not any(canary in shown for canary in CANARIES)
    back = cli.json("policy", "diff", other, ours, "--count", "--detailed-exitcode")
    assert (back["widens"], next(s["more"] for s in back["due_today"] if s["dataset"] == "access-log")) == (False, -6)


def test_removing_a_rule_deletes_nothing_and_is_said_so(cli: Cli) -> None:
    """The rows stay: nothing widens, and the reader is told what removal means."""
    agreement = cli.folder / "policies" / "agreements" / "clientport.yaml"
    text = agreement.read_text()
    begin = text.index("- id: server-logs")
    end = text.find("\n  - id:", begin)
    other = branch(cli, text[begin : end + 3 if end > 0 else None], "")
    shown = cli("policy", "diff", str(cli.folder / "policies"), other).out
    assert "removed: clientport@" in shown
    assert "Removing a rule deletes nothing: its rows stay" in shown
    assert not cli.json("policy", "diff", str(cli.folder / "policies"), other)["widens"]


def test_equal_documents_and_single_files(cli: Cli) -> None:
    """The same folder twice says so; two files of one agreement are compared without the others."""
    ours = str(cli.folder / "policies")
    assert "No row moves" in cli("policy", "diff", ours, ours, "--detailed-exitcode").out
    file = cli.folder / "policies" / "agreements" / "clientport.yaml"
    other = cli.folder.parent / "clientport.yaml"
    other.write_text(file.read_text().replace("gone_by: P90D", "gone_by: P100D"))
    changes = cli.json("policy", "diff", str(file), str(other))["changes"]
    assert [(c["field"], c["effect"]) for c in changes] == [("gone_by", "later")]
    assert "two folders" in cli("policy", "diff", str(file), str(other), "--count", code=2).err


def test_faults_are_told_with_their_positions(cli: Cli) -> None:
    """A document that cannot be read is no difference: the command is refused with file and line."""
    other = branch(cli, "gone_by: P90D", "gone_by: 90")
    refused = cli("policy", "diff", str(cli.folder / "policies"), other, code=2)
    assert "clientport.yaml:" in refused.err


def test_every_example_inventory_is_named_by_its_own_id() -> None:
    """Several data maps in one folder: datasets of the same name stay apart."""
    cli = Cli(POLICIES)
    assert cli.json("policy", "diff", str(POLICIES), str(POLICIES))["changes"] == []

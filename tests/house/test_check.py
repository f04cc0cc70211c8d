"""The house check finds what must not be in the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def check(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/check.py", root]
    return subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "Makefile").write_text("demo: venv\n\tlifecycle demo\n")
    (tmp_path / "README.md").write_text("Run `make demo`, and write to dpo@example.com or ops@firm.example.\n")
    return tmp_path


def test_a_clean_tree_passes(tree):
    """Commands that exist and addresses under example domains are no findings."""
    done = check(tree)
    assert (done.returncode, done.stdout) == (0, "")


def test_no_tracked_file_names_a_registry_or_a_machine():
    """This repository: no registry host, no path of a machine, no address of a person."""
    done = check(ROOT)
    assert [line for line in done.stdout.splitlines() if not line.startswith("README.md:")] == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://pypi" + ".org/simple",
        "FROM docker" + ".io/library/python",
        "deb http://deb.debian" + ".org/debian stable main",
        "cd /home" + "/somebody/project",
        "see /work" + "/main/README.md",
        "ask somebody" + "@firm.de",
        "mirror.inside-4711.lan",
    ],
)
def test_a_planted_line_is_found(tree, line):
    """Each kind of leak is reported with its file and line."""
    (tree / "notes.txt").write_text(f"fine\n{line}\n")
    done = check(tree, PIP_INDEX_URL="https://mirror.inside-4711.lan/simple")
    assert done.returncode == 1
    assert done.stdout.startswith("notes.txt:2: ")
    assert len(done.stdout.splitlines()) == 1


def test_a_promised_command_must_exist(tree):
    """A `make` command of the README that is no target is a finding."""
    (tree / "README.md").write_text("```\nmake deploy\n```\n")
    done = check(tree)
    assert done.returncode == 1
    assert "`make deploy` is no target" in done.stdout


def test_every_target_has_a_line_of_help():
    """`make` alone lists everything that one may ask for, in words."""
    shown = subprocess.run(["make", "-s", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    listed = {line.split()[1] for line in shown.splitlines() if line.startswith("make ") and len(line.split()) > 2}
    targets = "help demo test lint faults soak system image sbom bench docs pins clean"
    assert listed == set(targets.split())


def test_ci_runs_what_a_person_runs():
    """The CI's script is `make test` in the repository, and nothing else."""
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "make test"]

"""scripts/bootstrap makes one environment, once, and says what it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Nothing listens there: who asks for a package fails.
NO_REGISTRY = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}
# What an environment, activated by somebody, leaves in a shell.
ELSEWHERE = {"VIRTUAL_ENV": "/nonexistent", "CONDA_PREFIX": "/nonexistent", "PYTHONHOME": "/nonexistent"}


def bootstrap(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "scripts/bootstrap"],
        cwd="/",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def state(root: Path) -> dict[str, tuple[int, int]]:
    """Every file of an environment with its size and time, except what Python caches."""
    found = {}
    for path in (root / ".venv").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            status = path.stat()
            found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def copy_of(target: Path) -> Path:
    """The tree without its environment, as a fresh clone has it."""
    for name in ("scripts", "requirements", "lifecycle"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    if (ROOT / "README.md").exists():
        shutil.copy(ROOT / "README.md", target)
    return target


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_second_run_changes_nothing_and_needs_no_network():
    """When there is nothing to do, nothing is said, fetched or written, whichever environment is active."""
    first = bootstrap(ROOT)
    assert first.returncode == 0, first.stderr
    before = state(ROOT)
    again = bootstrap(ROOT, **NO_REGISTRY, **ELSEWHERE)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert state(ROOT) == before


def test_without_ensurepip_and_without_root_the_package_is_named(tmp_path):
    """Debian ships ensurepip apart: who may not install it is told what to ask for, and nothing is left half made."""
    root = copy_of(tmp_path / "tree")
    bare = script(tmp_path / "python", f'case "$*" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"')
    script(tmp_path / "bin/id", "echo 1000")
    done = bootstrap(root, PYTHON=str(bare), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert done.returncode == 1
    assert f"missing: python3.{sys.version_info.minor}-venv" in done.stderr
    assert not (root / ".venv").exists()


def test_an_old_python_is_refused(tmp_path):
    """PYTHON names the interpreter; one that is too old is an error and is not replaced silently."""
    root = copy_of(tmp_path / "tree")
    old = script(tmp_path / "python", "exit 1")
    done = bootstrap(root, PYTHON=str(old))
    assert done.returncode == 1
    assert "not a Python 3.11 or newer" in done.stderr


@pytest.mark.soak
def test_as_root_the_missing_package_is_installed(tmp_path):
    """A fresh Debian: the interpreter is there, ensurepip comes with apt-get, and the run goes on."""
    root = copy_of(tmp_path / "tree")
    wrapped = f'case "$*" in *ensurepip*) [ -e {tmp_path}/installed ] || exit 1;; esac; exec "{sys.executable}" "$@"'
    bare = script(tmp_path / "python", wrapped)
    script(tmp_path / "bin/id", "echo 0")
    script(tmp_path / "bin/apt-get", f'case "$1" in install) echo "$@" >{tmp_path}/installed;; esac')
    done = bootstrap(root, PYTHON=str(bare), PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed").read_text().split()[-1] == f"python3.{sys.version_info.minor}-venv"
    assert (root / ".venv/bin/lifecycle").exists()


@pytest.mark.soak
def test_a_fresh_clone_becomes_a_working_tree(tmp_path):
    """From nothing: the command answers, the pins are all there, and a moved tree is made anew."""
    root = copy_of(tmp_path / "tree")
    made = bootstrap(root, **ELSEWHERE)
    assert made.returncode == 0, made.stderr
    version = [root / ".venv/bin/python", "-c", "import lifecycle; print(lifecycle.__version__, lifecycle.__file__)"]
    answer = subprocess.run(version, cwd="/", capture_output=True, text=True, check=True).stdout
    assert answer == f"0.1.0 {root}/lifecycle/__init__.py\n"
    assert bootstrap(root, **NO_REGISTRY).stderr == ""
    moved = root.rename(tmp_path / "moved")
    assert bootstrap(moved).returncode == 0
    version[0] = moved / ".venv/bin/python"
    assert str(moved) in subprocess.run(version, cwd="/", capture_output=True, text=True, check=True).stdout

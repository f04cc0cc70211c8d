"""The image's recipe, as far as it can be read without building: `make image` builds and runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.system.image import DIGEST, main

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"


def recipe() -> str:
    return (DOCKER / "Dockerfile").read_text()


def test_the_linter_has_nothing_to_say():
    """hadolint, with every rule on, and no rule switched off in the file."""
    linter = Path(sys.prefix) / "bin" / "hadolint"
    done = subprocess.run([linter, "--no-color", DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
    assert "hadolint ignore" not in recipe()


def test_the_base_is_a_parameter_with_a_digest(capsys):
    """No registry stands in the recipe; a base that is named by a tag alone is refused before anything is built."""
    assert set(re.findall(r"^FROM (\S+)", recipe(), re.MULTILINE)) == {"${BASE}"}
    assert re.search(r"^ARG BASE$", recipe(), re.MULTILINE)
    assert main("registry.example.com/python:3.13-slim", None) == 2
    assert "digest" in capsys.readouterr().out
    assert DIGEST.search(f"registry.example.com/python:3.13-slim@sha256:{'0' * 64}")


def test_nothing_is_installed_without_its_hash():
    """Every pip call that can reach an index demands hashes; the wheel that was just built needs no index."""
    calls = re.findall(r"pip install [^&\n]*", recipe())
    assert len(calls) == 3
    assert all("--require-hashes" in call or "--no-index --no-deps" in call for call in calls)


def test_the_builders_pins_are_the_developers():
    """The build backend of the image is the one that the tests ran with: same versions, same files."""
    pinned = re.compile(r"^([a-z0-9-]+==[^ ]+)|--hash=(sha256:[0-9a-f]{64})", re.MULTILINE)
    known = set(pinned.findall((ROOT / "requirements" / "dev.txt").read_text()))
    assert set(pinned.findall((DOCKER / "build.txt").read_text())) <= known


def test_the_image_runs_as_a_numbered_user_without_writing():
    """What Kubernetes' restricted profile and a read-only root ask for is in the recipe."""
    (final,) = re.findall(r"^FROM \$\{BASE\}\n(.*)", recipe(), re.MULTILINE | re.DOTALL)
    assert "USER 10001:10001\n" in final
    assert 'VOLUME ["/var/lib/lifecycle"]\n' in final
    assert "STOPSIGNAL SIGTERM\n" in final
    assert "RUN " not in final, "the last stage only copies"


def test_only_what_is_needed_reaches_the_builder():
    """A working tree holds keys of demos and caches: everything is left out but what the recipe copies."""
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = [
        words for line in re.findall(r"^COPY (?!--from)(.*)", recipe(), re.MULTILINE) for words in line.split()[:-1]
    ]
    assert let_in == set(copied)

"""What is installed is exactly what was reviewed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = ("runtime", "dev", "uv")


def pinned(name: str) -> dict[str, tuple[Requirement, frozenset[str]]]:
    """Package → (pin, hashes) of a file in requirements/."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    logical = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    found = {}
    for line in logical:
        requirement, *hashes = line.split("--hash=sha256:")
        pin = Requirement(requirement)
        found[canonicalize_name(pin.name)] = (pin, frozenset(word.strip() for word in hashes))
    return found


def promised() -> dict[str, list[Requirement]]:
    """Group → requirements that pyproject.toml states itself."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    runtime = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    return {
        "runtime": [Requirement(line) for line in runtime],
        "dev": [Requirement(line) for line in [*runtime, *document["dependency-groups"]["dev"]]],
    }


@pytest.mark.parametrize("name", PINS)
def test_every_requirement_is_exact_and_has_hashes(name):
    """A version alone can be replaced at the registry; a hash cannot."""
    pins = pinned(name)
    assert pins
    for pin, hashes in pins.values():
        assert re.fullmatch(r"==[\w.+!]+", str(pin.specifier)), pin
        assert hashes, pin
        assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in hashes), pin


@pytest.mark.parametrize("name", PINS)
def test_pins_name_no_place(name):
    """Where packages come from is the machine's business: no URL, no option but the hash, no path."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    assert "://" not in text
    assert set(re.findall(r"(?<!\S)--?[a-z][\w-]*", text)) == {"--hash"}
    assert not re.search(r"^\s*[./]", text, re.MULTILINE)


@pytest.mark.parametrize("group", ["runtime", "dev"])
def test_pins_fulfil_what_pyproject_promises(group):
    """A requirement that was changed without `make pins` is found here."""
    pins = pinned(group)
    for requirement in promised()[group]:
        pin, _ = pins[canonicalize_name(requirement.name)]
        (version,) = pin.specifier
        assert requirement.specifier.contains(version.version, prereleases=True), f"{requirement}: pinned {version}"


def test_tests_run_on_what_is_shipped():
    """Every runtime pin is the same pin, hash by hash, in the environment of the tests."""
    development = pinned("dev")
    shipped = pinned("runtime")
    assert shipped.items() <= development.items()


def test_the_installer_is_pinned_to_itself():
    """The uv that bootstrap fetches first is the one that the environment then contains."""
    assert pinned("uv")["uv"] == pinned("dev")["uv"]


def test_every_dependency_has_a_reason():
    """A dependency stands under a comment that says what it is for."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.scripts]")[0].splitlines()
    start = lines.index("dependencies = [")
    for above, line in zip(lines[start:], lines[start + 1 :], strict=False):
        if line.startswith('    "'):
            assert above.strip().startswith("#"), line

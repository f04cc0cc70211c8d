"""The bill of materials names what is shipped, all of it, and always in the same bytes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "runtime.txt"


def printed() -> str:
    call = [sys.executable, ROOT / "scripts/sbom.py"]
    return subprocess.run(call, capture_output=True, text=True, check=True, cwd="/", env={"TZ": "UTC"}).stdout


def test_the_bill_is_valid_cyclonedx():
    """A scanner that knows nothing of us can read it: valid by the published schema, licences are SPDX expressions."""
    text = printed()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace("SHA-256", "SHA-25")) is not None
    spdx = get_spdx_licensing()
    stated = [
        entry["expression"]
        for c in json.loads(text)["components"]
        for entry in c.get("licenses", [])
        if "expression" in entry
    ]
    assert len(stated) > 20
    assert [one for one in stated if spdx.validate(one).errors] == []


def test_the_bill_names_every_pin_with_every_hash():
    """What may be installed and what is listed are the same: name, version and the hash of each file."""
    components = json.loads(printed())["components"]
    pins = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ]+)", PINS.read_text(), re.MULTILINE))
    assert {(c["name"], c["version"]) for c in components} == pins
    listed = {h["content"] for c in components for r in c["externalReferences"] for h in r["hashes"]}
    assert listed == set(re.findall(r"--hash=sha256:([0-9a-f]{64})", PINS.read_text()))


def test_everything_is_reached_from_the_program():
    """Each package is there for a reason: the dependency graph reaches all of them from the program."""
    bill = json.loads(printed())
    graph = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    reached, waiting = set(), [bill["metadata"]["component"]["bom-ref"]]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += graph[ref]
    assert reached == set(graph)


def test_the_same_pins_give_the_same_bytes():
    """Two people who build a release get one bill: no date, no machine, no chance in it."""
    text = printed()
    assert printed() == text
    assert "timestamp" not in json.loads(text)["metadata"]


def test_the_bill_names_no_repository():
    """Where packages come from is the business of the machine that installs them."""
    text = printed()
    assert re.findall(r"https?://|repository_url|download_url", text) == []
    assert all(c["purl"].count("?") == 0 for c in json.loads(text)["components"])

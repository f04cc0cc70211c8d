"""Bill of materials of what is shipped, as CycloneDX 1.6 JSON: `python scripts/sbom.py [FILE]`, else standard output.

Read from requirements/runtime.txt, which pins every version and every file by hash, and from the metadata of the
installed packages (licences). The same pins give the same bytes: no date but SOURCE_DATE_EPOCH, a serial number from
the content. Package URLs name no repository: where packages come from is the business of the machine that installs.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements" / "runtime.txt"
PROGRAM = "gdpr-lifecycle"
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?: *; *(?P<marker>[^\\]+?))? *\\?")
HASH = re.compile(r" +--hash=sha256:(?P<hash>[0-9a-f]{64})")
VIA = re.compile(r" +#  ? ?(?:via)? *(?P<by>[A-Za-z0-9._-]+)?")


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package: its files' hashes, where it is needed, and who asks for it."""

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    asked_by: frozenset[str]

    @property
    def purl(self) -> str:
        """The package URL, without a repository."""
        return f"pkg:pypi/{self.name}@{self.version}"


def canonical(name: str) -> str:
    """A package's name in the only spelling that counts (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> list[Pin]:
    """The pins of a requirements file with hashes. Raises ValueError on a line that is none of the expected."""
    found: list[Pin] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if pin := PIN.fullmatch(line):
            found.append(Pin(canonical(pin["name"]), pin["version"], pin["marker"], (), frozenset()))
        elif found and (digest := HASH.match(line)):
            found[-1] = _with(found[-1], digest["hash"], None)
        elif found and (via := VIA.match(line)):
            found[-1] = _with(found[-1], None, via["by"])
        else:
            raise ValueError(f"{PINS.name}:{number}: neither a pin nor a hash nor who asks for it")
    loose = [pin.name for pin in found if not pin.hashes]
    if loose:
        raise ValueError(f"{PINS.name}: without a hash: {', '.join(loose)}")
    return found


def _with(pin: Pin, digest: str | None, asked_by: str | None) -> Pin:
    hashes = pin.hashes if digest is None else (*pin.hashes, digest)
    by = pin.asked_by if asked_by is None else pin.asked_by | {canonical(asked_by)}
    return Pin(pin.name, pin.version, pin.marker, hashes, by)


def licences(name: str) -> list[dict[str, Any]]:
    """The licence that an installed package states as an SPDX expression, or in its own words; none: not installed."""
    try:
        stated = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return []
    for expression in stated.get_all("License-Expression", []):
        return [{"expression": expression}]
    words = "\n".join(stated.get_all("License", []))
    classified = [
        line.rsplit(" :: ", 1)[1] for line in stated.get_all("Classifier", []) if line.startswith("License :: OSI")
    ]
    named = [words] if words and "\n" not in words and len(words) < 80 else classified
    return [{"license": {"name": each}} for each in named]


def component(pin: Pin) -> dict[str, Any]:
    """A package as CycloneDX describes it, with the hashes of all its files: the machine decides which one it takes."""
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": pin.purl,
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(pin.hashes)],
            }
        ],
    }
    if stated := licences(pin.name):
        made["licenses"] = stated
    if pin.marker is not None:
        made["properties"] = [{"name": f"{PROGRAM}:environment-marker", "value": pin.marker}]
    return made


def bill(pins: list[Pin], version: str) -> dict[str, Any]:
    """The whole document; its serial number follows from the rest."""
    root = f"pkg:pypi/{PROGRAM}@{version}"
    refs = {PROGRAM: root} | {pin.name: pin.purl for pin in pins}
    needs: dict[str, list[str]] = {ref: [] for ref in refs.values()}
    for pin in pins:
        for asker in pin.asked_by:
            needs[refs[asker]].append(pin.purl)
    program = {"type": "application", "bom-ref": root, "name": PROGRAM, "version": version, "purl": root}
    about: dict[str, Any] = {"component": {**program, "licenses": [{"expression": "Apache-2.0"}]}}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        about["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).isoformat()
    body = {
        "metadata": about,
        "components": [component(pin) for pin in sorted(pins, key=lambda pin: pin.name)],
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest())
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return {**head, **body}


def own_version() -> str:
    """The program's version, from its source."""
    text = (ROOT / "lifecycle" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise ValueError("lifecycle/__init__.py names no version")
    return found[1]


def main(target: str | None) -> int:
    """Write the bill to a file, or print it."""
    made = json.dumps(bill(read(PINS.read_text(encoding="utf-8")), own_version()), indent=2) + "\n"
    if target is None:
        print(made, end="")
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))

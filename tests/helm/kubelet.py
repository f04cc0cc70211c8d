"""What a kubelet does with a rendered pod, as far as files and processes go.

Volumes are laid out as it does: Secrets and ConfigMaps become folders of links that are swapped at once (`..data`), the
files of a Secret are root's, of mode 0440 and the pod's fsGroup; containers run as the pod's user. There are no
namespaces: in arguments, environment and settings a mount path is replaced by the volume's place. As another user than
root the files are ours, and only their owner's.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.helm.tools import ROOT, Rendered

PORT = 9464


@dataclass
class Pod:
    """One pod: its template, and where its volumes are."""

    spec: dict[str, Any]
    places: dict[str, Path]
    port: int

    def translate(self, text: str) -> str:
        """Replace mount paths by the places of the volumes, and the port by this pod's."""
        mounts = "|".join(re.escape(mount) for mount in sorted(self.places, key=len, reverse=True))
        text = re.sub(rf'({mounts})(?=/|"|$)', lambda found: str(self.places[found[1]]), text)
        return text.replace(f"0.0.0.0:{PORT}", f"127.0.0.1:{self.port}")


@dataclass
class Node:
    """A place where pods of one namespace run, with its Secrets and the volumes that outlive pods."""

    root: Path
    secrets: dict[str, dict[str, bytes]]
    release: Rendered
    user: int | None
    python: str
    pods: list[Pod] = field(default_factory=list)

    def pod(self, template: dict[str, Any]) -> Pod:
        """Lay out the volumes of a pod."""
        spec = template["spec"]
        number = len(self.pods)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        places = {volume["name"]: self._place(volume, number) for volume in spec["volumes"]}
        mounts = [mount for container in _containers(spec) for mount in container["volumeMounts"]]
        pod = Pod(spec, {mount["mountPath"]: places[mount["name"]] for mount in mounts}, port)
        for volume in spec["volumes"]:
            if "projected" in volume:
                self.project(pod, volume, places[volume["name"]])
        self.pods.append(pod)
        return pod

    def reproject(self, pod: Pod, release: Rendered) -> None:
        """Bring the documents of a running pod up to date, as after `helm upgrade`."""
        self.release = release
        (volume,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "documents"]
        self.project(pod, volume, pod.places["/etc/lifecycle"])

    def project(self, pod: Pod, volume: dict[str, Any], place: Path) -> None:
        """Write a projected volume: files into a new folder, then one link is exchanged."""
        projected = volume["projected"]
        folder = Path(tempfile.mkdtemp(prefix="..", dir=place))
        folder.chmod(0o755)
        for source in projected["sources"]:
            ((kind, told),) = source.items()
            content = self._content(kind, told["name"])
            for item in told.get("items") or [{"key": key, "path": key} for key in content]:
                target = folder / item["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                data = content[item["key"]]
                target.write_bytes(pod.translate(data.decode()).encode() if target.name == "lifecycle.yaml" else data)
                self._give(target, item.get("mode", projected["defaultMode"]), pod.spec["securityContext"]["fsGroup"])
        for name in {path.name for path in folder.iterdir()}:
            if not (place / name).is_symlink():
                (place / name).symlink_to(f"..data/{name}")
        (place / "..new").symlink_to(folder.name)
        (place / "..new").replace(place / "..data")

    def start(self, pod: Pod, container: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
        """Start a container's process; other arguments make it what `kubectl exec` would run."""
        environment = {entry["name"]: pod.translate(entry["value"]) for entry in container["env"]}
        environment |= {"PYTHONPATH": os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))}
        told = [pod.translate(argument) for argument in arguments or container["args"]]
        context = pod.spec["securityContext"]
        group = {} if self.user is None else {"group": context["runAsGroup"], "extra_groups": [context["fsGroup"]]}
        return subprocess.Popen(
            [self.python, "-m", "lifecycle", *told],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd="/",
            user=self.user,
            umask=0o022,
            **group,
        )

    def run(self, pod: Pod, container: dict[str, Any], *arguments: str) -> str:
        """Run a container to its end, expect success, and return what it said."""
        process = self.start(pod, container, *arguments)
        out, err = process.communicate(timeout=180)
        assert process.returncode == 0, out + err
        return out

    def _place(self, volume: dict[str, Any], number: int) -> Path:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        place = self.root / (claim or f"pod-{number}-{volume['name']}")
        place.mkdir(exist_ok=True)
        if self.user is not None and "projected" not in volume:
            os.chown(place, 0, self.user)
            place.chmod(0o2770)
        return place

    def _content(self, kind: str, name: str) -> dict[str, bytes]:
        if kind == "secret":
            return self.secrets[name]
        (found,) = [o for o in self.release.of("ConfigMap") if o["metadata"]["name"] == name]
        return {key: text.encode() for key, text in found["data"].items()}

    def _give(self, path: Path, mode: int, group: int) -> None:
        if self.user is None:
            path.chmod(mode & ~0o077 if mode & 0o007 == 0 else mode)
        else:
            os.chown(path, 0, group)
            path.chmod(mode)


@contextmanager
def node(release: Rendered, secrets: dict[str, dict[str, bytes]]) -> Iterator[Node]:
    """A node for a release; its files are gone afterwards, and so are the processes that were left."""
    root = Path(tempfile.mkdtemp(prefix="lifecycle-node-"))
    try:
        root.chmod(0o755)
        user = release.pods[0]["spec"]["securityContext"]["runAsUser"] if os.geteuid() == 0 else None
        python = interpreter(user)
        yield Node(root, secrets, release, user if python else None, python or sys.executable)
    finally:
        shutil.rmtree(root)


def interpreter(user: int | None) -> str | None:
    """A Python of our version that the pod's user can run with the repository; None where there is none."""
    if user is None:
        return sys.executable
    check = f"import sys, lifecycle, click; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    for candidate in (sys.executable, "/usr/bin/python3"):
        with ExitStack() as stack:
            path = os.pathsep.join((str(ROOT), sysconfig.get_path("purelib")))
            try:
                process = stack.enter_context(
                    subprocess.Popen(
                        [candidate, "-c", check],
                        user=user, group=user, extra_groups=[], cwd="/", env={"PYTHONPATH": path},
                        stderr=subprocess.DEVNULL,
                    )
                )  # fmt: skip
            except PermissionError:
                continue
            if process.wait(timeout=30) == 0:
                return candidate
    return None


def ask(pod: Pod, path: str) -> tuple[int, str]:
    """Ask a page of the pod; (0, "") while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{pod.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def is_kubelets(path: Path) -> bool:
    """Whether a Secret's file is laid out as a kubelet does: root's, for its group, behind no link of its own."""
    status = path.lstat()
    return stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o440 and status.st_uid == 0


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("initContainers", []), *spec["containers"]]

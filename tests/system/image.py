"""`make image`: builds deploy/docker/Dockerfile with buildah, and runs the image as it is meant to run.

    python -m tests.system.image                             a base made by debootstrap, where no registry is reached
    python -m tests.system.image --base REGISTRY/python@sha256:…        a real one, named with its digest

What is built from the made base is for the check alone and says so. It is removed afterwards; `--to` keeps an archive.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lifecycle
from tests.system import base
from tests.system.base import ROOT, sh
from tests.system.deployment import INVENTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCKER = ROOT / "deploy" / "docker"
TOOLS = {**base.TOOLS, "buildah": "buildah"}
MADE = "localhost/lifecycle-base:made"
IMAGE = "localhost/lifecycle:check"
USER = "10001:10001"
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


class Buildah:
    """buildah with a store of its own, so that nothing of the machine's is touched."""

    def __init__(self, folder: Path) -> None:
        """Keep images and containers below this folder: as layers, or as whole copies where it is a layer itself."""
        self._folder = folder
        folder.mkdir(parents=True)
        kind = sh("stat", "--file-system", "--format=%T", folder).strip()
        self._driver = "vfs" if kind in {"overlayfs", "overlay"} else "overlay"

    def __call__(self, *call: str | Path, **options: object) -> str:
        """Run one command. Raises Unavailable."""
        return sh(*self.line(*call), **options).strip()

    def line(self, *call: str | Path) -> tuple[str, ...]:
        """The command line with the store's places."""
        places = (f"--root={self._folder / 'root'}", f"--runroot={self._folder / 'run'}")
        return ("buildah", f"--storage-driver={self._driver}", *places, *(str(part) for part in call))


def make_base(buildah: Buildah) -> str:
    """An image of the minimal Debian that `make system` boots too: it has Python and venv, and no network is needed."""
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, base.debian(), "/")
    buildah("commit", "--quiet", container, MADE)
    buildah("rm", container)
    return MADE


def build(buildah: Buildah, reference: str) -> str:
    """Build the image; where the base was made here, from wheels that are here."""
    arguments = {"BASE": reference, "VERSION": lifecycle.__version__, "REVISION": revision()}
    volumes: list[str] = []
    if reference == MADE:
        arguments |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        volumes = [f"--volume={wheels(base.debian())}:/wheels:ro"]
    given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    pull = "--pull=never" if reference == MADE else "--pull=ifmissing"
    ignored = f"--ignorefile={DOCKER / 'Dockerfile.dockerignore'}"
    how = ("--isolation=chroot", "--format=docker", pull, "--quiet", ignored, f"--file={DOCKER / 'Dockerfile'}")
    return buildah("build", *how, *volumes, *given, f"--tag={IMAGE}", ROOT)


def wheels(debian: Path) -> Path:
    """All wheels that the Dockerfile asks pip for: what runs, and what builds."""
    return base.wheels(debian, ROOT / "requirements" / "runtime.txt", DOCKER / "build.txt")


def revision() -> str:
    """The commit of the tree, if it is one."""
    known = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return known.stdout.strip() or "unknown"


def declared(buildah: Buildah) -> dict[str, Any]:
    """What the image says of itself."""
    return dict(json.loads(buildah("inspect", "--type=image", IMAGE))["Docker"]["config"])


@contextmanager
def container(buildah: Buildah) -> Iterator[Path]:
    """The root directory of a new container."""
    made = buildah("from", "--pull=never", IMAGE)
    try:
        yield Path(buildah("mount", made))
    finally:
        buildah("umount", made)
        buildah("rm", made)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a container runs: its root, what is mounted into it, and what the image says of itself."""

    root: Path
    documents: Path
    state: Path
    config: dict[str, Any]

    def run(self, *call: str) -> subprocess.CompletedProcess[str]:
        """Run a verb: the image's user, a read-only root, documents read-only, one volume, no network, no rights.

        In namespaces of our own rather than through `buildah run`, whose chroot isolation can make nothing read-only.
        """
        (self.root / "etc/lifecycle").mkdir(exist_ok=True)
        mounts = f"""
            set -eu
            mount --bind {self.root} {self.root}
            mount --bind {self.documents} {self.root}/etc/lifecycle
            mount -o remount,bind,ro {self.root}/etc/lifecycle
            mount --bind {self.state} {self.root}/var/lib/lifecycle
            mount -t tmpfs -o mode=1777 tmpfs {self.root}/tmp
            mount -t proc proc {self.root}/proc
            mount -o remount,bind,ro {self.root}
            exec setpriv --no-new-privs chroot --userspec={USER} {self.root} /usr/bin/env -i "$@"
        """
        inside = ["unshare", "--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--propagation=private"]
        words = [*self.config["Env"], "HOME=/", *self.config["Entrypoint"], *call]
        return subprocess.run(
            [*inside, "sh", "-c", mounts, "sh", *words],
            env=base.PLAIN, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def must(self, *call: str) -> str:
        """Run a verb, expect that it succeeds, and return the last line that it printed."""
        done = self.run(*call)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip().splitlines()[-1]


def check(buildah: Buildah, folder: Path) -> list[str]:
    """Run the image, and return one line for each fact that holds. Raises AssertionError."""
    config = declared(buildah)
    assert config["User"] == USER, config["User"]
    assert config["StopSignal"] == "SIGTERM", config
    documents, state = folder / "documents", folder / "state"
    example(documents)
    state.mkdir(mode=0o700)
    os.chown(state, *(int(part) for part in USER.split(":")))
    with container(buildah) as root:
        place = Place(root, documents, state, config)
        version = place.must("--version")
        assert lifecycle.__version__ in version
        validated = place.must("validate", "/etc/lifecycle")
        place.must("db", "upgrade")
        made = sorted(path.name for path in state.iterdir())
        assert made == ["state.db"], made
        elsewhere = place.run("init", "/opt/elsewhere", "--deployment", "x", "--origin", "example.com/x")
        assert elsewhere.returncode != 0, "the root file system could be written"
    return [
        f"user {config['User']}, stop signal {config['StopSignal']}, volume {', '.join(config['Volumes'])}",
        f"lifecycle --version: {version}",
        f"lifecycle validate: {validated}",
        f"lifecycle db upgrade: wrote {', '.join(made)} into the volume",
        f"lifecycle init /opt/elsewhere: nothing can be written there (exit {elsewhere.returncode})",
    ]


def example(folder: Path) -> None:
    """A deployment's documents, as `lifecycle init` makes them and the sample settings place the state."""
    call = ("--deployment", "portal", "--origin", "lifecycle.example.com/portal", "--agreement", "clientport")
    sh(sys.executable, "-m", "lifecycle", "init", folder, *call)
    shutil.copy(ROOT / "deploy/systemd/lifecycle.yaml", folder / "lifecycle.yaml")
    (folder / "state.db").unlink()
    (folder / "inventory.yaml").write_text(INVENTORY)
    sh("chmod", "-R", "a+rX", folder)


def main(reference: str | None, to: Path | None) -> int:
    """Build and check. 0: everything holds; 1: something does not; 2: it cannot be done here."""
    if reference is not None and not DIGEST.search(reference):
        print("image: name the base with its digest (…@sha256:…): a tag can be moved to other bytes")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="lifecycle-image-"))
    buildah = Buildah(folder / "store")
    try:
        base.install_tools(TOOLS)
        with base.locked():
            used = reference or make_base(buildah)
            if reference is None:
                print("base: made here by debootstrap, because none was named; the image is for this check only")
            build(buildah, used)
            facts = check(buildah, folder)
        print("\n".join(f"ok      {fact}" for fact in facts))
        if to is not None:
            buildah("push", "--quiet", IMAGE, f"oci-archive:{to}")
            print(f"image: {to}")
        print(f"{len(facts)} passed, 0 failed")
    except base.Unavailable as error:
        print(f"image: {error}")
        return 2
    except AssertionError as error:
        print(f"failed  {error}\n0 passed, 1 failed")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.system.image", description=__doc__)
    parser.add_argument("--base", metavar="REF", default=os.environ.get("BASE") or None, help="base image with digest")
    parser.add_argument("--to", type=Path, metavar="FILE", help="keep the image as an OCI archive")
    given = parser.parse_args()
    sys.exit(main(given.base, given.to))

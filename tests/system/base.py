"""A minimal Debian with systemd and Python, made once and kept, and the program's pinned packages in it.

Everything is fetched as the machine is set up to fetch: the Debian mirror is the one apt uses, wheels come through pip.
Nothing is fetched while the booted machine runs; it has no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("LIFECYCLE_SYSTEM_CACHE") or ROOT / ".cache" / "system")
SUITE_VARIABLE = "LIFECYCLE_SYSTEM_SUITE"
PACKAGES = ("dbus", "python3", "python3-venv", "systemd", "systemd-sysv")
TOOLS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap", "nsenter": "util-linux"}
# Documentation and translations are half of what is copied for each run.
BALLAST = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt/lists")
PROGRAM = "opt/lifecycle"
PLAIN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


class Unavailable(Exception):
    """The machine cannot run this: the message says what is missing."""


def sh(*call: str | Path, **options: object) -> str:
    """Run a command of this machine and return its output. Raises Unavailable with the end of what it said."""
    done = subprocess.run([str(part) for part in call], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise Unavailable(f"{Path(call[0]).name} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    return str(done.stdout)


def install_tools(tools: dict[str, str]) -> None:
    """Install the Debian packages of programs that are not there. Raises Unavailable where that needs somebody else."""
    missing = sorted({package for program, package in tools.items() if shutil.which(program) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"missing: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    sh("apt-get", "update", "-qq", env=quiet)
    sh("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=quiet)


@contextmanager
def locked() -> Iterator[None]:
    """Hold the cache: one machine is booted at a time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian() -> Path:
    """The root of a minimal Debian of this machine's release; made by debootstrap where the cache has none."""
    suite, mirror = release()
    key = _key(suite, *PACKAGES)
    return _kept(f"debian-{suite}", key, lambda target: _bootstrap(target, suite, mirror))


def installed() -> Path:
    """That Debian with the pinned packages of requirements/runtime.txt in /opt/lifecycle, the program itself aside."""
    below = debian()
    pins = ROOT / "requirements" / "runtime.txt"
    found = wheels(below, pins)
    kind = below.name.rsplit("-", 1)[0].replace("debian", "installed")
    key = _key(below.name, pins.read_text())

    def make(target: Path) -> None:
        sh("cp", "-a", below, target)
        chroot(target, "python3", "-m", "venv", f"/{PROGRAM}")
        _pip(target, found, "--require-hashes", "-r", pins)

    return _kept(kind, key, make)


def with_program(target: Path) -> Path:
    """A fresh copy of it at `target`, with the wheel that this tree makes."""
    sh("cp", "-a", installed(), target)
    with_wheel = target.with_name("wheel")
    sh(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", with_wheel, cwd=ROOT)
    _pip(target, with_wheel, "--no-deps", next(with_wheel.glob("*.whl")))
    return target


def release() -> tuple[str, str]:
    """This machine's Debian release, or the one that is asked for, and the mirror that its apt uses."""
    own = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    only = ("Created-By: Packages", "Component: main", f"Codename: {own}")
    found = sh("apt-get", "indextargets", "--format", "$(REPO_URI)", *only).splitlines()
    if not own or not found:
        raise Unavailable("apt of this machine names no mirror of its own Debian release")
    return os.environ.get(SUITE_VARIABLE) or own, found[0]


def chroot(root: Path, *call: str | Path) -> str:
    """Run a command inside a root that is not booted."""
    return sh("chroot", root, *call, env=PLAIN)


def _bootstrap(target: Path, suite: str, mirror: str) -> None:
    sh("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, target, mirror)
    for folder in BALLAST:
        shutil.rmtree(target / folder, ignore_errors=True)


def wheels(root: Path, *pins: Path) -> Path:
    """The pinned packages as wheels for that Debian's Python, kept."""
    version = chroot(root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    bits = platform.machine()
    platforms = [f"--platform={name}_{bits}" for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "linux")]

    def make(target: Path) -> None:
        only = ("--only-binary=:all:", f"--python-version={version}", "--implementation=cp", *platforms)
        for pinned in pins:
            sh(sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "-r", pinned, "-d", target, *only)

    return _kept(f"wheels-{version}-{len(pins)}", _key(*(pinned.read_text() for pinned in pins), bits), make)


def _pip(root: Path, folder: Path, *what: str | Path) -> None:
    """Install from a folder of wheels, without any index, as the root's own pip does it."""
    inside = root / "tmp" / "wheels"
    shutil.copytree(folder, inside)
    names = [str(part) for part in what]
    if what[-1:] and Path(names[-1]).is_absolute():
        shutil.copy(names[-1], inside)
        names[-1] = f"/tmp/wheels/{Path(names[-1]).name}"
    chroot(root, f"/{PROGRAM}/bin/pip", "install", "-q", "--no-index", "--find-links=/tmp/wheels", *names)
    shutil.rmtree(inside)


def _kept(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """What the cache has of that kind and key; where it has none it is made, and takes the place of older ones."""
    target = CACHE / f"{kind}-{key}"
    if not target.exists():
        began = time.monotonic()
        print(f"  making {target.name} …", flush=True)
        for old in CACHE.glob(f"{kind}-*"):
            shutil.rmtree(old)
        unfinished = CACHE / f"{kind}-{key}.new"
        make(unfinished)
        unfinished.rename(target)
        print(f"  made {target.name} in {time.monotonic() - began:.0f} s", flush=True)
    return target


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

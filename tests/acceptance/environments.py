"""The environments of foreign applications, each made once and found again.

None mixes with the product's: the product meets an application only through its database and its files.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def environment(name: str, cache: Path | None = None) -> Path:
    """The Python of an environment that holds exactly the folder `name`'s requirements.txt; made if it is not there.

    Safe to repeat, and from several processes at once. Another requirements.txt or interpreter gives another
    environment. Raises subprocess.CalledProcessError when the packages cannot be had.
    """
    requirements = HERE / name / "requirements.txt"
    directory = (cache or _repository() / ".cache") / "acceptance"
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{name}-{_fingerprint(requirements)}"
    python = target / "bin" / "python"
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The mark is written last: an interrupted set-up is thrown away, never used.
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            _make(target, python, requirements)
            (target / "complete").touch()
    return python


def _repository() -> Path:
    return next(parent for parent in HERE.parents if (parent / "pyproject.toml").exists())


def _fingerprint(requirements: Path) -> str:
    made_of = requirements.read_bytes() + sys.version.encode() + sys.prefix.encode()
    return hashlib.sha256(made_of).hexdigest()[:16]


def _make(target: Path, python: Path, requirements: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    settings = _without_leftovers()
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, target], check=True, env=settings)
    command: list[str | Path] = [uv, "pip", "sync", "-q", "--require-hashes", "--python", python, requirements]
    subprocess.run(command, check=True, env=settings)


def _without_leftovers() -> dict[str, str]:
    """Our environment, with the machine's registry and certificates handed over to uv, which does not read pip's."""
    settings = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    for ours, pips in (("UV_DEFAULT_INDEX", "index-url"), ("SSL_CERT_FILE", "cert")):
        value = settings.get(ours) or settings.get(f"PIP_{pips.upper().replace('-', '_')}") or _pip_setting(pips)
        if value:
            settings[ours] = value
    return settings


def _pip_setting(name: str) -> str:
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

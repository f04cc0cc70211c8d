"""`make system`: the unit on a real systemd. Exit 0: every fact holds; 1: one does not; 2: it cannot run here."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.system import base
from tests.system.deployment import Operator
from tests.system.machine import Machine
from tests.system.scenario import STORY


def main(keep: bool) -> int:
    """Make the machine, tell the story, and stop at the first fact that does not hold: the next ones build on it."""
    if os.geteuid() != 0:
        print("system: booting a machine needs root")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="lifecycle-system-"))
    try:
        with base.locked():
            return _told(folder)
    except base.Unavailable as error:
        print(f"system: {error}")
        return 2
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _told(folder: Path) -> int:
    began = time.monotonic()
    base.install_tools(base.TOOLS)
    root = base.with_program(folder / "root")
    print(f"a minimal Debian with the program: {time.monotonic() - began:.1f} s", flush=True)
    held = 0
    began = time.monotonic()
    with Machine(root) as machine:
        version = machine.run("systemctl", "--version").out.splitlines()[0]
        print(f"booted {version} in {time.monotonic() - began:.1f} s", flush=True)
        operator = Operator(machine)
        try:
            operator.install()
            operator.start_application()
            operator.deploy()
            for fact in STORY:
                name = fact.__name__.replace("_", " ")
                print(f"ok      {name}: {fact(operator)}", flush=True)
                held += 1
            operator.application.leave()
        except AssertionError as error:
            name = STORY[held].__name__.replace("_", " ")
            print(f"failed  {name}: {error}\n--- journal ---\n{machine.journal('lifecycle.service')[-6000:]}")
    failed = int(held < len(STORY))
    print(f"{held} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.system", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the machine's files for a look")
    sys.exit(main(parser.parse_args().keep))

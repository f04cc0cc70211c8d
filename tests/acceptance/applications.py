"""Foreign applications that live by one program: installed, migrated and used in one run of their own Python."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.acceptance.environments import environment

HERE = Path(__file__).resolve().parent


def live(name: str, url: str, now: dt.datetime) -> dict[str, Any]:
    """Let the application of the folder `name` live in the empty database at `url` until `now`; what it says of it."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DJANGO", "FLASK"))}
    done = subprocess.run(
        [environment(name), "-W", "ignore", HERE / name / "app" / "live.py", "--now", now.isoformat()],
        env=ours | {"APPLICATION_DATABASE": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"
    return dict(json.loads(done.stdout))

"""P10's second case: a table per tenant, ten thousand of them, some rows due: resolve and plan. One JSON line.

`python -m tests.bench.families [--tenants N]` measures alone; `tests.bench --only P10` likewise, after the first case.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.flow import mirror, planning, scopes
from lifecycle.flow.look import look
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring.deployment import Options, open_deployment
from tests import portal, servers
from tests.bench import scale

if TYPE_CHECKING:
    from datetime import datetime

ROWS, DUE = 10, 2
OLD_DAYS = 800
"""Older than every controller's figure."""
INVENTORY = """\
lifecycle: inventory/v1
id: scale
stores:
  - {id: main, kind: sql, address: {file: main.url}, place: {country: DE}}
datasets:
  - {id: bookings, store: main, table: booking, category: booking, key: [id],
     tenant: {by: table, pattern: "booking_{tenant}"}, times: {collection: {column: at, encoding: utc},
     booking-end: {column: at, encoding: utc}}}
"""


def fill(url: str, now: datetime, tenants: int) -> None:
    """Make each tenant's table: young rows and two that are due."""
    with portal.raw(url) as connection:
        for number in range(tenants):
            name = f'"booking_firm-{number}"'
            connection.execute(f"CREATE TABLE {name} (id bigint PRIMARY KEY, at timestamptz NOT NULL, room text)")
            moment = (
                f"timestamptz '{now.isoformat()}' - (CASE WHEN n < {DUE} THEN {OLD_DAYS} ELSE n END) * interval '1 day'"
            )
            if number % 100 == 0:
                # A transaction holds a lock on every table that it made.
                connection.commit()
            connection.execute(f"INSERT INTO {name} SELECT n, {moment}, 'x' FROM generate_series(0, {ROWS - 1}) AS n")


def measure(folder: Path) -> dict[str, Any]:
    """Open, resolve, plan every rule, look; in this process."""
    with open_deployment(folder, Options()) as deployment:
        began = time.monotonic()
        obligations = scopes.obligations_on(deployment, deployment.clock.now())
        resolved = time.monotonic()
        mirror.mirror(deployment, deployment.stores)
        mirrored = time.monotonic()
        plans = [planning.plan_rule(deployment, a, r, author="lifecycle") for a, r in planning.due_rules(deployment)]
        planned = time.monotonic()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        look(deployment)
        looked = time.monotonic()
    return {
        "obligations": len(obligations),
        "expected": sum(step.expected for plan in plans if plan is not None for step in plan.plan.steps),
        "resolve_s": resolved - began,
        "mirror_s": mirrored - resolved,
        "plan_s": planned - mirrored,
        "look_s": looked - planned,
        "plan_rss_mib": memory,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def case(server: str, *, tenants: int = 10_000, times: int = 1) -> dict[str, Any]:
    """Return the line: seconds to resolve and plan, and the peak memory."""
    now = SystemClock().now() - timedelta(minutes=1)
    with servers.fresh_database(server) as url, tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as home:
        folder = Path(home) / "deployment"
        fill(url, now, tenants)
        scale.create(folder, url, now, tenants=tenants, datasets=1)
        (folder / "inventory.yaml").write_text(INVENTORY)
        command = [sys.executable, "-m", "tests.bench.families", "--measure", str(folder)]
        done = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(times)]
    middle = {name: statistics.median(run[name] for run in done) for name in done[0]}
    assert middle["expected"] == tenants * DUE
    seconds = middle["resolve_s"] + middle["plan_s"]
    return {
        "case": f"P10 resolve and plan a table per tenant, {tenants} tables, {DUE} rows due in each, seconds",
        "ours": seconds,
        "peer": scale.SECONDS_GOAL,
        "ratio": seconds / scale.SECONDS_GOAL,
        "better": "lower",
        "goal": 1.0,
        "rss_goal_mib": scale.MEMORY_GOAL,
        **middle,
    }


def main() -> int:
    """Measure alone, or be the measured process."""
    parser = argparse.ArgumentParser(prog="tests.bench.families", description=__doc__)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--tenants", type=int, default=10_000)
    given = parser.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return 0
    with servers.own_postgres_server() as server:
        line = case(server.url, tenants=given.tenants)
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

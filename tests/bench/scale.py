"""P10: a large register, many datasets, nothing due: what it costs to find that out. One JSON line.

`python -m tests.bench.scale [--tenants N] [--datasets N] [--rows N]` measures alone; `tests.bench --only P10` likewise.
The measured process is a fresh one: what made the world is not in its memory.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.core.period import Period
from lifecycle.core.tenant import Tenant
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import mirror, offboard, planning, scopes
from lifecycle.flow.look import look
from lifecycle.ports.clock import SimulatedClock, SystemClock
from lifecycle.wiring import creation
from lifecycle.wiring.deployment import Options, open_deployment
from tests import portal, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.flow.deployment import Deployment

SECONDS_GOAL, MEMORY_GOAL = 30, 256
MARGIN_DAYS = 3
FIGURES = tuple(f"P{months}M" for months in range(1, 25))
"""What controllers set for their bookings: as many groups of tenants."""
LOGS, BOOKINGS = ("dispatch-log", "system-log"), ("identification", "contact", "booking")
YOUNGEST_DAYS = 20
"""No row is older at the beginning: the shortest period is a month."""

DATASET = """\
  - {{id: {name}, store: main, table: {table}, category: {category}, key: [id],
     tenant: {{by: column, column: firm}}, times: {{collection: {{column: at, encoding: {encoding}}},
     booking-end: {{column: at, encoding: {encoding}}}}}}}
"""


def categories(datasets: int) -> Iterator[tuple[str, str]]:
    """Yield each table and its category: half logs with a fixed period, half bookings with the controller's."""
    for number in range(datasets):
        kinds = LOGS if number % 2 else BOOKINGS
        yield f"t{number:03d}", kinds[number // 2 % len(kinds)]


def fill(url: str, now: datetime, *, tenants: int, datasets: int, rows: int, log_days: int = YOUNGEST_DAYS) -> None:
    """Make the application's tables: rows of the last days, spread over the tenants. `log_days`: those of the logs."""
    server = not url.startswith("sqlite")
    with portal.raw(url) as connection:
        for table, category in categories(datasets):
            days = log_days if category in LOGS else YOUNGEST_DAYS
            time_type = "timestamptz" if server else "TEXT"
            connection.execute(
                f"CREATE TABLE {table} (id bigint PRIMARY KEY, firm text NOT NULL, at {time_type} NOT NULL)"
            )
            series = f"generate_series(0, {rows - 1}) AS n" if server else "n"
            names = f"'firm-' || (n * 7919 % {tenants})"
            if server:
                moment = f"timestamptz '{now.isoformat()}' - (n % {days}) * interval '1 day'"
                recursive = ""
            else:
                moment = f"datetime('{now:%Y-%m-%d %H:%M:%S}', '-' || (n % {days}) || ' days') || '+00:00'"
                recursive = f"WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {rows - 1}) "
            connection.execute(f"INSERT INTO {table} {recursive}SELECT n, {names}, {moment} FROM {series}")
            connection.execute(f"CREATE INDEX {table}_at ON {table} (at)")


def create(folder: Path, url: str, now: datetime, *, tenants: int, datasets: int, settings: str = "") -> SigningKey:
    """Make the deployment with its register; returns the operator's key."""
    creation.create(folder, deployment="scale", origin="lifecycle.example.com/scale", agreements=("parking-reminder",))
    encoding = "iso-text" if url.startswith("sqlite") else "utc"
    lines = ["lifecycle: inventory/v1\nid: scale\nstores:\n"]
    lines += ["  - {id: main, kind: sql, address: {file: main.url}, place: {country: DE}}\ndatasets:\n"]
    for table, category in categories(datasets):
        lines.append(DATASET.format(name=f"d-{table}", table=table, category=category, encoding=encoding))
    (folder / "inventory.yaml").write_text("".join(lines))
    text = (folder / "lifecycle.yaml").read_text().replace("tenants: tenants.yaml\n", "")
    (folder / "lifecycle.yaml").write_text(text + settings)
    portal.point_to(folder, url)
    key = SigningKey.generate()
    key.save(folder / "op-one.pem")
    creation.add_operator(folder, "op-one", key.public, datetime(2020, 1, 1, tzinfo=UTC).date())
    with open_deployment(folder, Options(clock=SimulatedClock(now))) as deployment:
        deployment.stores["main"].prepare(deployment.id)
        offboard.sync(deployment, [firm(number) for number in range(tenants)])
    return key


def firm(number: int) -> Tenant:
    """Return a tenant with its own figure."""
    period = Period.parse(FIGURES[number % len(FIGURES)])
    return Tenant(id=f"firm-{number}", agreement="parking-reminder", parameters={"booking_retention": period})


def measure(folder: Path) -> dict[str, Any]:
    """Open, resolve, plan every rule; in this process."""
    began = time.monotonic()
    with open_deployment(folder, Options()) as deployment:
        opened = time.monotonic()
        obligations = scopes.obligations_on(deployment, deployment.clock.now())
        resolved = time.monotonic()
        mirror.mirror(deployment, deployment.stores)
        mirrored = time.monotonic()
        busy = time.process_time()
        first = _plan(deployment)
        busy = time.process_time() - busy
        again = _plan(deployment)
        looking = time.monotonic()
        seen = look(deployment)
        looking = time.monotonic() - looking
    assert (seen.breached, seen.unanswered, seen.stale) == (False, (), ())
    return {
        "obligations": len(obligations),
        "groups": len({group for one in obligations for group in one.groups}),
        "open_s": opened - began,
        "resolve_s": resolved - opened,
        "mirror_s": mirrored - resolved,
        "plan_s": first,
        "plan_cpu_s": busy,
        "plan_again_s": again,
        "look_s": looking,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _plan(deployment: Deployment) -> float:
    began = time.monotonic()
    for agreement, rule in planning.due_rules(deployment):
        assert planning.plan_rule(deployment, agreement, rule, author="lifecycle") is None
    return time.monotonic() - began


def case(
    server: str, *, tenants: int = 10_000, datasets: int = 50, rows: int = 20_000, times: int = 3
) -> dict[str, Any]:
    """Return P10's line, medians of fresh processes: seconds to resolve and plan everything, and the peak memory."""
    now = SystemClock().now() - timedelta(minutes=1)
    with servers.fresh_database(server) as url, tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as home:
        folder = Path(home) / "deployment"
        fill(url, now, tenants=tenants, datasets=datasets, rows=rows)
        create(folder, url, now, tenants=tenants, datasets=datasets)
        command = [sys.executable, "-m", "tests.bench.scale", "--measure", str(folder)]
        done = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(times)]
    middle = {name: statistics.median(run[name] for run in done) for name in done[0]}
    seconds = middle["resolve_s"] + middle["plan_s"]
    return {
        "case": f"P10 resolve and plan {tenants} tenants x {datasets} datasets, nothing due, seconds",
        "ours": seconds,
        "peer": SECONDS_GOAL,
        "ratio": seconds / SECONDS_GOAL,
        "better": "lower",
        "goal": 1.0,
        "rss_goal_mib": MEMORY_GOAL,
        **middle,
    }


def main() -> int:
    """Measure alone, or be the measured process."""
    parser = argparse.ArgumentParser(prog="tests.bench.scale", description=__doc__)
    parser.add_argument("--measure", type=Path)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--datasets", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return 0
    with servers.own_postgres_server() as server:
        line = case(server.url, tenants=given.tenants, datasets=given.datasets, rows=given.rows, times=given.times)
    print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in line.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

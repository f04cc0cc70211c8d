"""`python -m tests.bench [--rows N] [--times K] [--only P1,P7]`: prints one JSON line a case, medians of K runs."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.core.selection import Before, Bound, Selection, WholeScope
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring.deployment import Options, open_deployment
from tests import servers
from tests.bench import families, peers, run, scale, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MEMORY_GOAL = 256


class Bench:
    """One server, one clock, runs side by side: ours and the peer in turn, on copies of the same table."""

    def __init__(self, server: str, rows: int, times: int) -> None:
        """Use this server; `rows` is the large table's size."""
        self.server, self.rows, self.times = server, rows, times
        self.now: datetime = SystemClock().now()
        self.memory: list[float] = []

    @contextmanager
    def source(self, shape: table.Shape) -> Iterator[str]:
        """Yield a database with the filled table."""
        with servers.fresh_database(self.server) as url:
            table.create(url, shape, self.now)
            yield url

    def ours(self, source: str, shape: table.Shape, *, batch: int | None = None) -> run.Ours:
        """Run the product on a copy."""
        with table.copy(self.server, source) as url, tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as home:
            done = run.ours(Path(home) / "deployment", url, shape, batch=batch)
        self.memory.append(done.rss_mib)
        return done

    def peer(self, source: str, work: Any, *more: Any) -> float:
        """Run a peer on a copy and return rows a second."""
        with table.copy(self.server, source) as url:
            rows, seconds = work(url, table.cutoff(self.now), *more)
        return float(rows / seconds)

    def whole(self, wanted: set[str]) -> None:
        """P1, P1b, P2 and P8: half of a table that belongs to no tenant."""
        shape = table.Shape(self.rows, 0.5, 1)
        with self.source(shape) as source:
            mine, raw, ids, bare = [], [], [], []
            for _ in range(self.times):
                done = self.ours(source, shape)
                mine.append(done)
                if "P1" in wanted:
                    raw.append(self.peer(source, peers.raw_delete))
                if "P1b" in wanted:
                    ids.append(self.peer(source, peers.ids_then_delete))
                if "P8" in wanted:
                    bare.append(self.peer(source, peers.bare_loop, _sizes(done)))
            rss = max(done.rss_mib for done in mine)
            rates = [done.rate for done in mine]
            extra = {"rows": mine[0].rows, "verify_s": round(statistics.median(d.verifying for d in mine), 2)}
            if raw:
                line("P1 half of a table, against one raw DELETE", rates, raw, rss, goal=0.45, **extra)
            if ids:
                line("P1b half of a table, against SELECT ids; DELETE = ANY(ids)", rates, ids, rss, goal=3, **extra)
            if bare:
                line("P8 the loop with evidence, against without", rates, bare, rss, goal=0.8, **extra)
            if "P2" in wanted:
                for size in (1_000, 10_000):
                    flat = [self.ours(source, shape, batch=size).flatness() for _ in range(self.times)]
                    report(
                        case=f"P2 rate of the last fifth over the first, batches of {size}",
                        ours=statistics.median(flat),
                        peer=1,
                        ratio=statistics.median(flat),
                        better="higher",
                        goal=0.8,
                    )

    def tenants(self) -> None:
        """P1c: the same table with 10,000 tenants in one group and 20 holds, counts per tenant."""
        shape = table.Shape(self.rows, 0.5, 10_000, held=20)
        with self.source(shape) as source:
            mine = [self.ours(source, shape) for _ in range(self.times)]
            raw = [self.peer(source, peers.raw_delete) for _ in range(self.times)]
        rss = max(done.rss_mib for done in mine)
        title = "P1c half of a table of 10,000 tenants with 20 holds, against one raw DELETE"
        line(title, [done.rate for done in mine], raw, rss, goal=0.25, rows=mine[0].rows)

    def nightly(self) -> None:
        """P1d: one per cent due."""
        shape = table.Shape(self.rows, 0.01, 1)
        with self.source(shape) as source:
            mine, raw = [], []
            for _ in range(self.times):
                mine.append(self.ours(source, shape))
                raw.append(self.peer(source, peers.raw_delete))
        rss = max(done.rss_mib for done in mine)
        title = "P1d one per cent due, against one raw DELETE"
        line(title, [done.rate for done in mine], raw, rss, goal=0.4, rows=mine[0].rows)

    def scan(self) -> None:
        """P7: how a scan grows with what is due, and against OFFSET paging."""
        seconds: dict[int, list[float]] = {}
        paging: list[float] = []
        for rows in (self.rows // 2, self.rows):
            shape = table.Shape(rows, 0.5, 1)
            with self.source(shape) as source, tempfile.TemporaryDirectory(prefix="lifecycle-bench-") as home:
                folder = Path(home) / "deployment"
                with table.copy(self.server, source) as url:
                    table.deployment(folder, url, shape)
                    seconds[rows] = [self._count(folder, shape) for _ in range(max(3, self.times))]
                    if rows == self.rows:
                        paging.append(peers.offset_paging(url, table.cutoff(self.now))[1])
        half, full = (statistics.median(seconds[rows]) for rows in (self.rows // 2, self.rows))
        report(case="P7 scan of twice the due rows, time(2N)/time(N)", ours=full, peer=half, ratio=full / half,
               better="lower", goal=2.2)  # fmt: skip
        report(case="P7 scan against OFFSET paging, seconds", ours=full, peer=paging[0], ratio=paging[0] / full,
               better="higher", goal=15)  # fmt: skip

    def _count(self, folder: Path, shape: table.Shape) -> float:
        before = Before(
            time="collection",
            day=table.due_day(self.now),
            zone="Etc/UTC",
            not_before=self.now.date().replace(year=1990),
            not_after=self.now.date(),
        )
        with open_deployment(folder, Options()) as deployment:
            began = time.monotonic()
            found = deployment.stores["main"].count(
                Bound(Selection(dataset="access-log", scope=WholeScope(), due=(before,)))
            )
            assert found.items > shape.due * 0.9
            return time.monotonic() - began


def _sizes(done: run.Ours) -> list[int]:
    counts = [count for count, _ in done.batches]
    return [after - before for before, after in zip([0, *counts], counts, strict=False) if after > before]


def line(case: str, ours: list[float], peer: list[float], rss: float, *, goal: float, **more: Any) -> None:
    """Print one case: rates in rows a second, the ratio of the medians, the peak memory."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    report(case=case, ours=mine, peer=theirs, ratio=mine / theirs, better="higher", goal=goal, rss_mib=rss, **more)


def report(**fields: Any) -> None:
    """Print a JSON line."""
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in fields.items()}), flush=True)


def main() -> int:
    """Run the cases asked for; figures are for people, so a missed goal does not fail the command."""
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default="P1,P1b,P1c,P1d,P2,P7,P8,P10,P12")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(","))
    with servers.own_postgres_server() as server:
        bench = Bench(server.url, arguments.rows, arguments.times)
        if wanted & {"P1", "P1b", "P2", "P8"}:
            bench.whole(wanted)
        if "P1c" in wanted:
            bench.tenants()
        if "P1d" in wanted:
            bench.nightly()
        if "P7" in wanted:
            bench.scan()
        if "P10" in wanted:
            report(**scale.case(server.url, times=arguments.times))
            report(**families.case(server.url))
        if "P12" in wanted and bench.memory:
            rss = max(bench.memory)
            report(case="P12 peak memory of these jobs, MiB", ours=rss, peer=MEMORY_GOAL, ratio=rss / MEMORY_GOAL,
                   better="lower", goal=1.0)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

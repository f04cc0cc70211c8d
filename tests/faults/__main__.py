"""`python -m tests.faults [--sample | --full]`: the fault matrix on real servers, with its counts as the last lines.

Each case is a world of its own: the plans are made, a process is killed at a failpoint's first, second or last hit,
another one during the recovery, a third one finishes; then an independent model judges what is left.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from lifecycle.ports.clock import SystemClock
from lifecycle.ports.failpoint import NAMES, OF_ITEMS
from tests import folders, mariadb, portal, servers
from tests.faults import oracle, work
from tests.faults.process import Ended, spawn
from tests.faults.stored import BucketTemplate
from tests.object_servers import s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

ONLY_IN_RECOVERY = {"void.before": "batch.changed", "void.after": "batch.changed"}
LIMITS = "limits: {least_batch: 5, first_batch: 5, most_batch: 5}\n"
LOGS = 16
MORE = {"files": OF_ITEMS, "s3": ("item.gone",)}
CUTS = ("BEGIN", "receipt", "DELETE FROM", "COMMIT")
BEGINS = {"mariadb": "START TRANSACTION"}
STRUCK = ("batch.fenced", "batch.changed", "batch.receipt-sealed", "batch.committed")
STORES = ("sqlite", "postgresql", "mariadb", "files", "s3")


@dataclass(frozen=True)
class Case:
    """Kill at the nth hit of a failpoint, then at the kth hit of any failpoint during the recovery (0: not)."""

    store: str
    name: str
    nth: int
    again: int


@dataclass(frozen=True)
class Cut:
    """Cut the connection before or after the nth message with this pattern."""

    pattern: str
    when: str
    nth: int


class Template:
    """One prepared world of a store kind, copied for every case."""

    def __init__(self, store: str, home: Path, server: str | None, now: datetime) -> None:
        """Make the application's database and the deployment once."""
        self.store, self.home, self.server, self.now = store, home / store, server, now
        self.home.mkdir()
        url = f"sqlite:///{self.home}/app.db"
        if server is not None:
            self._database = self._fresh(server)
            url = self._database.__enter__()
        inventory: str | None = None
        if store == "files":
            url, inventory = f"file://{self.home}/root", folders.INVENTORY
            folders.create(self.home / "root", now, records=LOGS)
        else:
            portal.create_application(url, now, logs=LOGS)
        self.world = portal.create_deployment(self.home / "deployment", url, now, inventory=inventory)
        settings = self.world.folder / "lifecycle.yaml"
        settings.write_text(settings.read_text() + LIMITS)
        model: Any = folders if store == "files" else oracle
        self.before = self.read(self.world)
        self.must_go = model.expected(self.before, portal.LEAVER, now)

    def read(self, world: portal.World) -> Any:
        """Read the application's data, without the product."""
        return folders.read(Path(urlsplit(world.url).path)) if self.store == "files" else oracle.read(world.rows)

    def judge(self, world: portal.World, sealed: list[Any]) -> Any:
        """Compare it with the model and the opened lists."""
        model: Any = folders if self.store == "files" else oracle
        return model.judge(self.before, self.read(world), self.must_go, sealed)

    def _fresh(self, server: str, **template: str) -> Any:
        make: Any = mariadb.fresh_mariadb if self.store == "mariadb" else servers.fresh_database
        return make(server, **template)

    def close(self) -> None:
        """Drop the template's database."""
        if self.server is not None:
            self._database.__exit__(None, None, None)

    @contextmanager
    def copy(self, name: str, *, prepared: bool = True) -> Iterator[portal.World]:
        """Yield a copy of the world, by default with both plans made and approved, and remove it afterwards."""
        folder = self.home / name
        shutil.copytree(self.world.folder, folder)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder)
            if self.store == "files":
                url = f"file://{folder}/root"
                shutil.copytree(self.home / "root", folder / "root")
            elif self.server is None:
                url = f"sqlite:///{folder}/app.db"
                shutil.copyfile(self.home / "app.db", folder / "app.db")
            else:
                source = urlsplit(self.world.url).path.lstrip("/")
                url = stack.enter_context(self._fresh(self.server, template=source))
            portal.point_to(folder, url)
            world = portal.World(folder, url, self.now)
            if prepared:
                _must(spawn(world, _prepare_of(world)))
            yield world


AnyTemplate = Template | BucketTemplate


def _prepare(world: portal.World) -> None:
    _must(spawn(world, _prepare_of(world)))


def _prepare_of(world: portal.World) -> Any:
    def prepare(deployment: Any) -> None:
        del deployment
        work.prepare(world)

    return prepare


def main() -> int:
    """Run the matrix and return 0 when every count that must be 0 is 0."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--sample", action="store_true", help="each failpoint once, a few cuts: for every test run")
    size.add_argument("--full", action="store_true", help="every hit, every recovery step: for long runs")
    parser.add_argument("--store", choices=STORES, action="append")
    arguments = parser.parse_args()
    began = time.monotonic()
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lifecycle-faults-") as home, ExitStack() as stack:
        for store in arguments.store or STORES:
            server = _server(store, stack)
            template: AnyTemplate
            if store == "s3":
                template = BucketTemplate(Path(home), server.url, SystemClock().now(), LIMITS, _prepare)
            else:
                template = Template(store, Path(home), None if server is None else server.url, SystemClock().now())
            stack.callback(template.close)
            for title, outcome in _disturbed(template, server, sample=arguments.sample, full=arguments.full):
                _count(tally, f"{store} {title}", outcome)
    _report(tally, time.monotonic() - began)
    return 0 if not tally["bad cases"] and not tally["never hit"] else 1


def _server(store: str, stack: ExitStack) -> Any:
    """Return the running server that a kind of store needs."""
    if store in {"sqlite", "files"}:
        return None
    if store == "mariadb":
        # It is killed, and no machine loses its power: what it wrote is the kernel's.
        return stack.enter_context(mariadb.own_mariadb_server(*mariadb.QUICK))
    return stack.enter_context(s3_server() if store == "s3" else servers.postgres_server())


def _disturbed(template: AnyTemplate, server: Any, *, sample: bool, full: bool) -> Iterator[tuple[str, Any]]:
    """Yield every disturbance of a store with its outcome."""
    for case in _cases(template, sample=sample, full=full):
        yield f"{case.name} #{case.nth} then #{case.again}", _kill(template, case)
    if not isinstance(template, Template) or server is None:
        return
    for cut in _cuts(template.store, sample=sample, full=full):
        yield f"cut {cut.when} {cut.pattern} #{cut.nth}", _cut(template, cut)
    if template.store == "mariadb":
        for name in STRUCK[1:3] if sample else STRUCK:
            for nth in [1] if sample else [1, 2, 5]:
                yield f"server killed at {name} #{nth}", _strike(template, server, name, nth)
        yield "rows locked by the application", _locked(template)


def _cases(template: AnyTemplate, *, sample: bool, full: bool) -> Iterator[Case]:
    """Yield the cases of a store from one undisturbed run's hits; one that is never hit is a case that fails."""
    with template.copy("baseline") as world:
        hits = _must(spawn(world, _run)).answer["hits"]
    for place, name in enumerate(NAMES + MORE.get(template.store, ())):
        # In every test run MariaDB is killed inside its transaction; the rest of the line is the same on all stores.
        if sample and template.store == "mariadb" and not name.startswith("batch."):
            continue
        last = 1 if name in ONLY_IN_RECOVERY else hits.get(name, 0)
        wanted = [1] if sample else sorted({1, min(2, last), last})
        for nth in wanted:
            # After a last hit little is left to do: there the recovery is killed at its first failpoint.
            early = 1 if nth == last > 1 else 1 + (place + nth) % 7
            for again in range(1, 9) if full else [early]:
                yield Case(template.store, name, nth, again)


def _cuts(store: str, *, sample: bool, full: bool) -> Iterator[Cut]:
    for pattern in (BEGINS.get(store, CUTS[0]), *CUTS[1:]):
        for when in ("before", "after"):
            for nth in [2] if sample else range(1, 9 if full else 4):
                yield Cut(pattern, when, nth)


def _run(deployment: Any) -> None:
    work.run(deployment)


def _kill(template: AnyTemplate, case: Case) -> tuple[oracle.Verdict | None, list[str]]:
    notes: list[str] = []
    with template.copy(f"{case.name}-{case.nth}-{case.again}") as world:
        if case.name in ONLY_IN_RECOVERY:
            spawn(world, _run, name=ONLY_IN_RECOVERY[case.name], nth=1)
        first = spawn(world, _run, name=case.name, nth=case.nth)
        if not first.killed:
            return None, [f"never hit ({first.error})"]
        second = spawn(world, _run, name="*", nth=case.again)
        notes.append("killed in recovery" if second.killed else "recovery finished first")
        return _finish(template, world, notes)


def _cut(template: Template, cut: Cut) -> tuple[oracle.Verdict | None, list[str]]:
    """Plan, run and finish through the same proxy: a store is known by its address too."""
    with template.copy(f"cut-{cut.pattern.replace(' ', '')}-{cut.when}-{cut.nth}", prepared=False) as world:
        parts = urlsplit(world.url)
        command = [sys.executable, "-m", "tests.faults.proxy", str(parts.hostname), str(parts.port)]
        proxy = subprocess.Popen(
            [*command, cut.pattern, cut.when, str(cut.nth), template.store],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert proxy.stdout is not None
            assert proxy.stdin is not None
            port = int(proxy.stdout.readline())
            through = parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}")
            portal.point_to(world.folder, urlunsplit(through))
            _must(spawn(world, _prepare_of(world)))
            proxy.stdin.write("arm\n")
            proxy.stdin.flush()
            proxy.stdout.readline()
            ended = spawn(world, _run)
            went_on = "went on by itself" if ended.error is None else "stopped, run again"
            verdict, notes = _finish(template, world, [went_on])
        finally:
            proxy.kill()
            happened = proxy.stdout.read() if proxy.stdout else ""
            proxy.wait()
        return (verdict, notes) if "cut" in happened else (None, [f"never hit ({ended.error})"])


def _strike(
    template: Template, server: mariadb.OwnMariadb, name: str, nth: int
) -> tuple[oracle.Verdict | None, list[str]]:
    """Kill the server itself at a failpoint while the process goes on; then the server comes back."""
    with template.copy(f"struck-{name}-{nth}") as world:
        victim, left = server.pid, [nth]

        def strike(hit: str) -> None:
            left[0] -= hit == name
            if hit == name and left[0] == 0:
                os.kill(victim, signal.SIGKILL)

        def work_on(deployment: Any) -> None:
            del deployment
            with world.open(failpoint=strike) as own:
                work.run(own)

        ended = spawn(world, work_on)
        if ended.error is None:
            return None, ["never hit (it finished)"]
        server.restart()
        return _finish(template, world, [f"stopped ({ended.error.partition(':')[0]})"])


def _locked(template: Template) -> tuple[oracle.Verdict | None, list[str]]:
    """The application keeps due rows locked for as long as a run takes; then it lets go."""
    with template.copy("locked") as world:
        table, key = min(template.must_go, key=repr)
        with portal.raw(world.url) as application:
            application.execute(f"SELECT id FROM {table} WHERE id = {key!r} FOR UPDATE").fetchall()
            ended = spawn(world, _run)
        went_on = "went on by itself" if ended.error is None else "stopped, run again"
        return _finish(template, world, [went_on])


def _finish(template: AnyTemplate, world: portal.World, notes: list[str]) -> tuple[oracle.Verdict | None, list[str]]:
    """Let the last process finish, run it once more for nothing, and judge."""
    third = spawn(world, _run)
    if third.error is not None:
        return None, [*notes, f"did not finish: {third.error}"]
    evidence = _must(spawn(world, work.dump)).answer["answer"]
    _must(spawn(world, _run))
    again = _must(spawn(world, work.dump)).answer["answer"]
    sealed = [(table, *key) if isinstance(key, list) else (table, key) for table, key in evidence["sealed"]]
    verdict = template.judge(world, sealed)
    if evidence["open"] or evidence["receipts"] != evidence["receipts_distinct"]:
        notes.append("BAD open or doubled receipts in the log")
    if evidence["verdicts"] != ["valid", "valid"]:
        notes.append(f"BAD certificates {evidence['verdicts']}")
    if again["receipts"] != evidence["receipts"]:
        notes.append("BAD running again added receipts")
    return verdict, notes


def _must(ended: Ended) -> Ended:
    if ended.killed or ended.error is not None:
        msg = f"an undisturbed process failed: {ended.error}"
        raise SystemExit(msg)
    return ended


def _count(tally: Counter[str], title: str, outcome: tuple[oracle.Verdict | None, list[str]]) -> None:
    verdict, notes = outcome
    tally["cases"] += 1
    bad = verdict is None or not verdict.good or any(note.startswith("BAD") for note in notes)
    if verdict is None and any(note.startswith("never hit") for note in notes):
        tally["never hit"] += 1
    if verdict is not None:
        tally["rows deleted"] += verdict.deleted
        tally["rows outside sealed lists"] += verdict.outside_receipts
        tally["over-deleted"] += verdict.over_deleted
        tally["doubled"] += verdict.doubled
        tally["named but there"] += verdict.named_but_there
        tally["left"] += verdict.left
    tally["bad cases"] += bad
    for note in notes:
        if note in {"killed in recovery", "went on by itself"}:
            tally[note] += 1
    print(f"{'BAD ' if bad else 'ok  '} {title}: {'; '.join(notes)}" + (f" {verdict}" if bad else ""), flush=True)


def _report(tally: Counter[str], seconds: float) -> None:
    print(f"\ncases reached: {tally['cases'] - tally['never hit']} of {tally['cases']} in {seconds:.0f} s")
    for name in ("killed in recovery", "went on by itself", "rows deleted"):
        print(f"{name}: {tally[name]}")
    for name in ("rows outside sealed lists", "over-deleted", "doubled", "named but there", "left", "bad cases"):
        print(f"{name}: {tally[name]}")


if __name__ == "__main__":
    sys.exit(main())

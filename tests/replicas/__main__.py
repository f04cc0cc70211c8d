"""`python -m tests.replicas --rounds N`: replicas disturbed at random, then judged; the counts are the last lines.

In each round one or two replicas, mostly the leader, are killed, stopped, lose sessions or their network (to the state,
to the target, or to both), for less or for longer than a lease, while rows arrive and a rule is due every two seconds.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.replicas import model
from tests.replicas.arena import Arena, at_work, finished_jobs, leader
from tests.replicas.replica import Replica, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAULTS = ("kill", "stop", "terminate locks", "terminate all", "cut late", "cut lost")
PATIENCE = 60.0
LEASE = 3.0


@dataclass
class Run:
    """What the rounds saw."""

    taken: list[float] = field(default_factory=list)
    working: list[float] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)


def main() -> int:
    """Run the rounds and return 0 when every count that must be 0 is 0."""
    parser = argparse.ArgumentParser(prog="tests.replicas", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=None, help="a folder for the replicas' folders and logs")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with ExitStack() as stack:
        home = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-replicas-")))
        home.mkdir(parents=True, exist_ok=True)
        arena = Arena(home, arguments.replicas, stack)
        replicas = [Replica(n, folder, arena.wires[n]) for n, folder in enumerate(arena.folders)]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.start()
        run = Run()
        with arena.arriving():
            _leads(arena, run, lambda _: True, "at the start")
            chance = random.Random(seed)
            for number in range(arguments.rounds):
                _round(arena, replicas, run, chance, number)
        _settle(arena, replicas, run)
        verdict, rows = model.judge(arena.trace(), arena.receipts()), arena.verdict()
    verdict.counts["starts without a server, tried again"] = sum(replica.failed_starts for replica in replicas)
    return _report(run, verdict, rows, arguments.rounds, time.monotonic() - began)


def _round(arena: Arena, replicas: list[Replica], run: Run, chance: random.Random, number: int) -> None:
    pause(chance.uniform(0, 1.5))
    leading = _leads(arena, run, lambda _: True, f"before round {number}")
    if leading is None:
        return
    backend, owner = leading
    victims = {owner} if chance.random() < 0.7 else {chance.randrange(len(replicas))}
    if chance.random() < 0.2:
        victims.add(chance.randrange(len(replicas)))
    fault = chance.choice(FAULTS)
    run.faults[fault] = run.faults.get(fault, 0) + 1
    short = chance.random() < 0.3
    wires = chance.choice(((0,), (1,), (0, 1)))
    with arena.state() as connection:
        if chance.random() < 0.8:
            # Most faults are to meet a job between its batches.
            next((True for _ in _until() if at_work(connection)), False)
            pause(chance.uniform(0, 0.2))
        jobs, begin = finished_jobs(connection), time.monotonic()
    for victim in sorted(victims):
        _strike(arena, replicas[victim], fault, wires)
    # Who cannot reach the target alone keeps the lead; so does who is stopped or cut off for less than a lease.
    lasting = not short and (fault == "stop" or 0 in wires)
    loses = owner in victims and (lasting or fault == "kill" or fault.startswith("terminate"))
    taken = None
    if loses:
        found = _leads(arena, run, lambda held: held[0] != backend, f"round {number}, {fault}")
        taken = time.monotonic() - begin if found else None
        pause(chance.uniform(0, 2))
    else:
        pause(chance.uniform(0.3, LEASE - 0.5))
    for victim in sorted(victims):
        _help(replicas[victim], fault, wires)
    working = _works(arena, replicas, run, jobs, begin, f"round {number}, {fault}")
    if taken is not None:
        run.taken.append(taken)
        run.working.append(working)
    who = ", ".join(f"{victim}{' (leader)' if victim == owner else ''}" for victim in sorted(victims))
    shown = f"{taken:.1f} s" if taken is not None else "-"
    print(f"{number:4} {fault:16} {who:24} taken over {shown:>7}, next job done {working:5.1f} s", flush=True)


def _strike(arena: Arena, replica: Replica, fault: str, wires: tuple[int, ...]) -> None:
    if fault == "kill":
        replica.send(signal.SIGKILL)
    elif fault == "stop":
        replica.send(signal.SIGSTOP)
    elif fault.startswith("cut"):
        for which in wires:
            replica.wires[which].cut()
    else:
        ports = [list(wire.carried) for wire in replica.wires]
        with arena.state() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY(%s)"
                " AND (%s OR application_name LIKE 'lifecycle %%')",
                (ports[0] + ports[1], fault == "terminate all"),
            )


def _help(replica: Replica, fault: str, wires: tuple[int, ...]) -> None:
    if fault == "kill":
        replica.start()
    elif fault == "stop":
        replica.send(signal.SIGCONT)
    elif fault.startswith("cut"):
        for which in wires:
            replica.wires[which].heal(lost=fault == "cut lost")


def _leads(arena: Arena, run: Run, wanted: Callable[[tuple[int, int]], bool], when: str) -> tuple[int, int] | None:
    """Wait for a leader, and return its backend and its replica."""
    with arena.state() as connection:
        for _ in _until():
            held = leader(connection)
            owner = arena.replica_of(held[1]) if held else None
            if held is not None and owner is not None and wanted((held[0], owner)):
                return held[0], owner
    run.bad.append(f"nobody led within {PATIENCE:.0f} s {when}")
    return None


def _works(arena: Arena, replicas: list[Replica], run: Run, jobs: int, begin: float, when: str) -> float:
    """Wait for the next job to end, and return how long that took since the fault."""
    with arena.state() as connection:
        for _ in _until():
            if finished_jobs(connection) > jobs:
                return time.monotonic() - begin
            for replica in replicas:
                # As a service manager does with what ended by itself.
                if why := replica.died():
                    run.bad.append(why)
                replica.start()
    run.bad.append(f"no job ended within {PATIENCE:.0f} s {when}")
    return PATIENCE


def _until() -> Iterator[None]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        yield
        pause(0.02)


def _settle(arena: Arena, replicas: list[Replica], run: Run) -> None:
    """Let the replicas finish in peace, then end them."""
    for _ in _until():
        if arena.due() == 0:
            break
    # Whatever a last turn still has to note, it notes within a slot.
    pause(3)
    for replica in replicas:
        code = replica.end()
        if code != 0:
            run.bad.append(f"replica {replica.number} ended with {code} after SIGTERM: {replica.said()[-800:]}")


def _report(run: Run, verdict: model.Verdict, rows: object, rounds: int, seconds: float) -> int:
    print(f"\nrounds: {rounds} in {seconds:.0f} s: {run.faults}")
    for name, count in sorted(verdict.counts.items()):
        print(f"{name}: {count}")
    for title, times in (("takeover", run.taken), ("takeover until the next job was done", run.working)):
        if times:
            print(f"{title}: min {min(times):.1f} s, median {statistics.median(times):.1f} s, max {max(times):.1f} s")
    for name, count in verdict.wrong.items():
        print(f"{name}: {count}")
    print(f"rows: {rows}")
    for note in (*verdict.notes, *run.bad):
        print(f"BAD {note}")
    good = not run.bad and not any(verdict.wrong.values()) and getattr(rows, "good", False)
    print("held" if good else "did not hold")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""One race: a job, and a writer that begins at a seeded place of it; and many of them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.interleavings import job
from tests.interleavings.kinds import KINDS, Seen, wrong

if TYPE_CHECKING:
    from tests.interleavings.arena import Arena

OUTSIDE = ("binding", "before-cut", "cut", "batch.committed")
INSIDE = ("batch.begun", "batch.fenced", "batch.receipt-open", "batch.changed", "batch.receipt-sealed")
MOST = 7
"""The job has six batches: a writer that waits for the eighth comes after its end."""


@dataclass
class Tally:
    """What so many interleavings showed."""

    kind: str
    runs: int = 0
    kept: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """Return the counts as a line."""
        ends = ", ".join(f"{name} {count}" for name, count in sorted(self.ended.items()))
        return f"{self.kind}: {self.runs} interleavings, {self.kept} with rows kept, {len(self.wrong)} wrong ({ends})"


class Start:
    """Begins the writer at the chosen place; outside a batch the job may wait for it, inside it would wait for ever."""

    def __init__(self, chance: random.Random, writer: threading.Thread) -> None:
        """Choose."""
        self.place = chance.choice([*OUTSIDE, *INSIDE])
        self.left = 0 if self.place == "binding" else chance.randrange(MOST)
        self.waits = self.place in OUTSIDE and chance.random() < 0.5
        self.writer = writer

    def __call__(self, place: str) -> None:
        """Be told where the job is."""
        if place != self.place:
            return
        self.left -= 1
        if self.left == -1:
            self.writer.start()
            if self.waits:
                self.writer.join()


def race(arena: Arena, kind: str, seed: int, tally: Tally) -> None:
    """Run one interleaving and enter it into the tally."""
    table, act = KINDS[kind]
    chance = random.Random(f"{kind}/{seed}")
    arena.fill()
    seen, failed = Seen(), list[BaseException]()

    def write() -> None:
        try:
            with arena.beside() as connection:
                act(arena, connection, chance, seen)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failed.append(error)

    writer = threading.Thread(target=write)
    start = Start(chance, writer)
    store = arena.store(start)
    try:
        arena.ready(store)
        ended = job.run(store, table, store.used_schema([table]), f"{kind}-{seed}", start)
    finally:
        if writer.ident is None:
            writer.start()
        writer.join()
        store.close()
    if failed:
        raise failed[0]
    tally.runs += 1
    tally.ended[ended] += 1
    tally.kept += bool(seen.stays - set(range(100, 300)) or seen.moved or seen.notes)
    tally.wrong += [f"seed {seed}: {what} ({start.place}, job ended {ended})" for what in wrong(arena, table, seen)]


def races(arena: Arena, kind: str, seeds: range) -> Tally:
    """Run many."""
    tally = Tally(kind)
    for seed in seeds:
        race(arena, kind, seed, tally)
    return tally

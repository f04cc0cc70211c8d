"""A store around a store: changes wait for maintenance windows and calm servers, and go no faster than agreed.

Only the way into a batch is held back (`cut`), so that nothing was announced or begun when a job pauses; looking,
counting and closing what is open are always let through. Whatever else a store can do is the inner store's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from lifecycle.core.errors import LifecycleError, Paused
from lifecycle.core.selection import Bound
from lifecycle.core.throttle import Brake, Pressure, Throttle, braked
from lifecycle.ports.clock import Clock
from lifecycle.ports.links import Objects
from lifecycle.ports.store import Batch, Cut, Json, Receipt, Store

PATIENCE_SECONDS = 10.0
"""How long a batch waits for a signal to ease before its job pauses; the next tick tries again."""

BETWEEN_SECONDS = 1.0
"""How long a reading of the signals stands, and how long is waited between two."""

Rest = Callable[[float], None]


class PacedStore:
    """The inner store, held back as a throttle says. Thread-safe as the inner store is: one job writes at a time."""

    def __init__(
        self,
        store: Store,
        throttle: Throttle,
        *,
        clock: Clock,
        folder: Path,
        datasets: Sequence[str],
        rest: Rest = time.sleep,
    ) -> None:
        """Take the store and what holds it back; nothing is asked yet. `rest` replaces sleeping in tests."""
        self._store = store
        self._throttle = throttle
        self._clock = clock
        self._folder = folder
        self._datasets = datasets
        self._rest = rest
        self._read: tuple[float, Brake | None] | None = None
        self._owed = 0.0

    def __getattr__(self, name: str) -> Any:
        """Be the inner store in everything else."""
        return getattr(self._store, name)

    def held_back(self) -> Brake | None:
        """Return why nothing should be changed now. A signal that cannot be read is a reason."""
        pressure = self._pressure() if self._throttle.asks_the_server else None
        return braked(self._throttle, self._clock.now(), flagged=self._flagged(), pressure=pressure)

    def cut(self, bound: Bound, after: Json, size: int) -> Cut | None:
        """Cut the next piece, once nothing holds it back; never more than a second's share of rows.

        Raises Paused when what holds it back lasts: nothing was begun.
        """
        if self._throttle.rows_per_second is not None:
            size = max(1, min(size, self._throttle.rows_per_second))
        self._settle()
        self._wait()
        return self._store.cut(bound, after, size)

    def pick(self, bound: Bound, keys: Sequence[str]) -> Cut | None:
        """List what is to go next, as `cut` does."""
        self._settle()
        self._wait()
        return cast("Objects", self._store).pick(bound, keys)

    def apply(self, batch: Batch) -> Receipt:
        """Carry the batch out, and owe the time that it was faster than agreed."""
        began = self._clock.monotonic()
        receipt = self._store.apply(batch)
        if self._throttle.rows_per_second is not None:
            taken = self._clock.monotonic() - began
            # A second at most, as no piece is larger than a second's share: a kill switch acts between batches.
            self._owed = max(0.0, receipt.deleted / self._throttle.rows_per_second - taken)
        return receipt

    def _settle(self) -> None:
        owed, self._owed = self._owed, 0.0
        if owed:
            self._rest(owed)

    def _wait(self) -> None:
        waited = 0.0
        while (brake := self._recent()) is not None:
            if brake.cause == "window" or waited >= PATIENCE_SECONDS:
                raise Paused(f"store {self._store.id}: {brake.why}", guard=brake.cause, until=brake.until)
            self._rest(BETWEEN_SECONDS)
            waited += BETWEEN_SECONDS
            self._read = None

    def _recent(self) -> Brake | None:
        """Return the present brake; a good reading stands for a second, so that short batches do not ask each time."""
        now = self._clock.monotonic()
        if self._read is None or self._read[1] is not None or not 0 <= now - self._read[0] < BETWEEN_SECONDS:
            self._read = (now, self.held_back())
        return self._read[1]

    def _pressure(self) -> Pressure | None:
        try:
            return self._store.pressure(self._datasets)
        except LifecycleError:
            # Whoever changes something is told what is wrong with the server; here it is a signal nobody can read.
            return None

    def _flagged(self) -> bool | None:
        if self._throttle.flag_file is None:
            return False
        try:
            (self._folder / self._throttle.flag_file).lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return None
        return True


def paced(store: Store, throttle: Throttle | None, *, clock: Clock, folder: Path, datasets: Sequence[str]) -> Store:
    """Return the store as its throttle says, or the store itself where there is none."""
    if throttle is None:
        return store
    return cast("Store", PacedStore(store, throttle, clock=clock, folder=folder, datasets=datasets))

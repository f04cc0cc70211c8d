"""How many requests are under way at once: one more after a round that went well, half as many when asked to slow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST: Final = 16
FIRST: Final = 4
TRIES: Final = 6
"""How often a request is made again that has no clear answer."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0


class Width:
    """Additive increase, multiplicative decrease. One for each store; its batches come one after the other."""

    def __init__(self) -> None:
        """Begin narrow: the server's limit is not known."""
        self.now = FIRST

    def well(self) -> None:
        """Note a round without complaint."""
        self.now = min(MOST, self.now + 1)

    def slow(self) -> None:
        """Note that the server asked for fewer requests, or fell silent."""
        self.now = max(1, self.now // 2)

    def pause(self, attempt: int) -> None:
        """Wait longer with each attempt."""
        threading.Event().wait(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt))

    def each(self, work: Callable[[T], R], pieces: Sequence[T]) -> list[R]:
        """Do the pieces, no more at once than the present width; in their order."""
        if len(pieces) < 2 or self.now == 1:
            return [work(piece) for piece in pieces]
        with ThreadPoolExecutor(min(self.now, len(pieces))) as pool:
            return list(pool.map(work, pieces))

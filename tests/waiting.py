"""Waiting for a fact: bounded, and never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def until(fact: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Ask again and again until the answer is true, and return it; a fact that does not come is a failure."""
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found

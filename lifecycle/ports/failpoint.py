"""Named places where a test may end the process. The product's own failpoint does nothing."""

from __future__ import annotations

from typing import Protocol


class Failpoint(Protocol):
    """Called with the name of a place between two durable effects."""

    def __call__(self, name: str) -> None:
        """Return at once, or never."""


def no_failpoint(name: str) -> None:
    """Do nothing."""
    del name


NAMES: tuple[str, ...] = (
    "intent.before",
    "intent.after",
    "batch.begun",
    "batch.fenced",
    "batch.receipt-open",
    "batch.changed",
    "batch.receipt-sealed",
    "batch.committed",
    "receipt.copied",
    "receipt.checkpointed",
    "receipt.acknowledged",
    "void.before",
    "void.after",
    "job.finished",
    "verify.done",
    "certificate.signed",
    "certificate.logged",
)
"""Every failpoint of the line, in the order in which a job meets them."""

OF_ITEMS: tuple[str, ...] = ("item.moved", "item.gone")
"""Those that a store without transactions adds, once for each item: set aside, and gone."""

"""Our own state: the log's entries and tree, and the registers beside it, in one transactional place.

The log is the truth; registers are what the log must not hold (tenant ids, cursors, document bytes). Both change in one
transaction, durable when the context ends (I17): if it raises, nothing of it happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol

from lifecycle.ports.store import Json

Kind = Literal[
    "document",
    "plan",
    "approval",
    "mandate",
    "job",
    "intent",
    "sealed",
    "tenant",
    "hold",
    "instruction",
    "operator",
    "checkpoint",
    "certificate",
    "export",
    "verification",
    "rule",
    "setting",
    "finding",
]
"""The registers. Bodies are canonical JSON (documents and plans: their exact bytes).

`sealed`: what batches of stores without transactions took, by day and batch.
"""


class Transaction(Protocol):
    """One atomic change of log and registers."""

    def append(self, entry: Mapping[str, Json]) -> int:
        """Append one entry (without `v`, `seq`, `prev`: they are assigned here) and return its index.

        The entry is checked against the closed schema of `lifecycle.evidence.entry`; a wrong one raises Corrupt.
        """

    def expect(self, aliases: Collection[str]) -> None:
        """Read ahead what appends for these aliases will need: many appends then cost no query each."""

    def get(self, kind: Kind, name: str) -> bytes | None:
        """Return a register's body as this transaction sees it."""

    def put(self, kind: Kind, name: str, body: bytes) -> None:
        """Insert or replace a register's body."""

    def insert(self, kind: Kind, name: str, body: bytes) -> None:
        """Insert a body. Raises Refused (guard `already-there`) when the name is taken by another body."""

    def remove(self, kind: Kind, name: str) -> None:
        """Remove a body; removing what is not there is fine."""


class Lease(Protocol):
    """A lock that is held for as long as its process can show that it lives."""

    def lost(self) -> bool:
        """Tell whether the lock is gone, or may be; then it stays lost. Cheap: ask before each step.

        Never late: whoever was stopped, cut off or deposed is told so before another process can have the lock, or as
        soon as it runs again.
        """


class State(Protocol):
    """Log and registers of one deployment."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a write transaction; writers wait for each other. A failure to write raises Transient, nothing kept.

        While this process is inside `exclusive`, in whatever thread, raises Refused (guard `stale-epoch`) once the
        lock is lost or a later epoch is there: a deposed writer writes nothing (I20).
        """

    def lead(self) -> AbstractContextManager[Lease]:
        """Be the one replica that schedules, for as long as the context lasts; says nothing about who writes.

        Raises Refused at once: somebody else leads (guard `not-leader`), the address cannot carry a lock (`pooled`,
        `leader-url`, `server-too-old`), or the state was upgraded beyond this version meanwhile (`state-schema`).
        """

    def exclusive(self) -> AbstractContextManager[int]:
        """Take the one writer's lock for deleting work and return the new epoch (one higher than ever before).

        Raises Refused (guard `not-leader`) at once when another process holds it. Released when the process ends, and
        lost a few seconds after it was stopped or cut off.
        """

    def raise_epoch(self, least: int) -> int:
        """Let the next epoch be higher than `least`, and return the present one: after a restore, for the fences."""

    def second_clock(self) -> datetime | None:
        """Return the present as the state's server has it, aware; None where the state has no clock of its own."""

    def get(self, kind: Kind, name: str) -> bytes | None:
        """Return a committed body."""

    def items(self, kind: Kind, prefix: str = "") -> Iterator[tuple[str, bytes]]:
        """Yield (name, body) in name order, streamed."""

    def size(self) -> int:
        """Return the number of entries."""

    def entry(self, index: int) -> bytes:
        """Return the exact bytes of one entry. Raises Corrupt when they are missing or do not match their leaf hash."""

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (index, bytes) in order, streamed."""

    def of_job(self, job: str, *, without: str | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield the entries that name this job, in order; those of one type may be left out."""

    def of_plan(self, plan: str) -> Iterator[tuple[int, bytes]]:
        """Yield the entries that name this plan, in order."""

    def of_tenant(self, alias: str) -> Iterator[tuple[int, bytes]]:
        """Yield the entries of this alias, in order."""

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree. Raises Corrupt when it is missing."""

    def root(self, size: int | None = None) -> bytes:
        """Return the tree's root at a size (default: now)."""

    def close(self) -> None:
        """Release connections; safe to call twice."""

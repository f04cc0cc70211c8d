"""What a writer does beside the job, and what must stand at the end: told by the application's own reads alone."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql

from lifecycle.ports.store import HoldRow
from tests.interleavings.arena import DUE, OTHERS, YOUNG, YOUNGER, Arena

if TYPE_CHECKING:
    import random

SEVERAL = 6


@dataclass
class Seen:
    """What the writer saw committed: rows that must be there at the end, and those that must be the neighbour's."""

    stays: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    notes: set[int] = field(default_factory=set)


def _victims(chance: random.Random) -> list[int]:
    return chance.sample(list(DUE), SEVERAL)


def hold(arena: Arena, connection: Any, chance: random.Random, seen: Seen) -> None:
    """A hold on the leaver: every row that is there once it is committed must survive (I7)."""
    dataset = chance.choice([None, "logs"])
    store = arena.store()
    store.mirror_holds([HoldRow("h1", "acme", dataset)])
    store.close()
    seen.stays |= arena.ids(on=connection)


def reactivated(arena: Arena, connection: Any, chance: random.Random, seen: Seen) -> None:
    """Rows become young again: those that were still there must survive (I1)."""
    for victim in _victims(chance):
        done = arena.run("UPDATE logs SET day = ? WHERE id = ?", YOUNG.isoformat(), victim, on=connection)
        seen.stays |= {victim} if done.rowcount else set()


def moved(arena: Arena, connection: Any, chance: random.Random, seen: Seen) -> None:
    """Rows move to the neighbour: they are not deleted for the old tenant (I6)."""
    for victim in _victims(chance):
        done = arena.run("UPDATE logs SET firm = 'borealis' WHERE id = ?", victim, on=connection)
        seen.moved |= {victim} if done.rowcount else set()


def child(arena: Arena, connection: Any, chance: random.Random, seen: Seen) -> None:
    """A note is hung on a ticket: it may be refused, never orphaned."""
    for number, victim in enumerate(_victims(chance)):
        try:
            arena.run("INSERT INTO notes VALUES (?, 'acme', ?)", number, victim, on=connection)
        except (sqlite3.IntegrityError, psycopg.IntegrityError, pymysql.err.IntegrityError):
            continue  # the ticket went first: the database told the application
        seen.notes.add(number)


def schema(arena: Arena, connection: Any, chance: random.Random, seen: Seen) -> None:
    """The table's definition changes: what is there afterwards stays, for nobody planned this."""
    number = arena.server.types["number"]
    parent = f"log {number} REFERENCES logs (id) ON DELETE CASCADE"
    changes = {
        "column": "ALTER TABLE logs ADD COLUMN more VARCHAR(9)",
        "renamed": "ALTER TABLE logs RENAME COLUMN day TO when_made",
        "cascade": f"CREATE TABLE hanging (id {number} PRIMARY KEY, {parent})",
    }
    arena.run(changes[chance.choice(sorted(changes))], on=connection)
    seen.stays |= arena.ids(on=connection)


KINDS: dict[str, tuple[str, Any]] = {
    "hold": ("logs", hold),
    "reactivated": ("logs", reactivated),
    "moved": ("logs", moved),
    "child": ("tickets", child),
    "schema": ("logs", schema),
}


def wrong(arena: Arena, table: str, seen: Seen) -> list[str]:
    """Return what must not be, in words."""
    there = arena.ids(table)
    found = []
    if lost := seen.stays - there:
        found.append(f"{len(lost)} rows went that had to stay")
    theirs = {row[0] for row in arena.run(f"SELECT id FROM {table} WHERE firm = 'borealis'").fetchall()}
    if (seen.moved | set(OTHERS)) - theirs:
        found.append("rows of the neighbour went")
    if set(YOUNGER) - there:
        found.append("young rows went")
    orphans = "SELECT count(*) FROM notes n LEFT JOIN tickets t ON t.id = n.ticket WHERE t.id IS NULL"
    if arena.run(orphans).fetchone()[0]:
        found.append("notes are orphaned")
    if seen.notes - arena.ids("notes"):
        found.append("notes went with their tickets")
    return found

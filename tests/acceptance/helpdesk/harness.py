"""Drives the ticket system from outside: its own commands, run by its own Python, against one database.

desk = Helpdesk(environment("helpdesk"), database_url, media_directory)
desk.migrate(); manifest = desk.seed(now); desk.counts()
with desk.serving(now) as address: ...
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from tests.acceptance.helpdesk.databases import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
APP = HERE / "app"


class Queue(TypedDict):
    """One customer of the ticket system, and the account of the person who serves it alone."""

    id: int
    slug: str
    title: str
    agent: str


class Crossing(TypedDict):
    """A row that ties a ticket of one queue to the ticket `other` of another one."""

    kind: str
    ticket: int
    other: int


class TicketWithFiles(TypedDict):
    """A ticket to which somebody attached a file."""

    slug: str
    ticket: int


class Orphan(TypedDict):
    """A file whose row the application deleted."""

    slug: str
    path: str


class PublicTicket(TypedDict):
    """What the person who opened a ticket needs to see it without an account."""

    slug: str
    ticket: str
    email: str
    key: str


class Manifest(TypedDict):
    """What the seeding says about what it made."""

    now: str
    password: str
    leaving: str
    queues: list[Queue]
    crossings: list[Crossing]
    with_files: list[TicketWithFiles]
    orphans: list[Orphan]
    public: list[PublicTicket]


class Share(TypedDict):
    """The rows of one table that belong to one queue: how many, and a digest over every column of each."""

    rows: int
    digest: str


class Counts(TypedDict):
    """What plain SQL counts: per table; per table and queue ("-": of no queue); the oldest value of time columns."""

    tables: dict[str, int]
    queues: dict[str, dict[str, Share]]
    oldest: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Helpdesk:
    """One installation of the ticket system: an environment, an empty or migrated database, a folder for files."""

    python: Path
    database_url: str
    media: Path

    def migrate(self) -> None:
        """Creates the schema by the application's own migrations; on a current schema it does nothing."""
        self._run("manage.py", "migrate", "--verbosity", "0", "--no-input")

    def seed(
        self, now: dt.datetime, *, seed: int = 1, queues: int = 6, tickets: int = 300, inbound: int = 0
    ) -> Manifest:
        """Lives through the 200 days before `now` (aware); equal arguments make equal rows.

        `queues` from 4 to 8, `tickets` of each; `inbound` tickets of a queue that stays depend on one of the queue
        that leaves.
        """
        options = {
            "--now": now.isoformat(),
            "--seed": seed,
            "--queues": queues,
            "--tickets": tickets,
            "--inbound": inbound,
        }
        arguments = [str(part) for pair in options.items() for part in pair]
        return cast("Manifest", json.loads(self._run("seed.py", *arguments)))

    def leave(self, slug: str) -> dict[str, int]:
        """Deletes a queue by the application's own code; rows that it knew to be below it, by table."""
        return cast("dict[str, int]", json.loads(self._run("leave.py", slug)))

    def counts(self) -> Counts:
        """Counts and digests by plain SQL that shares nothing with the product."""
        return cast("Counts", json.loads(self._run("counts.py")))

    def uploads(self) -> set[str]:
        """The files that exist below the folder of uploads, as the application's rows name them."""
        return {str(path.relative_to(self.media)) for path in self.media.rglob("*") if path.is_file()}

    @contextlib.contextmanager
    def serving(self, now: dt.datetime) -> Iterator[tuple[str, int]]:
        """Host and port of the running application, whose clock stands still at `now` (aware)."""
        command: list[str | Path] = [self.python, "-W", "ignore", APP / "serve.py", "--now", now.isoformat()]
        with subprocess.Popen(
            command, env=self._environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            try:
                port = server.stdout.readline()
                assert port, "the application did not start"
                yield "127.0.0.1", int(port)
            finally:
                # The end of its input is what stops the server, whatever happened here.
                server.stdin.close()
                server.wait(timeout=30)

    def _run(self, program: str, *arguments: str) -> str:
        command: list[str | Path] = [self.python, "-W", "ignore", APP / program, *arguments]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stderr[-3000:]}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DJANGO", "HELPDESK"))}
        return ours | {"HELPDESK_DATABASE_URL": self.database_url, "HELPDESK_MEDIA": str(self.media)}


@contextlib.contextmanager
def copy_of(desk: Helpdesk, media: Path) -> Iterator[Helpdesk]:
    """The same installation with a database and a folder of its own; `media` must not exist yet."""
    shutil.copytree(desk.media, media)
    with kind_of(desk.database_url).copy(desk.database_url) as url:
        yield replace(desk, database_url=url, media=media)

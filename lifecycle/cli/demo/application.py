"""The portal company's own application: its tables as its migrations made them, and its everyday work.

Nothing here knows lifecycle. Foreign keys, mixed encodings of time (text, epoch seconds, dates), a composite key and a
table whose tenant is only known through another one are what such databases look like.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from lifecycle.cli.demo.calendar import Days
from lifecycle.cli.demo.names import (
    FAMILY,
    GIVEN,
    PATHS,
    PLANS,
    PORTALS,
    SENTENCES,
    SUBJECTS,
    TEMPLATES,
    Portal,
)

SEED = 28
YEARS = 10
"""How far back the invoices go."""

LOG_DAYS = 120
"""How far back the logs go before the first day: nobody has ever deleted one."""

CONTENT_DAYS = 700
REQUESTS, MAILS = 6, 2
"""Log records of one day for a portal of plain size."""

SCHEMA = """
CREATE TABLE plans (id INTEGER PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE portals (
    id TEXT PRIMARY KEY, firm TEXT NOT NULL, contact_email TEXT NOT NULL, customer_number TEXT NOT NULL,
    plan_id INTEGER NOT NULL REFERENCES plans (id), created_on DATE NOT NULL
);
CREATE INDEX portals_plan ON portals (plan_id);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals (id), name TEXT NOT NULL, email TEXT NOT NULL,
    phone TEXT, created_at TEXT NOT NULL
);
CREATE INDEX users_portal ON users (portal_id);
CREATE TABLE credentials (
    user_id INTEGER PRIMARY KEY REFERENCES users (id), password_hash TEXT NOT NULL, changed_at TEXT NOT NULL
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals (id),
    opened_by INTEGER NOT NULL REFERENCES users (id), subject TEXT NOT NULL, status TEXT NOT NULL,
    opened_at TEXT NOT NULL
);
CREATE INDEX tickets_portal ON tickets (portal_id);
CREATE INDEX tickets_opened_by ON tickets (opened_by);
CREATE TABLE ticket_comments (
    id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL REFERENCES tickets (id),
    author_id INTEGER NOT NULL REFERENCES users (id), body TEXT NOT NULL, written_at TEXT NOT NULL
);
CREATE INDEX comments_ticket ON ticket_comments (ticket_id);
CREATE INDEX comments_author ON ticket_comments (author_id);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals (id),
    sender_id INTEGER NOT NULL REFERENCES users (id), body TEXT NOT NULL, sent_at TEXT NOT NULL
);
CREATE INDEX messages_portal ON messages (portal_id);
CREATE INDEX messages_sender ON messages (sender_id);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals (id),
    uploaded_by INTEGER NOT NULL REFERENCES users (id), title TEXT NOT NULL, bytes INTEGER NOT NULL,
    uploaded_at TEXT NOT NULL
);
CREATE INDEX documents_portal ON documents (portal_id);
CREATE INDEX documents_uploader ON documents (uploaded_by);
CREATE TABLE read_marks (
    document_id INTEGER NOT NULL REFERENCES documents (id), user_id INTEGER NOT NULL REFERENCES users (id),
    read_at TEXT NOT NULL, PRIMARY KEY (document_id, user_id)
);
CREATE INDEX read_marks_user ON read_marks (user_id);
CREATE TABLE logins (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portals (id),
    user_id INTEGER NOT NULL REFERENCES users (id), at INTEGER NOT NULL
);
CREATE INDEX logins_portal ON logins (portal_id);
CREATE INDEX logins_user ON logins (user_id);
CREATE TABLE access_log (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, at TEXT NOT NULL, ip TEXT NOT NULL, path TEXT NOT NULL,
    status INTEGER NOT NULL
);
CREATE INDEX access_log_portal ON access_log (portal_id);
CREATE TABLE mail_log (
    id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL, sent_at INTEGER NOT NULL, recipient TEXT NOT NULL,
    template TEXT NOT NULL
);
CREATE INDEX mail_log_portal ON mail_log (portal_id);
CREATE TABLE invoices (
    number TEXT PRIMARY KEY, portal_id TEXT NOT NULL, issued_on DATE NOT NULL, recipient TEXT NOT NULL,
    net_cents INTEGER NOT NULL
);
CREATE INDEX invoices_portal ON invoices (portal_id);
"""

TABLES = (
    "portals", "users", "credentials", "tickets", "ticket_comments", "messages", "documents", "read_marks", "logins",
    "access_log", "mail_log", "invoices",
)  # fmt: skip

Row = tuple[object, ...]


class Application:
    """The application on its database: creates it once, then works every day. Equal days give equal rows."""

    def __init__(self, path: Path, days: Days) -> None:
        """Use this file."""
        self._path = path
        self._days = days
        self._chance = random.Random(SEED)  # noqa: S311 - the same world for everyone, nothing secret
        self._users: dict[str, tuple[int, int]] = {}

    def create(self) -> int:
        """Make the tables, fill them with the past, and return the number of rows."""
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(SCHEMA)
            database.execute("PRAGMA foreign_keys=ON")
            database.executemany("INSERT INTO plans (name, cents) VALUES (?, ?)", PLANS)
            database.executemany("INSERT INTO settings VALUES (?, ?)", [("language", "de"), ("theme", "light")])
            database.executemany("INSERT INTO portals VALUES (?, ?, ?, ?, ?, ?)", self._portals())
            for portal in PORTALS:
                self._people(database, portal)
            for portal in PORTALS:
                self._content(database, portal)
            for day in self._days.before(LOG_DAYS):
                self._log(database, day, PORTALS)
            database.executemany("INSERT INTO invoices VALUES (?, ?, ?, ?, ?)", self._invoices())
            return int(database.total_changes)

    def work(self, day: date, *, without: str | None = None) -> None:
        """Write one day's log records for every portal in use."""
        with closing(sqlite3.connect(self._path)) as database, database:
            self._log(database, day, [portal for portal in PORTALS if portal.id != without])

    def _portals(self) -> Iterator[Row]:
        for number, portal in enumerate(PORTALS):
            since = self._days.day(0) - timedelta(days=365 * YEARS + 30 * number)
            address = f"office@{portal.id}.example"
            yield portal.id, portal.firm, address, portal.number, 1 + number % len(PLANS), since.isoformat()

    def _people(self, database: sqlite3.Connection, portal: Portal) -> None:
        count = 190 * portal.share // 100
        first = 1 + sum(number for _, number in self._users.values())
        self._users[portal.id] = (first, count)
        users, credentials = [], []
        for number in range(first, first + count):
            given, family = GIVEN[number % len(GIVEN)], FAMILY[number % len(FAMILY)]
            address = f"{given}.{family}.{number}@{portal.id}.example".lower().replace("ü", "ue")
            since = self._text(self._past(CONTENT_DAYS))
            users.append((number, portal.id, f"{given} {family}", address, f"+49 30 5550{number:04}", since))
            credentials.append((number, f"scrypt${self._chance.getrandbits(128):032x}", since))
        database.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", users)
        database.executemany("INSERT INTO credentials VALUES (?, ?, ?)", credentials)

    def _content(self, database: sqlite3.Connection, portal: Portal) -> None:
        first = self._next(database, "tickets")
        tickets = [
            (first + number, portal.id, self._user(portal), self._one(SUBJECTS), "closed",
             self._text(self._past(CONTENT_DAYS)))
            for number in range(1200 * portal.share // 100)
        ]  # fmt: skip
        database.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?)", tickets)
        comments = [
            (ticket[0], self._user(portal), self._one(SENTENCES), ticket[5])
            for ticket in tickets
            for _ in range(self._chance.randrange(1, 5))
        ]
        database.executemany(
            "INSERT INTO ticket_comments (ticket_id, author_id, body, written_at) VALUES (?, ?, ?, ?)", comments
        )
        database.executemany(
            "INSERT INTO messages (portal_id, sender_id, body, sent_at) VALUES (?, ?, ?, ?)",
            [
                (portal.id, self._user(portal), self._one(SENTENCES), self._text(self._past(CONTENT_DAYS)))
                for _ in range(1700 * portal.share // 100)
            ],
        )
        self._documents(database, portal)
        database.executemany(
            "INSERT INTO logins (portal_id, user_id, at) VALUES (?, ?, ?)",
            [
                (portal.id, self._user(portal), int(self._past(LOG_DAYS).timestamp()))
                for _ in range(1300 * portal.share // 100)
            ],
        )

    def _documents(self, database: sqlite3.Connection, portal: Portal) -> None:
        first, count = self._next(database, "documents"), 500 * portal.share // 100
        database.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, portal.id, self._user(portal), f"{self._one(SUBJECTS)} {number}.pdf",
                 self._chance.randrange(2_000, 900_000), self._text(self._past(CONTENT_DAYS)))
                for number in range(first, first + count)
            ],
        )  # fmt: skip
        start, people = self._users[portal.id]
        database.executemany(
            "INSERT INTO read_marks VALUES (?, ?, ?)",
            [
                (number, start + (number * 7 + step) % people, self._text(self._past(90)))
                for number in range(first, first + count)
                for step in range(2)
            ],
        )

    def _log(self, database: sqlite3.Connection, day: date, portals: tuple[Portal, ...] | list[Portal]) -> None:
        requests: list[Row] = []
        mails: list[Row] = []
        for portal in portals:
            for _ in range(REQUESTS * portal.share // 100):
                ip = f"198.51.100.{self._chance.randrange(1, 255)}"
                status = 200 if self._chance.random() < 0.97 else 404
                requests.append((portal.id, self._text(self._on(day)), ip, self._one(PATHS), status))
            for _ in range(MAILS * portal.share // 100):
                recipient = f"reader{self._user(portal)}@{portal.id}.example"
                mails.append((portal.id, int(self._on(day).timestamp()), recipient, self._one(TEMPLATES)))
        database.executemany(
            "INSERT INTO access_log (portal_id, at, ip, path, status) VALUES (?, ?, ?, ?, ?)", requests
        )
        database.executemany(
            "INSERT INTO mail_log (portal_id, sent_at, recipient, template) VALUES (?, ?, ?, ?)", mails
        )

    def _invoices(self) -> Iterator[Row]:
        """One invoice a month for each portal, ten years back: paper that tax law keeps and the agreement does not."""
        first = self._days.day(0)
        for portal in PORTALS:
            for back in range(12 * YEARS, 0, -1):
                year, month = divmod(first.year * 12 + first.month - 1 - back, 12)
                number = f"R-{year}-{month + 1:02}-{portal.number[2:]}"
                recipient = f"{portal.firm}, Musterweg {portal.number[-1]}, Beispielstadt"
                yield number, portal.id, date(year, month + 1, 3).isoformat(), recipient, 7900 + portal.share

    def _next(self, database: sqlite3.Connection, table: str) -> int:
        query = {
            "tickets": "SELECT coalesce(max(id), 0) + 1 FROM tickets",
            "documents": "SELECT coalesce(max(id), 0) + 1 FROM documents",
        }[table]
        return int(database.execute(query).fetchone()[0])

    def _user(self, portal: Portal) -> int:
        first, count = self._users[portal.id]
        return first + self._chance.randrange(count)

    def _one(self, words: tuple[str, ...]) -> str:
        return self._chance.choice(words)

    def _past(self, days: int) -> datetime:
        return self._on(self._days.day(0) - timedelta(days=1 + self._chance.randrange(days)))

    def _on(self, day: date) -> datetime:
        """Return some second of that day's office hours."""
        return datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(seconds=self._chance.randrange(43_200))

    @staticmethod
    def _text(moment: datetime) -> str:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

"""A small portal company for tests: its application's database, and the deployment that keeps its promises.

Nothing here asserts; `expected_*` come from the rows as they were written, by plain Python, not by the product.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from lifecycle.core.tenant import Tenant
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import offboard
from lifecycle.ports.clock import SystemClock
from lifecycle.wiring import creation
from lifecycle.wiring.deployment import Options, open_deployment
from tests import mariadb
from tests.servers import libpq_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifecycle.flow.deployment import Deployment

DDL = """
CREATE TABLE portal (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE account (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portal(id), email TEXT NOT NULL,
  best_ticket INTEGER);
CREATE TABLE ticket (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portal(id),
  parent_id INTEGER REFERENCES ticket(id), author_id INTEGER REFERENCES account(id), subject TEXT NOT NULL,
  created_at {timestamp} NOT NULL);
CREATE TABLE comment (id INTEGER PRIMARY KEY, ticket_id INTEGER NOT NULL REFERENCES ticket(id), body TEXT NOT NULL);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, portal_id TEXT NOT NULL REFERENCES portal(id), issued_on DATE);
CREATE TABLE access_log (id INTEGER PRIMARY KEY, portal_id TEXT, ip TEXT NOT NULL, at {timestamp});
CREATE TABLE plan (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
CREATE INDEX account_portal ON account (portal_id);
CREATE INDEX ticket_portal ON ticket (portal_id);
CREATE INDEX ticket_parent ON ticket (parent_id);
CREATE INDEX ticket_author ON ticket (author_id);
CREATE INDEX comment_ticket ON comment (ticket_id);
CREATE INDEX invoice_portal ON invoice (portal_id);
CREATE INDEX access_log_at ON access_log (at);
"""

INVENTORY = """\
lifecycle: inventory/v1
id: portal
stores:
  - id: main
    kind: sql
    address: {file: main.url}
    place: {country: DE, region: Frankfurt}
datasets:
  - {id: portals, store: main, table: portal, category: master-data, key: [id], tenant: {by: column, column: id}}
  - {id: accounts, store: main, table: account, category: auth-data, key: [id],
     tenant: {by: column, column: portal_id}}
  - {id: tickets, store: main, table: ticket, category: communication-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: created_at, encoding: ENCODING}}}
  - id: comments
    store: main
    table: comment
    category: communication-data
    key: [id]
    tenant: {by: path, path: [{column: ticket_id, table: ticket, key: id}], column: portal_id}
  - id: invoices
    store: main
    table: invoice
    category: documents
    key: [id]
    tenant: {by: column, column: portal_id}
    times: {issue: {column: issued_on, encoding: date}}
    statutory: [{kind: invoice, holder: processor, start: issue}]
  - {id: access-log, store: main, table: access_log, category: technical-data, key: [id],
     tenant: {by: column, column: portal_id}, times: {collection: {column: at, encoding: ENCODING}}}
not_personal:
  - {store: main, table: plan, why: Price plans of the company itself}
"""

TENANTS = ("acme", "acme2", "Acme", "zebra")
LEAVER = "acme"
OPERATORS = ("op-one", "op-two")


@dataclass(frozen=True)
class World:
    """A deployment's folder, its store's address, and the present of its data."""

    folder: Path
    url: str
    now: datetime

    @contextmanager
    def open(self, **options: Any) -> Iterator[Deployment]:
        """Open the deployment under the given options."""
        with open_deployment(self.folder, Options(**options)) as deployment:
            yield deployment

    def key(self, operator: str) -> SigningKey:
        """Return an operator's private key."""
        return SigningKey.load(self.folder / f"{operator}.pem")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the store's database with its own driver."""
        with raw(self.url) as connection:
            return list(connection.execute(sql).fetchall())


@contextmanager
def raw(url: str) -> Iterator[Any]:
    """Open a plain driver connection that commits at the end."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA foreign_keys=ON")
    elif url.startswith(("mariadb", "mysql")):
        connection = mariadb.Plain(url)
    else:
        connection = psycopg.connect(libpq_url(url))
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def create_application(url: str, now: datetime, *, logs: int = 40) -> None:
    """Make the application's database and fill it, the same rows for the same `now`."""
    with raw(url) as connection:
        for statement in ddl(url).split(";"):
            if statement.strip():
                connection.execute(statement)
        mark = "?" if url.startswith("sqlite") else "%s"
        for table, rows in application_rows(now, logs=logs).items():
            marks = ", ".join([mark] * len(rows[0]))
            cursor = connection.cursor()
            cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def ddl(url: str) -> str:
    """Return the application's tables in the words of its database."""
    if url.startswith(("mariadb", "mysql")):
        # A key needs a length there, and firms of nearly the same name a strict collation; the log has a loose one.
        words = DDL.format(timestamp="DATETIME(6)").replace("portal_id TEXT,", "portal_id VARCHAR(190),")
        return words.replace("TEXT", "VARCHAR(190) COLLATE utf8mb4_bin")
    return DDL.format(timestamp="TEXT" if url.startswith("sqlite") else "TIMESTAMPTZ")


def application_rows(now: datetime, *, logs: int = 40) -> dict[str, list[tuple[Any, ...]]]:
    """Return the application's rows: every tenant alike, tickets in trees of three, logs from 0 to 199 days old."""
    rows: dict[str, list[tuple[Any, ...]]] = {
        name: [] for name in ("portal", "plan", "account", "ticket", "comment", "invoice", "access_log")
    }
    rows["plan"].append((1, "small"))
    for number, tenant in enumerate(TENANTS):
        rows["portal"].append((tenant, f"Firm {number}"))
        for i in range(6):
            rows["account"].append((number * 100 + i, tenant, f"user{number}.{i}@example.com", None))
        for i in range(12):
            key = number * 100 + i
            parent = None if i % 3 == 0 else key - 1
            created = now - timedelta(days=10 * i, hours=1)
            rows["ticket"].append((key, tenant, parent, number * 100 + i % 6, f"Subject {key}", stamp(created)))
            rows["comment"].extend((key * 10 + j, key, f"Body {key}.{j}") for j in range(2))
        for i in range(12):
            rows["invoice"].append((number * 100 + i, tenant, date(now.year - i, 3, 4).isoformat()))
        for i in range(logs):
            at = now - timedelta(days=i * 200 / logs, minutes=7)
            rows["access_log"].append((number * 100_000 + i, tenant, f"192.0.2.{i % 250}", stamp(at)))
    return rows


def stamp(moment: datetime) -> str:
    """Return a moment as the application writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00")


def create_deployment(folder: Path, url: str, now: datetime | None = None, *, inventory: str | None = None) -> World:
    """Make a deployment over the application: two operators, four tenants, the store prepared."""
    moment = now or SystemClock().now()
    creation.create(folder, deployment="portal-test", origin="lifecycle.example.com/portal", agreements=("clientport",))
    encoding = "iso-text" if url.startswith("sqlite") else "utc"
    (folder / "inventory.yaml").write_text((inventory or INVENTORY).replace("ENCODING", encoding))
    settings = (folder / "lifecycle.yaml").read_text().replace("tenants: tenants.yaml\n", "")
    (folder / "lifecycle.yaml").write_text(settings)
    point_to(folder, url)
    added = moment.date() - timedelta(days=400)
    for operator in OPERATORS:
        key = SigningKey.generate()
        key.save(folder / f"{operator}.pem")
        creation.add_operator(folder, operator, key.public, added)
    world = World(folder, url, moment)
    with world.open() as deployment:
        deployment.stores["main"].prepare(deployment.id)
        for number, tenant in enumerate(TENANTS):
            offboard.register(deployment, Tenant(id=tenant, agreement="clientport", firm=f"Firm {number}"))
    return world


def point_to(folder: Path, url: str) -> None:
    """Write the store's address, mode 0600."""
    path = folder / "main.url"
    path.write_text(url + "\n")
    path.chmod(0o600)

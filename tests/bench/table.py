"""The benchmark's table: a log with a time index, half of it expired, made once and copied for each run."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from lifecycle.core.tenant import Tenant
from lifecycle.evidence.keys import SigningKey
from lifecycle.flow import holding, offboard
from lifecycle.wiring import creation
from lifecycle.wiring.deployment import Options, open_deployment
from tests import servers
from tests.portal import point_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

DDL = """
CREATE TABLE access_log (id bigint PRIMARY KEY, portal_id text NOT NULL, ip text NOT NULL, at timestamptz NOT NULL,
  detail text NOT NULL);
"""
FILL = """
INSERT INTO access_log
SELECT n, 'portal-' || (n * 7919 %% %(tenants)s), '192.0.2.' || (n %% 250),
       %(newest)s::timestamptz - (((%(rows)s - n)::float8 / %(rows)s) * 2 * %(days)s) * interval '1 day',
       repeat('x', 60)
FROM generate_series(1::bigint, %(rows)s) AS n
"""
INVENTORY = """\
lifecycle: inventory/v1
id: bench
stores:
  - {id: main, kind: sql, address: {file: main.url}, place: {country: DE}}
datasets:
  - id: access-log
    store: main
    table: access_log
    category: technical-data
    key: [id]
    tenant: TENANCY
    times: {collection: {column: at, encoding: utc}}
"""
CEILING_DAYS = 90
MARGIN_DAYS = 3


@dataclass(frozen=True)
class Shape:
    """How large the table is, how much of it is due, and whose rows they are."""

    rows: int
    share: float
    tenants: int
    held: int = 0

    @property
    def due(self) -> int:
        """Return about how many rows are due."""
        return int(self.rows * self.share)


def create(url: str, shape: Shape, now: datetime) -> None:
    """Make and fill the table, index it, and settle it."""
    oldest = (now - cutoff(now)) / timedelta(days=1) / (1 - shape.share)
    with psycopg.connect(servers.libpq_url(url), autocommit=True) as connection:
        connection.execute(DDL)
        arguments = {"rows": shape.rows, "tenants": shape.tenants, "newest": now, "days": oldest / 2}
        connection.execute(FILL, arguments)
        connection.execute("CREATE INDEX access_log_at ON access_log (at)")
        connection.execute("VACUUM (ANALYZE, FREEZE) access_log")
        connection.execute("CHECKPOINT")


def due_day(now: datetime) -> date:
    """Return the last start date that is due today: ceiling and margin on plain days (UTC)."""
    return now.astimezone(UTC).date() - timedelta(days=CEILING_DAYS - MARGIN_DAYS)


def cutoff(now: datetime) -> datetime:
    """Return the instant before which rows are due today."""
    day = due_day(now) + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def deployment(folder: Path, url: str, shape: Shape, *, batch: int | None = None) -> SigningKey:
    """Make a deployment over a copy of the table; `batch` fixes the batch size. Returns the operator's key."""
    creation.create(folder, deployment="bench", origin="lifecycle.example.com/bench", agreements=("clientport",))
    agreement = folder / "policies" / "agreements" / "clientport.yaml"
    agreement.write_text(agreement.read_text().replace("zone: Europe/Berlin", "zone: Etc/UTC"))
    tenancy = "{by: none}" if shape.tenants == 1 else "{by: column, column: portal_id}"
    (folder / "inventory.yaml").write_text(INVENTORY.replace("TENANCY", tenancy))
    settings = (folder / "lifecycle.yaml").read_text().replace("tenants: tenants.yaml\n", "")
    if batch is not None:
        settings += f"limits: {{least_batch: {batch}, first_batch: {batch}, most_batch: {batch}}}\n"
    (folder / "lifecycle.yaml").write_text(settings)
    point_to(folder, url)
    key = SigningKey.generate()
    creation.add_operator(folder, "op-one", key.public, datetime(2020, 1, 1, tzinfo=UTC).date())
    with open_deployment(folder, Options()) as opened:
        opened.stores["main"].prepare(opened.id)
        tenants = [Tenant(id=f"portal-{number}", agreement="clientport") for number in range(shape.tenants)]
        offboard.sync(opened, tenants)
        for tenant in tenants[: shape.held]:
            ground = holding.Ground(basis="legal-order", reason="benchmark")
            holding.set_hold(opened, tenant, ground, operator="op-one")
    return key


@contextmanager
def copy(server: str, source: str) -> Iterator[str]:
    """Yield a copy of the database, settled, and drop it afterwards."""
    with servers.fresh_database(server, template=urlsplit(source).path.lstrip("/")) as url:
        with psycopg.connect(servers.libpq_url(url), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            connection.execute("SELECT count(*), max(length(detail)) FROM access_log")
        yield url

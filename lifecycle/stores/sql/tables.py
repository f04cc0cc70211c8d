"""Our own tables inside a target: fence, holds, tenants, receipts, migrations; and how they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import Dialect as SqlAlchemyDialect
from sqlalchemy.schema import CreateIndex, CreateTable

from lifecycle.core.errors import Refused
from lifecycle.ports.store import Fence

VERSION = 1
DEPLOYMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class OurTables:
    """The five tables, under the dialect's schema or prefix."""

    metadata: sa.MetaData
    fence: sa.Table
    hold: sa.Table
    tenant: sa.Table
    receipt: sa.Table
    migration: sa.Table
    once: str
    """What follows an INSERT that does nothing where the key is there."""
    duplicate: int | None
    """The driver's number of a duplicate key, where a count of rows does not tell an INSERT that did nothing."""


def our_tables(
    schema: str | None,
    prefix: str,
    text: sa.types.TypeEngine[str],
    *,
    once: str = "ON CONFLICT DO NOTHING",
    duplicate: int | None = None,
    **options: Any,
) -> OurTables:
    """Describe our tables. `text` compares byte-exact in the dialect; `options` are the dialect's own for a table."""
    metadata = sa.MetaData(schema=schema)
    sealed = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    fence = sa.Table(
        f"{prefix}fence",
        metadata,
        sa.Column("id", sa.SmallInteger, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("deployment", text, nullable=False),
        sa.Column("identity", text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("hold_version", sa.BigInteger, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("checkpoint", sa.Text),
        **options,
    )
    hold = sa.Table(
        f"{prefix}hold",
        metadata,
        sa.Column("hold", text, nullable=False),
        # A NULL here would turn a look-up into "nothing is held": the column cannot hold one.
        sa.Column("tenant", text, nullable=False),
        # The same id as a number where it is one, canonically: an integer column joins it without a cast.
        sa.Column("number", sa.BigInteger),
        sa.Column("dataset", text),
        **options,
    )
    sa.Index(f"{prefix}hold_tenant", hold.c.tenant)
    sa.Index(f"{prefix}hold_number", hold.c.number)
    tenant = sa.Table(
        f"{prefix}tenant",
        metadata,
        sa.Column("id", text, primary_key=True),
        sa.Column("number", sa.BigInteger),
        sa.Column("grp", text, nullable=False),
        **options,
    )
    sa.Index(f"{prefix}tenant_number", tenant.c.number)
    receipt = sa.Table(
        f"{prefix}receipt",
        metadata,
        sa.Column("batch_id", text, primary_key=True),
        sa.Column("state", text, sa.CheckConstraint("state IN ('open', 'done', 'void')"), nullable=False),
        sa.Column("deleted", sa.BigInteger, nullable=False),
        sa.Column("cascaded", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("sealed", sealed),
        sa.Column("checkpoint", sa.Text),
        **options,
    )
    migration = sa.Table(
        f"{prefix}migration",
        metadata,
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        **options,
    )
    return OurTables(metadata, fence, hold, tenant, receipt, migration, once, duplicate)


def statements(ours: OurTables, deployment: str, dialect: SqlAlchemyDialect, random_id: str) -> list[str]:
    """Return the statements that make tables and fence row; each does nothing where its object exists."""
    if not DEPLOYMENT.fullmatch(deployment):
        raise Refused("a deployment's id is made of small letters, digits, dot and hyphen", guard="deployment")
    quote = dialect.identifier_preparer.format_table
    made: list[str] = []
    if ours.metadata.schema is not None:
        made.append(f"CREATE SCHEMA IF NOT EXISTS {dialect.identifier_preparer.quote(ours.metadata.schema)}")
    for table in ours.metadata.sorted_tables:
        made.append(str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip())
        made += [
            str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect)).strip()
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    # The deployment's id was matched against its pattern: no quote can be in it.
    made.append(
        f"INSERT INTO {quote(ours.fence)} (id, deployment, identity, epoch, hold_version, stopped) "  # noqa: S608
        f"VALUES (1, '{deployment}', {random_id}, 0, 0, false) {ours.once.format(key='id')}"
    )
    made.append(
        f"INSERT INTO {quote(ours.migration)} (version) VALUES ({VERSION}) {ours.once.format(key='version')}"  # noqa: S608
    )
    return made


def read_fence(
    connection: Connection, ours: OurTables, *, lock: Literal["share", "update"] | None = None
) -> Fence | None:
    """Read the fence row, or None when it is missing. The tables must exist."""
    query = sa.select(ours.fence).where(ours.fence.c.id == 1)
    if lock is not None:
        query = query.with_for_update(read=lock == "share")
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return Fence(row.deployment, row.epoch, row.hold_version, row.stopped, row.checkpoint)


def insert_receipt(connection: Connection, ours: OurTables, batch_id: str, state: str) -> bool:
    """Insert a receipt and tell whether it is ours; False when one is there.

    Waits for a transaction that holds the same key: a batch and its void cannot both win.
    """
    quoted = connection.dialect.identifier_preparer.format_table(ours.receipt)
    statement = sa.text(
        f"INSERT INTO {quoted} (batch_id, state, deleted, cascaded) "  # noqa: S608 - our own table's name
        "VALUES (:batch_id, :state, 0, '{}')" + ("" if ours.duplicate else f" {ours.once}")
    )
    try:
        return connection.execute(statement, {"batch_id": batch_id, "state": state}).rowcount == 1
    except sa.exc.IntegrityError as error:
        if error.orig is None or ours.duplicate is None or error.orig.args[:1] != (ours.duplicate,):
            raise
        return False


def as_number(id: str) -> int | None:
    """Return an id as the 64-bit number that it spells canonically, None when it spells none."""
    digits = id.removeprefix("-")
    plain = id.isascii() and digits.isdigit() and len(digits) <= 19 and str(int(id)) == id
    return int(id) if plain and -(2**63) <= int(id) < 2**63 else None

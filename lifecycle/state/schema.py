"""The tables of our own state. The migrations make them; a test compares the two.

Names compare byte by byte in both databases: PostgreSQL's default collation would order and page them otherwise.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD: Final = "0002"
"""The revision that this version reads and writes: the newest file in `migrations/versions`."""

VERSION_TABLE: Final = "lifecycle_state_version"
"""Not Alembic's default name: an application in the same database may have taken it."""

_Name = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData()

log_entry = Table(
    "log_entry",
    metadata,
    Column("entry_index", _Number, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    # NULL once a retention rule of our own pruned the body: the leaf hash stays, and with it every root and proof.
    Column("body", LargeBinary, nullable=True),
    Column("type", String(40), nullable=False),
    Column("job", _Name, nullable=True),
    Column("plan", _Name, nullable=True),
    Column("tenant", String(18), nullable=True),
    Column("seq", _Number, nullable=True),
    UniqueConstraint("tenant", "seq", name="log_entry_chain"),
    CheckConstraint("length(leaf) = 32", name="log_entry_leaf"),
)
_job = log_entry.c.job.is_not(None)
_plan = log_entry.c.plan.is_not(None)
Index("log_entry_job", log_entry.c.job, log_entry.c.entry_index, sqlite_where=_job, postgresql_where=_job)
Index("log_entry_plan", log_entry.c.plan, log_entry.c.entry_index, sqlite_where=_plan, postgresql_where=_plan)

log_node = Table(
    "log_node",
    metadata,
    # Level 0 is the leaf column of log_entry.
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("node_index", _Number, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("length(hash) = 32", name="log_node_hash"),
    sqlite_with_rowid=False,
)

record = Table(
    "record",
    metadata,
    Column("kind", String(20), primary_key=True),
    Column("name", _Name, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

compatible = Table(
    "lifecycle_state_compatible",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    # The oldest revision whose code still reads and writes the present schema.
    Column("since", String(32), nullable=False),
    CheckConstraint("id = 1", name="lifecycle_state_compatible_one"),
)

"""The log, its tree, and the registers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
compatible_since = "0001"

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "log_entry",
        sa.Column("entry_index", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=True),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("job", _NAME, nullable=True),
        sa.Column("plan", _NAME, nullable=True),
        sa.Column("tenant", sa.String(18), nullable=True),
        sa.Column("seq", _NUMBER, nullable=True),
        sa.UniqueConstraint("tenant", "seq", name="log_entry_chain"),
        sa.CheckConstraint("length(leaf) = 32", name="log_entry_leaf"),
    )
    for column in ("job", "plan"):
        named = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"log_entry_{column}",
            "log_entry",
            [column, "entry_index"],
            sqlite_where=named,
            postgresql_where=named,
        )
    op.create_table(
        "log_node",
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("node_index", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("length(hash) = 32", name="log_node_hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "record",
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )

"""The schema says which older versions of the code may still use it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
compatible_since = "0002"


def upgrade() -> None:
    op.create_table(
        "lifecycle_state_compatible",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.CheckConstraint("id = 1", name="lifecycle_state_compatible_one"),
    )

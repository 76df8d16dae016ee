"""Ids of events that are never used again, and counts of repetitions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite uses a deleted row's id again unless the table is created with AUTOINCREMENT.
    made_again = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(
        "events",
        recreate="always" if made_again else "never",
        table_kwargs={"sqlite_autoincrement": True},
    ) as events:
        events.add_column(sa.Column("occurrences", sa.Integer, nullable=False, server_default="1"))
        events.add_column(sa.Column("first_time", sa.DateTime(timezone=True)))

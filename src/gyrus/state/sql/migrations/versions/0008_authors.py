"""The author of each rollout: a token, a user or a manifest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rollouts", sa.Column("started_by", sa.Text, nullable=False, server_default=""))

"""The version of each stored specification. Those that exist already have version 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("revisions", sa.Column("spec_version", sa.Integer, nullable=False, server_default="1"))

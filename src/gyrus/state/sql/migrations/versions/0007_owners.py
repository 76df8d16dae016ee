"""The owner of each API: what it was deployed by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("apis", sa.Column("owner", sa.Text, nullable=False, server_default="cli"))

"""Run by Alembic, inside the transaction that :mod:`gyrus.state.sql.migration` has begun."""

from __future__ import annotations

from alembic import context

from gyrus.state.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

"""The schema's history, applied by Alembic when a store is opened. A released migration never changes."""

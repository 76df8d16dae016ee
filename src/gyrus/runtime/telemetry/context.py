"""Which request the present thread or task works for."""

from __future__ import annotations

from contextvars import ContextVar

current_request: ContextVar[str | None] = ContextVar("gyrus_request", default=None)
"""Its id."""

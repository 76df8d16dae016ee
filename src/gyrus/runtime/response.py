"""The return value of a handler that chooses more of its answer than the body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with a status, headers and a media type of its own.

    >>> def predict(self, payload):
    ...     return Response({"error": "no such user"}, status=404)
    """

    body: Any = None
    """Any value that ``predict`` could return instead: JSON serializable data, str, bytes, or a generator."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    media_type: str | None = None
    """Media type; None means the one that fits the body."""

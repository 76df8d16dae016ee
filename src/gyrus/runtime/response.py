"""What a handler returns to choose more of its answer than the body."""

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
    """What ``predict`` could return instead: JSON-able data, str, bytes, or a generator."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    media_type: str | None = None
    """By default what the body suggests."""

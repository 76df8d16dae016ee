"""The return value of a handler that chooses more of its answer than the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

HeaderValue = str | int | float | Sequence[str | int | float]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with a status, headers and a media type of its own.

    >>> def predict(self, payload):
    ...     return Response({"error": "no such user"}, status=404)
    """

    body: Any = None
    """Any value that ``predict`` could return instead: JSON serializable data, str, bytes, or a generator."""
    status: int = 200
    """Status, from 200 to 599."""
    headers: Mapping[str, HeaderValue] = field(default_factory=dict[str, HeaderValue])
    """Values by name. A list has one line for each value, as two cookies need it."""
    media_type: str | None = None
    """Media type; None means the one that fits the body."""

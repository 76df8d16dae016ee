"""Times as text, on every wire of the platform."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(time: datetime) -> str:
    """Format a time in UTC, to the millisecond.

    >>> rfc3339(datetime(2026, 11, 24, 2, 0, 0, 123456, tzinfo=UTC))
    '2026-11-24T02:00:00.123Z'
    """
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

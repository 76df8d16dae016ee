"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from gyrus.contract.times import rfc3339


def test_times_are_written_in_utc() -> None:
    elsewhere = datetime(2030, 1, 1, tzinfo=UTC).astimezone(timezone(timedelta(hours=-8)))
    assert rfc3339(elsewhere) == "2030-01-01T00:00:00.000Z"

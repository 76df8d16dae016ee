"""Launches that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure, as_first_seen, last_failure

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECONDS = NOW.timestamp()


def activity(id: str, age: float, code: str = "Failed", **changes: Any) -> dict[str, Any]:
    at = NOW - timedelta(seconds=age)
    usual = {
        "ActivityId": id,
        "StatusCode": code,
        "Description": "Launching a new EC2 instance.  Status Reason: no capacity",
        "StatusMessage": "Could not launch\nSpot Instances.",
        "StartTime": at,
        "EndTime": at,
    }
    return usual | changes


def test_the_last_failed_launch_counts() -> None:
    found = last_failure([activity("b", 10), activity("a", 20), activity("c", 1, "Successful")], SECONDS)
    assert found == LaunchFailure(id="b", at=SECONDS - 10, message="Could not launch Spot Instances.")


def test_old_failures_and_failed_ends_do_not_count() -> None:
    ended = activity("a", 1, Description="Terminating EC2 instance: i-1")
    assert last_failure([ended, activity("b", 600)], SECONDS) is None


def test_a_failure_without_an_end_has_its_start_and_no_message_is_named() -> None:
    entry = activity("a", 5, "Cancelled", StatusMessage=None)
    del entry["EndTime"]
    assert last_failure([entry], SECONDS) == LaunchFailure(id="a", at=SECONDS - 5, message="no reason given")


def test_the_time_of_a_failure_does_not_move_on_with_a_clock_that_is_behind() -> None:
    ahead = LaunchFailure(id="a", at=SECONDS + 3, message="no")
    first = as_first_seen(ahead, None, SECONDS)
    assert first.at == SECONDS
    assert as_first_seen(ahead, first, SECONDS + 10) == first
    other = LaunchFailure(id="b", at=SECONDS + 5, message="no")
    assert as_first_seen(other, first, SECONDS + 10) == other

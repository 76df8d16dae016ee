"""Launches that Auto Scaling could not carry out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FAILED = frozenset({"Failed", "Cancelled"})
RECENT = 600.0
"""Age in seconds from which a failure counts no more: an operator that starts judges no old ones."""
LAUNCH = "Launching"
"""Beginning of the descriptions of launches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFailure:
    """The last launch of an Auto Scaling group that failed."""

    id: str
    at: float
    message: str


def last_failure(activities: Iterable[Mapping[str, Any]], now: float) -> LaunchFailure | None:
    """Return the last failed launch, unless it is old. ``activities``: of DescribeScalingActivities."""
    failed = (_failure(entry) for entry in activities if _is_failed_launch(entry))
    recent = (one for one in failed if now - one.at < RECENT)
    return max(recent, key=lambda one: (one.at, one.id), default=None)


def as_first_seen(failure: LaunchFailure, known: LaunchFailure | None, now: float) -> LaunchFailure:
    """Return a failure with the time at which it was first seen, if AWS gives it a later one.

    The clocks differ by some milliseconds. A failure whose time moves on would count twice.
    """
    if known is not None and known.id == failure.id:
        return known
    return LaunchFailure(id=failure.id, at=min(failure.at, now), message=failure.message)


def _is_failed_launch(entry: Mapping[str, Any]) -> bool:
    return entry.get("StatusCode") in FAILED and str(entry.get("Description", "")).startswith(LAUNCH)


def _failure(entry: Mapping[str, Any]) -> LaunchFailure:
    at: datetime = entry.get("EndTime") or entry["StartTime"]
    message = str(entry.get("StatusMessage") or "no reason given")
    return LaunchFailure(id=entry["ActivityId"], at=at.timestamp(), message=" ".join(message.split()))

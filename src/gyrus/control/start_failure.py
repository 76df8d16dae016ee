"""The failure of an API's latest start, until a later start succeeds. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gyrus.autoscaling.policy import Decision
from gyrus.contract.replica import Phase
from gyrus.control.situation import Situation
from gyrus.state.board import StartFailure
from gyrus.state.records import Api
from gyrus.state.status import start_fault


def start_failure(
    known: StartFailure | None, situation: Situation[Any], now: datetime
) -> StartFailure | None:
    """Return the failure after this observation. ``known`` is the one before it.

    It stays when the replicas that failed are gone, and ends with a ready replica or another generation.
    """
    number, replicas = situation.api.target.number, situation.current
    if any(replica.status.phase is Phase.READY for replica in replicas):
        return None
    if known and known.generation != number:
        known = None
    message = start_fault(number, replicas)
    if not message or (known and known.message == message):
        return known
    return StartFailure(generation=number, message=message, at=now)


def is_refused(decision: Decision) -> bool:
    """Return True if the API has no replica, and there is no capacity for one."""
    return decision.rule == "capacity" and not decision.replicas


def refused_start(api: Api, decision: Decision, shortage: str, now: datetime) -> StartFailure:
    """Return the failure of a refused start.

    ``shortage`` is the backend's reason. It is empty if capacity became free a moment ago.
    """
    message = shortage or f"there is no capacity: {decision}"
    return StartFailure(generation=api.target.number, message=message, at=now)

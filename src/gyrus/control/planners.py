"""The choice of a planner for an API: one for each kind, and one for unreadable specifications."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from gyrus.control import plan as serving
from gyrus.control import unreadable
from gyrus.control.plan import Plan
from gyrus.control.situation import Situation
from gyrus.spec.api import ApiSpec
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import UnreadableSpec
from gyrus.state.board import Route


class Planner(Protocol):
    """Decides about APIs of one kind. Pure. A module with these two functions is a planner."""

    def plan(self, situation: Situation[Any], now: datetime) -> Plan:
        """Return the next step."""
        ...

    def route(self, situation: Situation[Any], retiring: frozenset[str]) -> Route | None:
        """Return the route that gateways should have. Returns None if they should not know the API."""
        ...


PLANNERS: dict[type[ApiSpec | UnreadableSpec], Planner] = {
    RealtimeSpec: serving,
    UnreadableSpec: unreadable,
}
"""By the class of the target's specification, which the situation holds as ``target_spec``."""


def planner_for(situation: Situation[Any]) -> Planner:
    return PLANNERS[type(situation.target_spec)]

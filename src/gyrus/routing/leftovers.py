"""Clusters that no route needs any more, kept until no request can be in them. Pure.

Envoy answers a request within the cluster that its route chose. A request that was requeued, or whose
connection failed, is sent there again after a pause of up to half a second, and one that the activator holds
comes back only when it is released. Without the cluster it would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gyrus.state.board import Endpoints, Route

LINGER = 2.0
"""Seconds after the last request that was seen in a cluster, and after its last route was gone. A request
that pauses is in no count: this is longer than its longest pause."""


class Leftovers:
    """Notes since when each of them has been quiet."""

    def __init__(self) -> None:
        self._quiet_since: dict[str, float] = {}

    def look(
        self,
        now: float,
        unneeded: frozenset[str],
        *,
        may_route_to: Callable[[str], bool],
        in_flight: Mapping[str, int],
    ) -> None:
        """``unneeded``: what some gateway has and no route needs. ``now``: seconds, by a monotonic clock."""
        since = self._quiet_since
        self._quiet_since = {
            name: now if in_flight.get(name) or may_route_to(name) else since.get(name, now)
            for name in unneeded
        }

    def kept(self, now: float) -> frozenset[str]:
        return frozenset(name for name, since in self._quiet_since.items() if now - since < LINGER)


def stand_in(route: Route | None, *, still_routed: bool) -> Endpoints | None:
    """Return the endpoints that a leftover of this route's API should have. None: those that it has.

    Its requests end where new ones of the API go. Where the API is deleted, they end with what they have
    until no gateway routes to it, and then nothing is left for them."""
    if route is None:
        return None if still_routed else frozenset()
    pools = [share.pool for share in route.routed]
    if len({pool.protocol for pool in pools}) > 1:
        return None  # which protocol the leftover speaks is not known
    return frozenset[str]().union(*(pool.endpoints for pool in pools))

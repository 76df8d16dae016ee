"""Clusters that no route needs any more, kept until no request can be in them. Pure.

Envoy answers a request within the cluster that its route chose. After a requeue or a failed connection, Envoy
sends the request there again, after a pause of up to half a second. A request that the activator holds
returns to its cluster only when it is released. Without the cluster, these requests would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gyrus.state.board import Endpoints, Protocol, Route

LINGER = 2.0
"""Seconds to keep a cluster after its last observed request and its last route.

No count includes a request that pauses between two tries, so this is longer than its longest pause.
"""


class Leftovers:
    """The leftovers, and for how long each has been quiet."""

    def __init__(self) -> None:
        self._quiet_since: dict[str, float] = {}

    def look(
        self,
        now: float,
        unneeded: frozenset[str],
        *,
        may_route_to: Callable[[str], bool],
        in_flight: Mapping[str, int] | None,
    ) -> None:
        """Update the leftovers.

        ``unneeded``: clusters that a gateway has and no route needs. ``now``: seconds, by a monotonic clock.
        ``in_flight``: requests by cluster; None while nothing is known of them.
        """
        # A request in flight, a possible route or an unknown number of requests starts the time again.
        since = self._quiet_since
        self._quiet_since = {
            name: now
            if in_flight is None or in_flight.get(name) or may_route_to(name)
            else since.get(name, now)
            for name in unneeded
        }

    def kept(self, now: float) -> frozenset[str]:
        return frozenset(name for name, since in self._quiet_since.items() if now - since < LINGER)


def stand_in(
    route: Route | None, *, still_routed: bool, protocol: Protocol | None = None, bridge: str | None = None
) -> Endpoints | None:
    """Return the endpoints that a leftover of this route's API should have.

    Returns None to keep its present ones. Its requests go to the same endpoints as the API's new requests,
    or through the bridge if these speak another protocol. If the API is deleted, the leftover keeps its
    endpoints until no gateway routes to it, and then has none. ``protocol``: the leftover's; None if an
    earlier operator made it.
    """
    if route is None:
        return None if still_routed else frozenset()
    pools = [share.pool for share in route.routed]
    if {pool.protocol for pool in pools} == {protocol or "http1"}:
        return frozenset[str]().union(*(pool.endpoints for pool in pools))
    return frozenset({bridge}) if bridge and route.replicas else None

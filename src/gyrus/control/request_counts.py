"""The requests in flight at each replica of an API that is to have fewer replicas."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from gyrus.contract.replica import Phase
from gyrus.control.situation import Situation
from gyrus.state.board import Route

InFlightSource = Callable[[Iterable[str]], Awaitable[Mapping[str, int]]]
"""Asks processes for their requests in flight, by endpoint. Those that do not answer are missing."""


async def no_counts(endpoints: Iterable[str]) -> Mapping[str, int]:
    """Return no counts: the choice does not depend on them then."""
    return {}


async def in_flight_of(
    situation: Situation, route: Route | None, source: InFlightSource
) -> Mapping[str, int]:
    """Return the requests in flight by replica, if it has to be decided which of several replicas leaves.

    A replica is left out if one of its processes does not answer, or answers for another program: only the
    runtime counts requests.
    """
    surplus = len(situation.current) - situation.api.replicas
    ready = [replica for replica in situation.current if replica.status.phase is Phase.READY]
    if route is None or not 0 < surplus < len(situation.current) or len(ready) < 2:
        return {}
    counted = counted_endpoints(route)
    asked = [endpoint for replica in ready for endpoint in replica.status.endpoints if endpoint in counted]
    counts: Mapping[str, int] = await source(asked) if asked else {}
    return {
        replica.id: sum(counts[endpoint] for endpoint in replica.status.endpoints)
        for replica in ready
        if counts.keys() >= set(replica.status.endpoints)
    }


def counted_endpoints(route: Route) -> frozenset[str]:
    """Return the endpoints at which the runtime counts requests: those of pools with slots."""
    pools = (pool for pool in route.pools if pool.queueing and pool.queueing.slots is not None)
    return frozenset[str]().union(*(pool.replicas for pool in pools))

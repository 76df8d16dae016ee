"""Private headers in pools of servers that the runtime does not stand in front of (CDS).

Such a server receives none, and none of its answers has any. Envoy's filters of each try change the headers
of the request itself, so that its later tries lack them too. Two parts of the gateway therefore add those
that they need again, from what Envoy knows of the try:

- The pool's cluster, if the host stands in for the pool's replicas: the activator, or the gateway's bridge.
  Its endpoint has metadata (:func:`stand_in`), which no replica's has.
- The clusters of second passes, from the route's metadata (:func:`of_route`).

A filter cannot test a condition. It adds a header only where its value is not empty, and overwrites one only
where it exists: so a header whose value is not in the endpoint's metadata begins as a placeholder from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.contract.replica import API_HEADER, ARRIVED_HEADER, POOL_HEADER, PRIVATE_HEADERS
from gyrus.routing.resources.kinds import Json, extension
from gyrus.state.board import WeightedPool

BRIDGED_HEADER = "x-gyrus-bridged"
"""Header of a request that has passed the bridge."""
BRIDGED = "gyrus.bridge"
"""Its value. The dot distinguishes it from an API's name, which is the placeholder."""

_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_NAMESPACE = "gyrus"
_OF_STAND_IN = f"%UPSTREAM_METADATA({_NAMESPACE}:api)%"
_START_OF_TRY = "%START_TIME(%s.%6f)%"


def removed() -> Json:
    """Build the filter of a pool that removes them in both directions, but for hosts that need them.

    It runs before the router reads the answer, so that no server can requeue a request.
    """
    private = [{"remove_on_match": {"key_matcher": {"prefix": PRIVATE_HEADERS, "ignore_case": True}}}]
    stand_in = [
        _append(API_HEADER, _OF_STAND_IN, "ADD_IF_ABSENT"),
        *_overwritten(ARRIVED_HEADER, _START_OF_TRY),
        *_overwritten(BRIDGED_HEADER, _of_route("bridged")),
    ]
    return mutation(
        "gyrus.private_headers",
        request_mutations=[*private, *stand_in],
        response_mutations=private,
        response_trailers_mutations=private,
    )


def restored() -> Json:
    """Build the filter of second passes that adds what a first try in such a pool has removed."""
    values = {POOL_HEADER: _of_route("pool"), API_HEADER: "%ROUTE_NAME%", ARRIVED_HEADER: _START_OF_TRY}
    added = [_append(name, value, "ADD_IF_ABSENT") for name, value in values.items()]
    return mutation("gyrus.restored_headers", request_mutations=added)


def stand_in(api: str) -> Json:
    """Build the metadata of an endpoint that stands in for the replicas of this API."""
    return {"filter_metadata": {_NAMESPACE: {"fields": {"api": {"string_value": api}}}}}


def of_route(shares: Sequence[WeightedPool] = (), *, bridged: bool = False) -> Json:
    """Build the metadata of a route to these pools, as a part of the route. Empty where it needs none."""
    without_runtime = [share.pool.id for share in shares if not share.pool.runtime_answers]
    known = {"pool": without_runtime[0]} if without_runtime else {}
    known |= {"bridged": BRIDGED} if bridged else {}
    return {"metadata": {"filter_metadata": {_NAMESPACE: known}}} if known else {}


def mutation(name: str, **mutations: list[Json]) -> Json:
    """Build a filter of each try that changes headers."""
    return extension(name, _MUTATION, mutations=mutations)


def _overwritten(name: str, value: str) -> list[Json]:
    return [
        _append(name, _OF_STAND_IN, "ADD_IF_ABSENT"),
        _append(name, value, "OVERWRITE_IF_EXISTS"),
    ]


def _of_route(key: str) -> str:
    return f"%METADATA(ROUTE:{_NAMESPACE}:{key})%"


def _append(name: str, value: str, action: str) -> Json:
    return {"append": {"header": {"key": name, "value": value}, "append_action": action}}

"""The API of each path, the part of the path that is stripped, and the retries (RDS).

Envoy finds paths in a tree, so that the five-hundredth API costs as much as the first. An API at ``/iris``
gets ``/iris``, ``/iris?q``, ``/iris/`` and everything under it, but not ``/irises``.

**Pools.** A route whose requests all go to one pool names its cluster. One with more has weighted clusters,
the newest generation first. Each route carries its API's name, for the access log and for error messages.

**Until the answer starts.** ``timeout`` of a route would cut a stream in the middle, so it is off.
``per_try_timeout`` ends when the response's headers arrive and does not affect a stream. A replica enforces
the API's timeout itself, from the request's arrival. Envoy's timeout is a little longer, for replicas that do
not enforce it (``process:``) or that hang.

**Retries.** Envoy retries a request of any method if the replica requeued it before its start, or if it never
reached a replica: as often as needed. If the connection breaks while a request is in flight, Envoy retries it
at most twice, and only where that is safe: GET, HEAD, and APIs that are declared idempotent. Envoy counts all
retries of a route together, so such a request has two routes: this one counts the tries that may have begun,
and the second pass (:mod:`gyrus.routing.resources.retries`), through which every try but the first goes,
counts the requeues.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from gyrus.contract.replica import (
    API_HEADER,
    ARRIVED_HEADER,
    HEALTH_PATH,
    METRICS_PATH,
    POOL_HEADER,
    READY_PATH,
)
from gyrus.routing.resources import bodies, origins, private_headers, retries
from gyrus.routing.resources.kinds import HEADER_INPUT, ROUTE_LIST, Json, extension, header, seconds
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Route, WeightedPool

NAME = "gyrus"
"""Name of the only route table."""
NAMING_HEADER = "gyrus-api"
"""Header that names the API of a gRPC request, for APIs whose replicas speak HTTP/2.

A gRPC service determines the path, so its client cannot put an API before it.
"""
INTERNAL_PATHS = (HEALTH_PATH, READY_PATH, METRICS_PATH)
INTERNAL_PREFIX = "/-/"
"""Prefix of a replica's paths that only the platform may call; clients get 404."""

TIMEOUT_MARGIN = 0.5
"""Seconds that a replica has to report its own timeout."""
SAFE_METHODS = ("GET", "HEAD")
ARRIVAL = "%START_TIME(%s.%6f)%"
"""Time of the request's arrival at the gateway, which is the same on every try."""

CHOSEN_CLUSTER = "%UPSTREAM_CLUSTER%"
"""The cluster of the first try; the header keeps it on later ones."""


def table(settings: GatewaySettings, name: str = NAME) -> Json:
    """Build the table without its entries, which its encoding adds (see :func:`entry`, :func:`called`).

    Requests that a guard matches do not reach the trees. The tree of headers comes first, because a gRPC
    service's path may begin like an API's.
    """
    by_path = {"input": extension("gyrus.path", HEADER_INPUT, header_name=":path"), "prefix_match_map": {}}
    by_name = {
        "input": extension("gyrus.api", HEADER_INPUT, header_name=NAMING_HEADER),
        "exact_match_map": {},
    }
    trees = {"matcher_tree": by_name, "on_no_match": {"matcher": {"matcher_tree": by_path}}}
    guards = [*origins.guards(settings), *bodies.guards(settings)]
    host: Json = {
        "name": NAME,
        "domains": ["*"],
        "request_body_buffer_limit": settings.retry_body,
        # Envoy adds the client's address, which is in x-forwarded-for too.
        "request_headers_to_remove": ["x-envoy-external-address"],
        "response_headers_to_remove": list(retries.ANSWER_HEADERS),
        "matcher": {"matcher_list": {"matchers": guards}, "on_no_match": {"matcher": trees}},
    }
    return {"name": name, "virtual_hosts": [host]}


def called(route: Route, settings: GatewaySettings) -> Json:
    """Build the entry for requests that name the API in their header: gRPC with any path."""
    match: Json = {"prefix": "/", "grpc": {}}
    routes = chain(_refusals(match, route, settings), forward(match, route, settings, rewrite=None))
    return {"action": extension(route.api, ROUTE_LIST, routes=list(routes))}


def entry(route: Route, settings: GatewaySettings, outer: Iterable[Route] = ()) -> Json:
    """Build the entry for paths that begin with the route's path.

    The tree finds the longest prefix by characters. If it ends within a segment (``/a/b`` of ``/a/bc``), the
    path may still belong to an API further out (``/a``): ``outer`` has those, innermost first.
    """
    exact = forward({"path": route.path}, route, settings)
    around = (chain(_refused(one, settings), _below(one, settings)) for one in outer)
    routes = chain(_refused(route, settings), exact, _below(route, settings), *around)
    return {"action": extension(route.api, ROUTE_LIST, routes=list(routes))}


def _refused(route: Route, settings: GatewaySettings) -> Iterable[Json]:
    """Build the routes that refuse requests. They come first: the others would forward them."""
    yield from _internal(route)
    # The path itself, and what is below it.
    yield from _refusals({"path_separated_prefix": route.path}, route, settings)


def _internal(route: Route) -> Iterable[Json]:
    for path in INTERNAL_PATHS:
        yield _hidden({"path": route.path + path})
    yield _hidden({"prefix": route.path + INTERNAL_PREFIX})


def _below(route: Route, settings: GatewaySettings) -> Iterable[Json]:
    yield from forward({"prefix": route.path + "/"}, route, settings)


def _refusals(match: Json, route: Route, settings: GatewaySettings) -> Iterable[Json]:
    yield from origins.refusals(match, route, settings)
    yield _too_large(match, route)


def _too_large(match: Json, route: Route) -> Json:
    """Build the route that refuses a body whose declared length is too large, before it is sent."""
    length = {"name": "content-length", "range_match": {"start": route.max_body + 1, "end": 2**63 - 1}}
    return {"match": {**match, "headers": [length]}, "direct_response": {"status": 413}}


def _hidden(match: Json) -> Json:
    return {"match": match, "direct_response": {"status": 404}}


def forward(
    match: Json,
    route: Route,
    settings: GatewaySettings,
    rewrite: str | None = "/",
    shares: Sequence[WeightedPool] | None = None,
) -> Iterable[Json]:
    """Build the routes to an API's pools, for requests that no other route refuses.

    ``rewrite``: the replacement of the path's matched part; None keeps it. ``shares``: the pools; None for
    those that get new requests.
    """
    shares = route.routed if shares is None else shares
    rewritten = {"prefix_rewrite": rewrite} if rewrite else {}
    limit = _limit(route)
    once = {**_action(route, settings), **_destination(shares), **rewritten}
    once["retry_policy"] = retries.never_started(settings, limit)
    named = [header(API_HEADER, route.api), header(ARRIVED_HEADER, ARRIVAL)]
    # The first match wins: methods that are not safe to repeat take the first route, the others the second.
    if not route.idempotent:
        unsafe = [_method_is_not(method) for method in SAFE_METHODS]
        yield _entry({**match, "headers": unsafe}, once, route, named)
    if settings.retries_at is None:
        yield _entry(match, once, route, named)
        return
    again = {
        **_action(route, settings),
        **rewritten,
        "retry_policy": retries.maybe_started(settings, limit, shares),
    }
    again["inline_cluster_specifier_plugin"] = retries.first_in(shares)
    repeated = _entry(match, again, route, [*named, header(POOL_HEADER, CHOSEN_CLUSTER)])
    yield {**repeated, **private_headers.of_route(shares)}


def _entry(match: Json, action: Json, route: Route, headers: list[Json]) -> Json:
    return {
        "name": route.api,
        "match": match,
        "route": action,
        "request_headers_to_add": headers,
        "request_headers_to_remove": [bodies.COUNTED_HEADER],
        **origins.policy(route.cors),
    }


def _action(route: Route, settings: GatewaySettings) -> Json:
    return {
        "timeout": "0s",
        # Not shorter than the timeout: a request without a first byte of its answer counts as idle too.
        "idle_timeout": seconds(max(settings.stream_idle, _limit(route))),
    }


def _destination(shares: Sequence[WeightedPool]) -> Json:
    if len(shares) == 1:
        return {"cluster": shares[0].pool.id}
    weights = [{"name": share.pool.id, "weight": share.weight} for share in shares]
    return {"weighted_clusters": {"clusters": weights}}


def _limit(route: Route) -> float:
    """Return the seconds that one try may take until its answer starts."""
    return route.timeout + TIMEOUT_MARGIN


def _method_is_not(method: str) -> Json:
    return {"name": ":method", "string_match": {"exact": method}, "invert_match": True}

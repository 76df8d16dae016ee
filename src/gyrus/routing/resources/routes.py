"""Which API a path belongs to, how the path is stripped, and what is tried again (RDS).

Paths are found in a tree, so that the five-hundredth API costs what the first does. An API at ``/iris`` takes
``/iris``, ``/iris?q``, ``/iris/`` and everything under it, and nothing of ``/irises``.

**Pools.** A route whose requests all go to one pool names its cluster. One with more has weighted clusters,
the newest generation first. Each route carries its API's name, for the access log and for error messages.

**Until the answer starts.** ``timeout`` of a route would cut a stream in the middle, so it is off.
``per_try_timeout`` ends when the response's headers arrive and leaves a stream alone. A replica keeps the
API's timeout itself, from the request's arrival; Envoy's is a little longer, and is there for replicas that
do not (``process:``) or that hang.

**Retries.** One budget serves all reasons. A request given back before it was started (requeue), or one that
never reached a replica, may be tried again whatever its method. A connection that breaks while a request is
in flight is tried again only where that is safe: GET, HEAD, and APIs declared idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from gyrus.contract.replica import (
    API_HEADER,
    ARRIVED_HEADER,
    HEALTH_PATH,
    METRICS_PATH,
    READY_PATH,
    REQUEUE_HEADER,
)
from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Route

NAME = "gyrus"
"""Of the one route table."""
NAMING_HEADER = "gyrus-api"
"""Names the API of a gRPC request: gRPC clients choose the path by the service, and cannot put an API before
it. Of APIs whose replicas speak HTTP/2."""
INTERNAL_PATHS = (HEALTH_PATH, READY_PATH, METRICS_PATH)
INTERNAL_PREFIX = "/-/"
"""Paths of a replica that are for the platform alone; from outside they do not exist."""

TIMEOUT_MARGIN = 0.5
"""Seconds that a replica has to tell of its own timeout."""
RETRIES = 64
"""Requests move from one replica to another a few times in their life: when replicas come up, when one goes.
More is a fault; with the back-off below, this many take about 15 s."""
BACKOFF_FIRST = 0.005
BACKOFF_MOST = 0.5
SAFE_METHODS = ("GET", "HEAD")
ARRIVAL = "%START_TIME(%s.%6f)%"
"""When the request arrived at the gateway: the same on every try."""

_ROUTES = "envoy.config.route.v3.RouteList"
_HEADER = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"


def table(settings: GatewaySettings) -> Json:
    """The table without its entries: they are added when it is encoded (see :func:`entry`, :func:`called`).

    The header comes first: a gRPC service's path may begin like an API's.
    """
    by_path = {"input": extension("gyrus.path", _HEADER, header_name=":path"), "prefix_match_map": {}}
    by_name = {"input": extension("gyrus.api", _HEADER, header_name=NAMING_HEADER), "exact_match_map": {}}
    host: Json = {
        "name": NAME,
        "domains": ["*"],
        "request_body_buffer_limit": settings.retry_body,
        "response_headers_to_remove": [REQUEUE_HEADER],
        "matcher": {"matcher_tree": by_name, "on_no_match": {"matcher": {"matcher_tree": by_path}}},
    }
    return {"name": NAME, "virtual_hosts": [host]}


def called(route: Route, settings: GatewaySettings) -> Json:
    """What happens to a request that names the API in its header: gRPC goes there, whatever its path."""
    routes = _forward({"prefix": "/", "grpc": {}}, route, settings, rewrite=None)
    return {"action": extension(route.api, _ROUTES, routes=list(routes))}


def entry(route: Route, settings: GatewaySettings, outer: Iterable[Route] = ()) -> Json:
    """What happens to a path that begins with the route's.

    The tree finds the longest beginning by characters. Where it is not the end of a segment (``/a/b`` of
    ``/a/bc``), the path may yet belong to an API further out (``/a``): those are ``outer``, innermost first.
    """
    around = (chain(_internal(one), _below(one, settings)) for one in outer)
    routes = chain(_own(route, settings), *around)
    return {"action": extension(route.api, _ROUTES, routes=list(routes))}


def _own(route: Route, settings: GatewaySettings) -> Iterable[Json]:
    yield from _internal(route)
    yield from _forward({"path": route.path}, route, settings)
    yield from _below(route, settings)


def _internal(route: Route) -> Iterable[Json]:
    for path in INTERNAL_PATHS:
        yield _hidden({"path": route.path + path})
    yield _hidden({"prefix": route.path + INTERNAL_PREFIX})


def _below(route: Route, settings: GatewaySettings) -> Iterable[Json]:
    yield from _forward({"prefix": route.path + "/"}, route, settings)


def _hidden(match: Json) -> Json:
    return {"match": match, "direct_response": {"status": 404}}


def _forward(
    match: Json, route: Route, settings: GatewaySettings, rewrite: str | None = "/"
) -> Iterable[Json]:
    """``rewrite``: what the matched part of the path becomes; None: it stays."""
    action = _action(route, settings) | ({"prefix_rewrite": rewrite} if rewrite else {})
    once = {**action, "retry_policy": _retry(route, again=False)}
    again = {**action, "retry_policy": _retry(route, again=True)}
    told = {
        "name": route.api,
        "request_headers_to_add": [_header(API_HEADER, route.api), _header(ARRIVED_HEADER, ARRIVAL)],
    }
    if not route.idempotent:
        unsafe = [_method_is_not(method) for method in SAFE_METHODS]
        yield {"match": {**match, "headers": unsafe}, "route": once, **told}
    yield {"match": match, "route": again, **told}


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _action(route: Route, settings: GatewaySettings) -> Json:
    return {
        **_destination(route),
        "timeout": "0s",
        "idle_timeout": seconds(max(settings.stream_idle, _limit(route))),
    }


def _destination(route: Route) -> Json:
    """The pools that get new requests."""
    routed = route.routed
    if len(routed) == 1:
        return {"cluster": routed[0].pool.id}
    weights = [{"name": share.pool.id, "weight": share.weight} for share in routed]
    return {"weighted_clusters": {"clusters": weights}}


def _limit(route: Route) -> float:
    """Seconds that one try may take until its answer starts."""
    return route.timeout + TIMEOUT_MARGIN


def _method_is_not(method: str) -> Json:
    return {"name": ":method", "string_match": {"exact": method}, "invert_match": True}


def _retry(route: Route, *, again: bool) -> Json:
    reasons = ["connect-failure", "reset-before-request", "refused-stream", "retriable-headers"]
    return {
        "retry_on": ",".join([*reasons, "reset"] if again else reasons),
        "num_retries": RETRIES,
        "per_try_timeout": seconds(_limit(route)),
        "retriable_headers": [{"name": REQUEUE_HEADER, "string_match": {"exact": "1"}}],
        "retry_back_off": {"base_interval": seconds(BACKOFF_FIRST), "max_interval": seconds(BACKOFF_MOST)},
        "retry_host_predicate": [extension("gyrus.previous_hosts", _PREVIOUS_HOSTS)],
        "host_selection_retry_max_attempts": "20",
    }

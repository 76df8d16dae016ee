"""The gateway's way from a pool of one protocol to a pool of the other (LDS, RDS).

Envoy speaks one protocol with all endpoints of a cluster. If an update changes the protocol of an API's
replicas, a request that the last old replica requeues has no other host in its pool. The endpoint of the
pool is then Envoy itself: a listener on a Unix socket, which accepts HTTP/1.1 and HTTP/2. Its table finds the
API by the private header that the first pass has set, and names the pools that have replicas.
"""

from __future__ import annotations

from collections.abc import Iterable

from gyrus.contract.replica import API_HEADER, BROKEN_HEADER, POOL_HEADER
from gyrus.routing.resources import private_headers, retries, routes
from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.kinds import HEADER_INPUT, ROUTE_LIST, Json, extension, header, seconds
from gyrus.routing.resources.listener import router
from gyrus.routing.resources.own_listener import ALL_PROTOCOLS, another_pass, own_listener
from gyrus.routing.resources.private_headers import BRIDGED, BRIDGED_HEADER
from gyrus.routing.resources.problems import local_replies
from gyrus.routing.settings import GatewaySettings
from gyrus.state.board import Route, WeightedPool

NAME = "gyrus.bridge"
"""Name of the listener and of its route table."""


def listener(endpoint: str, settings: GatewaySettings) -> Json:
    """Build the listener on this Unix socket. The first pass has logged the request."""
    processing = {
        **another_pass(NAME),
        **ALL_PROTOCOLS,
        "rds": {"route_config_name": NAME, "config_source": ads()},
        "http_filters": [router()],
        "stream_idle_timeout": seconds(settings.stream_idle),
        "local_reply_config": local_replies(),
    }
    return own_listener(NAME, endpoint, processing)


def table(bridged: Iterable[Route], settings: GatewaySettings) -> Json:
    """Build the table of these APIs. Any other request is requeued: its entry may be on its way."""
    entries = {route.api: _entry(route, settings) for route in bridged}
    api = extension("gyrus.api", HEADER_INPUT, header_name=API_HEADER)
    by_api = {"input": api, "exact_match_map": {"map": entries}}
    otherwise = [_requeued({"prefix": "/"}, settings)]
    host: Json = {
        "name": NAME,
        "domains": ["*"],
        "request_body_buffer_limit": settings.retry_body,
        # The bridge has retried it itself; the first pass would multiply its tries.
        "response_headers_to_remove": [BROKEN_HEADER],
        **(
            {"matcher": {"matcher_tree": by_api, "on_no_match": _routes(otherwise)}}
            if entries
            else {"routes": otherwise}
        ),
    }
    return {"name": NAME, "virtual_hosts": [host]}


def _entry(route: Route, settings: GatewaySettings) -> Json:
    """Build the entry of one API.

    A request that comes a second time is requeued: the pool to which the entry leads has lost its replicas,
    and a new entry is on its way.
    """
    again = {"prefix": "/", "headers": [{"name": BRIDGED_HEADER, "string_match": {"exact": BRIDGED}}]}
    shares = _shares(route)
    forward = routes.forward({"prefix": "/"}, route, settings, rewrite=None, shares=shares)
    known = private_headers.of_route(shares, bridged=True)
    return _routes([_requeued(again, settings), *({**one, **_marked(one), **known} for one in forward)])


def _marked(forward: Json) -> Json:
    """Build the headers that the bridge adds. The first pass has added the others, but for another pool."""
    pool = [each for each in forward["request_headers_to_add"] if each["header"]["key"] == POOL_HEADER]
    return {"request_headers_to_add": [*pool, header(BRIDGED_HEADER, BRIDGED)]}


def _shares(route: Route) -> tuple[WeightedPool, ...]:
    """Return the newest pool that has replicas of its own: another one may lead back here.

    Only one, so that the loss of an older pool's last replica leaves the entry as it is.
    """
    return tuple(share for share in route.shares if share.pool.replicas)[:1]


def _requeued(match: Json, settings: GatewaySettings) -> Json:
    answer = retries.requeue_headers(settings)
    return {"match": match, "direct_response": {"status": 503}, "response_headers_to_add": answer}


def _routes(found: list[Json]) -> Json:
    return {"action": extension(NAME, ROUTE_LIST, routes=found)}

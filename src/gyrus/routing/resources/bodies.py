"""The gateway's limit of bodies under way (bootstrap, LDS, RDS).

Envoy keeps a request's body until the answer starts, since it may have to send it again. A request with a
long body therefore passes Envoy twice: the first pass sends it to a cluster whose requests are limited, and
whose endpoint is Envoy's own listener on a Unix socket. The second pass serves it as any other request. At
the limit, the first pass refuses the request before it reads the body. A client without long bodies is never
affected.
"""

from __future__ import annotations

from gyrus.routing.resources import endpoints
from gyrus.routing.resources.clusters import http_options
from gyrus.routing.resources.kinds import ROUTE_LIST, Json, equals, extension, matches, seconds
from gyrus.routing.settings import BodyTier, GatewaySettings

PREFIX = "gyrus.bodies."
"""Prefix of the clusters' names. The dots distinguish them from pools, whose names have none."""
LISTENER = "gyrus.bodies"
COUNTED_HEADER = "x-gyrus-counted"
"""Private header of a request on its second pass."""
UNKNOWN_LENGTH = ("POST", "PUT", "PATCH")
"""Methods whose body counts as long if its length is unknown."""


def name_of(tier: BodyTier) -> str:
    return PREFIX + tier.name


def clusters(settings: GatewaySettings, endpoint: str) -> list[Json]:
    """Build the clusters whose only endpoint is Envoy itself. One request takes one connection."""
    return [_cluster(tier, endpoint) for tier in settings.tiers]


def _cluster(tier: BodyTier, endpoint: str) -> Json:
    name = name_of(tier)
    host = {"endpoint": {"address": endpoints.address(endpoint)}}
    unlimited = 1_000_000_000
    limits = {
        "max_requests": tier.most,
        "max_connections": unlimited,
        "max_pending_requests": unlimited,
        "max_retries": unlimited,
    }
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": 64 * 1024,
        "circuit_breakers": {"thresholds": [{**limits, "track_remaining": True}]},
        "typed_extension_protocol_options": http_options("http1", idle=10.0),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [host]}]},
    }


def guards(settings: GatewaySettings) -> list[Json]:
    """Build the matcher of requests with long bodies on their first pass, and the routes of their tiers.

    Most requests are short, and for these Envoy compares two headers. The tiers are in descending order.
    """
    *longer, shortest = settings.tiers
    tiers = [{"predicate": _not(_shorter(tier.least)), "on_match": _tier(tier)} for tier in longer]
    by_length = {"matcher_list": {"matchers": tiers}, "on_no_match": _tier(shortest)}
    return [{"predicate": _not(_is_short(shortest.least)), "on_match": {"matcher": by_length}}]


def _tier(tier: BodyTier) -> Json:
    return {"action": extension(name_of(tier), ROUTE_LIST, routes=[_route(tier)])}


def _route(tier: BodyTier) -> Json:
    counted = {"header": {"key": COUNTED_HEADER, "value": "1"}}
    return {
        "name": name_of(tier),
        "match": {"prefix": "/"},
        # The second pass has the timeouts.
        "route": {"cluster": name_of(tier), "timeout": "0s", "idle_timeout": seconds(0)},
        "request_headers_to_add": [{**counted, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
    }


def _is_short(limit: int) -> Json:
    """Build the predicate of requests whose bodies need no count. Those of unknown length do."""
    may_have_body = [matches(":method", "|".join(UNKNOWN_LENGTH)), matches("transfer-encoding", ".+")]
    # A call of gRPC is a stream, which no part of the platform keeps.
    kept = _all(_any(*may_have_body), _not(matches("content-type", "application/grpc.*")))
    without_body = _all(_not(matches("content-length", ".+")), _not(kept))
    return _any(equals(COUNTED_HEADER, "1"), _shorter(limit), without_body)


def _shorter(limit: int) -> Json:
    return matches("content-length", shorter_than(limit))


def _any(*predicates: Json) -> Json:
    return {"or_matcher": {"predicate": list(predicates)}}


def _all(*predicates: Json) -> Json:
    return {"and_matcher": {"predicate": list(predicates)}}


def _not(predicate: Json) -> Json:
    return {"not_matcher": predicate}


def shorter_than(power_of_ten: int) -> str:
    """Return the expression for decimal numbers below this power of ten, leading zeros aside.

    >>> shorter_than(1000)
    '0*[0-9]{1,3}'
    """
    return f"0*[0-9]{{1,{len(str(power_of_ten)) - 1}}}"

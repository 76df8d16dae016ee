"""How Envoy talks to a pool's replicas (CDS): balancing, connections, limits."""

from __future__ import annotations

from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.state.board import Pool

CONNECT_TIMEOUT = 5.0
UPSTREAM_IDLE = 60.0
"""Seconds. Shorter than a replica's keep-alive (``Limits.keep_alive``, 75 s): the gateway closes first, so
no request meets a connection that the replica is just closing."""
UNLIMITED = 1_000_000_000
"""For circuit breakers. Replicas bound their own queues; Envoy's limits would count per worker thread."""

_LEAST_REQUEST = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(pool: Pool) -> Json:
    """One pool's cluster. It does not depend on the endpoints, so that replicas come and go without it."""
    return {
        "name": pool.id,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ads()},
        "connect_timeout": seconds(CONNECT_TIMEOUT),
        "load_balancing_policy": {"policies": [{"typed_extension_config": _full_scan()}]},
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": circuit_breakers(),
        "outlier_detection": _unreachable(),
        "typed_extension_protocol_options": http_options(pool.protocol),
    }


def ads() -> Json:
    return {"ads": {}, "resource_api_version": "V3"}


def circuit_breakers() -> Json:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(limits, UNLIMITED)]}


def http_options(protocol: str, *, idle: float | None = UPSTREAM_IDLE) -> Json:
    """``http1``, or ``http2`` without TLS and without upgrade. ``idle``: seconds; None: for ever."""
    options: Json = {"http2_protocol_options": {}} if protocol == "http2" else {"http_protocol_options": {}}
    config: Json = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": options,
        "common_http_protocol_options": {"idle_timeout": seconds(idle or 0)},
    }
    return {_HTTP_OPTIONS: config}


def _unreachable() -> Json:
    """A replica that takes no connections is left out for a second, while others do. It has the fewest
    requests in flight of all, so without this each request would go to it first, until control has noticed
    that it is gone. The only replica is never left out."""
    never = ("consecutive_5xx", "consecutive_gateway_failure", "success_rate", "local_origin_success_rate")
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        **{f"enforcing_{kind}": 0 for kind in never},
        "interval": "1s",
        "base_ejection_time": "1s",
        "max_ejection_time": "5s",
        "max_ejection_percent": 99,
    }


def _full_scan() -> Json:
    """The replica with the fewest requests in flight, of all and not of two: with one slot a replica, a
    second request on a busy one waits although another is free."""
    return extension("gyrus.least_request", _LEAST_REQUEST, selection_method="FULL_SCAN")

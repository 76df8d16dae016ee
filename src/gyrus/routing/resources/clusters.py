"""Envoy's connections to a pool's replicas (CDS): balancing, protocols, limits."""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.routing.resources import private_headers
from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.state.board import Pool

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to a replica."""
UPSTREAM_IDLE = 60.0
"""Seconds until the gateway closes an unused connection.

It is shorter than a replica's keep-alive (``Limits.keep_alive``, 75 s). The gateway closes first, so it never
sends a request on a connection that the replica is closing.
"""
LOST_MACHINE: Json = {"keepalive_time": 6, "keepalive_interval": 3, "keepalive_probes": 3}
"""A machine that does not answer for 15 s is lost: the first question after 6 s, three questions, 3 s apart.

The questions are the kernel's, so that a busy replica answers them. There is no limit of the time in which
sent data must be confirmed (``TCP_USER_TIMEOUT``): it would also end long bodies that a busy server does not
read yet. A request that is sent to a lost machine in its first seconds therefore waits until its timeout.
"""
UNLIMITED = 1_000_000_000
"""Limit of circuit breakers. Replicas bound their own queues, and Envoy would count per worker thread."""

_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"
_LEAST_REQUEST = "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(pool: Pool, *, across_machines: bool = False) -> Json:
    """Build one pool's cluster. It does not depend on the endpoints, so that replicas do not change it.

    ``across_machines``: True if a replica's machine may be lost. A request that waits for its answer then
    fails, and is tried again where its API allows it, instead of waiting until its timeout.
    """
    lost = {"upstream_connection_options": {"tcp_keepalive": LOST_MACHINE}} if across_machines else {}
    return {
        **lost,
        "name": pool.id,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ads()},
        "connect_timeout": seconds(CONNECT_TIMEOUT),
        "load_balancing_policy": {"policies": [{"typed_extension_config": _full_scan()}]},
        # No panic mode: with many replicas ejected, Envoy would otherwise send requests to them again.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        # A removed endpoint goes at once, even if Envoy still considers it healthy.
        "ignore_health_on_host_removal": True,
        "circuit_breakers": circuit_breakers(),
        "outlier_detection": _unreachable(),
        "typed_extension_protocol_options": http_options(
            pool.protocol, filters=() if pool.runtime_answers else (private_headers.removed(), codec())
        ),
    }


def ads() -> Json:
    return {"ads": {}, "resource_api_version": "V3"}


def circuit_breakers() -> Json:
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(limits, UNLIMITED)]}


def http_options(
    protocol: str,
    *,
    idle: float | None = UPSTREAM_IDLE,
    filters: Sequence[Json] = (),
    connect: bool = False,
    asks_every: float | None = None,
) -> Json:
    """Build the options of a protocol: ``http1``, or ``http2`` without TLS and without upgrade.

    ``idle``: seconds until an unused connection is closed; None for never. ``filters``: those of each try,
    the codec last. ``connect``: True to send upgrades over HTTP/2. ``asks_every``: seconds between two
    questions whether the other end of an HTTP/2 connection is there, and to wait for its answer.
    """
    http2: Json = {"allow_connect": True} if connect else {}
    if asks_every is not None:
        http2["connection_keepalive"] = {"interval": seconds(asks_every), "timeout": seconds(asks_every)}
    options: Json = (
        {"http2_protocol_options": http2} if protocol == "http2" else {"http_protocol_options": {}}
    )
    config: Json = {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": options,
        "common_http_protocol_options": {"idle_timeout": seconds(idle or 0)},
        **({"http_filters": list(filters)} if filters else {}),
    }
    return {_HTTP_OPTIONS: config}


def codec() -> Json:
    """Build the filter of each try that must be the last."""
    return extension("gyrus.codec", _CODEC)


def _unreachable() -> Json:
    """Leave out a replica that accepts no connections for a second, while others accept them.

    Such a replica has the fewest requests in flight. Without this rule, each request would go to it first
    until control has noticed that it is gone. The only replica is never left out.
    """
    never = ("consecutive_5xx", "consecutive_gateway_failure", "success_rate", "local_origin_success_rate")
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        **{f"enforcing_{kind}": 0 for kind in never},
        "interval": "1s",
        "base_ejection_time": "1s",
        "max_ejection_time": "5s",
        "max_ejection_percent": 99,  # less than 100, so that the last replica stays
    }


def _full_scan() -> Json:
    """Choose the replica with the fewest requests in flight, of all replicas.

    Envoy's default compares two. With one slot per replica, a request could then wait at a busy replica
    although another is free.
    """
    return extension("gyrus.least_request", _LEAST_REQUEST, selection_method="FULL_SCAN")

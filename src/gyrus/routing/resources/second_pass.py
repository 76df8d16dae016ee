"""The gateway's second pass: a listener of Envoy that retries requeues and failed connections (CDS, LDS).

Its only route leads to the pool that the first pass chose and wrote into a header. See
:mod:`gyrus.routing.resources.retries` for its place among the retries.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.contract.replica import API_HEADER, LAST_TRY, POOL_HEADER, RETRIED_HEADER
from gyrus.routing.resources import endpoints, private_headers, retries
from gyrus.routing.resources.clusters import (
    CONNECT_TIMEOUT,
    circuit_breakers,
    codec,
    http_options,
)
from gyrus.routing.resources.kinds import Json, extension, header, seconds
from gyrus.routing.resources.listener import router
from gyrus.routing.resources.own_listener import ALL_PROTOCOLS, another_pass, own_listener
from gyrus.routing.resources.problems import API_KEY, NAMESPACE, second_replies
from gyrus.routing.settings import GatewaySettings

NAME = retries.SECOND_PASS
NAMES = (retries.SECOND_PASS, retries.LAST_TRY)
"""Names of the clusters."""

_TO_METADATA = "envoy.extensions.filters.http.header_to_metadata.v3.Config"


def clusters(endpoint: str) -> list[Json]:
    """Build the clusters of this endpoint: that of second passes, and that of last tries."""
    marked = [{"append": header(RETRIED_HEADER, LAST_TRY)}]
    mark = private_headers.mutation("gyrus.last_try", request_mutations=marked)
    restored = private_headers.restored()
    return [
        _cluster(NAME, endpoint, (restored, codec())),
        _cluster(retries.LAST_TRY, endpoint, (restored, mark, codec())),
    ]


def _cluster(name: str, endpoint: str, filters: Sequence[Json]) -> Json:
    """Build a cluster of the gateway itself. HTTP/2 carries all that clients speak."""
    host = {"endpoint": {"address": endpoints.address(endpoint)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": seconds(CONNECT_TIMEOUT),
        "circuit_breakers": circuit_breakers(),
        "typed_extension_protocol_options": http_options("http2", connect=True, filters=filters),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [host]}]},
    }


def listener(endpoint: str, settings: GatewaySettings) -> Json:
    """Build the listener on this Unix socket. The first pass has logged the request, and limits its time."""
    processing = {
        **another_pass(NAME),
        **ALL_PROTOCOLS,
        "route_config": _table(settings),
        "http_filters": [_noted_api(), router()],
        "stream_idle_timeout": seconds(0),
        "local_reply_config": second_replies(),
    }
    return own_listener(NAME, endpoint, processing)


def _noted_api() -> Json:
    """Note the API for the error answers. A pool may remove the header in which the first pass names it."""
    metadata = {"metadata_namespace": NAMESPACE, "key": API_KEY}
    return extension(
        "gyrus.noted_api",
        _TO_METADATA,
        request_rules=[{"header": API_HEADER, "on_header_present": metadata}],
    )


def _table(settings: GatewaySettings) -> Json:
    route: Json = {
        "match": {"prefix": "/"},
        # The first pass limits the time of a try, which includes all tries here.
        "route": {"cluster_header": POOL_HEADER, "timeout": "0s", "retry_policy": retries.requeues(settings)},
        "request_headers_to_add": [{**header(RETRIED_HEADER, "1"), "append_action": "ADD_IF_ABSENT"}],
    }
    host: Json = {
        "name": NAME,
        "domains": ["*"],
        "request_body_buffer_limit": settings.retry_body,
        "routes": [route],
    }
    return {"name": NAME, "virtual_hosts": [host]}

"""The port for clients, and the processing of each request (LDS).

The port serves HTTP/1.1 and HTTP/2 (by prior knowledge). The only filters are CORS and the router, because
every request pays for each further one.
"""

from __future__ import annotations

import json

from gyrus.contract.replica import POOL_HEADER, PRIVATE_HEADERS
from gyrus.routing.resources import bodies, routes
from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.routing.resources.problems import local_replies
from gyrus.routing.settings import GatewaySettings

NAME = "gyrus"
SERVER_NAME = "gyrus"
HEADER_KIB = 64
HEADER_FIELDS = 200
BUFFER = 256 * 1024
"""Bytes that Envoy reads ahead on a connection, and keeps for a client that does not read. The replica of a
slow reader sees progress each time that half of it is empty."""

_FILTERS = "envoy.extensions.filters"
MANAGER = f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_FILTERS}.http.router.v3.Router"
_CORS = f"{_FILTERS}.http.cors.v3.Cors"
ENVOY_HEADERS = "x-envoy-"
"""Prefix of the headers with which Envoy would let a client choose retries and timeouts."""
_EARLY = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_UUID = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"


_POOL = {"operators": [{"command": "REQ", "param": POOL_HEADER}, {"command": "UPSTREAM_CLUSTER"}]}


def listener(settings: GatewaySettings, access_log: str | None) -> Json:
    socket = {"address": settings.address, "port_value": settings.port}
    manager = extension("gyrus.http", MANAGER, **processing(settings, access_log))
    return {
        "name": NAME,
        "address": {"socket_address": socket},
        "filter_chains": [{"filters": [manager]}],
        "per_connection_buffer_limit_bytes": BUFFER,
    }


def processing(settings: GatewaySettings, access_log: str | None) -> Json:
    """Build the processing of clients' requests."""
    limits = settings.connections
    return {
        "stat_prefix": "gyrus",
        "rds": {"route_config_name": routes.NAME, "config_source": ads()},
        "http_filters": filters(),
        "server_name": SERVER_NAME,
        "use_remote_address": True,
        "normalize_path": True,
        "common_http_protocol_options": {
            "max_headers_count": HEADER_FIELDS,
            "idle_timeout": seconds(limits.idle),
        },
        # HTTP/1.0 clients may send no Host, which Envoy would refuse.
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "http2_protocol_options": {"allow_connect": True},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "max_request_headers_kb": HEADER_KIB,
        "request_headers_timeout": seconds(limits.headers),
        "request_timeout": seconds(limits.body),
        "stream_idle_timeout": seconds(settings.stream_idle),
        "access_log": access_logs(access_log, _logged_here()),
        # Early: before the route is chosen, which adds private headers itself.
        "early_header_mutation_extensions": [
            extension("gyrus.private", _EARLY, mutations=_no_private_headers())
        ],
        "local_reply_config": local_replies(),
        **_request_id(),
    }


def filters() -> list[Json]:
    # Off but for routes with a policy: every request would pay for it.
    cors = {**extension("envoy.filters.http.cors", _CORS), "disabled": True}
    return [cors, router()]


def router() -> Json:
    return extension("envoy.filters.http.router", _ROUTER, suppress_envoy_headers=True)


def _request_id() -> Json:
    """Accept the client's request id or create one, pass it on, and return it."""
    return {
        "generate_request_id": True,
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {
            "typed_config": {"@type": f"type.googleapis.com/{_UUID}", "pack_trace_reason": False}
        },
    }


def _no_private_headers() -> list[Json]:
    # A client must not be able to act as the platform. The routes add their own private headers after this.
    return [
        {"remove_on_match": {"key_matcher": {"prefix": prefix}}}
        for prefix in (PRIVATE_HEADERS, ENVOY_HEADERS)
    ]


def access_logs(path: str | None, condition: Json | None = None) -> list[Json]:
    """Build the access log. ``condition``: the filter of the requests that it has; None for all."""
    if path is None:
        return []
    return [extension("gyrus.file", _FILE, **_file(path)) | ({"filter": condition} if condition else {})]


def _logged_here() -> Json:
    """Leave out requests that the second pass logs."""
    one_pass = {"header_filter": {"header": {"name": bodies.COUNTED_HEADER, "present_match": False}}}
    refused = {"response_flag_filter": {"flags": ["UO"]}}
    return {"or_filter": {"filters": [one_pass, refused]}}


def _file(path: str) -> Json:
    line = {
        "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
        "api": "%ROUTE_NAME%",
        # After a second pass, the cluster of the last try is that of second passes.
        "pool": f"%COALESCE({json.dumps(_POOL)})%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ)%",
        "protocol": "%PROTOCOL%",
        "code": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "ms": "%DURATION%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "endpoint": "%UPSTREAM_HOST%",
        "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    return {"path": path, "log_format": {"json_format": line}}

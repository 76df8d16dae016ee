"""The listener for the second pass of requests with long bodies (LDS).

It shares the route table of the clients' port, and speaks HTTP/1.1 on a Unix socket. It is not part of the
bootstrap, because its texts and its access log change without a restart of Envoy.
"""

from __future__ import annotations

from gyrus.routing.resources import bodies, endpoints, routes
from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.routing.resources.listener import HEADER_FIELDS, HEADER_KIB, MANAGER, access_logs, filters
from gyrus.routing.resources.problems import local_replies
from gyrus.routing.settings import GatewaySettings


def listener(endpoint: str, settings: GatewaySettings, access_log: str | None) -> Json:
    """Build the listener on this Unix socket, to which only its owner may connect."""
    address = endpoints.address(endpoint)
    address["pipe"]["mode"] = 0o600
    manager = extension("gyrus.http", MANAGER, **_connection_manager(settings, access_log))
    return {
        "name": bodies.LISTENER,
        "address": address,
        "filter_chains": [{"filters": [manager]}],
        "per_connection_buffer_limit_bytes": 64 * 1024,
        "ignore_global_conn_limit": True,  # the first pass has counted the client's connection
    }


def _connection_manager(settings: GatewaySettings, access_log: str | None) -> Json:
    """Build the processing of the second pass. The first has checked the request and set its id."""
    return {
        "stat_prefix": bodies.LISTENER,
        "rds": {"route_config_name": routes.NAME, "config_source": ads()},
        "http_filters": filters(),
        "server_header_transformation": "PASS_THROUGH",
        "skip_xff_append": True,
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "common_http_protocol_options": {"max_headers_count": HEADER_FIELDS, "idle_timeout": "75s"},
        "max_request_headers_kb": HEADER_KIB,
        "stream_idle_timeout": seconds(settings.stream_idle),
        "access_log": access_logs(access_log),
        "local_reply_config": local_replies(),
    }

"""The listener for the second pass of requests with long bodies (LDS).

It shares the route table of the clients' port, and speaks HTTP/1.1 on a Unix socket. It is not part of the
bootstrap, because its texts and its access log change without a restart of Envoy.
"""

from __future__ import annotations

from gyrus.routing.resources import bodies, routes
from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.kinds import Json, seconds
from gyrus.routing.resources.listener import access_logs, filters
from gyrus.routing.resources.own_listener import another_pass, own_listener
from gyrus.routing.resources.problems import local_replies
from gyrus.routing.settings import GatewaySettings


def listener(endpoint: str, settings: GatewaySettings, access_log: str | None) -> Json:
    """Build the listener on this Unix socket. The first pass has checked the request and set its id."""
    processing = another_pass(bodies.LISTENER)
    processing["common_http_protocol_options"]["idle_timeout"] = "75s"
    processing |= {
        "rds": {"route_config_name": routes.NAME, "config_source": ads()},
        "http_filters": filters(),
        "preserve_external_request_id": True,
        "stream_idle_timeout": seconds(settings.stream_idle),
        "access_log": access_logs(access_log),
        "local_reply_config": local_replies(),
    }
    own = own_listener(bodies.LISTENER, endpoint, processing)
    return {**own, "per_connection_buffer_limit_bytes": 64 * 1024}

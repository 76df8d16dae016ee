"""Envoy's own listeners: Unix sockets on which it accepts requests from itself, for another pass (LDS)."""

from __future__ import annotations

from gyrus.routing.resources import endpoints
from gyrus.routing.resources.kinds import Json, extension
from gyrus.routing.resources.listener import HEADER_FIELDS, HEADER_KIB, MANAGER

ALL_PROTOCOLS: Json = {
    "http2_protocol_options": {"allow_connect": True},
    "upgrade_configs": [{"upgrade_type": "websocket"}],
}
"""The settings of a listener that accepts whatever the clients' port accepts."""


def own_listener(name: str, endpoint: str, processing: Json) -> Json:
    """Build the listener on this Unix socket, to which only its owner may connect."""
    address = endpoints.address(endpoint)
    address["pipe"]["mode"] = 0o600
    manager = extension("gyrus.http", MANAGER, **processing)
    return {
        "name": name,
        "address": address,
        "filter_chains": [{"filters": [manager]}],
        "ignore_global_conn_limit": True,  # the first pass has counted the client's connection
    }


def another_pass(name: str) -> Json:
    """Build the part of the processing that all passes but the first share. The first has set the headers."""
    return {
        "stat_prefix": name,
        "server_header_transformation": "PASS_THROUGH",
        "skip_xff_append": True,
        "generate_request_id": False,
        "common_http_protocol_options": {"max_headers_count": HEADER_FIELDS},
        "max_request_headers_kb": HEADER_KIB,
    }

"""The gateways' ports for clients with TLS, and for those to be redirected to it (bootstrap).

They are not sent by the operator: only pods that have the certificate have them. The routes of both kinds of
ports are the same resource.
"""

from __future__ import annotations

from dataclasses import dataclass

from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.file_secrets import FileSecret
from gyrus.routing.resources.kinds import Json, extension, seconds
from gyrus.routing.resources.listener import BUFFER, MANAGER, SERVER_NAME, processing, router
from gyrus.routing.settings import GatewaySettings

NAME = "gyrus.tls"
REDIRECT = "gyrus.redirect"
_DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
HANDSHAKE = 10.0
"""Longest time of a handshake, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsListener:
    """The ports of a gateway whose endpoints have a certificate."""

    port: int
    redirect_port: int
    https_port: int
    """The port with TLS as clients see it, which a redirect names."""
    certificate: FileSecret


def listener(settings: GatewaySettings, tls: TlsListener, access_log: str | None) -> Json:
    """Build the port with TLS. It is ready when it has the routes."""
    routes = {**ads(), "initial_fetch_timeout": "0s"}  # without routes, it would answer 404
    manager = processing(settings, access_log)
    manager["rds"] = {**manager["rds"], "config_source": routes}
    # Both ports count clients' requests under one name, from which drain and pressure are decided.
    chain = {
        "filters": [extension("gyrus.http", MANAGER, **manager)],
        "transport_socket": extension(
            "envoy.transport_sockets.tls",
            _DOWNSTREAM_TLS,
            common_tls_context={
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "tls_certificate_sds_secret_configs": [tls.certificate.reference],
                "alpn_protocols": ["h2", "http/1.1"],
            },
        ),
        "transport_socket_connect_timeout": seconds(HANDSHAKE),
    }
    return {
        "name": NAME,
        "address": {"socket_address": {"address": settings.address, "port_value": tls.port}},
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": BUFFER,
    }


def redirecting(settings: GatewaySettings, tls: TlsListener) -> Json:
    """Build the port that redirects all requests. Clients repeat them with method and body (308)."""
    redirect = {
        "https_redirect": True,
        "port_redirect": tls.https_port,
        "response_code": "PERMANENT_REDIRECT",
    }
    route = {"match": {"prefix": "/"}, "redirect": redirect}
    manager = extension(
        "gyrus.http",
        MANAGER,
        stat_prefix=REDIRECT,
        server_name=SERVER_NAME,
        route_config={
            "name": REDIRECT,
            "virtual_hosts": [{"name": REDIRECT, "domains": ["*"], "routes": [route]}],
        },
        http_filters=[router()],
        common_http_protocol_options={"idle_timeout": seconds(settings.connections.idle)},
        request_headers_timeout=seconds(settings.connections.headers),
    )
    return {
        "name": REDIRECT,
        "address": {"socket_address": {"address": settings.address, "port_value": tls.redirect_port}},
        "filter_chains": [{"filters": [manager]}],
    }

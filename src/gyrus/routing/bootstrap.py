"""What Envoy is started with: who it is, where its admin and the operator's xDS are. Pure."""

from __future__ import annotations

from gyrus.routing.resources.clusters import ads, circuit_breakers, http_options
from gyrus.routing.resources.kinds import Json
from gyrus.routing.settings import GatewayFiles

XDS_CLUSTER = "gyrus.xds"
"""Its dot keeps it apart from APIs, whose names have none."""


def bootstrap(files: GatewayFiles) -> Json:
    """The same for the same home: an Envoy that was started with another one is replaced."""
    return {
        "node": {"id": files.node, "cluster": "gyrus"},
        "admin": {"address": {"pipe": {"path": str(files.admin_socket), "mode": 0o600}}},
        "dynamic_resources": {"ads_config": _ads(), "cds_config": ads(), "lds_config": ads()},
        "static_resources": {"clusters": [_xds(str(files.xds_socket))]},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
    }


def _ads() -> Json:
    """Envoy comes back to a restarted operator within half a second; by default it takes up to ten."""
    retry = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.5s"}}
    return {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": XDS_CLUSTER, "retry_policy": retry}}],
    }


def _xds(socket: str) -> Json:
    endpoint = {"endpoint": {"address": {"pipe": {"path": socket}}}}
    return {
        "name": XDS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": circuit_breakers(),
        "typed_extension_protocol_options": http_options("http2", idle=None),
        "load_assignment": {"cluster_name": XDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }

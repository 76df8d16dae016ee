"""Readers of a running Envoy's own reports, for an operator that adopts it. Pure."""

from __future__ import annotations

from typing import Any

from gyrus.routing.resources.endpoints import UNIX
from gyrus.state.board import is_pool


def assigned(dump: Any) -> dict[str, frozenset[str]]:
    """Read its endpoints by cluster from ``/config_dump?resource=dynamic_endpoint_configs&include_eds``."""
    found = (config["endpoint_config"] for config in dump.get("configs", ()))
    pools = (config for config in found if is_pool(config["cluster_name"]))
    return {config["cluster_name"]: frozenset(_endpoints(config)) for config in pools}


def listening_ports(listeners: Any) -> frozenset[int]:
    """Read the TCP ports that it listens on from ``/listeners?format=json``."""
    addresses = (status["local_address"] for status in listeners.get("listener_statuses", ()))
    return frozenset(
        address["socket_address"]["port_value"] for address in addresses if "socket_address" in address
    )


def _endpoints(config: Any) -> list[str]:
    hosts = (host for locality in config.get("endpoints", ()) for host in locality.get("lb_endpoints", ()))
    return [_endpoint(host["endpoint"]["address"]) for host in hosts]


def _endpoint(address: Any) -> str:
    if "pipe" in address:
        return UNIX + address["pipe"]["path"]
    socket = address["socket_address"]
    return f"{socket['address']}:{socket['port_value']}"

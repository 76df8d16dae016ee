"""The addresses of a pool's replicas (EDS)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gyrus.routing.resources import private_headers
from gyrus.routing.resources.kinds import Json
from gyrus.state.board import api_of

UNIX = "unix:"


def assignment(cluster: str, endpoints: Iterable[str], stand_ins: Collection[str] = ()) -> Json:
    """Build the endpoints of one cluster. An empty list is valid too: the cluster then has no replica.

    ``stand_ins``: the endpoints of the platform itself that stand in for replicas.
    """
    marked = {"metadata": private_headers.stand_in(api_of(cluster))}
    hosts = [
        {"endpoint": {"address": address(endpoint)}, **(marked if endpoint in stand_ins else {})}
        for endpoint in sorted(endpoints)
    ]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": hosts}] if hosts else []}


def address(endpoint: str) -> Json:
    """Convert ``unix:/path`` or ``host:port`` to Envoy's form."""
    if endpoint.startswith(UNIX):
        return {"pipe": {"path": endpoint.removeprefix(UNIX)}}
    host, _, port = endpoint.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}

"""The four kinds of resources that Envoy asks for, by type URL."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
MATCH = "type.googleapis.com/xds.type.matcher.v3.Matcher.OnMatch"
"""Not a resource: one entry of the route table, which is encoded on its own because tables are long."""

KINDS = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
"""In the order in which they are sent: what is referred to comes first."""

NAMES = {CLUSTER: "cluster", ENDPOINTS: "endpoints", LISTENER: "listener", ROUTES: "routes"}
"""For people."""


def extension(name: str, type_name: str, **config: Any) -> Json:
    """A named extension of Envoy with its configuration."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{type_name}", **config}}


def seconds(value: float) -> str:
    """A duration as protobuf's JSON writes it."""
    return f"{value:.3f}s"

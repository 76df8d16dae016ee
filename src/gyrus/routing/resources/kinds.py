"""The four kinds of resources that Envoy asks for, by type URL."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
MATCH = "type.googleapis.com/xds.type.matcher.v3.Matcher.OnMatch"
"""The type of one entry of the route table, not of a resource. Entries are encoded one by one, because tables
are long."""

ROUTE_LIST = "envoy.config.route.v3.RouteList"
HEADER_INPUT = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"

KINDS = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
"""The kinds in the order of sending: a resource comes after those that it refers to."""

NAMES = {CLUSTER: "cluster", ENDPOINTS: "endpoints", LISTENER: "listener", ROUTES: "routes"}
"""Names of the kinds in messages."""


def extension(name: str, type_name: str, **config: Any) -> Json:
    """Build a named extension of Envoy with its configuration."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{type_name}", **config}}


def seconds(value: float) -> str:
    """Format a duration as protobuf's JSON does."""
    return f"{value:.3f}s"


def header(name: str, value: str) -> Json:
    """Build an addition of a header, which replaces one of the same name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def matches(header: str, expression: str) -> Json:
    """Build the predicate of requests with a header that matches this whole expression."""
    return _predicate(header, {"safe_regex": {"google_re2": {}, "regex": expression}})


def equals(header: str, value: str) -> Json:
    """Build the predicate of requests with a header of this value."""
    return _predicate(header, {"exact": value})


def _predicate(header: str, value: Json) -> Json:
    read = extension(header, HEADER_INPUT, header_name=header)
    return {"single_predicate": {"input": read, "value_match": value}}

"""The hosts and origins that the gateway answers (RDS).

A web page can send requests to any address that its reader's machine reaches, so also to a gateway that
listens on the loopback interface alone. A page under a name that resolves to 127.0.0.1 sends its own name as
the host. A page of another origin sends that as the origin, or a browser reports it as cross-site. The first
is refused for all APIs, the second for those that do not allow it in ``networking.cors``. A client that is
not a browser sends neither.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from gyrus.routing.resources.kinds import ROUTE_LIST, Json, equals, extension, matches
from gyrus.routing.settings import GatewaySettings
from gyrus.spec.cors import ANY, Cors
from gyrus.state.board import Route

CORS_FILTER = "envoy.filters.http.cors"
_POLICY = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"

LOOPBACK = r"(?:[a-z0-9_-]+\.)*localhost\.?|127(?:\.[0-9]+){1,3}|\[[0:]*:0*1\]"
"""Names and addresses of the loopback interface. Every name under localhost is one (RFC 6761).

It is short, because an Envoy of an earlier version refuses expressions of more than 100 instructions.
"""
USUAL_HOSTS = ("localhost", "127.0.0.1")
"""The hosts of most requests. A comparison costs less than an expression."""
FOREIGN_SITE = "-site"
"""End of the values of Sec-Fetch-Site for requests of a page of another origin: cross-site and same-site."""


def is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def guards(settings: GatewaySettings) -> list[Json]:
    """Build the matcher of requests for other hosts."""
    if not is_loopback(settings.address):
        return []
    misdirected = {"match": {"prefix": "/"}, "direct_response": {"status": 421}}
    usual = [equals(":authority", f"{name}:{settings.port}") for name in USUAL_HOSTS]
    own = [*usual, matches(":authority", host_expression(settings))]
    return [
        {
            "predicate": {"not_matcher": {"or_matcher": {"predicate": own}}},
            "on_match": {"action": extension("gyrus.host", ROUTE_LIST, routes=[misdirected])},
        }
    ]


def host_expression(settings: GatewaySettings) -> str:
    """Return the expression for the gateway's own hosts, with any port."""
    return rf"(?i)(?:{_names(LOOPBACK, settings.hosts)})(?::[0-9]*)?"


def _names(*parts: str | Iterable[str]) -> str:
    return "|".join(
        part if isinstance(part, str) else "|".join(re.escape(name) for name in part)
        for part in parts
        if part
    )


def origin_expressions(settings: GatewaySettings, cors: Cors | None) -> list[str]:
    """Return expressions for origins that may call an API: the gateway's own, and those of its policy."""
    port = settings.port
    own = [rf"https?://(?i:{LOOPBACK}):{port}"]
    if settings.hosts:
        own.append(rf"https?://(?i:{_names(settings.hosts)})(?::{port})?")
    allowed = [allowed_expression(origin) for origin in cors.origins] if cors else []
    return [*own, *allowed]


def allowed_expression(origin: str) -> str:
    """Return the expression for an origin of a policy: an exact one, any subdomain, or any."""
    if origin == ANY:
        return ".*"
    scheme, _, host = origin.partition("://")
    name = rf"(?:[a-z0-9_-]+\.)+{re.escape(host[2:])}" if host.startswith("*.") else re.escape(host)
    return f"{re.escape(scheme)}://{name}"


def refusals(match: Json, route: Route, settings: GatewaySettings) -> Iterable[Json]:
    """Build the routes that refuse requests of other origins. They come before those that forward."""
    if not is_loopback(settings.address) or (route.cors and route.cors.any_origin):
        return
    origin = [
        {"name": "origin", "present_match": True},
        *(_other_origin(expression) for expression in origin_expressions(settings, route.cors)),
        # A browser reports a request as of the same origin even if a proxy has changed the port.
        _header("sec-fetch-site", {"exact": "same-origin"}, invert=True),
    ]
    site = [
        {"name": "origin", "present_match": False},
        _header("sec-fetch-site", {"suffix": FOREIGN_SITE}),
    ]
    for headers in (origin, site):
        yield {
            "name": route.api,
            "match": {**match, "headers": headers},
            "direct_response": {"status": 403},
        }


def _other_origin(expression: str) -> Json:
    return {
        "name": "origin",
        "string_match": {"safe_regex": {"regex": expression}},
        "invert_match": True,
    }


def _header(name: str, value: Json, *, invert: bool = False) -> Json:
    inverted = {"invert_match": True} if invert else {}
    return {"name": name, "string_match": value, "treat_missing_header_as_empty": True, **inverted}


def policy(cors: Cors | None) -> Json:
    """Build the part of a route that lets Envoy answer preflights and add CORS headers to all answers."""
    if cors is None:
        return {}
    origins = [{"safe_regex": {"regex": allowed_expression(origin)}} for origin in cors.origins]
    config: Json = {
        "@type": _POLICY,
        "allow_origin_string_match": origins,
        "allow_methods": ", ".join(cors.methods),
        "allow_headers": ", ".join(cors.headers),
        "expose_headers": ", ".join(cors.expose_headers),
        "max_age": str(int(cors.max_age.total_seconds())),
        "allow_credentials": cors.credentials,
        "allow_private_network_access": True,
        "forward_not_matching_preflights": False,
    }
    varies = {"header": {"key": "vary", "value": "Origin"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    return {"typed_per_filter_config": {CORS_FILTER: config}, "response_headers_to_add": [varies]}

"""All that Envoy should know at one moment, as named and versioned resources. Pure.

A version is a digest of the content: a snapshot built by another operator, of the same routes, is the same,
and nothing is sent again. What has not changed since the last snapshot is taken over from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gyrus.routing.resources import clusters, endpoints, listener, routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, MATCH, ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.xds.messages import encode, encode_table
from gyrus.state.board import Route


@dataclass(frozen=True, slots=True)
class XdsResource:
    """One resource, encoded once."""

    name: str
    version: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, body: bytes) -> XdsResource:
        return cls(name, hashlib.sha256(body).hexdigest()[:16], body)


Resources = Mapping[str, XdsResource]
"""By name."""
Match = tuple[str, str, float, bool, str]
_NONE: Resources = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What Envoy should know, by kind, and the routes that it was made from."""

    routes: Mapping[str, Route]
    resources: Mapping[str, Resources]
    entries: Mapping[str, bytes] = field(repr=False)
    """The route table's encoded entries by path."""

    def of_kind(self, kind: str) -> Resources:
        return self.resources.get(kind, _NONE)

    def resource(self, kind: str, name: str) -> XdsResource | None:
        """The resource of this name. Every cluster that Envoy asks about has endpoints, be it none."""
        found = self.of_kind(kind).get(name)
        if found is None and kind == ENDPOINTS:
            return XdsResource.of(name, encode(ENDPOINTS, endpoints.assignment(name, ())))
        return found


EMPTY = Snapshot(routes=MappingProxyType({}), resources=MappingProxyType({}), entries=MappingProxyType({}))


def build(
    wanted: Mapping[str, Route],
    settings: GatewaySettings,
    access_log: str | None,
    last: Snapshot = EMPTY,
) -> Snapshot:
    """The snapshot of these routes. ``last`` must be of the same settings."""
    if _matches(wanted) == _matches(last.routes):
        entries, table = last.entries, last.resource(ROUTES, routes.NAME)
    else:
        entries, table = _entries(wanted, settings, last), None
    port = last.resource(LISTENER, listener.NAME)
    resources = {
        CLUSTER: {api: _cluster(route, last) for api, route in wanted.items()},
        ENDPOINTS: {api: _endpoints(route, last) for api, route in wanted.items()},
        LISTENER: {listener.NAME: port or _listener(settings, access_log)},
        ROUTES: {routes.NAME: table or _table(wanted, entries, settings)},
    }
    return Snapshot(routes=dict(wanted), resources=resources, entries=entries)


def changed(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """The APIs whose routes differ."""
    names = old.routes.keys() | new.routes.keys()
    return frozenset(api for api in names if old.routes.get(api) != new.routes.get(api))


def outer(route: Route, by_path: Mapping[str, Route]) -> tuple[Route, ...]:
    """The routes whose paths this one's path lies under, innermost first."""
    segments = route.path.split("/")
    paths = ("/".join(segments[:n]) for n in range(len(segments) - 1, 1, -1))
    return tuple(by_path[path] for path in paths if path in by_path)


def _cluster(route: Route, last: Snapshot) -> XdsResource:
    before = last.routes.get(route.api)
    if before and before.protocol == route.protocol:
        return last.of_kind(CLUSTER)[route.api]
    return XdsResource.of(route.api, encode(CLUSTER, clusters.cluster(route)))


def _endpoints(route: Route, last: Snapshot) -> XdsResource:
    before = last.routes.get(route.api)
    if before and before.endpoints == route.endpoints:
        return last.of_kind(ENDPOINTS)[route.api]
    return XdsResource.of(route.api, encode(ENDPOINTS, endpoints.assignment(route.api, route.endpoints)))


def _entries(wanted: Mapping[str, Route], settings: GatewaySettings, last: Snapshot) -> dict[str, bytes]:
    by_path = {route.path: route for route in wanted.values()}
    before = {route.path: route for route in last.routes.values()}
    return {
        path: last.entries[path]
        if path in before and _matching(route, before) == _matching(route, by_path)
        else encode(MATCH, routes.entry(route, settings, outer(route, by_path)))
        for path, route in by_path.items()
    }


def _matches(wanted: Mapping[str, Route]) -> list[Match]:
    return [_match(route) for route in wanted.values()]


def _match(route: Route) -> Match:
    """All of a route that the table depends on."""
    return (route.api, route.path, route.timeout, route.idempotent, route.protocol)


def _matching(route: Route, by_path: Mapping[str, Route]) -> list[Match]:
    """All that the entry at this path depends on."""
    return [_match(one) for one in (by_path[route.path], *outer(route, by_path))]


def _table(
    wanted: Mapping[str, Route], entries: Mapping[str, bytes], settings: GatewaySettings
) -> XdsResource:
    by_name = {
        api: encode(MATCH, routes.called(route, settings))
        for api, route in wanted.items()
        if route.protocol == "http2"
    }
    return XdsResource.of(routes.NAME, encode_table(routes.table(settings), entries, by_name))


def _listener(settings: GatewaySettings, access_log: str | None) -> XdsResource:
    return XdsResource.of(listener.NAME, encode(LISTENER, listener.listener(settings, access_log)))

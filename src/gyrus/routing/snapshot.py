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
from gyrus.state.board import Endpoints, Pool, Route


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
Weights = tuple[tuple[str, int], ...]
Match = tuple[str, str, float, bool, bool, Weights]
Leftovers = Mapping[str, Endpoints | None]
"""Clusters that no route needs any more and that Envoy should keep for now, with the endpoints that they
should have. None: those that they have."""
_NONE: Resources = MappingProxyType({})
_NO_LEFTOVERS: Leftovers = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What Envoy should know, by kind, and what it was made from."""

    routes: Mapping[str, Route]
    pools: Mapping[str, Pool]
    """Of all routes, by id."""
    endpoints: Mapping[str, Endpoints]
    """By cluster, those of leftovers included."""
    resources: Mapping[str, Resources]
    kept: frozenset[str] = frozenset()
    """Clusters that are not to be removed though they are not among the resources."""
    entries: Mapping[str, bytes] = field(repr=False)
    """The route table's encoded entries by path."""
    routed: frozenset[str] = frozenset()
    """The clusters that new requests are sent to."""

    def of_kind(self, kind: str) -> Resources:
        return self.resources.get(kind, _NONE)

    def resource(self, kind: str, name: str) -> XdsResource | None:
        """The resource of this name. Every cluster that Envoy asks about has endpoints, be it none."""
        found = self.of_kind(kind).get(name)
        if found is None and kind == ENDPOINTS:
            return XdsResource.of(name, encode(ENDPOINTS, endpoints.assignment(name, ())))
        return found

    def keeps(self, kind: str) -> frozenset[str]:
        """Names that Envoy should keep as they are, if it has them."""
        return self.kept if kind == CLUSTER else frozenset()


EMPTY = Snapshot(
    routes=MappingProxyType({}),
    pools=MappingProxyType({}),
    endpoints=MappingProxyType({}),
    resources=MappingProxyType({}),
    entries=MappingProxyType({}),
)


def build(
    wanted: Mapping[str, Route],
    settings: GatewaySettings,
    access_log: str | None,
    last: Snapshot = EMPTY,
    leftovers: Leftovers = _NO_LEFTOVERS,
) -> Snapshot:
    """The snapshot of these routes. ``last`` must be of the same settings."""
    if _matches(wanted) == _matches(last.routes):
        entries, table = last.entries, last.resource(ROUTES, routes.NAME)
    else:
        entries, table = _entries(wanted, settings, last), None
    port = last.resource(LISTENER, listener.NAME)
    pools = {pool.id: pool for route in wanted.values() for pool in route.pools}
    assigned = {name: known for name, known in leftovers.items() if known is not None}
    assigned |= {name: pool.endpoints for name, pool in pools.items()}
    resources = {
        CLUSTER: {name: _cluster(pool, last) for name, pool in pools.items()},
        ENDPOINTS: {name: _endpoints(name, those, last) for name, those in assigned.items()},
        LISTENER: {listener.NAME: port or _listener(settings, access_log)},
        ROUTES: {routes.NAME: table or _table(wanted, entries, settings)},
    }
    return Snapshot(
        routes=dict(wanted),
        pools=pools,
        endpoints=assigned,
        resources=resources,
        kept=frozenset(leftovers) - pools.keys(),
        entries=entries,
        routed=frozenset(share.pool.id for route in wanted.values() for share in route.routed),
    )


def changed(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """The clusters that have other endpoints, or whose routes came or went."""
    names = old.endpoints.keys() | new.endpoints.keys()
    other = frozenset(name for name in names if old.endpoints.get(name) != new.endpoints.get(name))
    return other | (old.routed ^ new.routed)


def outer(route: Route, by_path: Mapping[str, Route]) -> tuple[Route, ...]:
    """The routes whose paths this one's path lies under, innermost first."""
    segments = route.path.split("/")
    paths = ("/".join(segments[:n]) for n in range(len(segments) - 1, 1, -1))
    return tuple(by_path[path] for path in paths if path in by_path)


def _cluster(pool: Pool, last: Snapshot) -> XdsResource:
    before = last.pools.get(pool.id)
    if before and before.protocol == pool.protocol:
        return last.of_kind(CLUSTER)[pool.id]
    return XdsResource.of(pool.id, encode(CLUSTER, clusters.cluster(pool)))


def _endpoints(cluster: str, wanted: Endpoints, last: Snapshot) -> XdsResource:
    if last.endpoints.get(cluster) == wanted:
        return last.of_kind(ENDPOINTS)[cluster]
    return XdsResource.of(cluster, encode(ENDPOINTS, endpoints.assignment(cluster, wanted)))


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
    weights = tuple((share.pool.id, share.weight) for share in route.routed)
    return (route.api, route.path, route.timeout, route.idempotent, _speaks_http2(route), weights)


def _speaks_http2(route: Route) -> bool:
    return any(share.pool.protocol == "http2" for share in route.routed)


def _matching(route: Route, by_path: Mapping[str, Route]) -> list[Match]:
    """All that the entry at this path depends on."""
    return [_match(one) for one in (by_path[route.path], *outer(route, by_path))]


def _table(
    wanted: Mapping[str, Route], entries: Mapping[str, bytes], settings: GatewaySettings
) -> XdsResource:
    by_name = {
        api: encode(MATCH, routes.called(route, settings))
        for api, route in wanted.items()
        if _speaks_http2(route)
    }
    return XdsResource.of(routes.NAME, encode_table(routes.table(settings), entries, by_name))


def _listener(settings: GatewaySettings, access_log: str | None) -> XdsResource:
    return XdsResource.of(listener.NAME, encode(LISTENER, listener.listener(settings, access_log)))

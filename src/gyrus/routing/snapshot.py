"""Envoy's target configuration at one moment, as named and versioned resources. Pure.

A version is a digest of the content. Another operator therefore builds the same snapshot from the same
routes, and nothing is sent again. A snapshot reuses the unchanged parts of the last one, so that a change to
one API costs little, even with many APIs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from gyrus.routing.resources import clusters, endpoints, listener, routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, MATCH, ROUTES
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.xds.messages import encode, encode_plain, encode_table
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


Value = TypeVar("Value")
Resources = Mapping[str, XdsResource]
"""By name."""
Leftovers = Mapping[str, Endpoints | None]
"""Clusters that no route needs any more and that Envoy should keep for now, with their target endpoints. None
keeps those that they have."""
_NONE: Resources = MappingProxyType({})
_NO_LEFTOVERS: Leftovers = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TableEntries:
    """The route table's encoded entries."""

    by_path: Mapping[str, bytes]
    by_name: Mapping[str, bytes]
    """The entries of APIs that gRPC clients name in a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The resources that Envoy should have, by kind, and the values that they were built from."""

    routes: Mapping[str, Route]
    pools: Mapping[str, Pool]
    """The pools of all routes, by id."""
    endpoints: Mapping[str, Endpoints]
    """By cluster, those of leftovers included."""
    resources: Mapping[str, Resources]
    kept: frozenset[str] = frozenset()
    """Clusters to keep although they are not among the resources."""
    entries: TableEntries = field(repr=False)
    routed: frozenset[str] = frozenset()
    """The clusters that new requests are sent to."""

    def of_kind(self, kind: str) -> Resources:
        return self.resources.get(kind, _NONE)

    def resource(self, kind: str, name: str) -> XdsResource | None:
        """Return the resource of this name, or None.

        Every cluster has an assignment of endpoints, even an empty one: a cluster without an answer stays
        cold.
        """
        found = self.of_kind(kind).get(name)
        if found is None and kind == ENDPOINTS:
            return XdsResource.of(name, encode_plain(ENDPOINTS, endpoints.assignment(name, ())))
        return found

    def keeps(self, kind: str) -> frozenset[str]:
        """Return the names that Envoy should keep as they are, if it has them."""
        return self.kept if kind == CLUSTER else frozenset()


EMPTY = Snapshot(
    routes=MappingProxyType({}),
    pools=MappingProxyType({}),
    endpoints=MappingProxyType({}),
    resources=MappingProxyType({}),
    entries=TableEntries(MappingProxyType({}), MappingProxyType({})),
)


def build(
    wanted: Mapping[str, Route],
    settings: GatewaySettings,
    access_log: str | None,
    last: Snapshot = EMPTY,
    leftovers: Leftovers = _NO_LEFTOVERS,
) -> Snapshot:
    """Build the snapshot of these routes. ``last`` must be of the same settings."""
    old, new = _other(last.routes, wanted), _other(wanted, last.routes)
    pools = _replaced(last.pools, _pools(old), {pool.id: pool for pool in _pools(new)})
    leftovers = {name: known for name, known in leftovers.items() if name not in pools}
    assigned = _assigned(last, old, new, leftovers)
    entries = _entries(wanted, settings, last, old, new)
    table = last.resource(ROUTES, routes.NAME) if entries is last.entries else None
    port = last.resource(LISTENER, listener.NAME)
    resources = {
        CLUSTER: _clusters(last, old, new),
        ENDPOINTS: _assignments(last, assigned),
        LISTENER: {listener.NAME: port or _listener(settings, access_log)},
        ROUTES: {routes.NAME: table or _table(entries, settings)},
    }
    return Snapshot(
        routes=dict(wanted),
        pools=pools,
        endpoints=assigned,
        resources=resources,
        kept=frozenset(leftovers),
        entries=entries,
        routed=(last.routed - _routed(old)) | _routed(new),
    )


def changed(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """Return the clusters whose endpoints changed, or that began or ceased to get new requests."""
    return frozenset(name for name, _ in old.endpoints.items() ^ new.endpoints.items()) | (
        old.routed ^ new.routed
    )


def outer(route: Route, by_path: Mapping[str, Route]) -> tuple[Route, ...]:
    """Return the routes whose paths contain this one's path, innermost first."""
    return tuple(by_path[path] for path in _outer_paths(route.path) if path in by_path)


def _outer_paths(path: str) -> list[str]:
    segments = path.split("/")
    return ["/".join(segments[:n]) for n in range(len(segments) - 1, 1, -1)]


# Differences from the last snapshot


def _other(routes: Mapping[str, Route], than: Mapping[str, Route]) -> list[Route]:
    """Return the routes that differ in the other mapping."""
    # By identity: control writes a new Route only if something in it has changed.
    return [route for api, route in routes.items() if than.get(api) is not route]


def _pools(routes: Iterable[Route]) -> list[Pool]:
    return [pool for route in routes for pool in route.pools]


def _routed(routes: Iterable[Route]) -> frozenset[str]:
    return frozenset(share.pool.id for route in routes for share in route.routed)


def _replaced(
    known: Mapping[str, Value], gone: Iterable[Pool], added: Mapping[str, Value]
) -> dict[str, Value]:
    replaced = dict(known)
    for pool in gone:
        replaced.pop(pool.id, None)
    replaced.update(added)
    return replaced


# Clusters and their endpoints


def _clusters(last: Snapshot, old: Iterable[Route], new: Iterable[Route]) -> dict[str, XdsResource]:
    added = {pool.id: _cluster(pool, last) for pool in _pools(new)}
    return _replaced(last.of_kind(CLUSTER), _pools(old), added)


def _cluster(pool: Pool, last: Snapshot) -> XdsResource:
    before = last.pools.get(pool.id)
    if before and before.protocol == pool.protocol:
        return last.of_kind(CLUSTER)[pool.id]
    return XdsResource.of(pool.id, encode(CLUSTER, clusters.cluster(pool)))


def _assigned(
    last: Snapshot, old: Iterable[Route], new: Iterable[Route], leftovers: Leftovers
) -> dict[str, Endpoints]:
    added = {pool.id: pool.endpoints for pool in _pools(new)}
    assigned = _replaced(last.endpoints, _pools(old), added)
    for name in last.kept - added.keys():
        assigned.pop(name, None)
    return assigned | {name: known for name, known in leftovers.items() if known is not None}


def _assignments(last: Snapshot, assigned: Mapping[str, Endpoints]) -> dict[str, XdsResource]:
    same = assigned.items() & last.endpoints.items()
    known = last.of_kind(ENDPOINTS)
    kept = {name: known[name] for name, _ in same}
    other = {name: wanted for name, wanted in assigned.items() if name not in kept}
    return kept | {name: _assignment(name, wanted) for name, wanted in other.items()}


def _assignment(cluster: str, wanted: Endpoints) -> XdsResource:
    return XdsResource.of(cluster, encode_plain(ENDPOINTS, endpoints.assignment(cluster, wanted)))


# The route table


def _match(route: Route) -> tuple[object, ...]:
    """Return the parts of a route that the table depends on."""
    weights = tuple((share.pool.id, share.weight) for share in route.routed)
    return (route.path, route.timeout, route.idempotent, _speaks_http2(route), weights)


def _speaks_http2(route: Route) -> bool:
    return any(share.pool.protocol == "http2" for share in route.routed)


def _entries(
    wanted: Mapping[str, Route],
    settings: GatewaySettings,
    last: Snapshot,
    old: Iterable[Route],
    new: Iterable[Route],
) -> TableEntries:
    """Build the table's entries. Returns the last object if nothing has changed."""
    before = {route.api: _match(route) for route in old}
    after = {route.api: _match(route) for route in new}
    others = {api for api in before.keys() | after.keys() if before.get(api) != after.get(api)}
    if not others and last is not EMPTY:
        return last.entries
    touched = {route.path for route in (*old, *new) if route.api in others}
    return TableEntries(_by_path(wanted, settings, last, touched), _by_name(wanted, settings, last, others))


def _by_path(
    wanted: Mapping[str, Route], settings: GatewaySettings, last: Snapshot, touched: set[str]
) -> dict[str, bytes]:
    """Build the entries by path. An entry depends on its route, and on the routes whose paths contain it."""
    by_path = {route.path: route for route in wanted.values()}
    known = last.entries.by_path
    return {
        path: known[path]
        if path in known and touched.isdisjoint((path, *_outer_paths(path)))
        else encode(MATCH, routes.entry(route, settings, outer(route, by_path)))
        for path, route in by_path.items()
    }


def _by_name(
    wanted: Mapping[str, Route], settings: GatewaySettings, last: Snapshot, others: set[str]
) -> dict[str, bytes]:
    kept = {api: entry for api, entry in last.entries.by_name.items() if api not in others}
    named = (wanted[api] for api in others if api in wanted)
    return kept | {
        route.api: encode(MATCH, routes.called(route, settings)) for route in named if _speaks_http2(route)
    }


def _table(entries: TableEntries, settings: GatewaySettings) -> XdsResource:
    body = encode_table(routes.table(settings), entries.by_path, entries.by_name)
    return XdsResource.of(routes.NAME, body)


def _listener(settings: GatewaySettings, access_log: str | None) -> XdsResource:
    return XdsResource.of(listener.NAME, encode(LISTENER, listener.listener(settings, access_log)))

"""Envoy's target configuration at one moment, as named and versioned resources. Pure.

A version is a digest of the content. Another operator therefore builds the same snapshot from the same
routes, and nothing is sent again. A snapshot reuses the unchanged parts of the last one, so that a change to
one API costs little, even with many APIs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from gyrus.routing.encoder import Encoder, XdsResource, match_of, speaks_http2
from gyrus.routing.endpoint_sets import equal
from gyrus.routing.resources import (
    bodies,
    bodies_listener,
    bridge,
    endpoints,
    listener,
    probe,
    routes,
    second_pass,
)
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.route_table import NO_ENTRIES, TableEntries, entries_of, outer
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.xds.messages import encode, encode_plain
from gyrus.state.board import Endpoints, Pool, Route, api_of

V = TypeVar("V")
NamedResources = Mapping[str, XdsResource]
"""By name."""
LeftoverEndpoints = Mapping[str, Endpoints | None]
"""Clusters that no route needs any more and that Envoy should keep for now, with their target endpoints. None
keeps those that they have."""
_NONE: NamedResources = MappingProxyType({})
_NO_ROUTES: Mapping[str, Route] = MappingProxyType({})
_NO_LEFTOVERS: LeftoverEndpoints = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The resources that Envoy should have, by kind, and the values that they were built from."""

    routes: Mapping[str, Route]
    pools: Mapping[str, Pool]
    """The pools of all routes, by id."""
    endpoints: Mapping[str, Endpoints]
    """By cluster, those of leftovers included."""
    resources: Mapping[str, NamedResources]
    kept: frozenset[str] = frozenset()
    """Clusters to keep although they are not among the resources."""
    entries: TableEntries = field(repr=False)
    routed: frozenset[str] = frozenset()
    """The clusters that new requests should go to."""
    table: Mapping[str, Route]
    """The routes in the table, by API. A route that Envoy refuses is replaced or missing."""
    table_clusters: frozenset[str] = frozenset()
    """The clusters to which the table sends requests."""
    mixed: frozenset[str] = frozenset()
    """The APIs in the table whose pools speak several protocols."""

    def of_kind(self, kind: str) -> NamedResources:
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
    entries=NO_ENTRIES,
    table=MappingProxyType({}),
)


def build(
    wanted: Mapping[str, Route],
    settings: GatewaySettings,
    access_log: str | None,
    last: Snapshot = EMPTY,
    leftovers: LeftoverEndpoints = _NO_LEFTOVERS,
    encoder: Encoder | None = None,
    *,
    table: Mapping[str, Route] | None = None,
    trial: Mapping[str, Route] = _NO_ROUTES,
    bridge_at: str | None = None,
    bodies_at: str | None = None,
) -> Snapshot:
    """Build the snapshot of these routes. ``last`` and ``encoder`` must be of the same settings.

    The encoder may have encoded some of the parts already: see :func:`encode_ahead`. ``table``: the routes in
    the route table; None for those of ``wanted``. ``trial``: routes for Envoy to check in a table that serves
    no requests. ``bridge_at``: the endpoint of the gateway's own bridge between protocols; None if it has
    none. ``bodies_at``: the endpoint of its listener for long bodies; None if it has none.
    """
    encoder = encoder or Encoder(settings)
    old, new = _other(last.routes, wanted), _other(wanted, last.routes)
    pools = _replaced(last.pools, _pools(old), {pool.id: pool for pool in _pools(new)})
    leftovers = {name: known for name, known in leftovers.items() if name not in pools}
    assigned = _assigned(last, old, new, leftovers)
    table = wanted if table is None else table
    untabled, tabled = _other(last.table, table), _other(table, last.table)
    entries = entries_of(table, last.entries, untabled, tabled, encoder)
    main = last.resource(ROUTES, routes.NAME) if entries is last.entries else None
    port = last.resource(LISTENER, listener.NAME)
    # Once it is there, the probe stays, with an empty table: Envoy drains a removed listener for a week.
    probing = bool(trial) or last.resource(LISTENER, probe.NAME) is not None
    others = (
        _bridge_listener(bridge_at, settings, last)
        | _second_listener(settings, last)
        | ({probe.NAME: _probe_listener()} if probing else {})
    )
    if bodies_at:
        own = last.resource(LISTENER, bodies.LISTENER)
        others[bodies.LISTENER] = own or _bodies_listener(bodies_at, settings, access_log)
    mixed = (last.mixed - {route.api for route in untabled}) | _mixed(tabled)
    bridged = _bridged(table, mixed, leftovers, bridge_at) if bridge_at else []
    tables = {bridge.NAME: _bridge_table(bridged, settings)} if bridge_at else {}
    trials = {probe.NAME: _trial(trial, encoder)} if probing else {}
    resources = {
        CLUSTER: _clusters(last, old, new, encoder) | _second_cluster(settings, last),
        ENDPOINTS: _assignments(last, assigned, encoder),
        LISTENER: {listener.NAME: port or _listener(settings, access_log), **others},
        ROUTES: {
            routes.NAME: main or encoder.table(routes.NAME, entries.by_path, entries.by_name),
            **tables,
            **trials,
        },
    }
    return Snapshot(
        routes=dict(wanted),
        pools=pools,
        endpoints=assigned,
        resources=resources,
        kept=frozenset(leftovers),
        entries=entries,
        routed=(last.routed - _routed(old)) | _routed(new),
        table=dict(table),
        mixed=mixed,
        table_clusters=(last.table_clusters - _routed(untabled)) | _routed(tabled),
    )


def changed(old: Snapshot, new: Snapshot) -> frozenset[str]:
    """Return the clusters whose endpoints changed, or that began or ceased to get new requests."""
    assigned = frozenset(name for name, _ in old.endpoints.items() ^ new.endpoints.items())
    return assigned | (old.routed ^ new.routed) | (old.table_clusters ^ new.table_clusters)


def encode_ahead(wanted: Mapping[str, Route], last: Snapshot, encoder: Encoder) -> Iterator[Route]:
    """Encode the changed parts for a later :func:`build` of these routes. Yields after each changed route.

    The mapping must not change until the last one.
    """
    by_path = {route.path: route for route in wanted.values()}
    for route in _other(wanted, last.routes):
        _encode_ahead(route, by_path, last, encoder)
        yield route


def _encode_ahead(route: Route, by_path: Mapping[str, Route], last: Snapshot, encoder: Encoder) -> None:
    for pool in route.pools:
        _cluster(pool, last, encoder)
        if not equal(last.endpoints.get(pool.id), pool.endpoints):
            encoder.assignment(pool.id, pool.endpoints)
    before = last.table.get(route.api)
    if before is None or match_of(before) != match_of(route):
        encoder.entry(route, outer(route, by_path))
        if speaks_http2(route):
            encoder.called(route)


# Differences from the last snapshot


def _other(routes: Mapping[str, Route], than: Mapping[str, Route]) -> list[Route]:
    """Return the routes that differ in the other mapping."""
    # By identity: control writes a new Route only if something in it has changed.
    return [route for api, route in routes.items() if than.get(api) is not route]


def _pools(routes: Iterable[Route]) -> list[Pool]:
    return [pool for route in routes for pool in route.pools]


def _routed(routes: Iterable[Route]) -> frozenset[str]:
    return frozenset(share.pool.id for route in routes for share in route.routed)


def _replaced(known: Mapping[str, V], gone: Iterable[Pool], added: Mapping[str, V]) -> dict[str, V]:
    replaced = dict(known)
    for pool in gone:
        replaced.pop(pool.id, None)
    replaced.update(added)
    return replaced


# Clusters and their endpoints


def _clusters(
    last: Snapshot, old: Iterable[Route], new: Iterable[Route], encoder: Encoder
) -> dict[str, XdsResource]:
    added = {pool.id: _cluster(pool, last, encoder) for pool in _pools(new)}
    return _replaced(last.of_kind(CLUSTER), _pools(old), added)


def _cluster(pool: Pool, last: Snapshot, encoder: Encoder) -> XdsResource:
    before = last.pools.get(pool.id)
    if before and (before.protocol, before.runtime_answers) == (pool.protocol, pool.runtime_answers):
        return last.of_kind(CLUSTER)[pool.id]
    return encoder.cluster(pool)


def _assigned(
    last: Snapshot, old: Iterable[Route], new: Iterable[Route], leftovers: LeftoverEndpoints
) -> dict[str, Endpoints]:
    added = {pool.id: pool.endpoints for pool in _pools(new)}
    assigned = _replaced(last.endpoints, _pools(old), added)
    for name in last.kept - added.keys():
        assigned.pop(name, None)
    return assigned | {name: known for name, known in leftovers.items() if known is not None}


def _assignments(
    last: Snapshot, assigned: Mapping[str, Endpoints], encoder: Encoder
) -> dict[str, XdsResource]:
    known = last.of_kind(ENDPOINTS)
    return {
        name: known[name] if equal(last.endpoints.get(name), wanted) else encoder.assignment(name, wanted)
        for name, wanted in assigned.items()
    }


# The only resources of their kinds


def _trial(trial: Mapping[str, Route], encoder: Encoder) -> XdsResource:
    by_path = {route.path: encoder.entry(route, ()) for route in trial.values()}
    by_name = {api: encoder.called(route) for api, route in trial.items() if speaks_http2(route)}
    return encoder.table(probe.NAME, by_path, by_name)


def _bridge_listener(at: str | None, settings: GatewaySettings, last: Snapshot) -> dict[str, XdsResource]:
    if at is None:
        return {}
    known = last.resource(LISTENER, bridge.NAME)
    return {
        bridge.NAME: known or XdsResource.of(bridge.NAME, encode(LISTENER, bridge.listener(at, settings)))
    }


def _second_listener(settings: GatewaySettings, last: Snapshot) -> dict[str, XdsResource]:
    if settings.retries_at is None:
        return {}
    known = last.resource(LISTENER, second_pass.NAME)
    wanted = known or XdsResource.of(
        second_pass.NAME, encode(LISTENER, second_pass.listener(settings.retries_at, settings))
    )
    return {second_pass.NAME: wanted}


def _second_cluster(settings: GatewaySettings, last: Snapshot) -> dict[str, XdsResource]:
    if settings.retries_at is None:
        return {}
    known = {name: last.resource(CLUSTER, name) for name in second_pass.NAMES}
    found = {name: resource for name, resource in known.items() if resource}
    return found or {
        cluster["name"]: XdsResource.of(cluster["name"], encode(CLUSTER, cluster))
        for cluster in second_pass.clusters(settings.retries_at)
    }


def _mixed(routes: Iterable[Route]) -> frozenset[str]:
    """Return the APIs whose pools speak several protocols."""
    return frozenset(route.api for route in routes if len({pool.protocol for pool in route.pools}) > 1)


def _bridged(
    table: Mapping[str, Route], mixed: frozenset[str], leftovers: LeftoverEndpoints, at: str
) -> list[Route]:
    """Return the routes that may need the bridge: for a pool of their own, or for a leftover.

    A route with pools of both protocols may need it at any time, and its entry must be there before.
    """
    left = {api_of(cluster) for cluster, wanted in leftovers.items() if wanted and at in wanted}
    found = (table[api] for api in sorted(mixed | left) if api in table)
    return [route for route in found if route.replicas]


def _bridge_table(bridged: list[Route], settings: GatewaySettings) -> XdsResource:
    return XdsResource.of(bridge.NAME, encode(ROUTES, bridge.table(bridged, settings)))


def _probe_listener() -> XdsResource:
    return XdsResource.of(probe.NAME, encode(LISTENER, probe.listener()))


def _bodies_listener(at: str, settings: GatewaySettings, access_log: str | None) -> XdsResource:
    body = encode(LISTENER, bodies_listener.listener(at, settings, access_log))
    return XdsResource.of(bodies.LISTENER, body)


def _listener(settings: GatewaySettings, access_log: str | None) -> XdsResource:
    return XdsResource.of(listener.NAME, encode(LISTENER, listener.listener(settings, access_log)))

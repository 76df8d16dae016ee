"""The state of all gateway nodes together: the configuration that they are known to use. Pure.

Control can rely on an endpoint when *every* node that serves has acknowledged it. An endpoint is unused when
*no* node can send it a request any more. A new node counts for the first fact as soon as it serves, and for
the second as soon as it has been sent anything. A node whose stream broke continues to serve with the
configuration that it has, so it counts for both facts until :meth:`GatewayNodes.gone`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.routing.ack_tracker import AckTracker
from gyrus.routing.endpoint_sets import (
    NOTHING,
    difference,
    intersection,
    union,
    union_of,
)
from gyrus.routing.resources import routes
from gyrus.routing.resources.kinds import ROUTES
from gyrus.routing.snapshot import Snapshot
from gyrus.routing.versions import Versions
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Endpoints


class GatewayNodes:
    """The trackers of all nodes, by node id."""

    def __init__(self) -> None:
        self._versions = Versions()
        self._trackers: dict[str, AckTracker] = {}

    # Events

    def restore(self, node: str, clusters: Mapping[str, Endpoints]) -> None:
        """Record that a node already runs and uses these endpoints by cluster, before its stream opens."""
        self._tracker(node).restore(clusters)

    def gone(self, node: str) -> None:
        """Record that the node's Envoy has ended and uses nothing any more."""
        self._trackers.pop(node, None)

    def wanted(self, snapshot: Snapshot) -> None:
        """Record a snapshot that may be sent from now on."""
        self._versions.wanted(snapshot)
        self._versions.forget_old(snapshot, self._alive)

    def opened(self, stream: StreamState) -> None:
        self._tracker(stream.node).opened(stream)

    def synced(self, stream: StreamState) -> None:
        if tracker := self._trackers.get(stream.node):
            tracker.synced(stream)

    def closed(self, stream: StreamState) -> None:
        """Record the end of a stream. Its node may have gone before it."""
        if tracker := self._trackers.get(stream.node):
            tracker.closed(stream)

    # Known facts

    @property
    def ids(self) -> frozenset[str]:
        """Ids of all nodes that count."""
        return frozenset(self._trackers)

    def known(self) -> frozenset[str]:
        """Return the nodes that have reported everything that they have."""
        return frozenset(node for node, tracker in self._trackers.items() if tracker.known)

    def serving(self) -> tuple[str, ...]:
        return tuple(node for node, tracker in self._trackers.items() if tracker.serves)

    def clusters(self) -> frozenset[str]:
        """Return all clusters that a node may have."""
        return frozenset[str]().union(*(tracker.clusters() for tracker in self._trackers.values()))

    def may_have(self, cluster: str) -> bool:
        """Return True if a node may have this cluster."""
        return any(tracker.may_have(cluster) for tracker in self._trackers.values())

    def may_route_to(self, cluster: str) -> bool:
        return any(tracker.may_route_to(cluster) for tracker in self._trackers.values())

    def rerouted(self, stream: StreamState) -> frozenset[str]:
        """Return the clusters that some, but not all, of the stream's possible route tables name."""
        versions = stream.possible(ROUTES, routes.NAME)
        tables = [self._versions.routed(version) for version in versions]
        return frozenset[str]().union(*tables) - frozenset[str].intersection(*tables)

    def acknowledged(self, cluster: str, wanted: Endpoints | None, *, routed: bool) -> Endpoints | None:
        """Return the board's entry for this pool.

        ``wanted``: the pool's target endpoints, None if the pool is no longer in the target. ``routed``: True
        if the pool should get new requests.

        A target endpoint counts once every node surely uses it. Any other endpoint counts until surely no
        node uses it. Returns None if no node has the pool, or not all of them have it yet.
        """
        keep = wanted or NOTHING
        sure = self._sure(cluster, routed=routed)
        used = difference(self._used(cluster), keep)
        if sure is None and not used and (wanted is not None or not self.may_have(cluster)):
            return None
        return union(intersection(sure or NOTHING, keep), used)

    def reachable(self, cluster: str, wanted: Endpoints | None) -> Endpoints | None:
        """Return the endpoints that requests may reach, now or later, unless the target changes.

        Returns None if no node has the pool or will get it.
        """
        if wanted is None and not self.may_have(cluster):
            return None
        return union(wanted or NOTHING, self._used(cluster))

    def _sure(self, cluster: str, *, routed: bool) -> Endpoints | None:
        """Return the endpoints that requests surely reach at every node that serves.

        Returns None if requests may not reach the pool at one of the nodes.
        """
        common: Endpoints | None = None
        for tracker in self._trackers.values():
            # A node that does not serve yet gets no requests, so control need not wait for it.
            if not tracker.serves:
                continue
            sure = tracker.sure(cluster)
            if sure is None or (routed and not tracker.surely_routes_to(cluster)):
                return None
            common = sure if common is None else intersection(common, sure)
        return common

    def _used(self, cluster: str) -> Endpoints:
        return union_of(tracker.used(cluster) for tracker in self._trackers.values())

    def _tracker(self, node: str) -> AckTracker:
        return self._trackers.setdefault(node, AckTracker(node, self._versions))

    def _alive(self, kind: str) -> set[str | None]:
        """Return the versions that a node may have."""
        alive: set[str | None] = set()
        for tracker in self._trackers.values():
            for stream in tracker.streams:
                for name in stream.names(kind):
                    alive |= stream.possible(kind, name)
        return alive

"""The state of all gateway nodes together: what they are known to use. Pure.

An endpoint can be relied on when *every* node that serves has confirmed it, and it is unused when *no* node
can send it a request any more. A node that is new counts for the first fact as soon as it serves, and for the
second as soon as it has been sent anything. A node whose stream broke goes on serving with what it has, so it
counts for both until :meth:`GatewayNodes.gone`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.routing.ack_tracker import AckTracker
from gyrus.routing.resources import routes
from gyrus.routing.resources.kinds import ROUTES
from gyrus.routing.snapshot import Snapshot
from gyrus.routing.versions import NOTHING, Versions
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Endpoints


class GatewayNodes:
    """One tracker for each node id."""

    def __init__(self) -> None:
        self._versions = Versions()
        self._trackers: dict[str, AckTracker] = {}

    # what happens

    def restore(self, node: str, clusters: Mapping[str, Endpoints]) -> None:
        """This node runs already, and uses these endpoints by cluster. Its stream is not there yet."""
        self._tracker(node).restore(clusters)

    def gone(self, node: str) -> None:
        """The node's Envoy has ended: it uses nothing any more."""
        self._trackers.pop(node, None)

    def wanted(self, snapshot: Snapshot) -> None:
        """This may be sent from now on."""
        self._versions.wanted(snapshot)
        self._versions.forget_old(snapshot, self._alive)

    def opened(self, session: StreamState) -> None:
        self._tracker(session.node).opened(session)

    def synced(self, session: StreamState) -> None:
        if tracker := self._trackers.get(session.node):
            tracker.synced(session)

    def closed(self, session: StreamState) -> None:
        """A stream of a node that is gone may end after it."""
        if tracker := self._trackers.get(session.node):
            tracker.closed(session)

    # what is known

    def serving(self) -> tuple[str, ...]:
        return tuple(node for node, tracker in self._trackers.items() if tracker.serves)

    def clusters(self) -> frozenset[str]:
        """All that some node may have."""
        return frozenset[str]().union(*(tracker.clusters() for tracker in self._trackers.values()))

    def may_route_to(self, cluster: str) -> bool:
        return any(tracker.may_route_to(cluster) for tracker in self._trackers.values())

    def rerouted(self, session: StreamState) -> frozenset[str]:
        """The clusters that only some of the route tables name that the session's Envoy may have now."""
        versions = session.possible(ROUTES, routes.NAME)
        tables = [self._versions.routed(version) for version in versions]
        return frozenset[str]().union(*tables) - frozenset[str].intersection(*tables)

    def acknowledged(self, cluster: str, wanted: Endpoints | None, *, routed: bool) -> Endpoints | None:
        """The board's entry for this pool. ``wanted``: its endpoints, None if it is not wanted any more;
        ``routed``: it should get new requests.

        An endpoint that is wanted counts once it is sure at every node. One that is not wanted any more
        counts until it is sure that no node uses it. None: no node knows the pool, or not all of them know it
        yet."""
        keep = wanted or NOTHING
        sure = self._sure(cluster, routed=routed)
        used = self._used(cluster) - keep
        if sure is None and not used and (wanted is not None or cluster not in self.clusters()):
            return None
        return ((sure or NOTHING) & keep) | used

    def reachable(self, cluster: str, wanted: Endpoints | None) -> Endpoints | None:
        """All that requests may reach, now or later, if nothing else is wanted. None: no node knows the pool,
        nor will."""
        if wanted is None and cluster not in self.clusters():
            return None
        return self._used(cluster) | (wanted or NOTHING)

    def _sure(self, cluster: str, *, routed: bool) -> Endpoints | None:
        """Return what requests reach at every node that serves. None: at some node it is not sure that they
        reach the pool at all."""
        serving = [tracker for tracker in self._trackers.values() if tracker.serves]
        if routed and not all(tracker.surely_routes_to(cluster) for tracker in serving):
            return None
        found = [tracker.sure(cluster) for tracker in serving]
        known = [endpoints for endpoints in found if endpoints is not None]
        return frozenset[str].intersection(*known) if known and len(known) == len(found) else None

    def _used(self, cluster: str) -> Endpoints:
        return NOTHING.union(*(tracker.used(cluster) for tracker in self._trackers.values()))

    def _tracker(self, node: str) -> AckTracker:
        return self._trackers.setdefault(node, AckTracker(node, self._versions))

    def _alive(self, kind: str) -> set[str | None]:
        """The versions that some node may have."""
        alive: set[str | None] = set()
        for tracker in self._trackers.values():
            for session in tracker.sessions:
                for name in session.names(kind):
                    alive |= session.possible(kind, name)
        return alive

"""The state of one gateway node: what it is known to use, over all of its streams. Pure.

The tracker keeps two facts apart. Envoy *surely* uses what it confirmed. Envoy *may* use that, and what is on
its way to it."""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.routing.resources import listener, routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.versions import NOTHING, Versions
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Endpoints


class AckTracker:
    """The streams of one Envoy: one as a rule, and two for the seconds of a hot restart.

    A stream that broke counts on until the node's next stream has reported what its Envoy has, or until the
    node is gone: Envoy keeps its configuration without us.
    """

    def __init__(self, node: str, versions: Versions) -> None:
        self._node = node
        self._versions = versions
        self._open: list[StreamState] = []
        self._broken: list[StreamState] = []

    # what happens

    def restore(self, clusters: Mapping[str, Endpoints]) -> None:
        """An earlier operator sent this to the Envoy, whose stream is not there yet."""
        versions = {name: f"restored-{self._node}-{name}" for name in clusters}
        table = f"restored-{self._node}"
        assignments = {versions[name]: known for name, known in clusters.items()}
        self._versions.restored(assignments, table, frozenset(clusters))  # it may route to any of them
        known = {
            CLUSTER: versions,
            ENDPOINTS: versions,
            LISTENER: {listener.NAME: table},
            ROUTES: {routes.NAME: table},
        }
        self._broken.append(StreamState.restored(self._node, known))

    def opened(self, session: StreamState) -> None:
        self._open.append(session)

    def synced(self, session: StreamState) -> None:
        """Let the stream stand for the broken ones: it knows all that its Envoy has."""
        if session in self._open:
            self._explain(session)
            self._broken.clear()

    def closed(self, session: StreamState) -> None:
        if session in self._open:
            self._open.remove(session)
            if not any(other.synced for other in self._open):
                self._broken.append(session)

    # what is known

    @property
    def sessions(self) -> tuple[StreamState, ...]:
        return (*self._broken, *self._open)

    @property
    def serves(self) -> bool:
        """Requests may come through it: it has confirmed a listener and the routes. Envoy opens the port of a
        new listener only when that has its routes."""
        return any(one.confirmed(LISTENER) and one.confirmed(ROUTES) for one in self.sessions)

    def clusters(self) -> frozenset[str]:
        """All that Envoy may have."""
        return frozenset[str]().union(*(session.names(CLUSTER) for session in self.sessions))

    def sure(self, cluster: str) -> Endpoints | None:
        """Return what requests in this cluster surely reach; None if it is not sure that the cluster
        exists."""
        session = self._newest
        if session is None or None in session.possible(CLUSTER, cluster):
            return None
        versions = session.possible(ENDPOINTS, cluster)
        return frozenset[str].intersection(*(self._versions.endpoints(version) for version in versions))

    def used(self, cluster: str) -> Endpoints:
        """Return what requests in this cluster may reach."""
        versions = (
            version
            for session in self.sessions
            if cluster in session.names(CLUSTER)
            for version in session.possible(ENDPOINTS, cluster)
        )
        return NOTHING.union(*(self._versions.endpoints(version) for version in versions))

    def surely_routes_to(self, cluster: str) -> bool:
        session = self._newest
        return session is not None and all(
            cluster in self._versions.routed(version) for version in session.possible(ROUTES, routes.NAME)
        )

    def may_route_to(self, cluster: str) -> bool:
        return any(
            cluster in self._versions.routed(version)
            for session in self.sessions
            for version in session.possible(ROUTES, routes.NAME)
        )

    @property
    def _newest(self) -> StreamState | None:
        """The stream whose word counts: the latest that knows all that its Envoy has."""
        return next((session for session in reversed(self.sessions) if session.synced), None)

    def _explain(self, session: StreamState) -> None:
        """Versions that another operator gave: they mean what the broken streams knew."""
        assignments = {version: self.used(name) for name, version in session.confirmed(ENDPOINTS).items()}
        self._versions.learn(assignments, session.confirmed(ROUTES).get(routes.NAME), self.clusters())

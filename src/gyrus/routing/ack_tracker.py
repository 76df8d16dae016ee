"""The state of one gateway node: the configuration that it is known to use, over all of its streams. Pure.

The tracker keeps two facts apart. Envoy *surely* uses what it has acknowledged. Envoy *may* use that, and
everything that is in flight to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from gyrus.routing.endpoint_sets import NOTHING, intersection_of, union
from gyrus.routing.resources import listener, routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.versions import Versions
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Endpoints, is_pool


class AckTracker:
    """The streams of one Envoy: usually one, and two for the seconds of a hot restart.

    A broken stream counts until the node's next stream has reported what its Envoy has, or until the node is
    gone, because Envoy keeps its configuration without the operator.
    """

    def __init__(self, node: str, versions: Versions) -> None:
        self._node = node
        self._versions = versions
        self._open: list[StreamState] = []
        self._broken: list[StreamState] = []

    # Events

    def restore(self, clusters: Mapping[str, Endpoints]) -> None:
        """Record what an earlier operator sent to the Envoy, before the Envoy's stream opens."""
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

    def opened(self, stream: StreamState) -> None:
        self._open.append(stream)

    def synced(self, stream: StreamState) -> None:
        """Let the stream replace the broken ones: it knows everything that its Envoy has."""
        if stream in self._open:
            # In this order: the broken streams explain the versions that the new one reports.
            self._explain(stream)
            self._broken.clear()

    def closed(self, stream: StreamState) -> None:
        if stream in self._open:
            self._open.remove(stream)
            # Another synced stream of the node knows more than the one that broke.
            if not any(other.synced for other in self._open):
                self._broken.append(stream)

    # Known facts

    @property
    def streams(self) -> tuple[StreamState, ...]:
        """All streams that count, the oldest first."""
        return (*self._broken, *self._open)

    @property
    def serves(self) -> bool:
        """True if requests may come through the node: it has acknowledged a listener and the routes.

        Envoy opens the port of a new listener only when the listener has its routes.
        """
        return any(
            listener.NAME in one.confirmed(LISTENER) and routes.NAME in one.confirmed(ROUTES)
            for one in self.streams
        )

    @property
    def known(self) -> bool:
        """True if Envoy has reported everything that it has."""
        return self._newest is not None

    def clusters(self) -> frozenset[str]:
        """Return all pools that Envoy may have."""
        names = frozenset[str]().union(*(stream.names(CLUSTER) for stream in self.streams))
        return frozenset(filter(is_pool, names))

    def may_have(self, cluster: str) -> bool:
        """Return True if Envoy may have this cluster."""
        return any(stream.may_have(CLUSTER, cluster) for stream in self.streams)

    def sure(self, cluster: str) -> Endpoints | None:
        """Return the endpoints that requests in this cluster surely reach.

        Returns None if it is not sure that the cluster exists.
        """
        stream = self._newest
        if stream is None or None in stream.possible(CLUSTER, cluster):
            return None
        # Envoy uses one of these versions, so only the endpoints of all of them are sure.
        versions = stream.possible(ENDPOINTS, cluster)
        return intersection_of(self._versions.endpoints(version) for version in versions)

    def used(self, cluster: str) -> Endpoints:
        """Return the endpoints that requests in this cluster may reach."""
        # Broken streams count too: their Envoy continues with what it had.
        found = NOTHING
        for stream in chain(self._broken, self._open):
            if stream.may_have(CLUSTER, cluster):
                for version in stream.possible(ENDPOINTS, cluster):
                    found = union(found, self._versions.endpoints(version))
        return found

    def surely_routes_to(self, cluster: str) -> bool:
        stream = self._newest
        return stream is not None and all(
            cluster in self._versions.routed(version) for version in stream.possible(ROUTES, routes.NAME)
        )

    def may_route_to(self, cluster: str) -> bool:
        return any(
            cluster in self._versions.routed(version)
            for stream in self.streams
            for version in stream.possible(ROUTES, routes.NAME)
        )

    @property
    def _newest(self) -> StreamState | None:
        """The stream to rely on: the latest that knows everything that its Envoy has."""
        for stream in reversed(self._open):
            if stream.synced:
                return stream
        return next((stream for stream in reversed(self._broken) if stream.synced), None)

    def _explain(self, stream: StreamState) -> None:
        """Learn versions that another operator made: they stand for what the broken streams knew."""
        assignments = {version: self.used(name) for name, version in stream.confirmed(ENDPOINTS).items()}
        self._versions.learn(assignments, stream.confirmed(ROUTES).get(routes.NAME), self.clusters())

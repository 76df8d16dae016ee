"""What the gateway is known to use, over all streams. Pure: it reads the books and the snapshots.

Two facts are told apart. Envoy *surely* uses what it confirmed. Envoy *may* use that, and what is on its way
to it. An endpoint that is wanted counts as routed once it is sure; one that is not wanted any more counts as
used until it is sure that it is not.
"""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.routing.resources import routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, LISTENER, ROUTES
from gyrus.routing.snapshot import Snapshot
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Route

Endpoints = frozenset[str]
_NONE: Endpoints = frozenset()

MANY_TABLES = 100
"""Versions of the route table that are remembered before those that nobody has any more are dropped."""


class AckTracker:
    """Knows what each version meant that Envoy may still have, and which streams speak for a living Envoy.

    A stream that broke speaks on until its Envoy's next stream has told what it has: Envoy keeps its
    configuration without us.
    """

    def __init__(self) -> None:
        self._assignments: dict[str, Endpoints] = {}
        self._tables: dict[str, frozenset[str]] = {}
        self._open: list[StreamState] = []
        self._broken: list[StreamState] = []

    # what happens

    def restore(self, apis: Mapping[str, Endpoints]) -> None:
        """An Envoy that an earlier operator told of these; its stream is not there yet."""
        versions = {api: f"restored-{api}" for api in apis}
        self._assignments |= {versions[api]: endpoints for api, endpoints in apis.items()}
        self._tables["restored"] = frozenset(apis)
        known = {CLUSTER: versions, ENDPOINTS: versions, LISTENER: {}, ROUTES: {routes.NAME: "restored"}}
        self._broken.append(StreamState.restored(known))

    def wanted(self, snapshot: Snapshot) -> None:
        """This may be sent from now on."""
        for api, route in snapshot.routes.items():
            self._assignments[snapshot.of_kind(ENDPOINTS)[api].version] = route.endpoints
        self._tables[snapshot.of_kind(ROUTES)[routes.NAME].version] = frozenset(snapshot.routes)
        self._forget_old(snapshot)

    def opened(self, session: StreamState) -> None:
        self._open.append(session)

    def synced(self, session: StreamState) -> None:
        """It knows all that its Envoy has: it speaks for the broken ones from now on."""
        if session in self._open:
            self._explain(session)
            self._broken.clear()

    def closed(self, session: StreamState) -> None:
        if session in self._open:
            self._open.remove(session)
            if not any(other.synced for other in self._open):
                self._broken.append(session)

    def died(self) -> None:
        """No Envoy runs: nothing is used any more."""
        self._open.clear()
        self._broken.clear()

    # what is known

    def apis(self) -> frozenset[str]:
        """All that Envoy may have."""
        return frozenset[str]().union(*(session.names(CLUSTER) for session in self._sessions()))

    def acknowledged(self, api: str, wanted: Route | None) -> Endpoints | None:
        """The board's entry for this API. None: the gateway knows nothing of it, or not yet enough."""
        keep = wanted.endpoints if wanted else _NONE
        routed = self._routed(api)
        used = self._used(api) - keep
        if routed is None and not used and (wanted or api not in self.apis()):
            return None
        return ((routed or _NONE) & keep) | used

    def reachable(self, api: str, wanted: Route | None) -> Endpoints | None:
        """All that requests may reach, now or later, if nothing else is wanted. None: Envoy neither knows the
        API nor will."""
        if wanted is None and api not in self.apis():
            return None
        return self._used(api) | (wanted.endpoints if wanted else _NONE)

    def _routed(self, api: str) -> Endpoints | None:
        """What requests surely reach; None: it is not sure that they reach the API at all."""
        session = next((one for one in reversed(self._sessions()) if one.synced), None)
        if session is None or None in session.possible(CLUSTER, api):
            return None
        tables = session.possible(ROUTES, routes.NAME)
        if not all(api in self._tables.get(version or "", _NONE) for version in tables):
            return None
        versions = session.possible(ENDPOINTS, api)
        return frozenset[str].intersection(*(self._meaning(version) for version in versions))

    def _used(self, api: str) -> Endpoints:
        """What requests may reach."""
        versions = (
            version
            for session in self._sessions()
            if api in session.names(CLUSTER)
            for version in session.possible(ENDPOINTS, api)
        )
        return _NONE.union(*(self._meaning(version) for version in versions))

    def _meaning(self, version: str | None) -> Endpoints:
        return self._assignments.get(version or "", _NONE)

    def _sessions(self) -> list[StreamState]:
        return [*self._broken, *self._open]

    def _explain(self, session: StreamState) -> None:
        """Versions that another operator gave: they mean what the broken streams knew."""
        for api, version in session.confirmed(ENDPOINTS).items():
            self._assignments.setdefault(version, self._used(api))
        table = session.confirmed(ROUTES).get(routes.NAME)
        if table:
            self._tables.setdefault(table, self.apis())

    def _forget_old(self, snapshot: Snapshot) -> None:
        """Versions that nobody has any more are dropped, now and then."""
        if len(self._tables) >= MANY_TABLES:
            kept = self._alive(ROUTES, snapshot)
            self._tables = {version: known for version, known in self._tables.items() if version in kept}
        if len(self._assignments) < 4 * len(snapshot.routes) + 1000:
            return
        kept = self._alive(ENDPOINTS, snapshot)
        self._assignments = {
            version: known for version, known in self._assignments.items() if version in kept
        }

    def _alive(self, kind: str, snapshot: Snapshot) -> set[str | None]:
        """The versions that are wanted, or that some Envoy may have."""
        alive: set[str | None] = {resource.version for resource in snapshot.of_kind(kind).values()}
        for session in self._sessions():
            for name in session.names(kind):
                alive |= session.possible(kind, name)
        return alive

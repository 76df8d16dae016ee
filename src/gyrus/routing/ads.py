"""The configuration of all gateways: routes from the board go in, acknowledgements come out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Listener
from gyrus.aio.slices import slices
from gyrus.aio.ticks import ticks
from gyrus.routing.encoder import Encoder
from gyrus.routing.endpoint_sets import equal
from gyrus.routing.leftovers import Leftovers, stand_in
from gyrus.routing.nodes import GatewayNodes
from gyrus.routing.refused_routes import RefusedRoutes
from gyrus.routing.resources import probe
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, NAMES, ROUTES
from gyrus.routing.settings import AdsAddress, GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build, changed, encode_ahead
from gyrus.routing.xds.load_reports import LoadReports
from gyrus.routing.xds.server import XdsServer
from gyrus.routing.xds.stream_state import Ack, Nack, Push, StreamState
from gyrus.state.board import Board, ByPool, Endpoints, Protocol, RouteRefusal, api_of, is_pool

log = logging.getLogger(__name__)

LONGEST_REASON = 300
"""Characters of Envoy's reason that a message repeats. Envoy may quote a whole table."""
SLICE = 100
"""Routes that the first snapshot gains at a time."""
LEFTOVERS_EVERY = 0.25
"""Seconds between two checks of the clusters that no route needs any more."""


def _nothing_known() -> Mapping[str, int]:
    return {}


def _ignore() -> None:
    pass


class AdsGateway:
    """Server of the aggregated discovery service. It writes to the board what its Envoys use.

    It serves any number of Envoys. The id in Envoy's bootstrap identifies a gateway node. A node serves once
    it has acknowledged a listener and the routes. It counts until :meth:`node_gone`, even if its stream ends.
    """

    def __init__(
        self,
        board: Board,
        address: AdsAddress,
        settings: GatewaySettings,
        clock: Clock,
        *,
        access_log: str | None = None,
        bodies_at: str | None = None,
        in_flight: Callable[[], Mapping[str, int] | None] = _nothing_known,
        reported: Callable[[], None] = _ignore,
        reports: LoadReports | None = None,
    ) -> None:
        """Create the gateway.

        ``access_log``: path at which each Envoy writes its own. ``bodies_at``: endpoint at which each Envoy
        accepts its own requests with long bodies. ``in_flight``: returns the requests by
        cluster, as far as known. ``reported``: called after each report of an Envoy. ``reports``: the service
        of load reports to serve on the same address.
        """
        self._board = board
        self._settings = settings
        self._clock = clock
        self._access_log = access_log
        self._bodies_at = bodies_at
        self._in_flight = in_flight
        self._reported = reported
        self._nodes = GatewayNodes()
        self._refused_routes = RefusedRoutes()
        self._leftovers = Leftovers()
        self._protocols: dict[str, Protocol | None] = {}
        """Protocols of leftovers. None for those of an earlier operator."""
        self._kept: Mapping[str, Endpoints | None] = {}
        self._snapshot: Snapshot = EMPTY
        self._encoder = Encoder(settings)
        self._server = XdsServer(address, self, EMPTY, reports)
        self._streams: list[StreamState] = []
        self._serving: tuple[str, ...] = ()
        self._rerouting: dict[StreamState, frozenset[str]] = {}
        """By stream: the clusters that the route table in flight adds or drops."""
        self._changed_at: dict[str, float] = {}
        """By pool that some gateway has yet to acknowledge: the time of the first change since all had it."""
        self._due: set[str] = set()
        """Clusters to note on the board soon."""
        self._has_due = asyncio.Event()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[AdsGateway]:
        """Serve while the block runs.

        The board must hold all routes when this begins, because the gateways remove everything else. Raises
        TlsUnusable or GatewayPortTaken.
        """
        # Listen first, so that no change between the first publication and the loop is lost.
        with self._board.route_signals.listen() as signals:
            await self._encode_ahead()
            await self._build_ahead()
            self._publish()
            self._changed_at.clear()  # the gateways may have all of it: an earlier operator sent it
            async for pool in slices(sorted(self._known()), clock=self._clock):
                self._acknowledge((pool,))
            async with self._server.serving(), asyncio.TaskGroup() as group:
                following = group.create_task(self._follow(signals), name="ads: routes")
                watching = group.create_task(self._watch_leftovers(), name="ads: leftovers")
                noting = group.create_task(self._note_due(), name="ads: notes")
                yield self
                for task in (following, watching, noting):
                    task.cancel()

    # Nodes

    def restore(self, node: str, clusters: Mapping[str, Endpoints]) -> None:
        """Record that a node already serves, with these endpoints by cluster.

        Call it before :meth:`serving`, so that control knows every endpoint in use when it decides.
        """
        self._nodes.restore(node, clusters)
        self._acknowledge(self._known())

    def node_gone(self, node: str) -> None:
        """Record that a node's Envoy has ended, so that it sends no requests. A stream's end is no proof."""
        known = self._known()  # before the node is dropped: its clusters have to be written to the board too
        self._nodes.gone(node)
        self._acknowledge_soon(known)

    # Known facts

    @property
    def serving_nodes(self) -> tuple[str, ...]:
        """Ids of the nodes through which requests may come."""
        return self._nodes.serving()

    @property
    def nodes(self) -> frozenset[str]:
        """Ids of all nodes that count."""
        return self._nodes.ids

    @property
    def known_nodes(self) -> frozenset[str]:
        """Ids of the nodes that have reported everything that they have."""
        return self._nodes.known()

    @property
    def connected(self) -> frozenset[str]:
        """Ids of the nodes with an open stream."""
        return frozenset(stream.node for stream in self._streams)

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return len(self._streams)

    def settled(self, node: str | None = None) -> bool:
        """Return True if an Envoy (or this node's) has acknowledged all resources that it did not refuse.

        The board shows it by then.
        """
        streams = (stream for stream in self._streams if node in (None, stream.node))
        return not self._due and any(stream.settled(self._snapshot) for stream in streams)

    @property
    def refusals(self) -> tuple[str, ...]:
        """One sentence for each resource or route that an Envoy refuses."""
        found = (*map(_sentence, self._nacks()), *self._routes_refused().values())
        return tuple(dict.fromkeys(found))

    def _nacks(self) -> Iterable[Nack]:
        """Return the refused resources. The trials of a search do not count."""
        nacks = (nack for stream in self._streams for nack in stream.refusals)
        return (nack for nack in nacks if nack.name != probe.NAME)

    def _routes_refused(self) -> dict[str, str]:
        """Return a sentence for each API whose route is refused."""
        refused = self._refused_routes.by_api.items()
        return {api: _refuses(ROUTES, api, route.reason) for api, route in refused}

    # Configuration for the gateways

    async def _follow(self, signals: Listener) -> None:
        async for _ in signals:
            await self._encode_ahead()
            self._publish()

    async def _encode_ahead(self) -> None:
        """Encode what has changed, in slices, since many APIs may have changed at once.

        Routes that change meanwhile are encoded when they are published.
        """
        changed = encode_ahead(dict(self._board.routes), self._snapshot, self._encoder)
        async for _ in slices(changed, clock=self._clock):
            pass

    async def _build_ahead(self) -> None:
        """Build the first snapshot in slices, from more and more routes. No gateway sees them yet."""
        routes = list(self._board.routes.items())
        for end in range(SLICE, len(routes) + SLICE, SLICE):
            self._snapshot = build(
                dict(routes[:end]),
                self._settings,
                self._access_log,
                self._snapshot,
                encoder=self._encoder,
                bridge_at=self._board.bridge,
                bodies_at=self._bodies_at,
            )
            await self._clock.sleep(0)

    def _publish(self) -> None:
        last = self._snapshot
        self._kept = self._keep()
        self._refused_routes.wanted(self._board.routes)
        unusable = frozenset(nack.name for nack in self._nacks() if nack.kind in (CLUSTER, ENDPOINTS))
        self._snapshot = build(
            self._board.routes,
            self._settings,
            self._access_log,
            last,
            self._kept,
            self._encoder,
            table=self._refused_routes.table(self._board.routes, unusable),
            trial=self._refused_routes.trial,
            bridge_at=self._board.bridge,
            bodies_at=self._bodies_at,
        )
        self._encoder.forget()
        self._nodes.wanted(self._snapshot)
        self._server.publish(self._snapshot)
        affected = changed(last, self._snapshot)
        self._time(affected)
        self._acknowledge(affected)

    def _time(self, clusters: Iterable[str]) -> None:
        """Begin to measure the time until every gateway has acknowledged these, if they are pools."""
        now = self._clock.monotonic()
        for cluster in clusters:
            if cluster in self._snapshot.pools:
                self._changed_at.setdefault(cluster, now)
            else:  # a leftover stays as long as it has requests, whatever its gateways acknowledge
                self._changed_at.pop(cluster, None)

    def _keep(self) -> dict[str, Endpoints | None]:
        """Return the leftovers that gateways should still have, with their endpoints."""
        routes, now = self._board.routes, self._clock.monotonic()
        needed = (pool.id for route in routes.values() for pool in route.pools)
        unneeded = self._nodes.clusters().difference(needed)
        routed = self._nodes.may_route_to
        self._leftovers.look(now, unneeded, may_route_to=routed, in_flight=self._in_flight())
        last = self._snapshot.pools  # until they are replaced, these have the pools that become leftovers
        self._protocols = {
            name: last[name].protocol if name in last else self._protocols.get(name) for name in unneeded
        }
        return {
            name: stand_in(
                routes.get(api_of(name)),
                still_routed=routed(name),
                protocol=self._protocols.get(name),
                bridge=self._board.bridge,
            )
            for name in self._leftovers.kept(now)
        }

    async def _watch_leftovers(self) -> None:
        async for _ in ticks(self._clock, LEFTOVERS_EVERY):
            if self._kept:
                self._publish_leftovers()
            if self._board.refused:
                # A refused version may have left the target, and no answer of an Envoy follows from that.
                self._note_refusals()

    def _publish_leftovers(self) -> None:
        """Publish if other leftovers are to be kept, or other endpoints of them."""
        if self._keep() != self._kept:
            self._publish()

    # Events of the gateways' streams

    def opened(self, stream: StreamState) -> None:
        self._nodes.opened(stream)
        self._streams.append(stream)

    def synced(self, stream: StreamState) -> None:
        self._nodes.synced(stream)
        self._serving = self._nodes.serving()
        self._publish_leftovers()  # the node may have clusters that no route needs
        self._acknowledge_soon(self._known())
        self._report()

    def sent(self, stream: StreamState, push: Push) -> None:
        if push.kind == ROUTES:
            # Now, while both the old and the new table are possible: the answer leaves only one of them.
            self._rerouting[stream] = self._nodes.rerouted(stream)
            self._refused_routes.sent(stream, push, self._snapshot.table)
        if push.kind in (CLUSTER, ENDPOINTS):
            # Before the push is sent: from then on, its endpoints are reachable.
            self._acknowledge(self._concerned(stream, push))
        else:
            self._acknowledge_soon(self._concerned(stream, push))

    def answered(self, stream: StreamState, answer: Ack) -> None:
        for nack in answer.refusals:
            if nack.name != probe.NAME:
                # A refused route table starts a search, which logs the APIs at fault.
                log.log(logging.WARNING if nack.kind == ROUTES else logging.ERROR, "%s", _sentence(nack))
        served, self._serving = self._serving, self._nodes.serving()
        # A node that begins to serve counts for every cluster, not only for those of this push.
        same = served == self._serving
        self._acknowledge_soon(self._concerned(stream, answer.push) if same else self._known())
        if answer.push.kind == ROUTES:
            self._note_answer(stream, answer.push)
            if self._kept:
                self._publish_leftovers()
        self._report()

    def _note_answer(self, stream: StreamState, push: Push) -> None:
        before = self._routes_refused()
        if self._refused_routes.answered(stream, push):
            for api, sentence in self._routes_refused().items():
                if api not in before:
                    log.error("%s", sentence)
            self._publish()

    def closed(self, stream: StreamState) -> None:
        self._nodes.closed(stream)
        self._streams.remove(stream)
        self._rerouting.pop(stream, None)
        if self._refused_routes.closed(stream):
            self._publish()
        self._acknowledge_soon(self._known())
        self._report()

    def _concerned(self, stream: StreamState, push: Push) -> Iterable[str]:
        """Return the clusters that a push affects. Route tables are long, and most of their entries stay."""
        if push.kind in (CLUSTER, ENDPOINTS):
            return filter(is_pool, push.versions)
        return self._rerouting.get(stream, frozenset()) if push.kind == ROUTES else self._known()

    def _report(self) -> None:
        self._note_refusals()
        self._reported()

    # Facts for the board

    def _known(self) -> frozenset[str]:
        boards = (self._board.reachable.values(), self._board.acknowledged.values())
        noted = (pool for board in boards for by_pool in board for pool in by_pool)
        return self._nodes.clusters().union(self._snapshot.pools, noted)

    def _acknowledge(self, clusters: Iterable[str]) -> None:
        """Write the changes for these clusters to the board, and signal them."""
        noted = {api_of(cluster) for cluster in clusters if self._note(cluster)}
        if noted:
            self._board.acknowledged_signals.notify(*noted)

    def _acknowledge_soon(self, clusters: Iterable[str]) -> None:
        """Write the changes for these clusters in slices, since an Envoy may have thousands.

        Only for what Envoy has reported already: the board follows Envoy with a delay anyway. What is about
        to be sent has to be on the board before it is.
        """
        self._due.update(clusters)
        self._has_due.set()

    async def _note_due(self) -> None:
        while True:
            await self._has_due.wait()
            self._has_due.clear()
            async for cluster in slices(tuple(self._due), clock=self._clock):
                self._due.discard(cluster)  # before it is noted: it may fall due again meanwhile
                self._acknowledge((cluster,))
            self._reported()

    def _note(self, cluster: str) -> bool:
        """Update the cluster's entries. Returns whether one has changed."""
        snapshot, nodes, board = self._snapshot, self._nodes, self._board
        wanted = snapshot.endpoints.get(cluster)
        sure = nodes.acknowledged(cluster, wanted, routed=cluster in snapshot.routed)
        acknowledged = _write(board.acknowledged, cluster, sure)
        reached = nodes.reachable(cluster, wanted)
        reachable = _write(board.reachable, cluster, reached)
        changed_at = self._changed_at.get(cluster)
        if changed_at is not None and equal(sure, wanted) and equal(reached, wanted):
            del self._changed_at[cluster]
            board.acknowledgements.add(self._clock.monotonic() - changed_at)
        return acknowledged or reachable

    def _note_refusals(self) -> None:
        """Write the refusals of single APIs to the board. Other resources concern all APIs."""
        before, self._board.refused = self._board.refused, self._refusals_by_api()
        after = self._board.refused
        others = {api for api in before.keys() | after.keys() if before.get(api) != after.get(api)}
        if others:
            self._publish()  # an API whose cluster is refused keeps its last route
            self._board.acknowledged_signals.notify(*others)

    def _refusals_by_api(self) -> dict[str, RouteRefusal]:
        sentences = self._routes_refused()
        found = {
            api: RouteRefusal(message=sentences[api], pools=route.clusters)
            for api, route in self._refused_routes.by_api.items()
        }
        for nack in self._nacks():
            if nack.kind in (CLUSTER, ENDPOINTS) and is_pool(nack.name):
                found[api_of(nack.name)] = RouteRefusal(message=_sentence(nack), pools=frozenset({nack.name}))
        return found


def _sentence(nack: Nack) -> str:
    return _refuses(nack.kind, nack.name, nack.message)


def _refuses(kind: str, name: str, reason: str) -> str:
    line = " ".join(reason.split())
    short = line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]} …"
    return f"Envoy refuses the {NAMES[kind]} of {name}: {short}"


def _write(board: dict[str, ByPool], cluster: str, entry: Endpoints | None) -> bool:
    """Write one entry. Returns whether it has changed."""
    api = api_of(cluster)
    before = board.get(api, {})
    if equal(before.get(cluster), entry):
        return False
    after = {name: known for name, known in before.items() if name != cluster}
    if entry is not None:
        after[cluster] = entry
    if after:
        board[api] = after
    else:
        board.pop(api, None)
    return True

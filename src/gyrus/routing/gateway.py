"""The gateway as the operator sees it: routes from the board go in, acknowledgements and traffic come out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from gyrus.aio.clock import Clock, SystemClock
from gyrus.contract.home import Home
from gyrus.contract.operator import TrafficView
from gyrus.routing import stats
from gyrus.routing.ack_tracker import AckTracker
from gyrus.routing.admin import AdminError
from gyrus.routing.config_dump import assigned, listening_ports
from gyrus.routing.envoy import Envoy, locate
from gyrus.routing.log_rotation import is_due, rotate
from gyrus.routing.ports import check_free, listens
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, NAMES
from gyrus.routing.settings import GatewayFiles, GatewaySettings
from gyrus.routing.snapshot import EMPTY, Snapshot, build, changed
from gyrus.routing.xds.server import XdsServer
from gyrus.routing.xds.stream_state import Ack, Nack, Push, StreamState
from gyrus.state.board import Board, Traffic

log = logging.getLogger(__name__)

IN_FLIGHT_EVERY = 0.25
"""Seconds between looks at the requests in flight."""
TRAFFIC_EVERY = 8
"""So many looks at the requests in flight for one at counts and latencies: Envoy sums up latencies every five
seconds anyway."""
ROTATION_EVERY = 5.0
"""Seconds."""


class Gateway:
    """Keeps Envoy running and true to the board. Create it, :meth:`adopt`, :meth:`run`; :meth:`stop` ends
    Envoy too, which the end of :meth:`run` does not."""

    def __init__(
        self,
        board: Board,
        home: Home,
        settings: GatewaySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._board = board
        self._settings = settings or GatewaySettings()
        self._clock = clock or SystemClock()
        self._files = GatewayFiles(home)
        self.envoy = Envoy(self._files, self._settings, self)
        self._tracker = AckTracker()
        self._snapshot: Snapshot = EMPTY
        self._server = XdsServer(self._files.xds_socket, self, EMPTY)
        self._adopted = False
        self._started = False
        self._streams: list[StreamState] = []

    async def adopt(self) -> None:
        """Find the Envoy that runs already, and what it uses; call it before anything is decided upon that.

        Raises PortTaken where Envoy would have to open a port that another program has, and EnvoyFailed
        where it is not installed.
        """
        for folder in (self._files.home.run, self._files.home.envoy):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        adopted = await self.envoy.adopt()
        if not adopted:
            locate()
        ports = await self._adopted_ports() if adopted else frozenset[int]()
        if self._settings.port not in ports:
            check_free(self._settings.address, self._settings.port)
        self._adopted = True

    async def run(self) -> None:
        """Serve until cancelled. The board must hold all routes when this begins: what is missing there is
        removed from Envoy."""
        if not self._adopted:
            await self.adopt()
        with self._board.route_signals.listen() as hints:
            self._publish()
            async with self._server.serving(), asyncio.TaskGroup() as group:
                group.create_task(self.envoy.run(), name="envoy")
                group.create_task(self._measure(), name="gateway-traffic")
                group.create_task(self._rotate(), name="gateway-logs")
                async for _ in hints:
                    self._publish()

    async def stop(self) -> None:
        """End Envoy. Call it after :meth:`run` has ended."""
        await self.envoy.stop()
        self._files.xds_socket.unlink(missing_ok=True)
        self.envoy_died("Envoy was stopped")

    # towards Envoy

    def _publish(self) -> None:
        access_log = str(self._files.access_log) if self._settings.access_log.enabled else None
        last = self._snapshot
        self._snapshot = build(self._board.routes, self._settings, access_log, last)
        self._tracker.wanted(self._snapshot)
        self._server.publish(self._snapshot)
        self._acknowledge(changed(last, self._snapshot))

    # from Envoy's streams

    def opened(self, session: StreamState) -> None:
        self._tracker.opened(session)
        self._streams.append(session)

    def synced(self, session: StreamState) -> None:
        self._tracker.synced(session)
        self._acknowledge(self._known())
        self._tell_state()

    def sent(self, session: StreamState, push: Push) -> None:
        del session
        self._acknowledge(self._concerned(push))

    def answered(self, session: StreamState, answer: Ack) -> None:
        del session
        for refusal in answer.refusals:
            log.error("%s", _told(refusal))
        self._acknowledge(self._concerned(answer.push))
        self._tell_state()

    def closed(self, session: StreamState) -> None:
        self._tracker.closed(session)
        self._streams.remove(session)
        self._acknowledge(self._known())

    def _concerned(self, push: Push) -> Iterable[str]:
        """The APIs that a push is about."""
        return push.versions if push.kind in (CLUSTER, ENDPOINTS) else self._known()

    # from Envoy's process

    def envoy_started(self) -> None:
        self._started = True
        self._tell_state()

    def envoy_died(self, reason: str) -> None:
        self._started = False
        self._set_state("down")
        self._board.gateway_message = reason
        self._tracker.died()
        self._acknowledge(self._known())
        self._board.traffic.clear()

    # towards the board

    def _acknowledge(self, apis: Iterable[str]) -> None:
        """Write what is another now, and ring for it."""
        noted = [api for api in apis if self._note(api)]
        if noted:
            self._board.acknowledged_signals.notify(*noted)

    def _known(self) -> Iterable[str]:
        return (
            self._board.reachable.keys()
            | self._board.acknowledged.keys()
            | self._snapshot.routes.keys()
            | self._tracker.apis()
        )

    def _note(self, api: str) -> bool:
        """Whether one of the API's entries is another one now."""
        wanted = self._snapshot.routes.get(api)
        acknowledged = _write(self._board.acknowledged, api, self._tracker.acknowledged(api, wanted))
        reachable = _write(self._board.reachable, api, self._tracker.reachable(api, wanted))
        return acknowledged or reachable

    def _tell_state(self) -> None:
        """Running: the process serves, and once it has confirmed all that was wanted and listens (that it has
        confirmed its listener does not mean that its port is open)."""
        if not self._started:
            return
        self._board.gateway_message = "; ".join(
            _told(refusal) for session in self._streams for refusal in session.refusals
        )
        if self._board.gateway != "running":
            settled = any(session.settled(self._snapshot) for session in self._streams)
            runs = settled and listens(self._settings.address, self._settings.port)
            self._set_state("running" if runs else "starting")

    def _set_state(self, state: str) -> None:
        if self._board.gateway != state:
            self._board.gateway = state
            self._board.gateway_signals.notify(state)

    # what it measures

    async def _measure(self) -> None:
        views: dict[str, TrafficView] = {}
        turn = 0
        while True:
            with contextlib.suppress(AdminError):
                if self._started and turn % TRAFFIC_EVERY == 0:
                    views = await self._views()
                if self._started:
                    await self._note_traffic(views)
                    self._tell_state()
            turn += 1
            await self._clock.sleep(IN_FLIGHT_EVERY)

    async def _views(self) -> dict[str, TrafficView]:
        codes = stats.counts((await self.envoy.admin.request("GET", stats.COUNTS)).decode())
        times = stats.latencies(await self.envoy.admin.json(stats.LATENCIES))
        return {api: stats.view(codes[api], times.get(api, {})) for api in codes}

    async def _note_traffic(self, views: dict[str, TrafficView]) -> None:
        flying = stats.in_flight((await self.envoy.admin.request("GET", stats.IN_FLIGHT)).decode())
        self._board.traffic = {
            api: Traffic(in_flight=flying.get(api, 0), view=views.get(api, TrafficView()))
            for api in self._snapshot.routes
        }

    async def _rotate(self) -> None:
        settings = self._settings.access_log
        while True:
            for file in (self._files.access_log, self._files.log):
                if is_due(file, settings.max_bytes):
                    rotate(file, settings.keep)
                    self.envoy.reopen_logs()
            await self._clock.sleep(ROTATION_EVERY)

    # what runs already

    async def _adopted_ports(self) -> frozenset[int]:
        """Where the adopted Envoy listens; and note what it uses."""
        try:
            dump = await self.envoy.admin.json("/config_dump?resource=dynamic_endpoint_configs&include_eds")
            self._tracker.restore(assigned(dump))
            self._acknowledge(self._known())
            return listening_ports(await self.envoy.admin.json("/listeners?format=json"))
        except AdminError as error:
            log.warning("the Envoy that runs already does not tell what it does: %s", error)
            return frozenset({self._settings.port})


def _told(refusal: Nack) -> str:
    return f"Envoy refuses the {NAMES[refusal.kind]} of {refusal.name}: {refusal.message}"


def _write(board: dict[str, frozenset[str]], api: str, entry: frozenset[str] | None) -> bool:
    """Whether it changed something."""
    before = board.get(api)
    if entry is None:
        board.pop(api, None)
    else:
        board[api] = entry
    return entry != before

"""The gateway of one machine: an Envoy beside the operator, kept running and up to date with the board."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock, SystemClock
from gyrus.aio.tasks import persist
from gyrus.contract.home import Home
from gyrus.routing import traffic
from gyrus.routing.admin import AdminError
from gyrus.routing.ads import AdsGateway
from gyrus.routing.config_dump import assigned, listening_ports
from gyrus.routing.envoy import Envoy, locate
from gyrus.routing.envoy_traffic import EnvoyTraffic
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_load import STATISTICS, LimitWatch, load_of
from gyrus.routing.log_rotation import is_due, rotate
from gyrus.routing.ports import check_free, listens
from gyrus.routing.pressure import PressureFile, share
from gyrus.routing.settings import GatewayFiles, GatewaySettings, UnixAddress
from gyrus.routing.traffic import TrafficMeter
from gyrus.state.board import Board
from gyrus.state.gateway_load import GatewayLimit

log = logging.getLogger(__name__)

RETRY = Backoff(0.5, 30.0)
ROTATION_EVERY = 5.0
"""Seconds between two checks of the log files' sizes."""


class LocalGateway:
    """The gateway of this machine. It keeps Envoy running and up to date with the board.

    Create it, then call :meth:`adopt` and :meth:`run`. The end of :meth:`run` leaves Envoy running;
    :meth:`stop` ends it.
    """

    def __init__(
        self,
        board: Board,
        home: Home,
        settings: GatewaySettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._board = board
        self._files = GatewayFiles(home)
        bridge, activator = (f"unix:{path}" for path in (self._files.bridge_socket, home.activator_socket))
        self._settings = replace(
            settings or GatewaySettings(),
            retries_at=f"unix:{self._files.retries_socket}",
            stand_ins=frozenset({bridge, activator}),
        )
        self._clock = clock or SystemClock()
        self.envoy = Envoy(self._files, self._settings, self)
        board.bridge = bridge
        self._limits = LimitWatch()
        self._pressure = PressureFile(self._files.pressure)
        self._meter = TrafficMeter(board, EnvoyTraffic(self.envoy.admin))
        self._ads = AdsGateway(
            board,
            UnixAddress(self._files.xds_socket),
            self._settings,
            self._clock,
            access_log=str(self._files.access_log) if self._settings.access_log.enabled else None,
            bodies_at=f"unix:{self._files.bodies_socket}",
            in_flight=lambda: self._meter.in_flight,
            reported=self._report_state,
        )
        self._adopted = False
        self._started = False
        """True while Envoy's process runs."""

    async def adopt(self) -> None:
        """Find the running Envoy and the endpoints that it uses. Call it before control decides anything.

        Raises GatewayPortTaken if Envoy has to open a port that another program holds, and EnvoyFailed if
        Envoy is not installed.
        """
        for folder in (self._files.home.run, self._files.home.envoy):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._pressure.write(0.0)  # before Envoy starts: it warns if the file is missing
        adopted = await self.envoy.adopt()
        if not adopted:
            locate()
        ports = await self._adopted_ports() if adopted else frozenset[int]()
        if self._settings.port not in ports:
            check_free(self._settings.address, self._settings.port)
        self._adopted = True

    async def run(self) -> None:
        """Serve until cancelled.

        The board must hold all routes when this begins, because Envoy removes everything else.
        """
        if not self._adopted:
            await self.adopt()
        async with self._ads.serving(), asyncio.TaskGroup() as group:
            group.create_task(self.envoy.run(), name="envoy")
            bodies = {
                "gateway-traffic": self._measure,
                "gateway-logs": self._rotate,
                "gateway-limits": self._guard,
            }
            for name, body in bodies.items():
                group.create_task(persist(name, body, backoff=RETRY, clock=self._clock), name=name)

    async def stop(self) -> None:
        """End Envoy. Call it after :meth:`run` has ended."""
        await self.envoy.stop()
        files = self._files
        for socket in (files.xds_socket, files.bridge_socket, files.bodies_socket, files.retries_socket):
            socket.unlink(missing_ok=True)
        self.envoy_died("Envoy was stopped")

    # Events of Envoy's process

    def envoy_started(self) -> None:
        self._started = True
        self._report_state()

    def envoy_died(self, reason: str) -> None:
        self._started = False
        self._board.set_gateway("down")
        self._board.gateway_message = reason
        self._ads.node_gone(self._files.node)
        self._meter.forget()
        self._limits.forget()
        self._note_limit(None)

    # Facts for the board

    def _report_state(self) -> None:
        """Write the gateway's state to the board.

        The gateway counts as running once Envoy has acknowledged its whole target and its port is open. An
        acknowledged listener does not mean that the port is open.
        """
        if not self._started:
            return
        self._board.gateway_message = "; ".join(self._ads.refusals)
        if self._board.gateway != "running":
            runs = self._ads.settled() and listens(self._settings.address, self._settings.port)
            self._board.set_gateway("running" if runs else "starting")

    # Measurements

    async def _measure(self) -> None:
        while True:
            if self._started:
                with contextlib.suppress(TrafficUnknown):
                    await self._meter.look()
                self._report_state()
            await self._clock.sleep(traffic.EVERY)

    async def _guard(self) -> None:
        """Let Envoy know how scarce connections are, and report the limits that it reaches."""
        while True:
            if self._started:
                with contextlib.suppress(AdminError):
                    text = (await self.envoy.admin.request("GET", STATISTICS)).decode()
                    load = self._board.gateway_load = load_of(text, self._settings)
                    self._pressure.write(share(load.connections.used, load.connections.most))
                    self._note_limit(self._limits.note(load, self._clock.monotonic()))
            await self._clock.sleep(traffic.EVERY)

    def _note_limit(self, limit: GatewayLimit | None) -> None:
        before, self._board.gateway_limit = self._board.gateway_limit, limit
        if limit and (before is None or before.refusing != limit.refusing):
            log.warning("%s", limit.message)

    async def _rotate(self) -> None:
        settings = self._settings.access_log
        while True:
            for file in (self._files.access_log, self._files.log):
                if is_due(file, settings.max_bytes):
                    rotate(file, settings.keep)  # Envoy keeps the renamed file open, so no line is lost
                    self.envoy.reopen_logs()
            await self._clock.sleep(ROTATION_EVERY)

    # Adoption

    async def _adopted_ports(self) -> frozenset[int]:
        """Return the ports of the adopted Envoy, and record the endpoints that it uses."""
        try:
            dump = await self.envoy.admin.json("/config_dump?resource=dynamic_endpoint_configs&include_eds")
            self._ads.restore(self._files.node, assigned(dump))
            return listening_ports(await self.envoy.admin.json("/listeners?format=json"))
        except AdminError as error:
            log.warning("The running Envoy does not report its configuration: %s", error)
            return frozenset({self._settings.port})

"""The gateway of one machine: an Envoy beside the operator, kept running and true to the board."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from gyrus.aio.clock import Clock, SystemClock
from gyrus.contract.home import Home
from gyrus.routing import traffic
from gyrus.routing.admin import AdminError
from gyrus.routing.ads import AdsGateway
from gyrus.routing.config_dump import assigned, listening_ports
from gyrus.routing.envoy import Envoy, locate
from gyrus.routing.envoy_traffic import EnvoyTraffic
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.log_rotation import is_due, rotate
from gyrus.routing.ports import check_free, listens
from gyrus.routing.settings import GatewayFiles, GatewaySettings, UnixAddress
from gyrus.routing.traffic import TrafficMeter
from gyrus.state.board import Board

log = logging.getLogger(__name__)

ROTATION_EVERY = 5.0
"""Seconds."""


class LocalGateway:
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
        self._meter = TrafficMeter(board, EnvoyTraffic(self.envoy.admin))
        self._ads = AdsGateway(
            board,
            UnixAddress(self._files.xds_socket),
            self._settings,
            self._clock,
            access_log=str(self._files.access_log) if self._settings.access_log.enabled else None,
            in_flight=lambda: self._meter.in_flight,
            reported=self._tell_state,
        )
        self._adopted = False
        self._started = False
        """Envoy's process runs."""

    async def adopt(self) -> None:
        """Find the Envoy that runs already, and what it uses; call it before anything is decided upon that.

        Raises GatewayPortTaken where Envoy would have to open a port that another program has, and
        EnvoyFailed where it is not installed."""
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
        async with self._ads.serving(), asyncio.TaskGroup() as group:
            group.create_task(self.envoy.run(), name="envoy")
            group.create_task(self._measure(), name="gateway-traffic")
            group.create_task(self._rotate(), name="gateway-logs")

    async def stop(self) -> None:
        """End Envoy. Call it after :meth:`run` has ended."""
        await self.envoy.stop()
        self._files.xds_socket.unlink(missing_ok=True)
        self.envoy_died("Envoy was stopped")

    # from Envoy's process

    def envoy_started(self) -> None:
        self._started = True
        self._tell_state()

    def envoy_died(self, reason: str) -> None:
        self._started = False
        self._set_state("down")
        self._board.gateway_message = reason
        self._ads.node_gone(self._files.node)
        self._meter.forget()

    # towards the board

    def _tell_state(self) -> None:
        """Running: the process serves, and once it has confirmed all that was wanted and listens (that it has
        confirmed its listener does not mean that its port is open)."""
        if not self._started:
            return
        self._board.gateway_message = "; ".join(self._ads.refusals)
        if self._board.gateway != "running":
            runs = self._ads.settled() and listens(self._settings.address, self._settings.port)
            self._set_state("running" if runs else "starting")

    def _set_state(self, state: str) -> None:
        if self._board.gateway != state:
            self._board.gateway = state
            self._board.gateway_signals.notify(state)

    # what it measures

    async def _measure(self) -> None:
        while True:
            if self._started:
                with contextlib.suppress(TrafficUnknown):
                    await self._meter.look()
                self._tell_state()
            await self._clock.sleep(traffic.EVERY)

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
        """Return the ports of the adopted Envoy, and note what it uses."""
        try:
            dump = await self.envoy.admin.json("/config_dump?resource=dynamic_endpoint_configs&include_eds")
            self._ads.restore(self._files.node, assigned(dump))
            return listening_ports(await self.envoy.admin.json("/listeners?format=json"))
        except AdminError as error:
            log.warning("the running Envoy does not report its configuration: %s", error)
            return frozenset({self._settings.port})

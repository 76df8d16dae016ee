"""The gateways of a cluster: Envoys in pods of their own, which get their configuration from the operator."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gyrus.aio.clock import Clock, SystemClock
from gyrus.aio.ticks import ticks
from gyrus.routing import traffic
from gyrus.routing.ads import AdsGateway
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_pod import PodFiles
from gyrus.routing.gateway_statistics import GatewayStatistics
from gyrus.routing.reported_traffic import ReportedTraffic
from gyrus.routing.settings import GatewaySettings, TlsAddress
from gyrus.routing.silent_gateways import GatewayPod, SilentGateways
from gyrus.routing.traffic import TrafficMeter
from gyrus.routing.xds.load_reports import LoadReports
from gyrus.state.board import Board

log = logging.getLogger(__name__)

ACCESS_LOG = "/dev/stdout"
"""The access log of a gateway's pod: the cluster collects it."""


class ClusterGateway:
    """The gateways of a cluster: it configures them and measures their traffic. Kubernetes runs them."""

    def __init__(
        self,
        board: Board,
        address: TlsAddress,
        settings: GatewaySettings,
        activator: str,
        files: PodFiles | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Create it. ``address``: that of the configuration port. ``activator``: the activator's endpoint."""
        self._board = board
        self._clock = clock or SystemClock()
        self._source = ReportedTraffic(board, GatewayStatistics(self._clock))
        self._meter = TrafficMeter(board, self._source)
        self._pods: Mapping[str, GatewayPod] = {}
        """The pods that existed when they were last listed."""
        self._silent = SilentGateways()
        self._listed = False
        """True once the pods have been listed."""
        self._complete = False
        files = files or PodFiles()
        board.bridge = files.bridge
        self._ads = AdsGateway(
            board,
            address,
            replace(settings, retries_at=files.retries, stand_ins=frozenset({files.bridge, activator})),
            self._clock,
            access_log=ACCESS_LOG,
            bodies_at=f"unix:{files.envoy.bodies}",
            in_flight=lambda: self._meter.in_flight,
            reported=self._report_state,
            reports=LoadReports(self._source.reported),
        )

    async def adopt(self) -> None:
        """Do nothing: the gateways report what they have when they connect."""

    async def run(self) -> None:
        """Serve until cancelled. The board must hold all routes when this begins."""
        async with self._ads.serving(), asyncio.TaskGroup() as group:
            group.create_task(self._source.statistics.run(), name="gateway-statistics")
            group.create_task(self._measure(), name="gateway-traffic")

    async def stop(self) -> None:
        """Do nothing: the gateways belong to the installation, and serve until it is removed."""

    @property
    def serving_nodes(self) -> tuple[str, ...]:
        """Names of the pods through which requests may come."""
        return self._ads.serving_nodes

    @property
    def complete(self) -> bool:
        """True if every gateway that may serve has reported what it has, so that the board shows all of it.

        A new operator waits for this. A change is notified by the board's ``gateway_signals``.
        """
        return self._complete

    def exist(self, pods: Mapping[str, GatewayPod]) -> None:
        """Record the gateways' pods that exist.

        A pod that is gone sends no requests any more. A connected gateway that is not listed yet counts: the
        list may be late.
        """
        unlisted = self._ads.nodes - frozenset(pods)
        self._gone(unlisted & (frozenset(self._pods) | (unlisted - self._ads.connected)))
        addresses = {name: pod.statistics for name, pod in pods.items() if pod.statistics}
        self._source.statistics.set_gateways(addresses)
        self._pods, self._listed = pods, True
        self._report_state()

    def _gone(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._ads.node_gone(node)
            self._source.node_gone(node)

    def _give_up_silent(self) -> None:
        """Leave out gateways that neither the operator nor Kubernetes reaches. They may connect again."""
        ads, now = self._ads, self._clock.monotonic()
        given_up = self._silent.given_up(now, ads.nodes, ads.connected, self._pods)
        for node in given_up:
            log.warning("The gateway %s does not answer and is not ready: it no longer counts", node)
        if given_up:
            self._gone(given_up)
            self._report_state()

    def _report_state(self) -> None:
        """Write the gateways' state to the board. They count as running once one of them serves."""
        board = self._board
        if not self._ads.serving_nodes:
            board.gateway_message, state = "no gateway is connected", "starting"
        else:
            board.gateway_message = "; ".join(self._ads.refusals)
            runs = board.gateway == "running" or self._ads.settled()
            state = "running" if runs else "starting"
        board.set_gateway(state)
        serving = frozenset(name for name, pod in self._pods.items() if pod.statistics and pod.ready)
        complete = self._listed and serving <= self._ads.known_nodes
        if complete is not self._complete:
            self._complete = complete
            board.gateway_signals.notify(state)

    async def _measure(self) -> None:
        async for _ in ticks(self._clock, traffic.EVERY):
            self._give_up_silent()
            with contextlib.suppress(TrafficUnknown):
                await self._meter.look()

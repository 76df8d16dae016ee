"""The gateways of a cluster: Envoys in pods of their own, which get their configuration from the operator."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from gyrus.aio.clock import Clock, SystemClock
from gyrus.aio.ticks import ticks
from gyrus.routing import traffic
from gyrus.routing.ads import AdsGateway
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.gateway_pod import PodFiles
from gyrus.routing.reported_traffic import ReportedTraffic
from gyrus.routing.settings import GatewaySettings, TlsAddress
from gyrus.routing.traffic import TrafficMeter
from gyrus.routing.xds.load_reports import LoadReports
from gyrus.state.board import Board

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
        self._source = ReportedTraffic(board)
        self._meter = TrafficMeter(board, self._source)
        self._listed: frozenset[str] = frozenset()
        """The pods that existed when they were last listed."""
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
            group.create_task(self._measure(), name="gateway-traffic")

    async def stop(self) -> None:
        """Do nothing: the gateways belong to the installation, and serve until it is removed."""

    @property
    def serving_nodes(self) -> tuple[str, ...]:
        """Names of the pods through which requests may come."""
        return self._ads.serving_nodes

    def exist(self, pods: Mapping[str, str | None]) -> None:
        """Record the gateways' pods that exist, and the addresses of their statistics.

        ``pods``: host and port of the statistics, by pod; None while it is unknown. A pod that is gone sends
        no requests any more. A connected gateway that is not listed yet counts: the list may be late.
        """
        listed = frozenset(pods)
        unlisted = self._ads.nodes - listed
        for node in unlisted & (self._listed | (unlisted - self._ads.connected)):
            self._ads.node_gone(node)
            self._source.node_gone(node)
        self._source.counts.exist({pod: address for pod, address in pods.items() if address})
        self._listed = listed
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

    async def _measure(self) -> None:
        async for _ in ticks(self._clock, traffic.EVERY):
            with contextlib.suppress(TrafficUnknown):
                await self._meter.look()

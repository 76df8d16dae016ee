"""What the server of the gateways' configuration writes to the board, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gyrus.aio.clock import SystemClock
from gyrus.routing.ads import AdsGateway
from gyrus.routing.settings import GatewaySettings, UnixAddress
from gyrus.routing.snapshot import build
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Board
from support.fake_envoy import FakeEnvoy
from support.routes import route_to

SETTINGS = GatewaySettings()
APIS = [f"api-{number}" for number in range(60)]


class ClockOfWork(SystemClock):
    """A clock by which a millisecond passes between any two looks."""

    def __init__(self) -> None:
        self._looks = 0

    def monotonic(self) -> float:
        self._looks += 1
        return self._looks / 1000


async def test_pools_of_a_gateway_that_connects_are_noted_in_slices(tmp_path: Path) -> None:
    board, noted, running = Board(), list[int](), asyncio.Event()
    board.routes.update({api: route_to(api, [f"unix:/{api}"]) for api in APIS})
    wanted = build(board.routes, SETTINGS, None)

    def reported() -> None:
        if ads.settled("a"):
            running.set()

    ads = AdsGateway(board, UnixAddress(tmp_path / "xds"), SETTINGS, ClockOfWork(), reported=reported)
    async with ads.serving():
        stream, envoy = StreamState("a"), FakeEnvoy()
        ads.opened(stream)
        envoy.connect(stream)
        envoy.settle(wanted)
        ads.synced(stream)
        assert not ads.settled("a"), "the board does not show it yet"
        async with asyncio.timeout(10):
            while not running.is_set():
                noted.append(len(board.acknowledged))
                await asyncio.sleep(0)
        assert len(board.acknowledged) == len(APIS)
    assert any(0 < number < len(APIS) for number in noted), "others run between two slices"

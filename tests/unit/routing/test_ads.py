"""What the server of the gateways' configuration writes to the board, and when."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gyrus.aio.clock import SystemClock
from gyrus.routing.ads import AdsGateway
from gyrus.routing.settings import GatewaySettings, UnixAddress
from gyrus.routing.snapshot import Snapshot, build
from gyrus.routing.xds.stream_state import StreamState
from gyrus.state.board import Board
from support.fake_envoy import FakeEnvoy
from support.looking import until
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


class ClockByHand(SystemClock):
    """A clock whose time a test sets."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time


class Gateway:
    """A gateway whose messages reach the server of its configuration."""

    def __init__(self, ads: AdsGateway, name: str) -> None:
        self._ads, self._stream, self._envoy = ads, StreamState(name), FakeEnvoy()
        ads.opened(self._stream)
        self._envoy.connect(self._stream)

    def settle(self, wanted: Snapshot) -> None:
        synced = self._stream.synced
        while push := self._envoy.take(wanted):
            self._ads.sent(self._stream, push)
            while answer := self._envoy.answer():
                self._ads.answered(self._stream, answer)
        if not synced:
            self._ads.synced(self._stream)


async def test_the_time_until_every_gateway_has_a_change_is_measured(tmp_path: Path) -> None:
    board, clock = Board(), ClockByHand()
    board.routes["iris"] = route_to("iris", ["unix:/old"])
    first = build(board.routes, SETTINGS, None)
    ads = AdsGateway(board, UnixAddress(tmp_path / "xds"), SETTINGS, clock)
    known = board.acknowledgements
    async with ads.serving():
        gateways = [Gateway(ads, name) for name in ("a", "b")]
        for gateway in gateways:
            gateway.settle(first)
        await until(ads.settled)
        assert board.acknowledged_of("iris") == frozenset({"unix:/old"})
        assert sum(known.counts) == 0, "this operator has changed nothing yet"

        board.routes["iris"] = route_to("iris", ["unix:/new"])
        board.route_signals.notify("iris")
        await until(lambda: "unix:/new" in board.reachable_of("iris"))
        second = build(board.routes, SETTINGS, None, first)
        clock.time = 1.0
        gateways[0].settle(second)
        await until(lambda: ads.settled("a"))
        assert sum(known.counts) == 0, "one gateway lacks it"
        clock.time = 4.0
        gateways[1].settle(second)
        await until(lambda: board.reachable_of("iris") == frozenset({"unix:/new"}))
        assert (sum(known.counts), known.total) == (1, 4.0)


async def test_a_pool_that_goes_is_no_change_to_wait_for(tmp_path: Path) -> None:
    board, clock = Board(), ClockByHand()
    board.routes["iris"] = route_to("iris", ["unix:/old"])
    first = build(board.routes, SETTINGS, None)
    ads = AdsGateway(board, UnixAddress(tmp_path / "xds"), SETTINGS, clock)
    async with ads.serving():
        gateway = Gateway(ads, "a")
        gateway.settle(first)
        await until(ads.settled)
        del board.routes["iris"]
        board.route_signals.notify("iris")
        await until(lambda: not ads.settled("a"))
        clock.time = 1.0
        gateway.settle(build(board.routes, SETTINGS, None, first))
        await until(lambda: not board.reachable_of("iris"))
        assert sum(board.acknowledgements.counts) == 0

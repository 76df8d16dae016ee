"""Pools report their own traffic, and an API that of all its pools, including those that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.latencies import Latencies
from gyrus.routing.traffic import ANSWERED_EVERY, Answered, TrafficMeter
from gyrus.state.board import Board, PoolTraffic
from support.routes import pools_of, route_to


class Source:
    """Return what the test has written."""

    def __init__(self) -> None:
        self.flying: dict[str, int] = {}
        self.counts: dict[str, Answered] = {}
        self.fails = False
        """The counts of answered requests cannot be read."""

    async def in_flight(self) -> Mapping[str, int]:
        return dict(self.flying)

    async def answered(self) -> Mapping[str, Answered]:
        if self.fails:
            raise TrafficUnknown("no answer")
        return dict(self.counts)


def answered(good: int, bad: int = 0, median: float = 1.0) -> Answered:
    codes = {"2xx": good, "5xx": bad} if bad else {"2xx": good}
    return Answered(codes, Latencies(good + bad, ((50.0, median), (95.0, 2 * median), (99.0, 3 * median))))


async def whole_look(meter: TrafficMeter) -> None:
    for _ in range(ANSWERED_EVERY):
        await meter.look()


def metered() -> tuple[Board, Source, TrafficMeter]:
    """An API with two pools."""
    board, source = Board(), Source()
    shares = pools_of("iris", ["unix:/1"], ["unix:/2"], weights=(5000, 5000))
    board.routes["iris"] = replace(route_to("iris"), shares=shares)
    return board, source, TrafficMeter(board, source)


async def test_an_api_has_the_sums_of_its_pools() -> None:
    board, source, meter = metered()
    source.flying = {"iris/1": 2, "iris/2": 3, "other/1": 7, "iris": 1}
    source.counts = {"iris/1": answered(30, 2), "iris/2": answered(10, median=5.0)}
    await whole_look(meter)
    traffic = board.traffic["iris"]
    assert traffic.in_flight == 6, "what an earlier operator's cluster has counts too"
    assert traffic.view.by_code == {"2xx": 40, "5xx": 2}
    assert traffic.view.requests == 42
    assert {name: (pool.in_flight, pool.view.requests) for name, pool in traffic.pools.items()} == {
        "iris/1": (2, 32),
        "iris/2": (3, 10),
    }
    assert (traffic.pools["iris/1"].view.p50, traffic.pools["iris/2"].view.p50) == (1.0, 5.0)
    assert board.traffic.keys() == {"iris"}


async def test_requests_of_a_pool_that_is_gone_stay_in_the_sum() -> None:
    board, source, meter = metered()
    source.counts = {"iris/1": answered(30), "iris/2": answered(10)}
    await whole_look(meter)
    board.routes["iris"] = route_to("iris", ["unix:/2"], generation=2)
    source.counts = {"iris/2": answered(15)}
    await whole_look(meter)
    assert board.traffic["iris"].view.requests == 45
    assert board.traffic["iris"].pools.keys() == {"iris/2"}
    source.counts = {}
    board.routes["iris"] = route_to("iris", generation=3)
    await whole_look(meter)
    assert board.traffic["iris"].view.requests == 45
    assert board.traffic["iris"].pools == {"iris/3": PoolTraffic()}


async def test_what_is_known_of_a_deleted_api_or_a_dead_gateway_is_forgotten() -> None:
    board, source, meter = metered()
    source.counts = {"iris/1": answered(30)}
    await whole_look(meter)
    del board.routes["iris"]
    source.counts = {}
    await whole_look(meter)
    board.routes["iris"] = route_to("iris")
    await whole_look(meter)
    assert board.traffic["iris"].view.requests == 0
    source.counts, source.flying = {"iris/1": answered(5)}, {"iris/1": 2}
    await whole_look(meter)
    meter.forget()
    assert not board.traffic
    assert not meter.in_flight
    source.counts, source.flying = {"iris/1": answered(1)}, {}
    await meter.look()
    assert board.traffic["iris"].view.requests == 1, "the next gateway counts from nothing"


async def test_what_has_not_changed_stays_the_same_object() -> None:
    board, source, meter = metered()
    source.flying = {"iris/1": 2}
    await meter.look()
    before = board.traffic["iris"]
    await meter.look()
    assert board.traffic["iris"] is before
    source.flying = {"iris/1": 3}
    await meter.look()
    assert board.traffic["iris"].in_flight == 3


async def test_a_look_that_began_before_the_gateway_ended_is_dropped() -> None:
    board, _, meter = metered()

    class Ending(Source):
        async def in_flight(self) -> Mapping[str, int]:
            meter.forget()
            return {"iris/1": 2}

    meter._source = Ending()  # pyright: ignore[reportPrivateUsage] -- it needs the meter, which needs it
    await meter.look()
    assert board.traffic == {}


async def test_requests_in_flight_are_known_even_if_the_counts_are_not() -> None:
    board, source, meter = metered()
    assert meter.in_flight is None, "an adopted gateway may have requests already"
    source.flying, source.counts, source.fails = {"iris/1": 2}, {"iris/1": answered(30)}, True
    await meter.look()
    assert (meter.in_flight, board.traffic["iris"].in_flight) == ({"iris/1": 2}, 2)
    source.fails = False
    await meter.look()
    assert board.traffic["iris"].view.requests == 30, "the read that failed is repeated at once"


async def test_readings_are_numbered_even_if_nothing_has_changed() -> None:
    board, _, meter = metered()
    await meter.look()
    first = board.traffic_readings
    await meter.look()
    assert board.traffic_readings == first + 1

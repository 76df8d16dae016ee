"""The requests in flight at the replicas of which some leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gyrus.contract.replica import Phase
from gyrus.control.request_counts import in_flight_of
from gyrus.control.situation import Situation
from gyrus.state.board import QueuePolicy, Replica
from support.routes import route_to
from support.world import api, replica, spec

SLOTS = QueuePolicy(slots=1, longest_queue=9, processes=1, replicas=3, hold=1, generation=1)
NO_LIMIT = QueuePolicy(slots=None, longest_queue=9, processes=1, replicas=3, hold=1, generation=1)
THREE = (replica("a"), replica("b"), replica("c"))


def at(name: str, process: int = 0) -> str:
    return f"unix:/run/{name}.{process}.sock"


def situation(*replicas: Replica, wanted: int) -> Situation[Any]:
    return Situation(
        api=api(replicas=wanted),
        target_spec=spec(),
        live_spec=None,
        replicas=replicas,
        retiring=frozenset(),
        acknowledged={},
        reachable=frozenset(),
    )


class Source:
    def __init__(self, **counts: int) -> None:
        self.counts = {at(name): count for name, count in counts.items()}
        self.asked: list[str] = []

    async def __call__(self, endpoints: Iterable[str]) -> Mapping[str, int]:
        self.asked = sorted(endpoints)
        return {each: self.counts[each] for each in self.asked if each in self.counts}


async def test_only_ready_replicas_with_slots_are_asked() -> None:
    source = Source(a=3, b=1)
    route = route_to("iris", [at("a"), at("b")], queueing=SLOTS)
    starting = replica("c", 1, Phase.STARTING)
    present = situation(replica("a"), replica("b"), starting, wanted=2)
    assert await in_flight_of(present, route, source) == {"a": 3, "b": 1}
    assert source.asked == [at("a"), at("b")]
    unlimited = route_to("iris", [at("a"), at("b")], queueing=NO_LIMIT)
    source.asked = []
    assert await in_flight_of(present, unlimited, source) == {}
    assert not source.asked


async def test_a_replica_counts_only_if_all_its_processes_answer() -> None:
    two = (at("b"), at("b", 1))
    route = route_to("iris", [at("a"), *two, at("c")], queueing=SLOTS)
    present = situation(replica("a"), replica("b", endpoints=two), replica("c"), wanted=1)
    source = Source(a=1, b=2)
    assert await in_flight_of(present, route, source) == {"a": 1}
    source.counts[at("b", 1)] = 5
    assert await in_flight_of(present, route, source) == {"a": 1, "b": 7}


@pytest.mark.parametrize("wanted", [0, 3, 4])
async def test_no_replica_is_asked_if_there_is_no_choice(wanted: int) -> None:
    source = Source(a=1, b=1, c=1)
    route = route_to("iris", [at("a"), at("b"), at("c")], queueing=SLOTS)
    assert await in_flight_of(situation(*THREE, wanted=wanted), route, source) == {}
    assert await in_flight_of(situation(*THREE, wanted=1), None, source) == {}
    assert not source.asked

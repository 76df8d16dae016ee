"""The number of requests that each process requeues."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from gyrus.queueing.balance import CALM, DEEPEST, Balancer, RequeueRequest, rebalance

K = TypeVar("K", bound=Hashable)

NOW = 1000.0
LONGEST = 100


@dataclass
class Process:
    """One queue; requests are the times at which they arrived."""

    slots: int | None
    busy: int
    staying: list[float] = field(default_factory=list[float])
    """Requests that may not be requeued."""
    moving: list[float] = field(default_factory=list[float])
    begun: int = 0
    """Requests that it has started so far."""

    @property
    def waiting(self) -> int:
        return len(self.staying) + len(self.moving)

    @property
    def movable(self) -> int:
        return len(self.moving)

    @property
    def places(self) -> int:
        return (self.slots or 1000) + LONGEST - self.busy - self.waiting

    @property
    def waited(self) -> list[float]:
        return [NOW - arrived for arrived in sorted(self.moving)]

    @property
    def free(self) -> int:
        return max(0, (self.slots or 0) - self.busy - self.waiting)

    def move(self, requeue: RequeueRequest) -> list[float]:
        first, spare = requeue.first, requeue.spare
        waiting = sorted(self.moving)
        going = (waiting[:first] + waiting[first + spare :])[: requeue.number]
        self.moving = [arrived for arrived in self.moving if arrived not in going]
        return going

    def take(self, arrived: float) -> None:
        if self.slots is None or self.busy < self.slots:
            self.busy += 1
        else:
            self.moving.append(arrived)


def full(*arrived: float, slots: int = 1, begun: int = 0) -> Process:
    return Process(slots, slots, moving=list(arrived), begun=begun)


def idle(slots: int = 1) -> Process:
    return Process(slots, 0)


def numbers(requests: Mapping[K, RequeueRequest]) -> dict[K, int]:
    return {key: requeue.number for key, requeue in requests.items()}


def move(processes: dict[int, Process], requests: Mapping[int, RequeueRequest]) -> list[float]:
    """Move requests as the gateway does: each to the other process with the fewest."""
    gone: list[float] = []
    for source, requeue in requests.items():
        for arrived in processes[source].move(requeue):
            others = [process for key, process in processes.items() if key != source]
            min(others, key=lambda process: process.busy + process.waiting).take(arrived)
            gone.append(arrived)
    return gone


@st.composite
def any_processes(draw: st.DrawFn) -> dict[int, Process]:
    slots = draw(st.integers(1, 4))
    arrivals = draw(st.permutations(range(60)))
    numbers = iter(arrivals)
    found: dict[int, Process] = {}
    for key in range(draw(st.integers(1, 6))):
        process = found[key] = Process(slots, draw(st.integers(0, slots) | st.just(slots)))
        if process.busy == slots:
            process.moving = [float(next(numbers)) for _ in range(draw(st.integers(0, 8)))]
            process.staying = [float(next(numbers)) for _ in range(draw(st.integers(0, 2)))]
    return found


def test_new_replicas_get_the_oldest_for_their_slot_and_one_more_each() -> None:
    processes = {0: full(*range(94)), 1: idle(), 2: idle(), 3: idle(), 4: idle()}
    requeue = rebalance(processes)
    assert requeue == {0: RequeueRequest(first=4, spare=1, more=4)}
    move(processes, requeue)
    assert [process.busy for process in processes.values()] == [1] * 5
    assert rebalance(processes) == {}


def test_a_replica_that_begins_a_request_gets_the_next_of_all() -> None:
    processes = {0: full(*range(5, 94)), 1: full(0), 2: full()}
    assert numbers(rebalance(processes)) == {0: 1}


def test_requests_behind_a_busy_replica_go_where_a_slot_is_free() -> None:
    assert numbers(rebalance({"busy": full(7), "free": idle()})) == {"busy": 1}
    assert numbers(rebalance({"busy": full(7, 8, 9, slots=3), "free": Process(3, 1)})) == {"busy": 2}


def test_what_gathers_a_batch_is_left_alone() -> None:
    assert rebalance({"a": Process(8, 0, moving=[1, 2, 3]), "b": idle(8)}) == {}


def test_a_replica_without_a_limit_is_left_out() -> None:
    assert rebalance({"a": Process(None, 50), "b": full(1)}) == {}


def test_nothing_goes_to_a_queue_that_is_full() -> None:
    rest = [float(n) for n in range(50, 50 + LONGEST)]
    assert rebalance({"a": full(*range(9)), "b": full(*rest)}) == {}


def test_queues_that_are_as_good_as_even_are_left_alone() -> None:
    assert rebalance({"a": full(1, 2, 5), "b": full(3, 4)}) == {}


@given(any_processes(), st.integers(1, 4))
def test_no_replica_requeues_more_than_may_move(processes: dict[int, Process], depth: int) -> None:
    assert all(
        0 < number <= processes[key].movable for key, number in numbers(rebalance(processes, depth)).items()
    )


@given(any_processes(), st.integers(1, 4))
def test_no_more_move_than_find_a_slot_or_a_share(processes: dict[int, Process], depth: int) -> None:
    space = sum(process.free + depth * (process.slots or 0) for process in processes.values())
    assert sum(numbers(rebalance(processes, depth)).values()) <= space


@given(any_processes())
def test_no_movable_request_waits_while_a_slot_is_free(processes: dict[int, Process]) -> None:
    move(processes, rebalance(processes))
    blocked = [process for process in processes.values() if process.movable]
    assert not blocked or not any(process.free for process in processes.values())


@given(any_processes())
def test_the_oldest_of_all_take_the_free_slots(processes: dict[int, Process]) -> None:
    everyone = sorted(arrived for process in processes.values() for arrived in process.moving)
    free = sum(process.free for process in processes.values())
    gone = move(processes, rebalance(processes))
    assert set(everyone[:free]) <= set(gone)


@given(any_processes())
def test_moving_comes_to_an_end(processes: dict[int, Process]) -> None:
    rounds = count()
    while requeue := rebalance(processes):
        before = total(processes.values())
        move(processes, requeue)
        assert total(processes.values()) == before
        assert next(rounds) < 30


def total(processes: Iterable[Process]) -> int:
    return sum(process.busy + process.waiting for process in processes)


def test_shares_grow_where_slots_run_dry_between_two_looks_and_shrink_again() -> None:
    balancer: Balancer[str] = Balancer()
    for _ in range(20):
        assert balancer.look({"a": full(*range(90)), "b": idle()})
    assert balancer.depth == DEEPEST
    for _ in range(10 * CALM):
        balancer.look({"a": full(1, 2), "b": full(3, 4)})
    assert balancer.depth == 1


def test_shares_grow_where_a_process_starts_later_arrivals_before_the_next_look() -> None:
    """No slot runs dry, since the process has a queue of its own."""
    balancer: Balancer[str] = Balancer()
    begun = 0
    for _ in range(3):
        assert balancer.look({"a": full(*range(30)), "b": full(*range(50, 80), begun=begun)})
        begun += balancer.depth + 1
    assert balancer.depth == 4


def test_shares_stay_where_a_process_starts_no_more_than_its_share() -> None:
    balancer: Balancer[str] = Balancer()
    for begun in range(10):
        assert balancer.look({"a": full(*range(30)), "b": full(*range(50, 80), begun=begun)})
    assert balancer.depth == 1

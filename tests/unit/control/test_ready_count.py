from __future__ import annotations

from collections.abc import Iterator

from gyrus.contract.replica import Phase
from gyrus.control.ready_count import ReadyCount
from gyrus.state.board import ByPool, Replica
from support.world import replica


class Seen(tuple[Replica, ...]):
    """Counts how often it is gone through."""

    times = 0

    def __iter__(self) -> Iterator[Replica]:
        self.times += 1
        return super().__iter__()


def reached_in(*endpoints: str) -> ByPool:
    """Each in a pool of its own."""
    return {f"iris/{number}": frozenset({endpoint}) for number, endpoint in enumerate(endpoints)}


def test_ready_ones_that_requests_reach_are_counted() -> None:
    replicas = (replica("a"), replica("b"), replica("c", phase=Phase.STARTING))
    assert ReadyCount().of(replicas, reached_in("unix:/run/a.0.sock", "unix:/run/c.0.sock")) == 1
    assert ReadyCount().of(replicas, {}) == 0


def test_it_counts_again_only_when_something_is_another() -> None:
    count, replicas, reached = ReadyCount(), Seen((replica("a"),)), reached_in("unix:/run/a.0.sock")
    assert [count.of(replicas, reached) for _ in range(3)] == [1, 1, 1]
    assert replicas.times == 1
    assert count.of(replicas, {}) == 0
    assert count.of((), {}) == 0

"""Who should give back how many of its waiting requests, because others can start them sooner. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class Load(Protocol):
    """What one queue has to do (``contract.replica.Load``, or the simulator's)."""

    @property
    def slots(self) -> int | None: ...
    @property
    def busy(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def movable(self) -> int: ...


def rebalance(loads: Mapping[K, Load]) -> dict[K, int]:
    """How many each should give back; who is not named keeps all.

    A request moves where it finds a free slot, or a queue that is shorter than its own by more than itself.
    So nobody waits behind a busy replica while another is free, and what has been evened out is left alone.
    Requests that are given back go to whoever has the fewest.
    """
    takers = [_Taker(load.busy + load.waiting, load.slots) for load in loads.values() if load.slots]
    givers = [_Giver(key, load.slots, load) for key, load in loads.items() if load.slots and _may_give(load)]
    if not takers or not givers:
        return {}
    heapify(takers)
    heapify(givers)
    moved: dict[K, int] = {}
    while givers:
        giver, taker = givers[0], takers[0]
        if not _helps(giver, taker):
            break
        moved[giver.key] = moved.get(giver.key, 0) + 1
        heapreplace(takers, _Taker(taker.all + 1, taker.slots))
        giver.all -= 1
        giver.left -= 1
        if giver.left:
            heapreplace(givers, giver)
        else:
            heappop(givers)
    return moved


def _may_give(load: Load) -> bool:
    """A queue before free slots is one that gathers a batch."""
    return load.slots is not None and load.movable > 0 and load.busy >= load.slots


def _helps(giver: _Giver[K], taker: _Taker) -> bool:
    if taker.all < taker.slots:
        return True
    return (taker.all + 1) * giver.slots <= (giver.all - 1) * taker.slots


class _Taker:
    """Sorted by how much there is to do per slot, least first."""

    __slots__ = ("all", "slots")

    def __init__(self, all: int, slots: int) -> None:
        self.all = all
        self.slots = slots

    def __lt__(self, other: _Taker) -> bool:
        return self.all * other.slots < other.all * self.slots


class _Giver(Generic[K]):
    """Sorted by how much there is to do per slot, most first."""

    __slots__ = ("all", "key", "left", "slots")

    def __init__(self, key: K, slots: int, load: Load) -> None:
        self.key = key
        self.slots = slots
        self.all = load.busy + load.waiting
        self.left = load.movable

    def __lt__(self, other: _Giver[K]) -> bool:
        return self.all * other.slots > other.all * self.slots

"""Who should give back how many of its waiting requests, because others can start them sooner. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple, Protocol, TypeVar

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
    While no slot is free, nothing moves for a difference of one a slot or less. Requests that are given back
    go to whoever has the fewest.
    """
    takers = [
        _Taker(_level(load), load.busy + load.waiting, load.slots) for load in loads.values() if load.slots
    ]
    givers = [
        _Giver(-_level(load), place, load.busy + load.waiting, load.slots, load.movable)
        for place, load in enumerate(loads.values())
        if load.slots and _may_give(load)
    ]
    if not takers or not givers or not _is_uneven(min(takers), min(givers)):
        return {}
    keys = list(loads)
    return {keys[place]: number for place, number in _moved(takers, givers).items()}


class _Taker(NamedTuple):
    """Sorted by how much there is to do per slot, least first."""

    level: float
    all: int
    slots: int


class _Giver(NamedTuple):
    """Sorted by how much there is to do per slot, most first."""

    level: float
    """Negative."""
    place: int
    all: int
    slots: int
    left: int
    """How many it can give yet."""


def _level(load: Load) -> float:
    assert load.slots
    return (load.busy + load.waiting) / load.slots


def _may_give(load: Load) -> bool:
    """A queue before free slots is one that gathers a batch."""
    return load.slots is not None and load.movable > 0 and load.busy >= load.slots


def _is_uneven(least: _Taker, most: _Giver) -> bool:
    return least.all < least.slots or -most.level - least.level > 1


def _moved(takers: list[_Taker], givers: list[_Giver]) -> dict[int, int]:
    """How many each giver gives, by its place, until moving one more would not help."""
    heapify(takers)
    heapify(givers)
    moved: dict[int, int] = {}
    while givers:
        _, all, slots = takers[0]
        _, place, has, room, left = givers[0]
        if (all + 1) * room > (has - 1) * slots:
            break
        moved[place] = moved.get(place, 0) + 1
        heapreplace(takers, _Taker((all + 1) / slots, all + 1, slots))
        if left > 1:
            heapreplace(givers, _Giver((1 - has) / room, place, has - 1, room, left - 1))
        else:
            heappop(givers)
    return moved

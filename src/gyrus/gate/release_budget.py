"""The limit of held requests, and the number of them that the replicas have places for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gyrus.state.board import Endpoints, Pool, QueuePolicy, Traffic


def most_held(queueing: QueuePolicy) -> int | None:
    """Return the number of requests of one API that may be held at once.

    It is the number that the API's replicas could take if all of them ran. Returns None for no limit, where
    no request would have to wait at them.
    """
    if queueing.slots is None:
        return None
    return queueing.longest_queue * max(1, queueing.replicas) + queueing.slots


def free_places(pools: Iterable[Pool], reached: Endpoints) -> int | None:
    """Return the slots and queue places of the processes that requests reach. Returns None for no limit."""
    places = [
        places_of(pool.queueing, len(pool.replicas & reached)) if pool.queueing else None
        for pool in pools
        if not pool.replicas.isdisjoint(reached)
    ]
    known = [number for number in places if number is not None]
    return sum(known) if len(known) == len(places) else None


def places_of(queueing: QueuePolicy, endpoints: int) -> int | None:
    """Return the slots and queue places of this number of one pool's processes. Returns None for no limit."""
    if queueing.slots is None:
        return None
    return max(endpoints, endpoints * (queueing.slots + queueing.longest_queue) // queueing.processes)


class ReleaseBudget:
    """The free places of one API while held requests are released.

    The gateway counts requests in flight only four times a second. Between two readings, the budget adds all
    requests that were released since: it counts too many rather than too few.
    """

    def __init__(self) -> None:
        self._reading = -1
        self._at_replicas = 0
        self._released = 0

    def left(self, free_places: int | None, traffic: Traffic | None, reading: int, held: int) -> bool:
        """Return True if one more place is free.

        ``traffic`` is that of this ``reading``, a number that grows, and counts the ``held`` requests too.
        """
        if reading != self._reading:  # a new reading includes what was released before it
            self._reading = reading
            self._at_replicas = max(0, traffic.in_flight - held) if traffic else 0
            self._released = 0
        return free_places is None or self._at_replicas + self._released < free_places

    def release(self) -> None:
        self._released += 1

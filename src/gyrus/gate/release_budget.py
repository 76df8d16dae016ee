"""How many requests may be held, and how many of them the replicas have places for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from gyrus.state.board import Endpoints, Pool, QueuePolicy, Traffic


def most_held(queueing: QueuePolicy) -> int | None:
    """Requests of one API that may be held at once: as many as its replicas could take if all were there.
    None: any number, since nobody would have to wait at them."""
    if queueing.slots is None:
        return None
    return queueing.longest_queue * max(1, queueing.replicas) + queueing.slots


def free_places(pools: Iterable[Pool], reached: Endpoints) -> int | None:
    """Slots and places in queues of the processes that requests reach. None: no limit."""
    places = [
        places_of(pool.queueing, len(pool.replicas & reached)) if pool.queueing else None
        for pool in pools
        if not pool.replicas.isdisjoint(reached)
    ]
    known = [number for number in places if number is not None]
    return sum(known) if len(known) == len(places) else None


def places_of(queueing: QueuePolicy, endpoints: int) -> int | None:
    """The same, of so many processes of one pool."""
    if queueing.slots is None:
        return None
    return max(endpoints, endpoints * (queueing.slots + queueing.longest_queue) // queueing.processes)


class ReleaseBudget:
    """What is left of one API's places while held requests are released.

    The gateway tells only now and then how many requests there are. In between, those that were released
    since are counted: too many rather than too few.
    """

    def __init__(self) -> None:
        self._reading: Traffic | None = None
        self._at_replicas = 0
        self._released = 0

    def left(self, free_places: int | None, traffic: Traffic | None, held: int) -> bool:
        """Whether there is one more place. ``traffic`` counts the ``held`` requests too."""
        if traffic is not self._reading:
            self._reading = traffic
            self._at_replicas = max(0, traffic.in_flight - held) if traffic else 0
            self._released = 0
        return free_places is None or self._at_replicas + self._released < free_places

    def release(self) -> None:
        self._released += 1

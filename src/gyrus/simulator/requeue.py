"""Requeueing between replicas: the requests of the gate's rebalancer, and the answers of the replicas.

The platform's own code (:mod:`gyrus.queueing`) decides which replica requeues how many and which requests.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from gyrus.queueing.balance import Balancer
from gyrus.queueing.slots import SlotQueue
from gyrus.queueing.timing import LONGEST_REPORTED, REQUEUE_EVERY, pause_after
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.rotation import Rotation, SimulatedReplica


class _Queue:
    """A replica's queue, as the replica reports it to the gate."""

    def __init__(self, queue: SlotQueue[int], now: float) -> None:
        self.slots = queue.slots
        self.busy = queue.busy
        self.waiting = queue.waiting
        self.movable = queue.movable
        self.places = queue.places
        self.begun = queue.begun
        self._queue = queue
        self._now = now

    @property
    def waited(self) -> list[float]:
        return [self._now - arrived for arrived in self._queue.oldest(LONGEST_REPORTED)]


class SimulatedRequeue:
    """Observes loads while requests wait, and moves requests to replicas that start them sooner."""

    def __init__(
        self,
        event_queue: EventQueue,
        rotation: Rotation,
        slots: int | None,
        *,
        waiting: Callable[[], int],
        moved: Callable[[float, int, SimulatedReplica], None],
    ) -> None:
        """Start at rest.

        ``waiting`` returns the number of requests that wait at replicas. ``moved`` is called for a request
        that leaves its replica's queue.
        """
        self._event_queue = event_queue
        self._rotation = rotation
        self._slots = slots
        self._waiting = waiting
        self._moved = moved
        self._armed = False
        self._balancer: Balancer[SimulatedReplica] = Balancer()
        self._next = 0.0
        """Earliest time of the next look."""
        self._order = 0
        self._orders: dict[SimulatedReplica, int] = {}
        """The latest order of each replica. It cancels the requests that an earlier order has not moved
        yet."""

    def begin(self, now: float) -> None:
        """Allow a look at once: the first request has to wait, and its replica signals that."""
        self._next = max(self._next, now)

    def wake(self, now: float) -> None:
        """Schedule a look after a change of the loads while requests wait, unless it would move nothing."""
        if not self._armed and self._slots is not None and self._uneven():
            self._armed = True
            pause = self._pause()
            self._event_queue.enter(self._next + max(0, ceil((now - self._next) / pause)) * pause, self._look)

    def _look(self, now: float) -> None:
        self._next = now + self._pause()
        self._armed = self._waiting() > 0 and self._uneven()
        if self._armed:
            self._ask(now)
            self._event_queue.enter(self._next, self._look)
        else:
            self._orders.clear()

    def _pause(self) -> float:
        return pause_after(self._rotation.size)

    def _uneven(self) -> bool:
        """Return whether a look could move a request.

        With even loads it could not: all replicas have equal slots.
        """
        rotation = self._rotation
        return rotation.lowest < (self._slots or 0) or rotation.highest - rotation.lowest > 1

    def _ask(self, now: float) -> None:
        queues = {replica: _Queue(replica.queue, now) for replica in self._rotation.replicas()}
        for replica, requeue in self._balancer.look(queues).items():
            self._order += 1
            self._orders[replica] = self._order
            going = replica.queue.to_requeue(requeue.number, first=requeue.first, spare=requeue.spare)
            for place, request in enumerate(going):
                self._event_queue.enter(
                    now + place * REQUEUE_EVERY, self._requeue, request, replica, self._order
                )

    def _requeue(self, now: float, request: int, replica: SimulatedReplica, order: int) -> None:
        """Move a request, unless it has got a slot or has left the queue since the order."""
        if self._orders.get(replica) == order and replica.queue.leave(request):
            self._moved(now, request, replica)

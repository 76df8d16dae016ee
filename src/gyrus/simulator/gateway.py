"""The gateway and the gate in virtual time: each request is at a replica, held, or ended.

The queues are the platform's own (:mod:`gyrus.queueing`). This module adds the behaviour of Envoy and of the
activator: the replica with the fewest requests in flight gets the next one; without a replica, requests are
held, within limits, and released in order.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from gyrus.queueing.timing import REQUEUE_EVERY
from gyrus.simulator.deadlines import SimulatedDeadlines
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.gauge import Gauge
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.requeue import SimulatedRequeue
from gyrus.simulator.rotation import Rotation, SimulatedReplica
from gyrus.simulator.run import SimulatedResult


class SimulatedGateway:
    """All requests of one API."""

    def __init__(
        self,
        offered_load: OfferedLoad,
        rules: ServingRules,
        event_queue: EventQueue,
        *,
        emptied: Callable[[float, SimulatedReplica], None],
        demanded: Callable[[float], None],
    ) -> None:
        """Start without replicas.

        ``emptied`` is called when a leaving replica has answered its last request, ``demanded`` when a
        request is held.
        """
        self._arrivals = offered_load.arrivals
        self._services = offered_load.services
        self._rules = rules
        self._event_queue = event_queue
        self._emptied = emptied
        self._demanded = demanded
        self._places = None if rules.slots is None else rules.slots + rules.longest_queue
        self._at: dict[int, SimulatedReplica] = {}
        """The replica at which each waiting request waits."""
        self._held: list[int] = []
        """A heap of held requests. Their numbers are in the order of arrival."""
        self._holding: set[int] = set()
        self._releasing = False
        self._timeouts = SimulatedDeadlines(event_queue, self._arrivals, rules.timeout, self._time_out)
        self._holds = SimulatedDeadlines(event_queue, self._arrivals, rules.hold, self._hold_over)
        self.requested = 0
        """Requested replicas, for the limit of held requests."""
        self.rotation = Rotation(Random(f"gateway {rules.seed}"))
        self._requeue = SimulatedRequeue(
            event_queue, self.rotation, rules.slots, waiting=self._at.__len__, moved=self._move
        )
        self.in_flight = Gauge()
        self.busy = Gauge()
        self.begun: array[float] = array("d", [float("nan")]) * len(offered_load)
        self.outcomes = bytearray(len(offered_load))

    @property
    def waiting(self) -> int:
        """The number of requests that wait at replicas or are held."""
        return len(self._at) + len(self._holding)

    def arrive(self, now: float, request: int) -> None:
        self.in_flight.rise(now)
        self._route(now, request)

    def join(self, now: float, replica: SimulatedReplica) -> None:
        """Send requests to a replica from now on."""
        self.rotation.add(replica)
        self._release_soon(now)
        self._loads_changed(now)

    def leave(self, now: float, replica: SimulatedReplica) -> None:
        """Send no more requests to a replica: it requeues the waiting ones and finishes the started ones."""
        self.rotation.remove(replica)
        for request in replica.queue.to_requeue():
            replica.queue.leave(request)
            del self._at[request]
            self._route(now, request)
        if replica.queue.empty:
            self._emptied(now, replica)

    def lose(self, now: float, replica: SimulatedReplica) -> None:
        """End all requests of a replica whose node is gone, without an answer."""
        if replica.routed:
            self.rotation.remove(replica)
        replica.lost = True
        queue = replica.queue
        for request in queue.to_requeue():
            queue.leave(request)
            del self._at[request]
            self._end(now, request, SimulatedResult.LOST)
        for request in queue.started:
            queue.finish(request)
            self.busy.fall(now)
            in_time = now < self._arrivals[request] + self._rules.timeout
            self._end(now, request, SimulatedResult.LOST if in_time else SimulatedResult.TIMED_OUT)

    def _route(self, now: float, request: int) -> None:
        if not self.rotation.size:
            self._hold(now, request)
            return
        replica = self.rotation.pick()
        if replica.queue.start_at_once(request):
            self.rotation.took(replica)
            self._start(now, request, replica)
        elif replica.queue.wait(request, self._arrivals[request]):
            self.rotation.took(replica)
            self._at[request] = replica
            self._timeouts.add(request)
            if len(self._at) == 1:
                self._requeue.begin(now)
            self._requeue.wake(now)
        else:
            self._end(now, request, SimulatedResult.REFUSED)

    def _move(self, now: float, request: int, replica: SimulatedReplica) -> None:
        """Route a request that has left this replica's queue."""
        self.rotation.gave(replica)
        del self._at[request]
        self._route(now, request)
        self._loads_changed(now)

    def _loads_changed(self, now: float) -> None:
        if self._at:
            self._requeue.wake(now)

    def _start(self, now: float, request: int, replica: SimulatedReplica) -> None:
        """Start a request.

        Past its timeout it is answered with 504, but keeps its slot until its work is done.
        """
        self.begun[request] = now
        done = now + self._services[request]
        late = done > self._arrivals[request] + self._rules.timeout
        self.outcomes[request] = SimulatedResult.TIMED_OUT if late else SimulatedResult.ANSWERED
        self.busy.rise(now)
        self._event_queue.enter(done, self._finish, request, replica)

    def _finish(self, now: float, request: int, replica: SimulatedReplica) -> None:
        if replica.lost:
            return
        queue = replica.queue
        queue.finish(request)
        self.busy.fall(now)
        self.in_flight.fall(now)
        if replica.routed:
            self.rotation.gave(replica)
        if queue.waiting:
            for waiting in queue.start_next():
                del self._at[waiting]
                self._start(now, waiting, replica)
        elif not replica.routed and queue.empty:
            self._emptied(now, replica)
        self._release_soon(now)
        self._loads_changed(now)

    def _end(self, now: float, request: int, outcome: SimulatedResult) -> None:
        """End a request without an answer."""
        self.outcomes[request] = outcome
        self.in_flight.fall(now)

    def _time_out(self, now: float, request: int) -> None:
        replica = self._at.pop(request, None)
        if replica is None:
            return
        replica.queue.leave(request)
        if replica.routed:
            self.rotation.gave(replica)
        self._end(now, request, SimulatedResult.TIMED_OUT)
        self._loads_changed(now)

    def _hold(self, now: float, request: int) -> None:
        places = self._rules.longest_queue * max(1, self.requested) + (self._rules.slots or 0)
        if self._places is not None and len(self._holding) >= places:
            self._end(now, request, SimulatedResult.REFUSED)
            return
        heappush(self._held, request)
        self._holding.add(request)
        self._holds.add(request)
        self._demanded(now)

    def _hold_over(self, now: float, request: int) -> None:
        if request in self._holding:
            self._holding.remove(request)
            self._end(now, request, SimulatedResult.REFUSED)

    def _release_soon(self, now: float) -> None:
        if self._holding and not self._releasing:
            self._releasing = True
            self._event_queue.enter(now, self._release)

    def _release(self, now: float) -> None:
        """Release the oldest held request if a replica has a place for it; after a pause, the next one."""
        self._releasing = False
        while self._held and self._held[0] not in self._holding:
            heappop(self._held)
        if not self._held or not self._has_place():
            return
        request = heappop(self._held)
        self._holding.remove(request)
        self._route(now, request)
        if self._holding:
            self._releasing = True
            self._event_queue.enter(now + REQUEUE_EVERY, self._release)

    def _has_place(self) -> bool:
        return bool(self.rotation.size) and (self._places is None or self.rotation.lowest < self._places)

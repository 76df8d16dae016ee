"""The life of replicas: ordered, ready after a start-up, drained, gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from gyrus.queueing.slots import SlotQueue
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.offered_load import ServingRules
from gyrus.simulator.rotation import SimulatedReplica

ReplicaChange = Callable[[float, SimulatedReplica], None]
"""A callback with the time and the replica that has changed."""


@dataclass(frozen=True, slots=True)
class FleetObserver:
    """The part of a simulation that sends requests to replicas."""

    joined: ReplicaChange
    """Called when a replica becomes ready."""
    leaves: ReplicaChange
    """Called when a ready replica must stop. :meth:`ReplicaFleet.gone` is called when it has stopped."""
    lost: ReplicaChange
    """Called when a replica is gone, with all its requests."""


class ReplicaFleet(Protocol):
    """The replicas of one API, including the leaving ones."""

    @property
    def peak(self) -> int:
        """Most replicas at one time."""
        ...

    @property
    def startup(self) -> float:
        """Seconds that a start is expected to take, by those so far."""
        ...

    def begin(self, number: int) -> None:
        """Start with ``number`` ready replicas at time 0."""
        ...

    def scale(self, now: float, number: int) -> None:
        """Order missing replicas, or stop the surplus."""
        ...

    def gone(self, now: float, replica: SimulatedReplica) -> None:
        """Note that a leaving replica has stopped."""
        ...

    def seconds(self, now: float) -> float:
        """Return the seconds of all replicas until now, each from its order."""
        ...


FleetMaker = Callable[[EventQueue, FleetObserver], ReplicaFleet]


class Fleet:
    """Replicas that always have a place: each is ready after its start-up time."""

    def __init__(self, rules: ServingRules, event_queue: EventQueue, observer: FleetObserver) -> None:
        """Start without replicas."""
        self._rules = rules
        self._event_queue = event_queue
        self._observer = observer
        self._random = Random(f"startup {rules.seed}")
        self._wanted: list[SimulatedReplica] = []
        """Replicas in the sequence of their orders, without the leaving ones."""
        self._ordered = 0
        self._living = 0
        self._lived = 0.0
        """Replica-seconds of the gone ones."""
        self._orders = 0.0
        """Sum of the order times of the living ones."""
        self.peak = 0
        self.startup = rules.startup.typical
        """Seconds that the last start took."""

    def begin(self, number: int) -> None:
        """Start with ``number`` ready replicas at time 0."""
        for _ in range(number):
            self._ready(0.0, self._order(0.0))

    def scale(self, now: float, number: int) -> None:
        """Order missing replicas, or stop the surplus: first those that are not ready, then the youngest."""
        for _ in range(number - len(self._wanted)):
            startup = self._rules.startup.draw(self._random)
            self._event_queue.enter(now + startup, self._started, self._order(now), startup)
        surplus = len(self._wanted) - number
        if surplus <= 0:
            return
        expendable = sorted(self._wanted, key=lambda replica: (replica.ready, -replica.number))[:surplus]
        for replica in expendable:
            replica.wanted = False
        self._wanted = [replica for replica in self._wanted if replica.wanted]
        for replica in expendable:
            if replica.ready:
                self._observer.leaves(now, replica)
            else:
                self.gone(now, replica)

    def gone(self, now: float, replica: SimulatedReplica) -> None:
        self._living -= 1
        self._orders -= replica.ordered_at
        self._lived += now - replica.ordered_at

    def seconds(self, now: float) -> float:
        """Return the seconds of all replicas until now, each from its order."""
        return self._lived + self._living * now - self._orders

    def _order(self, now: float) -> SimulatedReplica:
        queue: SlotQueue[int] = SlotQueue(self._rules.slots, self._rules.longest_queue)
        replica = SimulatedReplica(self._ordered, queue, now)
        self._ordered += 1
        self._living += 1
        self._orders += now
        self.peak = max(self.peak, self._living)
        self._wanted.append(replica)
        return replica

    def _started(self, now: float, replica: SimulatedReplica, startup: float) -> None:
        if replica.wanted:
            self.startup = startup
            self._ready(now, replica)

    def _ready(self, now: float, replica: SimulatedReplica) -> None:
        replica.ready = True
        self._observer.joined(now, replica)

"""An offered load under a policy, in virtual time: arrivals, decisions and their effects."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import Protocol, runtime_checkable

from gyrus.autoscaling.policy import Policy, Sample
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.fleet import Fleet, FleetMaker, FleetObserver
from gyrus.simulator.gateway import SimulatedGateway
from gyrus.simulator.idle import IdleSpans
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.rotation import SimulatedReplica
from gyrus.simulator.run import FleetSample, Run


@runtime_checkable
class Prepared(Protocol):
    """A policy that sets the number of replicas that are ready when the first request arrives."""

    @property
    def initial(self) -> int: ...


REPORT_EVERY = 2048
"""Decisions between two reports of the progress: some tens of milliseconds."""

OnProgress = Callable[[float], None]
"""A callback with the share of the work that is done."""


def simulate(
    offered_load: OfferedLoad,
    rules: ServingRules,
    policy: Policy,
    name: str = "",
    on_progress: OnProgress = lambda share: None,
    make_fleet: FleetMaker | None = None,
) -> Run:
    """Simulate the whole offered load. Equal arguments give equal results.

    By default, each replica has a place, and is ready after its start-up time.
    """
    return _SimulationRun(offered_load, rules, policy, on_progress, make_fleet or partial(Fleet, rules)).run(
        name
    )


class _SimulationRun:
    def __init__(
        self,
        offered_load: OfferedLoad,
        rules: ServingRules,
        policy: Policy,
        on_progress: OnProgress,
        make_fleet: FleetMaker,
    ) -> None:
        self._workload = offered_load
        self._rules = rules
        self._policy = policy
        self._event_queue = EventQueue()
        self._gateway = SimulatedGateway(
            offered_load, rules, self._event_queue, emptied=self._emptied, demanded=self._demanded
        )
        gateway = self._gateway
        observer = FleetObserver(joined=gateway.join, leaves=gateway.leave, lost=gateway.lose)
        self._fleet = make_fleet(self._event_queue, observer)
        self._on_progress = on_progress
        self._idle = IdleSpans.of(policy.every, rules.startup.typical)
        self._active = 0.0
        """Time of the last decision with a request in flight, or since the one before it."""
        self._next_arrival = 0.0
        self._decisions = 0
        self._looks: list[FleetSample] = []
        self._scalings = 0
        self._waking = False

    def run(self, name: str) -> Run:
        self._begin()
        ended = self._go_on()
        return Run(
            policy=name,
            offered_load=self._workload,
            timeout=self._rules.timeout,
            begun=self._gateway.begun,
            outcomes=self._gateway.outcomes,
            ended=ended,
            replica_seconds=self._fleet.seconds(ended),
            peak_replicas=self._fleet.peak,
            scalings=self._scalings,
            looks=self._looks,
        )

    def _begin(self) -> None:
        policy = self._policy
        initial = policy.initial if isinstance(policy, Prepared) else self._rules.initial
        self._gateway.requested = initial
        self._fleet.begin(initial)
        self._event_queue.enter(policy.every, self._tick)

    def _go_on(self) -> float:
        """Run until every request has ended. Returns the time of the last end."""
        event_queue, arrive, in_flight = self._event_queue, self._gateway.arrive, self._gateway.in_flight
        happen: Callable[[], None] = event_queue.happen
        ended = 0.0
        for request, arrival in enumerate(self._workload.arrivals):
            self._next_arrival = arrival
            while event_queue.due <= arrival:
                happen()
            arrive(arrival, request)
            ended = arrival
        self._next_arrival = math.inf
        while in_flight.level:
            ended = event_queue.due
            happen()
        return ended

    def _tick(self, now: float) -> None:
        self._event_queue.enter(self._idle.next(now, self._active, self._next_arrival), self._tick)
        self._decide(now)
        self._decisions += 1
        if self._decisions % REPORT_EVERY == 0:
            self._on_progress(self._done(now))

    def _done(self, now: float) -> float:
        """Return the share of the work that is done: a request and a decision take about as long."""
        arrivals = self._workload.arrivals
        return min(1.0, (bisect_right(arrivals, now) + now) / (len(arrivals) + arrivals[-1] + 1.0))

    def _demanded(self, now: float) -> None:
        """Decide at once if a request is held and no replica is requested, not only at the next tick."""
        if not self._gateway.requested and not self._waking:
            self._waking = True
            self._event_queue.enter(now, self._wake)

    def _wake(self, now: float) -> None:
        self._waking = False
        if not self._gateway.requested:
            self._decide(now)

    def _decide(self, now: float) -> None:
        sample = self._look(now)
        replicas = self._policy.decide(sample).replicas
        if replicas != sample.requested:
            self._scalings += 1
            self._gateway.requested = replicas
            self._fleet.scale(now, replicas)

    def _look(self, now: float) -> Sample:
        gateway = self._gateway
        requested, ready, waiting = gateway.requested, gateway.rotation.size, gateway.waiting
        in_flight, busy = gateway.in_flight.average(now), gateway.busy.average(now)
        if in_flight or waiting:
            self._active = now
        self._record(FleetSample(now, in_flight, busy, waiting, ready, requested))
        return Sample(
            now=self._workload.start + now,
            # From zero, the average would hide the request that has just arrived.
            in_flight=in_flight if requested else max(in_flight, gateway.in_flight.level),
            busy=busy,
            ready=ready,
            requested=requested,
            startup=self._fleet.startup,
        )

    def _record(self, look: FleetSample) -> None:
        """Keep the first and the last of equal samples in a row without traffic: there may be millions."""
        looks = self._looks
        if not look.in_flight and len(looks) > 1 and looks[-2][1:] == looks[-1][1:] == look[1:]:
            looks[-1] = look
        else:
            looks.append(look)

    def _emptied(self, now: float, replica: SimulatedReplica) -> None:
        self._fleet.gone(now, replica)

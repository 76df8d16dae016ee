"""Replicas that need nodes: an API's replicas in a simulation of requests, as pods of a virtual cluster."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median_low
from typing import NamedTuple

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.state import CapacityType, NodesState, NodeState
from gyrus.queueing.slots import SlotQueue
from gyrus.simulator.event_queue import EventQueue
from gyrus.simulator.fleet import FleetObserver
from gyrus.simulator.nodes.world import NodesWorld, VirtualPod, WorldRules
from gyrus.simulator.offered_load import ServingRules
from gyrus.simulator.rotation import SimulatedReplica

NodePolicy = Callable[[NodesState], NodePlan]
"""A way to plan nodes. What it remembers is in the plan's memory."""

STEP = 10.0
"""Seconds between two plans: cluster-autoscaler's ``scan-interval``."""
QUIET_STEP = 30.0
"""Seconds between two plans while nothing changes, so that a day takes seconds."""
WARM_UP = 900.0
"""Seconds before the first request, in which the first nodes and replicas start. They are not counted."""


KEPT_STARTS = 20
"""Starts of which the operator knows the times."""


class NodesSample(NamedTuple):
    """A cluster at one time."""

    at: float
    """Seconds from the first request."""
    spot: int
    """Spot instances, starting ones included."""
    on_demand: int
    starting: int
    """Instances of both kinds that are no ready nodes yet."""
    required: int
    """Replicas that the autoscaler requires."""
    serving: int
    dollars: float
    """Cost since the first request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """A virtual cluster, and the policy that plans its nodes."""

    world: WorldRules
    policy: NodePolicy


class NodeFleet:
    """The replicas of one API on the nodes of a virtual cluster, which a policy plans."""

    def __init__(
        self, cluster: ClusterRules, rules: ServingRules, event_queue: EventQueue, observer: FleetObserver
    ) -> None:
        """Start without nodes and replicas. The cluster's clock is :data:`WARM_UP` ahead of the requests'."""
        self._policy = cluster.policy
        self._rules = rules
        self._event_queue = event_queue
        self._observer = observer
        self.world = NodesWorld(cluster.world, self)
        self.samples: list[NodesSample] = []
        self._now = -WARM_UP
        """The time of the requests' clock."""
        self._replicas: dict[str, SimulatedReplica] = {}
        """By pod, those that have a place and are not gone."""
        self._pods: dict[SimulatedReplica, str] = {}
        self._numbers = 0
        self._lived = 0.0
        self._due: list[tuple[float, str]] = []
        """Pods that were placed before the first request, and when they are ready."""
        self._planned = self._next = 0.0
        """Times of the last plan and of the next one."""
        self.peak = 0
        self._starts: deque[float] = deque([rules.startup.typical], KEPT_STARTS)

    @property
    def startup(self) -> float:
        """Seconds from an order until requests reach the replica: the median, as the operator measures it."""
        return median_low(self._starts)

    def begin(self, number: int) -> None:
        """Start nodes for ``number`` replicas, so that these are ready at time 0 if EC2 has capacity."""
        self.world.require(number)
        while self._now < 0:
            self._plan()
            self._advance(self._now + STEP)
        self.world.start_count()
        for moment, name in self._due:
            self._event_queue.enter(moment, self._start, name)
        self._tick(0.0)

    def scale(self, now: float, number: int) -> None:
        """Require so many replicas from now on. Each starts once it has a node."""
        self._advance(now)
        self.world.require(number)
        self.world.schedule()
        steps = max(1, math.ceil((now - self._planned) / STEP))
        if (soon := self._planned + steps * STEP) < self._next:
            self._plan_at(soon)

    def gone(self, now: float, replica: SimulatedReplica) -> None:
        """Note that a leaving replica has stopped."""
        self.world.release(self._forget(now, replica))

    def seconds(self, now: float) -> float:
        """Return the seconds of all replicas until now, each from its place on a node."""
        return self._lived + sum(now - one.ordered_at for one in self._replicas.values())

    def finish(self, now: float) -> None:
        """Let the cluster's time pass until the end of the simulation."""
        self._advance(now)
        self._record(self.world.observe())

    def placed(self, pod: VirtualPod) -> None:
        queue: SlotQueue[int] = SlotQueue(self._rules.slots, self._rules.longest_queue)
        replica = SimulatedReplica(self._numbers, queue, max(0.0, self._now))
        self._numbers += 1
        self._replicas[pod.name] = replica
        self._pods[replica] = pod.name
        self.peak = max(self.peak, len(self._replicas))
        moment = pod.ready_at - WARM_UP
        if self._now < 0:
            self._due.append((max(0.0, moment), pod.name))
        else:
            self._event_queue.enter(moment, self._start, pod.name)

    def ended(self, name: str) -> None:
        replica = self._replicas[name]
        if replica.ready:
            self._observer.leaves(self._now, replica)
        else:
            self.gone(self._now, replica)

    def lost(self, name: str) -> None:
        replica = self._replicas[name]
        if replica.ready:
            self._observer.lost(self._now, replica)
        self._forget(self._now, replica)

    def _forget(self, now: float, replica: SimulatedReplica) -> str:
        name = self._pods.pop(replica)
        del self._replicas[name]
        self._lived += max(0.0, now) - replica.ordered_at
        return name

    def _tick(self, now: float) -> None:
        if now != self._next:
            return  # an earlier plan has taken its place
        self._advance(now)
        self._planned = now
        self._plan_at(now + (STEP if self._plan() else QUIET_STEP))

    def _plan_at(self, moment: float) -> None:
        self._next = moment
        self._event_queue.enter(moment, self._tick)

    def _plan(self) -> bool:
        """Plan the nodes. Returns False if nothing is going on."""
        state = self.world.observe()
        if self._now >= 0:
            self._record(state)
        plan = self._policy(state)
        self.world.carry_out(plan)
        return _is_busy(state, plan)

    def _start(self, now: float, name: str) -> None:
        """Let requests reach a pod's replica, unless it is gone. The pod that it replaces then ends."""
        pod, replica = self.world.pods.get(name), self._replicas.get(name)
        if pod is None or replica is None or pod.ending:
            return
        self._starts.append(pod.ready_at - pod.since)
        replica.ready = True
        self._observer.joined(now, replica)
        self._advance(now, max(now + WARM_UP, pod.ready_at))

    def _advance(self, now: float, clock: float | None = None) -> None:
        self._now = now
        self.world.advance_to(max(self.world.now, now + WARM_UP if clock is None else clock))

    def _record(self, state: NodesState) -> None:
        spot = sum(node.capacity is CapacityType.SPOT for node in state.nodes)
        self.samples.append(
            NodesSample(
                at=self._now,
                spot=spot,
                on_demand=len(state.nodes) - spot,
                starting=sum(node.state is NodeState.STARTING for node in state.nodes),
                required=self.world.required,
                serving=self.world.serving,
                dollars=self.world.totals.dollars,
            )
        )


def _is_busy(state: NodesState, plan: NodePlan) -> bool:
    """Return whether something is going on that needs a plan soon."""
    memory = plan.memory
    return (
        bool(state.pending or state.notices or memory.unneeded or memory.leaving or memory.replaced)
        or any(pool.waiting_since is not None for pool in state.pools)
        or any(target.desired != target.was for target in plan.pools)
        or not all(node.is_open for node in state.nodes)
    )

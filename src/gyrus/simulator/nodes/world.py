"""A virtual cluster on a virtual EC2: Auto Scaling, nodes, a scheduler and the pods of one API."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

from gyrus.nodes.node_plan import NodePlan
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import (
    CapacityType,
    ClusterNode,
    NodeNotice,
    NodePool,
    NodesMemory,
    NodesState,
    NodeState,
    NoticeKind,
    PendingPod,
    PlacedPod,
    PlannedGroup,
    RequiredReplicas,
    pool_name,
)
from gyrus.simulator.nodes.spot_market import InstanceFate, InstanceMarket
from gyrus.simulator.service import Fixed, Lognormal, Spread

API = "api"
WARNING = 120.0
"""Seconds from EC2's warning to the end of the instance."""
RETRY = 60.0
"""Seconds between two tries of Auto Scaling to launch an instance."""
LAST_EXIT = 30.0
"""Seconds before an interrupted instance's end at which its pods leave, even without a replacement.
Kubernetes gives a pod as long by default (``terminationGracePeriodSeconds``)."""
POD_STARTUP = Fixed(30.0)
NODE_STARTUP = Lognormal(120.0, 0.2)
NEVER = InstanceFate(math.inf, math.inf)


@dataclass(slots=True, kw_only=True)
class VirtualInstance:
    node: ClusterNode
    ready_at: float
    fate: InstanceFate
    warned: bool = False

    @property
    def ends_at(self) -> float:
        return self.fate.warned_at + WARNING


@dataclass(slots=True, kw_only=True)
class VirtualPod:
    name: str
    since: float
    """Time of its order."""
    node: str = ""
    ready_at: float = math.inf
    replaces: str = ""
    """The pod that ends when this one is ready."""
    retiring: bool = False
    ending: bool = False
    """True while it only finishes its requests: it takes up its node, and serves nothing new."""


class PodObserver(Protocol):
    """An observer of pods on nodes, which knows when a pod that ends has finished its requests.

    Without one, pods end at once.
    """

    def placed(self, pod: VirtualPod) -> None:
        """Note a pod that has a node, and that is ready at a known time."""
        ...

    def ended(self, name: str) -> None:
        """Note a pod that must stop. The observer calls :meth:`NodesWorld.release` when it has stopped."""
        ...

    def lost(self, name: str) -> None:
        """Note a pod that is gone together with its node."""
        ...


@dataclass(slots=True)
class VirtualPool:
    desired: int = 0
    launched: int = 0
    """Instances so far."""
    waiting_since: float | None = None
    failed_at: float | None = None
    tried_at: float = -math.inf


@dataclass(slots=True)
class NodeTotals:
    """Sums since the count began."""

    dollars: float = 0.0
    short: float = 0.0
    """Pod-seconds in which required replicas did not serve."""
    required: float = 0.0
    """Pod-seconds that were required."""
    node_seconds: float = 0.0
    spot_seconds: float = 0.0
    launches: int = 0
    warnings: int = 0
    """Instances that EC2 was about to interrupt, whether they were gone in time or not."""
    interruptions: int = 0
    """Instances that EC2 ended."""
    lost_pods: int = 0
    """Pods that were still on a node when EC2 ended it."""
    moved_pods: int = 0
    """Pods that a drain replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRules:
    """The surroundings of a simulated cluster. Times in seconds."""

    groups: tuple[PlannedGroup, ...]
    requests: NodeResources
    """The requests of one replica."""
    allowed: tuple[str, ...] = ()
    """Node groups on which replicas may run, the preferred one first; empty for any."""
    pod_startup: Spread = POD_STARTUP
    """Time from a pod's place on a ready node until requests reach it."""
    node_startup: Spread = NODE_STARTUP
    """Time from an instance's launch until its node is ready. Policies expect the number of the group."""
    markets: Mapping[str, InstanceMarket] = field(default_factory=dict[str, InstanceMarket])
    """By node group; a group without one always gets spot instances at the price of its types."""
    seed: int = 1

    @property
    def preferred(self) -> PlannedGroup:
        """The group that gets the first node of a replica by its own order and the priorities."""
        suitable = [one for one in self.groups if not self.allowed or one.name in self.allowed]
        return min(
            [one for one in suitable if self.requests.fits(one.allocatable)] or suitable,
            key=lambda one: (self.allowed.index(one.name) if self.allowed else 0, -one.priority, one.name),
        )

    @property
    def replicas_per_node(self) -> int:
        """Replicas that fit on a node of the preferred group; 1 if none does."""
        whole, one = self.preferred.allocatable, self.requests
        pairs = (
            (whole.cpu, one.cpu),
            (whole.memory, one.memory),
            (whole.gpu, one.gpu),
            (whole.pods, one.pods),
        )
        return max(1, min(has // needs for has, needs in pairs if needs))


class NodesWorld:
    """The cluster at one time. :meth:`advance` lets time pass, :meth:`carry_out` does what a plan asks."""

    def __init__(self, rules: WorldRules, observer: PodObserver | None = None) -> None:
        self.rules = rules
        self._observer = observer
        self.now = 0.0
        self.required = 0
        self.totals = NodeTotals()
        self.memory = NodesMemory()
        self.instances: dict[str, VirtualInstance] = {}
        self.pods: dict[str, VirtualPod] = {}
        self.pools = {
            pool_name(group.name, capacity): VirtualPool()
            for group in rules.groups
            for capacity in CapacityType
        }
        self._groups = {group.name: group for group in rules.groups}
        self._random = Random(f"world {rules.seed}")
        self._pod_random = Random(f"pods {rules.seed}")
        self._orders = 0

    def observe(self) -> NodesState:
        return NodesState(
            now=self.now,
            groups=tuple(self._priced(group) for group in self.rules.groups),
            pools=tuple(self._pool(group.name, kind) for group in self.rules.groups for kind in CapacityType),
            nodes=tuple(one.node for one in self.instances.values()),
            pods=tuple(self._placed(pod) for pod in self.pods.values() if pod.node),
            pending=tuple(
                PendingPod(
                    name=pod.name,
                    requests=self.rules.requests,
                    api=API,
                    since=pod.since,
                    groups=self.rules.allowed,
                )
                for pod in self.pods.values()
                if not pod.node
            ),
            required=(
                RequiredReplicas(
                    api=API,
                    replicas=self.required,
                    requests=self.rules.requests,
                    groups=self.rules.allowed,
                ),
            ),
            notices=tuple(self._notices()),
            memory=self.memory,
        )

    def carry_out(self, plan: NodePlan) -> None:
        """Do what a plan asks, as the operator does."""
        self.memory = plan.memory
        for step in plan.end:
            self.instances.pop(step.node, None)
            self._lose_pods(step.node)
        for target in plan.pools:
            self.pools[target.pool].desired = target.desired
        for step in plan.cordon:
            one = self.instances[step.node]
            one.node = replace(one.node, cordoned=True)
        for step in plan.drain:
            self._drain(step.node)

    def require(self, replicas: int) -> None:
        """Order missing replicas, or stop the surplus: first those without a node, then the youngest."""
        self.required = replicas
        mine = [pod for pod in self.pods.values() if not (pod.retiring or pod.ending)]
        for _ in range(replicas - len(mine)):
            self._order()
        expendable = sorted(mine, key=lambda pod: (bool(pod.node), -pod.ready_at, pod.name))
        for pod in expendable[: max(0, len(mine) - replicas)]:
            self._end(pod.name)

    def advance(self, seconds: float) -> None:
        """Let time pass, without a decision in it."""
        self.advance_to(self.now + seconds)

    def advance_to(self, moment: float) -> None:
        """Let time pass until a moment, without a decision in it."""
        self._count(moment - self.now)
        self.now = moment
        self._interrupt()
        for pool in self.pools:
            self._launch(pool)
        self._become_ready()
        self.schedule()

    def start_count(self) -> None:
        """Count cost, interruptions and all other totals from now on."""
        self.totals = NodeTotals()

    def release(self, name: str) -> None:
        """Remove a pod that ends and has finished its requests."""
        del self.pods[name]

    @property
    def serving(self) -> int:
        """Replicas that requests reach."""
        return sum(pod.ready_at <= self.now and not pod.ending for pod in self.pods.values())

    def _count(self, seconds: float) -> None:
        totals = self.totals
        totals.required += self.required * seconds
        totals.short += max(0, self.required - self.serving) * seconds
        prices: dict[str, float] = {}
        for one in self.instances.values():
            node = one.node
            if (price := prices.get(node.pool)) is None:
                price = prices[node.pool] = self._priced(self._groups[node.group]).price(node.capacity)
            totals.dollars += price * seconds / 3600
            totals.node_seconds += seconds
            totals.spot_seconds += seconds * (node.capacity is CapacityType.SPOT)

    def _interrupt(self) -> None:
        for name, one in list(self.instances.items()):
            if one.fate.warned_at <= self.now and not one.warned:
                one.warned = True
                self.totals.warnings += 1
            if one.ends_at <= self.now:
                self.totals.interruptions += 1
                self.totals.lost_pods += sum(pod.node == name for pod in self.pods.values())
                del self.instances[name]
                self._lose_pods(name)
            elif self._observer is not None and one.ends_at - LAST_EXIT <= self.now:
                self._evict(name)

    def _launch(self, name: str) -> None:
        """Launch what a pool lacks, unless its market has a shortage."""
        pool = self.pools[name]
        missing = pool.desired - sum(one.node.pool == name for one in self.instances.values())
        if missing <= 0:
            pool.waiting_since = None
            return
        pool.waiting_since = self.now if pool.waiting_since is None else pool.waiting_since
        group, _, capacity = name.rpartition("/")
        market = self.rules.markets.get(group) if capacity == CapacityType.SPOT else None
        shortage = market.shortage(self.now) if market else None
        if shortage is None:
            for _ in range(missing):
                self._start(pool, self._groups[group], CapacityType(capacity), market)
            pool.waiting_since = None
        elif not shortage.silent and self.now - pool.tried_at >= RETRY:
            pool.failed_at = pool.tried_at = self.now

    def _start(
        self, pool: VirtualPool, group: PlannedGroup, capacity: CapacityType, market: InstanceMarket | None
    ) -> None:
        pool.launched += 1
        self.totals.launches += 1
        startup = self.rules.node_startup.draw(self._random)
        node = ClusterNode(
            name=f"{pool_name(group.name, capacity)}/{pool.launched}",
            group=group.name,
            capacity=capacity,
            instance_type=group.instance_types[0].name,
            zone="a",
            allocatable=group.allocatable,
            launched_at=self.now,
            state=NodeState.STARTING,
        )
        fate = market.fate(pool.launched, self.now) if market else NEVER
        self.instances[node.name] = VirtualInstance(node=node, ready_at=self.now + startup, fate=fate)

    def _become_ready(self) -> None:
        for one in self.instances.values():
            if one.node.state is NodeState.STARTING and one.ready_at <= self.now:
                one.node = replace(one.node, state=NodeState.READY)
        for pod in list(self.pods.values()):
            if pod.replaces and pod.ready_at <= self.now:
                self._end(pod.replaces)
                pod.replaces = ""

    def schedule(self) -> None:
        """Place pods on the open node with the most left, as kube-scheduler does by default."""
        waiting = sorted((pod for pod in self.pods.values() if not pod.node), key=lambda pod: pod.since)
        if not waiting:
            return
        allowed = self.rules.allowed
        free = {
            name: one.node.allocatable
            for name, one in self.instances.items()
            if one.node.is_open and (not allowed or one.node.group in allowed)
        }
        for pod in self.pods.values():
            if pod.node in free:
                free[pod.node] = free[pod.node].minus(self.rules.requests)
        for pod in waiting:
            fitting = [name for name in free if self.rules.requests.fits(free[name])]
            if not fitting:
                return
            pod.node = min(fitting, key=lambda name: (-free[name].cpu, name))
            pod.ready_at = self.now + self.rules.pod_startup.draw(self._pod_random)
            free[pod.node] = free[pod.node].minus(self.rules.requests)
            if self._observer is not None:
                self._observer.placed(pod)

    def _drain(self, node: str) -> None:
        """Order a replacement for each pod of a node. The pod goes on until that one is ready."""
        for pod in self._staying_on(node):
            if not pod.retiring:
                pod.retiring = True
                self.totals.moved_pods += 1
                self._order(replaces=pod.name)

    def _evict(self, node: str) -> None:
        """End the pods of a node that is about to end. They finish their requests, as far as time allows."""
        for pod in self._staying_on(node):
            self._succeed(pod)
            self._end(pod.name)

    def _staying_on(self, node: str) -> list[VirtualPod]:
        return [pod for pod in self.pods.values() if pod.node == node and not pod.ending]

    def _lose_pods(self, node: str) -> None:
        for pod in [pod for pod in self.pods.values() if pod.node == node]:
            del self.pods[pod.name]
            if not pod.ending:
                self._succeed(pod)
            if self._observer is not None:
                self._observer.lost(pod.name)

    def _succeed(self, pod: VirtualPod) -> None:
        """Order the replacement of a pod that ends early, unless there is one; it replaces the same pods."""
        replaces, pod.replaces = pod.replaces, ""
        if not pod.retiring:
            self._order(replaces=replaces)
            return
        for other in self.pods.values():
            if other.replaces == pod.name:
                other.replaces = replaces

    def _end(self, name: str) -> None:
        """End a pod, and the ones that it was to replace."""
        while pod := self.pods.get(name):
            name, pod.replaces = pod.replaces, ""
            if self._observer is None or not pod.node:
                del self.pods[pod.name]
            elif not pod.ending:
                pod.ending = True
                self._observer.ended(pod.name)

    def _order(self, replaces: str = "") -> None:
        self._orders += 1
        name = f"{API}-{self._orders}"
        self.pods[name] = VirtualPod(name=name, since=self.now, replaces=replaces)

    def _placed(self, pod: VirtualPod) -> PlacedPod:
        return PlacedPod(
            name=pod.name,
            node=pod.node,
            requests=self.rules.requests,
            api="" if pod.ending else API,
            may_move=not pod.ending,
            groups=self.rules.allowed,
        )

    def _notices(self) -> list[NodeNotice]:
        found: list[NodeNotice] = []
        for name, one in self.instances.items():
            fate = one.fate
            if fate.warned_at <= self.now:
                kind, at, ends = NoticeKind.INTERRUPTION, fate.warned_at, one.ends_at
                found.append(NodeNotice(node=name, kind=kind, at=at, ends_at=ends))
            elif fate.advised_at <= self.now:
                found.append(NodeNotice(node=name, kind=NoticeKind.REBALANCE, at=fate.advised_at))
        return found

    def _pool(self, group: str, capacity: CapacityType) -> NodePool:
        pool = self.pools[pool_name(group, capacity)]
        return NodePool(
            group=group,
            capacity=capacity,
            desired=pool.desired,
            waiting_since=pool.waiting_since,
            failed_at=pool.failed_at,
            failure="InsufficientInstanceCapacity" if pool.failed_at is not None else "",
        )

    def _priced(self, group: PlannedGroup) -> PlannedGroup:
        """Return a group with the market's present spot prices."""
        market = self.rules.markets.get(group.name)
        if market is None:
            return group
        share = market.price_share(self.now)
        types = tuple(replace(one, spot_price=one.on_demand_price * share) for one in group.instance_types)
        return replace(group, instance_types=types)

"""The input of the planner of nodes: what is observed, and what the planner remembers of its last plan.

Times are seconds since the epoch, spans are seconds, prices are US dollars per hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gyrus.nodes.resources import NodeResources, least


class CapacityType(StrEnum):
    SPOT = "spot"
    ON_DEMAND = "on-demand"


class NodeScaler(StrEnum):
    """The component that adds and ends nodes: ``scaler`` of cluster.yaml."""

    GYRUS = "gyrus"
    KARPENTER = "karpenter"
    NONE = "none"


class NodeState(StrEnum):
    STARTING = "starting"
    """The instance runs, and its node is not ready yet."""
    READY = "ready"


class NoticeKind(StrEnum):
    INTERRUPTION = "interruption"
    """EC2 ends the spot instance two minutes later."""
    REBALANCE = "rebalance"
    """The spot instance has an elevated risk of an interruption."""
    OUTDATED = "outdated"
    """The instance was made from an earlier launch template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """An instance type, as the planner needs it."""

    name: str
    allocatable: NodeResources
    """The amount that a node of this type offers to pods, without the system's share and daemon sets."""
    on_demand_price: float
    spot_price: float | None = None
    """The present price; None if there is no spot price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """A node group of cluster.yaml, as the planner needs it. Each has one pool per capacity type."""

    name: str
    instance_types: tuple[NodeType, ...]
    """Auto Scaling chooses among them; at least one."""
    priority: int = 1
    """1 to 100; higher ones are preferred."""
    min_nodes: int = 0
    max_nodes: int = 5
    spot: bool = False
    """Spot instances are allowed."""
    on_demand_base: int = 0
    """The first so many nodes are on demand, even if spot is allowed."""
    on_demand_percentage: int = 0
    """Percentage of the nodes above the base that are on demand, even if spot is allowed."""
    startup: float = 120.0
    """Seconds from a request until a new node is ready, as measured last."""

    @property
    def allocatable(self) -> NodeResources:
        """The resources that a new node has, whichever type it gets."""
        return least(one.allocatable for one in self.instance_types)

    def price(self, capacity: CapacityType) -> float:
        """Return the price of a new node: the average of the types, since Auto Scaling chooses."""
        prices = [one.on_demand_price for one in self.instance_types]
        if capacity is CapacityType.SPOT:
            prices = [one.spot_price for one in self.instance_types if one.spot_price is not None] or prices
        return sum(prices) / len(prices)


def pool_name(group: str, capacity: CapacityType) -> str:
    """Return the name of a pool.

    >>> pool_name("gpu", CapacityType.SPOT)
    'gpu/spot'
    """
    return f"{group}/{capacity}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """One Auto Scaling group: a node group's instances of one capacity type."""

    group: str
    capacity: CapacityType
    desired: int
    """Instances that Auto Scaling shall have, including those that leave."""
    waiting_since: float | None = None
    """Time since which Auto Scaling has had fewer instances than desired; None if it has them."""
    failed_at: float | None = None
    """Time of the last failed scaling activity; None if none is known."""
    failure: str = ""
    """The message of that activity."""

    @property
    def name(self) -> str:
        return pool_name(self.group, self.capacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """One instance of a pool. An instance whose end has been ordered is none any more."""

    name: str
    group: str
    capacity: CapacityType
    instance_type: str
    zone: str
    allocatable: NodeResources
    launched_at: float
    state: NodeState = NodeState.READY
    cordoned: bool = False
    lost_since: float | None = None
    """Time since which Kubernetes has not heard of a node that was ready; None if it does."""

    @property
    def pool(self) -> str:
        return pool_name(self.group, self.capacity)

    @property
    def is_open(self) -> bool:
        """True if pods may be scheduled on it now."""
        return self.state is NodeState.READY and not self.cordoned and self.lost_since is None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNotice:
    """A warning about one instance: from EC2 about a spot instance, or that it is outdated."""

    node: str
    kind: NoticeKind
    at: float
    ends_at: float | None = None
    """Time at which EC2 ends the instance; None for the other kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPod:
    """A pod on a node. Pods of daemon sets are left out."""

    name: str
    node: str
    requests: NodeResources
    api: str = ""
    """Empty if the pod is no replica."""
    started_at: float = 0.0
    may_move: bool = True
    """False for a pod that may only end by itself, such as a task's."""
    groups: tuple[str, ...] = ()
    """Node groups on which it may run, the preferred one first; empty for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPod:
    """A pod without a node."""

    name: str
    requests: NodeResources
    api: str = ""
    since: float = 0.0
    groups: tuple[str, ...] = ()
    """Node groups on which it may run, the preferred one first; empty for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredReplicas:
    """The number of replicas that an API's autoscaler requires, now or within a node's start-up time."""

    api: str
    replicas: int
    requests: NodeResources
    startup: float = 0.0
    """Seconds from the pod's order on a ready node until requests reach it."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecord:
    """The failures of a pool so far, as the planner has judged them."""

    failures: int = 0
    """Failures in a row, without an instance between them."""
    failed_at: float = 0.0
    """Time of the last one that counted; 0 if there was none."""
    barred_until: float = 0.0
    """The pool gets no new nodes before this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingNode:
    """The decision that a node ends."""

    reason: str
    since: float
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesMemory:
    """The facts that a plan hands on to the next one."""

    pools: Mapping[str, PoolRecord] = field(default_factory=dict[str, PoolRecord])
    unneeded: Mapping[str, float] = field(default_factory=dict[str, float])
    """By node: the time since which the others could have taken its pods."""
    leaving: Mapping[str, LeavingNode] = field(default_factory=dict[str, LeavingNode])
    replaced: Mapping[str, str] = field(default_factory=dict[str, str])
    """By on-demand node that is to be replaced: the spot pool that is to replace it. Empty for a node that
    a notice lets be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The planner's rules that are numbers."""

    provision_limit: float = 90.0
    """Seconds after which a pool without the requested instance counts as failed."""
    first_bar: float = 180.0
    """Seconds for which a pool is barred after its first failure; each further failure doubles them."""
    longest_bar: float = 600.0
    """A shortage lasts for some ten minutes, and each minute on demand costs nearly three on spot."""
    drain_before_end: float = 75.0
    """Seconds before an interruption's end at which the drain begins, even if no replacement is ready."""
    join_limit: float = 900.0
    """Seconds after which an instance that is still no ready node ends, or three start-up times if longer:
    cluster-autoscaler's ``max-node-provision-time``."""
    lost_limit: float = 300.0
    """Seconds after which a node that is lost ends, with the pods that are bound to it."""
    unneeded_for: float = 300.0
    """Seconds for which the others must be able to take a node's pods before it ends. cluster-autoscaler's
    ``scale-down-unneeded-time`` is 600; the autoscaler of replicas has waited already."""
    empty_for: float = 60.0
    """The least seconds for which a node without pods stays: EC2's least billed time."""
    empty_startups: float = 1.0
    """The same in start-up times. A new node is paid for that long before it serves, so an empty one that
    stays as long costs at most twice what the best choice would have cost: the break-even of ski rental."""
    margin: float = 0.1
    """Share of every other node that stays free when a node's pods move there, against oscillation."""
    return_after: float = 120.0
    """Age in seconds from which an on-demand node may be replaced by a spot node."""
    least_saving: float = 0.1
    """Share of the price that the return to spot must save."""
    most_at_once: float = 0.25
    """Share of a group's nodes that may be replaced, or drained because others can take their pods, at once;
    at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesState:
    """Everything on which a plan depends."""

    now: float
    groups: tuple[PlannedGroup, ...]
    pools: tuple[NodePool, ...]
    """A missing pool has no instances and no failures."""
    nodes: tuple[ClusterNode, ...] = ()
    pods: tuple[PlacedPod, ...] = ()
    pending: tuple[PendingPod, ...] = ()
    required: tuple[RequiredReplicas, ...] = ()
    notices: tuple[NodeNotice, ...] = ()
    memory: NodesMemory = field(default_factory=NodesMemory)
    settings: NodeSettings = field(default_factory=NodeSettings)
    scaler: NodeScaler = NodeScaler.GYRUS

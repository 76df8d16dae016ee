"""The parts of a cluster, each as it was read, or why it could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.nodes.cluster_nodes import KubernetesNode
from gyrus.cluster.aws.nodes.node_pods import ClusterPod
from gyrus.cluster.aws.nodes.scaling_activities import LaunchFailure
from gyrus.cluster.aws.nodes.scaling_groups import Ec2Instance, ObservedGroup
from gyrus.cluster.overview import Overview


@dataclass(frozen=True, slots=True)
class UnreadPart:
    """A part that could not be read."""

    message: str
    """The cause, a sentence."""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOnState:
    """An add-on of EKS."""

    status: str
    version: str = ""
    issues: tuple[str, ...] = ()
    """Faults that EKS reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerState:
    """A load balancer of the cluster's Services."""

    name: str
    address: str
    state: str
    """``active``, ``provisioning``, ``active_impaired`` or ``failed``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """The queue with EC2's notices."""

    url: str
    messages: int
    """Messages that wait, about right."""
    oldest_seconds: float | None
    """The age of the oldest message, as CloudWatch last measured it. None if that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFacts:
    """The Auto Scaling groups of a cluster."""

    groups: tuple[ObservedGroup, ...] = ()
    instances: Mapping[str, Ec2Instance] = field(default_factory=dict[str, Ec2Instance])
    failures: Mapping[str, LaunchFailure] = field(default_factory=dict[str, LaunchFailure])
    """By Auto Scaling group: its last launch, if it failed a short time ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesFacts:
    """Nodes, pods and gyrus, as Kubernetes has them."""

    nodes: Mapping[str, KubernetesNode] = field(default_factory=dict[str, KubernetesNode])
    """By instance."""
    pods: tuple[ClusterPod, ...] = ()
    installation: Overview | UnreadPart


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A cluster as it is now. None for a part that does not exist."""

    account: str
    stacks: FoundStacks | UnreadPart
    eks: EksCluster | UnreadPart | None
    add_ons: Mapping[str, AddOnState] | UnreadPart
    scaling: ScalingFacts | UnreadPart
    balancers: tuple[BalancerState, ...] | UnreadPart
    queue: QueueState | UnreadPart | None
    bucket: bool | UnreadPart
    """False if there is none."""
    log_group: bool | UnreadPart
    kubernetes: KubernetesFacts | UnreadPart

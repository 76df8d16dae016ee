"""Node groups of cluster.yaml for the planner of nodes: the resources of a node, and its price. Pure.

A node offers less to pods than its instance type has. The hypervisor and the kernel keep some memory: 7.5 %,
as Karpenter assumes by default (``VM_MEMORY_OVERHEAD_PERCENT``). The kubelet reserves memory by the most
pods, CPU by the number of cores, and 100 MiB against eviction, by the formulas of EKS's machine image
(``bootstrap.sh`` and ``nodeadm`` of awslabs/amazon-eks-ami). Daemon sets request another share. The most pods
follow from the addresses of the network interfaces: ENIs x (addresses of each - 1) + 2, as in
``eni-max-pods.txt`` there.
"""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import InstanceType
from gyrus.cluster.aws.node_group import NodeGroup, SpotConfig
from gyrus.cluster.aws.prices.table import PriceTable, instance
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import NodeScaler, NodeType, PlannedGroup

MIB = 2**20
NODE_STARTUP = 120.0
"""Seconds until a new node is ready, before any has been measured."""
MEMORY_OVERHEAD = 0.075
EVICTION_MIB = 100
CPU_RESERVED = ((1, 0.06), (2, 0.01), (4, 0.005), (1 << 16, 0.0025))
"""Up to this core, the share of each core that is reserved."""
DAEMONS = NodeResources(cpu=180, memory=120 * MIB, pods=4)
"""Requests of the pods that run on every node: aws-node (50m), kube-proxy (100m), ebs-csi-node (30m, 120 MiB)
and eks-pod-identity-agent, by the add-ons' defaults."""

PODS_BY_CORES = ((2, 29), (8, 58), (48, 234), (1 << 16, 737))
"""Up to this number of cores, the most pods of a node."""
PODS_BY_TYPE = {
    "t3.nano": 4, "t3.micro": 4, "t3.small": 11, "t3.medium": 17, "t3.large": 35,
    "g4dn.xlarge": 29, "g4dn.2xlarge": 29, "g4dn.4xlarge": 29, "g4dn.8xlarge": 58, "g4dn.16xlarge": 58,
    "inf1.xlarge": 38, "inf1.2xlarge": 38, "inf1.24xlarge": 437,
}  # fmt: skip
"""Types that deviate from that."""


class UnknownInstanceType(Exception):
    """The resources or the price of an instance type are not known. The message names group and type."""

    def __init__(self, group: str, name: str, what: str) -> None:
        super().__init__(f"Node group {group}: gyrus does not know the {what} of the instance type {name}")
        self.name = name


def planned_groups(
    spec: ClusterSpec, types: Mapping[str, InstanceType], prices: PriceTable, startup: float = NODE_STARTUP
) -> tuple[PlannedGroup, ...]:
    """Return a cluster's node groups for the planner. Raises UnknownInstanceType."""
    return tuple(planned_group(group, types, prices, startup) for group in spec.node_groups)


def planned_group(
    group: NodeGroup, types: Mapping[str, InstanceType], prices: PriceTable, startup: float = NODE_STARTUP
) -> PlannedGroup:
    """Return one node group for the planner. Raises UnknownInstanceType.

    ``startup``: the seconds that a new node took last, as far as this has been measured.
    """
    config = group.spot_config or SpotConfig()
    return PlannedGroup(
        name=group.name,
        instance_types=tuple(_node_type(group, name, types, prices) for name in group.instance_types),
        priority=group.priority,
        min_nodes=group.min_instances,
        max_nodes=group.max_instances,
        spot=group.spot,
        on_demand_base=config.on_demand_base_capacity,
        on_demand_percentage=config.on_demand_percentage_above_base_capacity,
        startup=startup,
    )


def planned_scaler(spec: ClusterSpec) -> NodeScaler:
    """Return the component that adds and ends a cluster's nodes."""
    return NodeScaler(spec.scaler)


def allocatable(kind: InstanceType) -> NodeResources:
    """Return what a node of a type offers to pods.

    >>> m5 = InstanceType("m5.xlarge", "amd64", vcpu=4, memory_mib=16384, gpus=0, gpu="", inferentia=0)
    >>> allocatable(m5).cpu, allocatable(m5).memory // MIB, allocatable(m5).pods
    (3740, 14042, 54)
    """
    pods = most_pods(kind)
    memory = int(kind.memory_mib * (1 - MEMORY_OVERHEAD)) - (11 * pods + 255) - EVICTION_MIB
    whole = NodeResources(
        cpu=kind.vcpu * 1000 - reserved_cpu(kind.vcpu), memory=memory * MIB, gpu=kind.gpus, pods=pods
    )
    return whole.minus(DAEMONS)


def reserved_cpu(cores: int) -> int:
    """Return the thousandths of a core that the kubelet of a node with so many cores reserves.

    >>> [reserved_cpu(cores) for cores in (1, 2, 4, 8, 96)]
    [60, 70, 80, 90, 310]
    """
    reserved, below = 0.0, 0
    for upto, share in CPU_RESERVED:
        reserved += max(0, min(cores, upto) - below) * share * 1000
        below = upto
    return round(reserved)


def most_pods(kind: InstanceType) -> int:
    """Return the most pods that the network interfaces of a type allow."""
    usual = next(pods for cores, pods in PODS_BY_CORES if kind.vcpu <= cores)
    return PODS_BY_TYPE.get(kind.name, usual)


def _node_type(
    group: NodeGroup, name: str, types: Mapping[str, InstanceType], prices: PriceTable
) -> NodeType:
    kind = types.get(name)
    if kind is None:
        raise UnknownInstanceType(group.name, name, "resources")
    price = prices.get(instance(name))
    if price is None:
        raise UnknownInstanceType(group.name, name, "price")
    spot = [one.usd for one in prices.spot_prices(name, ())]
    return NodeType(
        name=name,
        allocatable=allocatable(kind),
        on_demand_price=price.usd,
        spot_price=sum(spot) / len(spot) if spot else None,
    )

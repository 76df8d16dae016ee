"""Readings of what a region has already, without the resources of the cluster itself.

A cluster's own resources count among those that it needs: a repeated ``up`` needs nothing beside them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.preflight.quotas import vcpu_quotas
from gyrus.cluster.aws.resource_names import CLUSTER_TAG, owner_tag

COUNTED_NAT_STATES = ("pending", "available", "deleting")
MOST_INSTANCES = 1000
"""Instances of a page."""


async def vpcs(aws: AwsCaller, cluster: str) -> int:
    return _others(await aws.pages("ec2", "describe_vpcs", "Vpcs"), cluster)


async def internet_gateways(aws: AwsCaller, cluster: str) -> int:
    return _others(await aws.pages("ec2", "describe_internet_gateways", "InternetGateways"), cluster)


async def addresses(aws: AwsCaller, cluster: str) -> int:
    return _others((await aws.call("ec2", "describe_addresses")).get("Addresses", []), cluster)


async def security_groups(aws: AwsCaller, cluster: str) -> int:
    return _others(await aws.pages("ec2", "describe_security_groups", "SecurityGroups"), cluster)


async def scaling_groups(aws: AwsCaller, cluster: str) -> int:
    found = await aws.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    return _others(found, cluster)


async def clusters(aws: AwsCaller, cluster: str) -> int:
    found = await aws.pages("eks", "list_clusters", "clusters")
    return sum(name != cluster for name in found)


async def nat_gateways(aws: AwsCaller, cluster: str) -> dict[str, int]:
    """Return the number of NAT gateways by zone."""
    states = [{"Name": "state", "Values": list(COUNTED_NAT_STATES)}]
    async with asyncio.TaskGroup() as group:
        gateways = group.create_task(
            aws.pages("ec2", "describe_nat_gateways", "NatGateways", Filters=states),
            name="preflight: NAT gateways",
        )
        subnets = group.create_task(
            aws.pages("ec2", "describe_subnets", "Subnets"), name="preflight: subnets of NAT gateways"
        )
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in subnets.result()}
    return Counter(
        zones[gateway["SubnetId"]]
        for gateway in gateways.result()
        if gateway.get("SubnetId") in zones and not is_own(gateway, cluster)
    )


async def vcpus(aws: AwsCaller, cluster: str) -> dict[str, int]:
    """Return the vCPUs of running instances by code of their quota."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    reservations = await aws.pages(
        "ec2", "describe_instances", "Reservations", Filters=running, MaxResults=MOST_INSTANCES
    )
    found: Counter[str] = Counter()
    for instance in (each for reservation in reservations for each in reservation.get("Instances", [])):
        quotas = vcpu_quotas(instance["InstanceType"])
        # Instances on dedicated hosts count against quotas of hosts.
        if (
            quotas is None
            or is_own(instance, cluster)
            or instance.get("Placement", {}).get("Tenancy") == "host"
        ):
            continue
        is_spot = instance.get("InstanceLifecycle") == "spot"
        if quota := quotas.spot if is_spot else quotas.on_demand:
            found[quota.code] += _vcpus_of(instance)
    return found


def _vcpus_of(instance: Mapping[str, Any]) -> int:
    if options := instance.get("CpuOptions"):
        return int(options.get("CoreCount", 0)) * int(options.get("ThreadsPerCore", 1))
    kind = known_types().get(instance["InstanceType"])
    return kind.vcpu if kind else 0


def is_own(resource: Mapping[str, Any], cluster: str) -> bool:
    """Return True if a resource carries a tag of the cluster: gyrus's, or that of EKS for what it creates."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in resource.get("Tags", [])}
    return tags.get(CLUSTER_TAG) == cluster or tags.get(owner_tag(cluster)) == "owned"


def _others(resources: Iterable[Mapping[str, Any]], cluster: str) -> int:
    return sum(not is_own(resource, cluster) for resource in resources)

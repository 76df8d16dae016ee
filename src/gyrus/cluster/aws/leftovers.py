"""Resources that a cluster's own programs made outside its stacks: load balancers, their groups, volumes.

gyrus's removal from Kubernetes makes these programs remove it. If the cluster cannot be reached any more, or
has ended too early, it is found by its tags here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound, AwsRejected
from gyrus.cluster.aws.resource_names import CLUSTER_TAG, owner_tag

NETWORK_TAG = "cluster.k8s.amazonaws.com/name"
"""The tag of the interfaces that the network add-on makes for pods."""
TAGGED_AT_ONCE = 20
"""Load balancers whose tags one call returns."""


@dataclass(frozen=True, slots=True)
class ClusterRemains:
    """The resources that were found."""

    balancers: tuple[str, ...] = ()
    """ARNs of network and application load balancers."""
    classic_balancers: tuple[str, ...] = ()
    """Names."""
    volumes: tuple[str, ...] = ()
    """IDs of volumes that no instance uses."""
    security_groups: tuple[str, ...] = ()
    """IDs of the groups of load balancers."""
    interfaces: tuple[str, ...] = ()
    """IDs of network interfaces that nothing uses."""

    @property
    def names(self) -> tuple[str, ...]:
        return (
            *self.balancers,
            *self.classic_balancers,
            *self.volumes,
            *self.security_groups,
            *self.interfaces,
        )


async def leftovers(aws: AwsCaller, cluster: str) -> ClusterRemains:
    """Return what a cluster's programs have left. Raises AwsError.

    The tag of an owner is that of any cluster of this name: ask only about one that gyrus made.
    """
    own = [{"Name": "tag-key", "Values": [owner_tag(cluster)]}]
    async with asyncio.TaskGroup() as tasks:
        balancers = tasks.create_task(_balancers(aws, cluster), name="find load balancers")
        classic = tasks.create_task(_classic_balancers(aws, cluster), name="find classic load balancers")
        volumes = tasks.create_task(_volumes(aws, cluster), name="find volumes")
        groups = tasks.create_task(
            aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=own),
            name="find security groups",
        )
        interfaces = [
            tasks.create_task(_interfaces(aws, which), name=f"find network interfaces by {which['Name']}")
            for which in (own[0], {"Name": f"tag:{NETWORK_TAG}", "Values": [cluster]})
        ]
    return ClusterRemains(
        balancers=tuple(balancers.result()),
        classic_balancers=tuple(classic.result()),
        volumes=tuple(volumes.result()),
        security_groups=tuple(
            one["GroupId"] for one in groups.result() if one.get("GroupName", "").startswith("k8s-elb-")
        ),
        interfaces=tuple(sorted({name for task in interfaces for name in task.result()})),
    )


async def remove(aws: AwsCaller, found: ClusterRemains) -> None:
    """Remove leftovers. Those that are still in use stay, and are found again. Raises AwsError."""
    calls = [
        *(_gone(aws, "elbv2", "delete_load_balancer", LoadBalancerArn=arn) for arn in found.balancers),
        *(_gone(aws, "elb", "delete_load_balancer", LoadBalancerName=one) for one in found.classic_balancers),
        *(_gone(aws, "ec2", "delete_volume", VolumeId=one) for one in found.volumes),
        *(_gone(aws, "ec2", "delete_network_interface", NetworkInterfaceId=one) for one in found.interfaces),
        *(_gone(aws, "ec2", "delete_security_group", GroupId=one) for one in found.security_groups),
    ]
    async with asyncio.TaskGroup() as tasks:
        for number, call in enumerate(calls):
            tasks.create_task(call, name=f"remove leftover {number + 1}")


async def _gone(aws: AwsCaller, service: str, operation: str, **which: str) -> None:
    try:
        await aws.call(service, operation, **which)
    except AwsNotFound:
        pass
    except AwsRejected as error:
        # A load balancer or an instance that is ending still uses it.
        if error.code not in ("DependencyViolation", "VolumeInUse", "InvalidParameterValue", "InUse"):
            raise


async def own_balancers(aws: AwsCaller, cluster: str) -> list[Answer]:
    """Return a cluster's network and application load balancers, as AWS describes them. Raises AwsError."""
    found: list[Answer] = await aws.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    tagged: list[Answer] = []
    for some in _some([one["LoadBalancerArn"] for one in found]):
        answer = await aws.call("elbv2", "describe_tags", ResourceArns=list(some))
        tagged += answer["TagDescriptions"]
    own = {one["ResourceArn"] for one in tagged if _is_own(one.get("Tags", []), cluster)}
    return [one for one in found if one["LoadBalancerArn"] in own]


async def _balancers(aws: AwsCaller, cluster: str) -> list[str]:
    return [one["LoadBalancerArn"] for one in await own_balancers(aws, cluster)]


async def _classic_balancers(aws: AwsCaller, cluster: str) -> list[str]:
    found: list[Answer] = await aws.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions")
    names = [one["LoadBalancerName"] for one in found]
    tagged: list[Answer] = []
    for some in _some(names):
        answer = await aws.call("elb", "describe_tags", LoadBalancerNames=list(some))
        tagged += answer["TagDescriptions"]
    return [one["LoadBalancerName"] for one in tagged if _is_own(one.get("Tags", []), cluster)]


async def _interfaces(aws: AwsCaller, which: Mapping[str, Any]) -> list[str]:
    """Return the interfaces that nothing uses, of those with a tag."""
    unused = {"Name": "status", "Values": ["available"]}
    found: list[Answer] = await aws.pages(
        "ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=[which, unused]
    )
    return [one["NetworkInterfaceId"] for one in found]


async def _volumes(aws: AwsCaller, cluster: str) -> list[str]:
    filters = [
        {"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster]},
        {"Name": "status", "Values": ["available"]},
    ]
    found: list[Answer] = await aws.pages("ec2", "describe_volumes", "Volumes", Filters=filters)
    return [one["VolumeId"] for one in found]


def _is_own(tags: Iterable[Answer], cluster: str) -> bool:
    own = {(CLUSTER_TAG, cluster)}
    return any((tag["Key"], tag["Value"]) in own or tag["Key"] == owner_tag(cluster) for tag in tags)


def _some(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + TAGGED_AT_ONCE] for start in range(0, len(names), TAGGED_AT_ONCE))

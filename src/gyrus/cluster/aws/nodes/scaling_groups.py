"""A cluster's Auto Scaling groups and their instances, as AWS describes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gyrus.cluster.aws.resource_names import CAPACITY_TAG, CLUSTER_TAG, GROUP_TAG
from gyrus.nodes.state import CapacityType, pool_name

_LEAVES = ("Terminat", "Detach")
"""Beginnings of the states of instances that Auto Scaling ends or gives away."""
_ENDS = frozenset({"shutting-down", "terminated", "stopping", "stopped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInstance:
    """An instance of an Auto Scaling group."""

    id: str
    instance_type: str
    zone: str
    leaves: bool
    """True if its end has been ordered."""
    version: str
    """The version of the launch template that it was made from; "" if it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGroup:
    """One Auto Scaling group: a node group's instances of one capacity type."""

    name: str
    group: str
    capacity: CapacityType
    desired: int
    largest: int
    """The most instances that Auto Scaling allows."""
    version: str
    """The version of the launch template for new instances; "" if it is not a number."""
    instances: tuple[GroupInstance, ...]

    @property
    def pool(self) -> str:
        return pool_name(self.group, self.capacity)

    @property
    def is_short(self) -> bool:
        """True if it has fewer instances than desired: a launch is under way, or has failed."""
        return sum(not one.leaves for one in self.instances) < self.desired

    def is_outdated(self, instance: GroupInstance) -> bool:
        """Return whether an instance was made from another version of the launch template."""
        return bool(self.version and instance.version) and instance.version != self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2Instance:
    """An instance, as EC2 describes it."""

    id: str
    launched_at: float
    ends: bool
    """True if it stops, or has ended."""


def scaling_groups(described: Iterable[Mapping[str, Any]], cluster: str) -> tuple[ObservedGroup, ...]:
    """Return the Auto Scaling groups of a cluster. Others, and those with unknown tags, are left out.

    ``described``: entries of DescribeAutoScalingGroups.
    """
    found = (_scaling_group(entry, cluster) for entry in described)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.name))


def ec2_instances(reservations: Iterable[Mapping[str, Any]]) -> dict[str, Ec2Instance]:
    """Return the instances of an answer to DescribeInstances, by their IDs."""
    every = (entry for reservation in reservations for entry in reservation.get("Instances", ()))
    return {entry["InstanceId"]: _ec2_instance(entry) for entry in every}


def _scaling_group(entry: Mapping[str, Any], cluster: str) -> ObservedGroup | None:
    tags = {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags", ())}
    group, capacity = tags.get(GROUP_TAG), tags.get(CAPACITY_TAG)
    if tags.get(CLUSTER_TAG) != cluster or not group or capacity not in [*CapacityType]:
        return None
    return ObservedGroup(
        name=entry["AutoScalingGroupName"],
        group=group,
        capacity=CapacityType(capacity),
        desired=int(entry["DesiredCapacity"]),
        largest=int(entry["MaxSize"]),
        version=_number(_launch_template(entry).get("Version", "")),
        instances=tuple(_instance(each) for each in entry.get("Instances", ())),
    )


def _launch_template(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the launch template of new instances, of a group of one instance type or of several."""
    policy: Mapping[str, Any] = entry.get("MixedInstancesPolicy") or {}
    mixed: Mapping[str, Any] = policy.get("LaunchTemplate") or {}
    return mixed.get("LaunchTemplateSpecification") or entry.get("LaunchTemplate") or {}


def _instance(entry: Mapping[str, Any]) -> GroupInstance:
    template: Mapping[str, Any] = entry.get("LaunchTemplate") or {}
    return GroupInstance(
        id=entry["InstanceId"],
        instance_type=entry.get("InstanceType", ""),
        zone=entry.get("AvailabilityZone", ""),
        leaves=entry.get("LifecycleState", "").startswith(_LEAVES),
        version=_number(template.get("Version", "")),
    )


def _ec2_instance(entry: Mapping[str, Any]) -> Ec2Instance:
    launched: datetime = entry["LaunchTime"]
    state: Mapping[str, Any] = entry.get("State") or {}
    return Ec2Instance(
        id=entry["InstanceId"], launched_at=launched.timestamp(), ends=state.get("Name", "") in _ENDS
    )


def _number(version: str) -> str:
    """Return a version that is a number. ``$Latest`` and ``$Default`` name none."""
    return version if version.isdecimal() else ""

"""The stack of a node group: for each capacity type a launch template and an Auto Scaling group. Pure.

A stack gets the base stack's outputs as parameters of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.node_group import NodeGroup, SpotConfig
from gyrus.cluster.aws.resource_names import (
    CAPACITY_TAG,
    GROUP_TAG,
    cluster_tags,
    logical_name,
    owner_tag,
    scaling_group,
)
from gyrus.cluster.aws.templates.document import (
    StackResource,
    StackTemplate,
    attribute,
    ref,
    resource,
    tag_list,
    template,
)
from gyrus.cluster.aws.templates.node_boot import (
    DATA_DEVICE,
    NO_BOOT,
    ROOT_DEVICE,
    image_parameter,
    user_data,
)

SPOT, ON_DEMAND = "spot", "on-demand"
BOOT_SIZE = 20
"""GiB of the volume that a node starts from, if its own volume cannot be that."""
PARAMETERS = {
    "ClusterEndpoint": "String",
    "ClusterCertificate": "String",
    "ServiceRange": "String",
    "SecurityGroup": "AWS::EC2::SecurityGroup::Id",
    "NodeProfile": "String",
    "Subnets": "List<AWS::EC2::Subnet::Id>",
}
"""The parameters that are outputs of the base stack, and their types. The subnets may be some of those of the
base stack: those in whose zones the instance types are offered."""
IMAGE = "Image"
"""The parameter with the ID of the nodes' image, which Systems Manager knows."""


def render_group(spec: ClusterSpec, group: NodeGroup) -> StackTemplate:
    """Return the template of the stack of a node group."""
    resources: dict[str, StackResource] = {}
    for capacity in capacities(group):
        resources[_launch_name(capacity)] = _launch_template(spec, group, capacity)
        resources[scaling_resource(capacity)] = _scaling_group(spec, group, capacity)
    return template(
        f"gyrus cluster {spec.cluster_name}, node group {group.name}",
        Parameters={
            **{name: {"Type": kind} for name, kind in PARAMETERS.items()},
            IMAGE: {
                "Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
                "Default": image_parameter(spec, group),
            },
        },
        Resources=resources,
        Outputs={
            scaling_resource(capacity): {"Value": ref(scaling_resource(capacity))}
            for capacity in capacities(group)
        },
    )


def capacities(group: NodeGroup) -> tuple[str, ...]:
    """Return the capacity types of a group.

    One with spot instances has on-demand ones too, for the base and for times without spot capacity.
    """
    return (ON_DEMAND, SPOT) if group.spot else (ON_DEMAND,)


def smallest_sizes(group: NodeGroup) -> Mapping[str, int]:
    """Return the instances that a group has at least, by capacity type.

    The base is on demand, then the share above it, rounded up, as Auto Scaling does.
    """
    if not group.spot:
        return {ON_DEMAND: group.min_instances}
    config = group.spot_config or SpotConfig()
    base = min(config.on_demand_base_capacity, group.min_instances)
    above = group.min_instances - base
    on_demand = base + math.ceil(above * config.on_demand_percentage_above_base_capacity / 100)
    return {ON_DEMAND: on_demand, SPOT: group.min_instances - on_demand}


def _launch_name(capacity: str) -> str:
    return logical_name(capacity, "launch-template")


def scaling_resource(capacity: str) -> str:
    """Return the name of an Auto Scaling group in the template."""
    return logical_name(capacity, "group")


def _tags(spec: ClusterSpec, group: NodeGroup, capacity: str) -> dict[str, str]:
    return {**cluster_tags(spec), GROUP_TAG: group.name, CAPACITY_TAG: capacity}


def _node_tags(spec: ClusterSpec, group: NodeGroup, capacity: str) -> dict[str, str]:
    """Return the tags of instances and volumes. Name is shown by the console."""
    name = {"Name": scaling_group(spec.cluster_name, group.name, capacity)}
    return {**_tags(spec, group, capacity), **name, owner_tag(spec.cluster_name): "owned"}


def _launch_template(spec: ClusterSpec, group: NodeGroup, capacity: str) -> StackResource:
    tags, own = _node_tags(spec, group, capacity), tag_list(_tags(spec, group, capacity))
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": spec.subnet_visibility == "public",
        "DeleteOnTermination": True,
        "Groups": [ref("SecurityGroup")],
    }
    data = {
        "ImageId": ref(IMAGE),
        "IamInstanceProfile": {"Arn": ref("NodeProfile")},
        "NetworkInterfaces": [interface],
        "BlockDeviceMappings": list(node_volumes(group)),
        # One hop: pods do not get the credentials of their node.
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
        },
        "UserData": user_data(spec, group, capacity),
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list(tags)}
            for kind in ("instance", "volume", "network-interface")
        ],
    }
    properties = {
        "LaunchTemplateName": scaling_group(spec.cluster_name, group.name, capacity),
        "LaunchTemplateData": data,
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": own}],
    }
    return resource("EC2::LaunchTemplate", properties)


def node_volumes(group: NodeGroup) -> Iterator[dict[str, Any]]:
    """Yield the encrypted volumes of an instance."""
    if group.instance_volume_type in NO_BOOT:
        yield _volume(ROOT_DEVICE, {"VolumeType": "gp3", "VolumeSize": BOOT_SIZE})
    choice = {
        "VolumeType": group.instance_volume_type,
        "VolumeSize": group.instance_volume_size,
        "Iops": group.iops,
        "Throughput": group.throughput,
    }
    device = DATA_DEVICE if group.instance_volume_type in NO_BOOT else ROOT_DEVICE
    yield _volume(device, {key: value for key, value in choice.items() if value is not None})


def _volume(device: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    return {"DeviceName": device, "Ebs": {"Encrypted": True, "DeleteOnTermination": True, **choice}}


def _scaling_group(spec: ClusterSpec, group: NodeGroup, capacity: str) -> StackResource:
    """Return an Auto Scaling group without a desired capacity, so that no update resets what was planned.

    Where gyrus plans nodes, Auto Scaling ends none of its own accord.
    """
    planned = spec.scaler == "gyrus"
    properties: dict[str, Any] = {
        "AutoScalingGroupName": scaling_group(spec.cluster_name, group.name, capacity),
        "MinSize": "0" if planned else str(smallest_sizes(group)[capacity]),
        "MaxSize": str(group.max_instances),
        "VPCZoneIdentifier": ref("Subnets"),
        "MixedInstancesPolicy": _instances(group, capacity),
        "NewInstancesProtectedFromScaleIn": planned,
        "CapacityRebalance": not planned and capacity == SPOT,
        "Cooldown": "0",
        "HealthCheckType": "EC2",
        "Tags": [{**tag, "PropagateAtLaunch": True} for tag in tag_list(_node_tags(spec, group, capacity))],
    }
    return resource("AutoScaling::AutoScalingGroup", properties)


def _instances(group: NodeGroup, capacity: str) -> dict[str, Any]:
    launch = _launch_name(capacity)
    return {
        "InstancesDistribution": {
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": 100 if capacity == ON_DEMAND else 0,
            "OnDemandAllocationStrategy": "lowest-price",
            **(_spot_choice(group) if capacity == SPOT else {}),
        },
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {
                "LaunchTemplateId": ref(launch),
                "Version": attribute("LatestVersionNumber", launch),
            },
            "Overrides": [{"InstanceType": name} for name in group.instance_types],
        },
    }


def _spot_choice(group: NodeGroup) -> dict[str, Any]:
    """Return the choice among spot pools: by price and capacity, or the cheapest of as many as you wrote."""
    config = group.spot_config or SpotConfig()
    price = {"SpotMaxPrice": _decimal(config.max_price)} if config.max_price is not None else {}
    if config.instance_pools is None:
        return {"SpotAllocationStrategy": "price-capacity-optimized", **price}
    return {"SpotAllocationStrategy": "lowest-price", "SpotInstancePools": config.instance_pools, **price}


def _decimal(value: float) -> str:
    """Return a price without an exponent.

    >>> _decimal(0.1), _decimal(0.00001)
    ('0.1', '0.00001')
    """
    return f"{Decimal(repr(value)):f}"

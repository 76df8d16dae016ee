"""Readings of the account and the region: identity, zones, instance types, quotas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import InstanceType
from gyrus.cluster.aws.preflight.facts import CallerIdentity, OfferedType, RegionState, RegionZone
from gyrus.cluster.aws.preflight.quotas import ALL_QUOTAS
from gyrus.cluster.aws.preflight.zones import all_types

MOST_FILTER_VALUES = 100
"""EC2 accepts 200 values of a filter."""
MOST_QUOTAS = 100
"""Quotas of a page."""
_WANTED = frozenset(quota.code for quota in ALL_QUOTAS)


async def identity(aws: AwsCaller) -> CallerIdentity:
    answer = await aws.call("sts", "get_caller_identity")
    return CallerIdentity(account=str(answer["Account"]), arn=str(answer["Arn"]))


async def region_state(aws: AwsCaller, region: str) -> RegionState:
    """Return whether the region is enabled in the account."""
    answer = await aws.call("ec2", "describe_regions", AllRegions=True)
    states = {each["RegionName"]: each.get("OptInStatus", "") for each in answer.get("Regions", [])}
    if region not in states:
        return "unknown"
    return "disabled" if states[region] == "not-opted-in" else "enabled"


async def zones(aws: AwsCaller, region: str) -> tuple[RegionZone, ...]:
    """Return the available zones, without local zones and those of Wavelength."""
    answer = await aws.call("ec2", "describe_availability_zones")
    found = (
        RegionZone(each["ZoneName"], each.get("ZoneId", ""))
        for each in answer.get("AvailabilityZones", [])
        if each.get("State") == "available"
        and each.get("ZoneType", "availability-zone") == "availability-zone"
        and each.get("RegionName", region) == region
    )
    return tuple(sorted(found, key=lambda zone: zone.name))


async def types(aws: AwsCaller, spec: ClusterSpec) -> dict[str, OfferedType]:
    """Return the types of cluster.yaml that exist in the region, with the zones that offer them."""
    names = all_types(spec)
    batches = [names[at : at + MOST_FILTER_VALUES] for at in range(0, len(names), MOST_FILTER_VALUES)]
    async with asyncio.TaskGroup() as group:
        described = [
            group.create_task(_described(aws, batch), name="preflight: instance types described")
            for batch in batches
        ]
        offered = [
            group.create_task(_offered(aws, batch), name="preflight: instance types offered")
            for batch in batches
        ]
    offers = [offer for task in offered for offer in task.result()]
    return {
        name: OfferedType(
            kind=instance_type_of(each),
            is_spot="spot" in each.get("SupportedUsageClasses", []),
            zones=frozenset(offer["Location"] for offer in offers if offer["InstanceType"] == name),
        )
        for task in described
        for each in task.result()
        if (name := each["InstanceType"])
    }


async def _described(aws: AwsCaller, names: tuple[str, ...]) -> list[Any]:
    # By a filter: in place of a name that does not exist, EC2 would refuse the whole call.
    return await aws.pages("ec2", "describe_instance_types", "InstanceTypes", Filters=_filter(names))


async def _offered(aws: AwsCaller, names: tuple[str, ...]) -> list[Any]:
    return await aws.pages(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=_filter(names),
    )


def _filter(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"Name": "instance-type", "Values": list(names)}]


def instance_type_of(answer: Mapping[str, Any]) -> InstanceType:
    """Return a type as EC2 describes it."""
    gpus = answer.get("GpuInfo", {}).get("Gpus", [])
    chips = answer.get("InferenceAcceleratorInfo", {}).get("Accelerators", [])
    architectures = answer.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    return InstanceType(
        name=answer["InstanceType"],
        architecture="arm64" if "x86_64" not in architectures and "arm64" in architectures else "amd64",
        vcpu=int(answer["VCpuInfo"]["DefaultVCpus"]),
        memory_mib=int(answer["MemoryInfo"]["SizeInMiB"]),
        gpus=sum(int(each.get("Count", 0)) for each in gpus),
        gpu=str(gpus[0].get("Name", "")) if gpus else "",
        inferentia=sum(int(each.get("Count", 0)) for each in chips),
    )


async def quotas(aws: AwsCaller, service: str) -> dict[str, float]:
    """Return the quotas of a service by code: the account's own, or else the defaults of AWS."""
    arguments = {"ServiceCode": service, "MaxResults": MOST_QUOTAS}
    async with asyncio.TaskGroup() as group:
        defaults = group.create_task(
            aws.pages("service-quotas", "list_aws_default_service_quotas", "Quotas", **arguments),
            name=f"preflight: default quotas of {service}",
        )
        applied = group.create_task(
            aws.pages("service-quotas", "list_service_quotas", "Quotas", **arguments),
            name=f"preflight: applied quotas of {service}",
        )
    return {
        quota["QuotaCode"]: float(quota["Value"])
        for quota in (*defaults.result(), *applied.result())
        if quota["QuotaCode"] in _WANTED and "Value" in quota
    }

"""Readings of what cluster.yaml names (subnets, certificate, policies), and of the names that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.errors import AwsDenied, AwsNotFound, AwsRejected
from gyrus.cluster.aws.preflight.facts import (
    BucketState,
    ClusterState,
    InternetRoute,
    OwnCertificate,
    OwnSubnet,
    OwnVpc,
)
from gyrus.cluster.aws.resource_names import CLUSTER_TAG

DEFAULT_ROUTE = "0.0.0.0/0"
FORBIDDEN, MOVED = "403", ("301", "PermanentRedirect", "400")
"""Codes of S3 for a bucket of another owner, and for one of another region."""


async def subnets(aws: AwsCaller, spec: ClusterSpec) -> dict[str, OwnSubnet] | None:
    """Return the subnets of cluster.yaml that exist. Returns None if it names none."""
    found = await _described_subnets(aws, spec)
    if not spec.subnets:
        return None
    try:
        tables = await _route_tables(aws, {subnet["VpcId"] for subnet in found}) if found else []
    except AwsDenied:  # the routes are one of several facts about a subnet
        tables = None
    return {
        subnet["SubnetId"]: OwnSubnet(
            subnet_id=subnet["SubnetId"],
            vpc_id=subnet["VpcId"],
            zone=subnet["AvailabilityZone"],
            free_addresses=int(subnet["AvailableIpAddressCount"]),
            internet=None if tables is None else internet_route(subnet, tables),
        )
        for subnet in found
    }


async def vpcs(aws: AwsCaller, spec: ClusterSpec) -> dict[str, OwnVpc] | None:
    """Return the VPCs of these subnets. Returns None if cluster.yaml names no subnets."""
    found = {subnet["VpcId"] for subnet in await _described_subnets(aws, spec)}
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_vpc(aws, name), name=f"preflight: {name}") for name in sorted(found)]
    return {task.result().vpc_id: task.result() for task in tasks} if spec.subnets else None


async def _described_subnets(aws: AwsCaller, spec: ClusterSpec) -> list[Any]:
    if not spec.subnets:
        return []
    # By a filter: in place of an ID that does not exist, EC2 would refuse the whole call.
    wanted = [{"Name": "subnet-id", "Values": [subnet.subnet_id for subnet in spec.subnets]}]
    return await aws.pages("ec2", "describe_subnets", "Subnets", Filters=wanted)


async def _route_tables(aws: AwsCaller, vpc_ids: Iterable[str]) -> list[Any]:
    wanted = [{"Name": "vpc-id", "Values": sorted(vpc_ids)}]
    return await aws.pages("ec2", "describe_route_tables", "RouteTables", Filters=wanted)


async def _vpc(aws: AwsCaller, vpc_id: str) -> OwnVpc:
    async with asyncio.TaskGroup() as group:
        described = group.create_task(
            aws.pages("ec2", "describe_vpcs", "Vpcs", VpcIds=[vpc_id]), name=f"preflight: {vpc_id} described"
        )
        support, hostnames = (
            group.create_task(
                aws.call("ec2", "describe_vpc_attribute", VpcId=vpc_id, Attribute=attribute),
                name=f"preflight: {attribute} of {vpc_id}",
            )
            for attribute in ("enableDnsSupport", "enableDnsHostnames")
        )
    vpc = described.result()[0]
    associations = vpc.get("CidrBlockAssociationSet", [])
    return OwnVpc(
        vpc_id=vpc_id,
        ranges=tuple(each["CidrBlock"] for each in associations) or (vpc["CidrBlock"],),
        has_dns_support=bool(support.result()["EnableDnsSupport"]["Value"]),
        has_dns_hostnames=bool(hostnames.result()["EnableDnsHostnames"]["Value"]),
    )


def internet_route(subnet: Mapping[str, Any], tables: Iterable[Mapping[str, Any]]) -> InternetRoute:
    """Return where the default route of a subnet leads: that of its route table, or of its VPC's main one."""
    own: Mapping[str, Any] = {}
    main: Mapping[str, Any] = {}
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet["SubnetId"]:
                own = table
            elif association.get("Main") and table.get("VpcId") == subnet["VpcId"]:
                main = table
    for route in (own or main).get("Routes", []):
        if route.get("DestinationCidrBlock") == DEFAULT_ROUTE and route.get("State") != "blackhole":
            if str(route.get("GatewayId", "")).startswith("igw-"):
                return "internet gateway"
            return "NAT gateway" if route.get("NatGatewayId") else "other"
    return "none"


async def certificate(aws: AwsCaller, spec: ClusterSpec) -> OwnCertificate | None:
    """Return the certificate of cluster.yaml. Returns None if it names none."""
    if not spec.ssl_certificate_arn:
        return None
    try:
        answer = await aws.call("acm", "describe_certificate", CertificateArn=spec.ssl_certificate_arn)
    except AwsNotFound:
        return OwnCertificate(status="")
    found = answer["Certificate"]
    return OwnCertificate(
        status=found.get("Status", ""),
        domain=found.get("DomainName", ""),
        expires=found.get("NotAfter"),
        is_renewed=found.get("Type") != "IMPORTED",
    )


async def policy_exists(aws: AwsCaller, arn: str) -> bool:
    try:
        await aws.call("iam", "get_policy", PolicyArn=arn)
    except AwsNotFound:
        return False
    return True


async def bucket_state(aws: AwsCaller, bucket: str, account: str, region: str) -> BucketState:
    """Return whether the name of the bucket is free, or whose bucket it is."""
    try:
        answer = await aws.call("s3", "head_bucket", Bucket=bucket, ExpectedBucketOwner=account)
    except AwsNotFound:
        return "free"
    except AwsRejected as error:
        if error.code == FORBIDDEN:
            return "foreign"
        if error.code in MOVED:
            return "other region"
        raise
    return "own" if answer.get("BucketRegion", region) == region else "other region"


async def cluster_state(aws: AwsCaller, name: str) -> ClusterState:
    """Return whether the name of the EKS cluster is free, or whether gyrus made that cluster."""
    try:
        found = (await aws.call("eks", "describe_cluster", name=name))["cluster"]
    except AwsNotFound:
        return "free"
    return "gyrus" if found.get("tags", {}).get(CLUSTER_TAG) == name else "foreign"

"""Accounts as the preflight observes them."""

from __future__ import annotations

from dataclasses import replace

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import InstanceType, known_types
from gyrus.cluster.aws.preflight.facts import (
    CallerIdentity,
    InUse,
    ObservedAccount,
    OfferedType,
    OwnCertificate,
    OwnSubnet,
    OwnVpc,
    RegionZone,
)
from gyrus.cluster.aws.preflight.quotas import ALL_QUOTAS
from gyrus.cluster.aws.preflight.zones import all_types

VPC = "vpc-0a1b2c3d4e5f60718"
HUGE = 1e9


def account_for(spec: ClusterSpec) -> ObservedAccount:
    """An account in which nothing prevents the cluster: huge quotas, no use, and everything that it names."""
    named = [*spec.availability_zones, *(subnet.availability_zone for subnet in spec.subnets)]
    zones = sorted({*named, *(f"{spec.region}{letter}" for letter in "abc")})
    vpc = spec.vpc_id or VPC
    return ObservedAccount(
        identity=CallerIdentity("123456789012", "arn:aws:iam::123456789012:user/u"),
        region="enabled",
        zones=tuple(RegionZone(name, f"id-{name[-1]}") for name in zones),
        types={name: OfferedType(_kind(name), True, frozenset(zones)) for name in all_types(spec)},
        quotas={quota.code: HUGE for quota in ALL_QUOTAS},
        in_use=InUse(
            vpcs=0,
            internet_gateways=0,
            nat_gateways={},
            addresses=0,
            security_groups=0,
            scaling_groups=0,
            clusters=0,
            vcpus={},
        ),
        subnets={
            subnet.subnet_id: OwnSubnet(
                subnet_id=subnet.subnet_id,
                vpc_id=vpc,
                zone=subnet.availability_zone,
                free_addresses=100_000,
                internet="internet gateway" if spec.subnet_visibility == "public" else "NAT gateway",
            )
            for subnet in spec.subnets
        },
        vpcs={vpc: OwnVpc(vpc, ("10.0.0.0/8",), has_dns_support=True, has_dns_hostnames=True)},
        certificate=OwnCertificate("ISSUED", "api.example.com"),
        policies=dict.fromkeys(spec.iam_policy_arns, True),
        bucket="free",
        bucket_name="gyrus-vision",
        cluster="free",
    )


def _kind(name: str) -> InstanceType:
    return known_types().get(name) or replace(known_types()["m5.large"], name=name)

"""Facts about an account and a region that decide whether a cluster can be created. Pure.

A part that is None was not checked: :attr:`ObservedAccount.unchecked` has the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gyrus.cluster.aws.instance_types import InstanceType
from gyrus.cluster.aws.preflight.problem import PreflightNote

RegionState = Literal["enabled", "disabled", "unknown"]
InternetRoute = Literal["internet gateway", "NAT gateway", "other", "none"]


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """The identity to which the credentials belong."""

    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class RegionZone:
    """An availability zone. Its name stands for another place in each account, unlike its ID."""

    name: str
    zone_id: str


@dataclass(frozen=True, slots=True)
class OfferedType:
    """An instance type as EC2 describes it."""

    kind: InstanceType
    is_spot: bool
    """True if EC2 has spot instances of it."""
    zones: frozenset[str]
    """The zones of the region that offer it."""


@dataclass(frozen=True, slots=True)
class OwnSubnet:
    """A subnet that cluster.yaml names."""

    subnet_id: str
    vpc_id: str
    zone: str
    free_addresses: int
    internet: InternetRoute | None
    """The way to the internet. None if it was not checked."""


@dataclass(frozen=True, slots=True)
class OwnVpc:
    """The VPC of these subnets."""

    vpc_id: str
    ranges: tuple[str, ...]
    """Its address ranges."""
    has_dns_support: bool
    has_dns_hostnames: bool


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """The certificate that cluster.yaml names."""

    status: str
    """ISSUED, PENDING_VALIDATION, EXPIRED, … Empty if the certificate does not exist."""
    domain: str = ""
    expires: datetime | None = None
    is_renewed: bool = True
    """True if ACM renews it, False if it was imported."""


BucketState = Literal["free", "own", "foreign", "other region"]
ClusterState = Literal["free", "gyrus", "foreign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """Resources of the region, without those that the cluster itself has already."""

    vpcs: int | None = None
    internet_gateways: int | None = None
    nat_gateways: Mapping[str, int] | None = None
    """By zone."""
    addresses: int | None = None
    security_groups: int | None = None
    scaling_groups: int | None = None
    clusters: int | None = None
    vcpus: Mapping[str, int] | None = None
    """vCPUs of running instances, by code of their quota."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAccount:
    """An account and a region, for one cluster.yaml."""

    identity: CallerIdentity
    region: RegionState | None = None
    zones: tuple[RegionZone, ...] | None = None
    """Available zones in the order of their names; no local zones."""
    types: Mapping[str, OfferedType] | None = None
    """By name, the types of cluster.yaml that the region has."""
    quotas: Mapping[str, float] = field(default_factory=dict[str, float])
    """By code. A quota without a value was not checked."""
    in_use: InUse = InUse()
    subnets: Mapping[str, OwnSubnet] | None = None
    """By ID, those of cluster.yaml that exist."""
    vpcs: Mapping[str, OwnVpc] | None = None
    """By ID, the VPCs of these subnets."""
    certificate: OwnCertificate | None = None
    policies: Mapping[str, bool] | None = None
    """By ARN: True if the policy exists."""
    bucket: BucketState | None = None
    bucket_name: str = ""
    cluster: ClusterState | None = None
    """The EKS cluster with the name of cluster.yaml; *gyrus* if gyrus made it."""
    unchecked: tuple[PreflightNote, ...] = ()

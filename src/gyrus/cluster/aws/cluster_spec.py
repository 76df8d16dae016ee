"""A cluster on AWS, as cluster.yaml describes it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from gyrus.cluster.aws.identifiers import (
    NEWEST_KUBERNETES,
    AddressRange,
    CertificateArn,
    ClusterName,
    KubernetesVersion,
    PolicyArn,
    Region,
    SubnetId,
    TagKey,
    TagValue,
    VpcId,
    VpcNetwork,
    Zone,
    null_means,
)
from gyrus.cluster.aws.node_group import NodeGroup, repeated
from gyrus.cluster.aws.regions import partition_of, region_of
from gyrus.contract import cluster as names
from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction
from gyrus.spec.words import LabelName

VOLUME: Literal["volume"] = "volume"
"""The value of ``gyrus.store`` for which the operator's state is on a volume of its own."""
MOST_GROUPS = 100
MOST_TAGS = 40
"""AWS allows 50 a resource, and gyrus sets some itself."""
SCHEMES = ("postgresql", "postgres")

NatChoice = Literal["none", "single", "highly_available"]
Scheme = Literal["internet-facing", "internal"]
AddressRanges = Annotated[tuple[AddressRange, ...], Field(strict=False, min_length=1)]
EVERYWHERE = ("0.0.0.0/0",)
DEFAULT_NETWORK = "192.168.0.0/16"


class Subnet(Model):
    """A subnet of your own."""

    availability_zone: Zone = Field(examples=["us-east-1a"])
    """The subnet's availability zone."""
    subnet_id: SubnetId = Field(examples=["subnet-060f3961c876872ae"])
    """The subnet's ID."""


class GyrusSection(Model):
    """gyrus on the cluster."""

    namespace: LabelName = Field(default=names.NAMESPACE, examples=[names.NAMESPACE])
    """The namespace of operator, gateways and replicas."""
    store: str = Field(default=VOLUME, examples=["postgresql://gyrus@db.example.com/gyrus"])
    """The operator's state: volume, for one operator and a volume of its own, or the URL of a PostgreSQL
    database such as one of RDS, for two operators. The URL has no password: that is in the variable
    GYRUS_STORE_PASSWORD when the cluster is created."""
    values: str | None = Field(default=None, min_length=1, examples=["values.yaml"])
    """A values file with more settings of the installation, relative to this file. By default none."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.store != VOLUME and (fault := _url_fault(self.store)):
            yield Contradiction(path=("store",), message=fault[0], remedy=fault[1])


def _url_fault(url: str) -> tuple[str, str] | None:
    """Return the fault of a database's URL and its remedy. Neither cites the URL: it may have a password."""
    example = f"write {VOLUME}, or for example postgresql://gyrus@db.example.com/gyrus"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is neither volume nor the URL of a PostgreSQL database", example
    if parts.scheme not in SCHEMES or any(character.isspace() for character in url):
        return "is neither volume nor the URL of a PostgreSQL database", example
    if parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True):
        return "has a password, and this file is no place for one", "write the URL without it"
    if not parts.hostname or parts.path in ("", "/") or port == 0:
        return "names no host or no database", example
    return None


class ClusterSpec(Model):
    """A cluster on AWS."""

    cluster_name: ClusterName = Field(default="cortex", examples=["gyrus"])
    """The cluster's name, unique in its region and account. By default cortex, as in files of Cortex."""
    region: Region = Field(examples=["us-east-1"])
    """The AWS region."""
    kubernetes_version: KubernetesVersion = Field(default=NEWEST_KUBERNETES, examples=[NEWEST_KUBERNETES])
    """The version of Kubernetes. EKS charges more for versions out of standard support."""
    scaler: Literal["gyrus", "karpenter", "none"] = "gyrus"
    """The program that adds and removes nodes. none: groups keep their size."""
    node_groups: Annotated[tuple[NodeGroup, ...], Field(strict=False, min_length=1)] = Field(
        examples=[[{"name": "cpu", "instance_type": "m5.large"}]]
    )
    """The node groups, at most 100."""
    availability_zones: Annotated[tuple[Zone, ...], Field(strict=False), null_means(())] = Field(
        default=(), examples=[["us-east-1a", "us-east-1b", "us-east-1c"]]
    )
    """At least two zones. By default three of the region that offer the instance types."""
    vpc_cidr: VpcNetwork = DEFAULT_NETWORK
    """The addresses of the cluster's VPC, /16 to /24. It must not overlap networks that the VPC reaches."""
    vpc_id: VpcId | None = Field(default=None, examples=["vpc-0a1b2c3d4e5f60718"])
    """A VPC of your own, with subnets. By default a new one."""
    subnets: Annotated[tuple[Subnet, ...], Field(strict=False), null_means(())] = Field(
        default=(),
        examples=[
            [
                {"availability_zone": "us-east-1a", "subnet_id": "subnet-060f3961c876872ae"},
                {"availability_zone": "us-east-1b", "subnet_id": "subnet-0faed05adf6042ab7"},
            ]
        ],
    )
    """Subnets of your own, in at least two zones, in place of availability_zones. By default new ones."""
    subnet_visibility: Literal["public", "private"] = "public"
    """public: nodes have public addresses. private: they reach the internet by a NAT gateway."""
    nat_gateway: NatChoice | None = Field(default=None, examples=["single"])
    """NAT gateways of private subnets. highly_available: one in each zone. By default single with new private
    subnets, else none."""
    api_load_balancer_type: Literal["nlb", "elb"] = "nlb"
    """The load balancer of the APIs: a network or a classic one."""
    api_load_balancer_scheme: Scheme = "internet-facing"
    """The addresses of the load balancer of the APIs: public ones, or those of the VPC alone."""
    operator_load_balancer_scheme: Scheme = "internet-facing"
    """The addresses of the load balancer of the operator: public ones, or those of the VPC alone."""
    api_load_balancer_cidr_white_list: AddressRanges = Field(default=EVERYWHERE, examples=[EVERYWHERE])
    """The addresses from which clients may call APIs."""
    operator_load_balancer_cidr_white_list: AddressRanges = Field(default=EVERYWHERE, examples=[EVERYWHERE])
    """The addresses from which the command line may reach the operator."""
    tags: Annotated[dict[TagKey, TagValue], null_means({})] = Field(
        default_factory=dict[TagKey, TagValue], examples=[{"team": "vision"}]
    )
    """Tags of all AWS resources."""
    ssl_certificate_arn: CertificateArn | None = Field(
        default=None, examples=["arn:aws:acm:us-east-1:123456789012:certificate/1a2b3c4d"]
    )
    """A certificate of ACM in the same region, for HTTPS of the APIs. By default HTTP alone."""
    iam_policy_arns: Annotated[tuple[PolicyArn, ...], Field(strict=False), null_means(())] = Field(
        default=(), examples=[["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]]
    )
    """IAM policies that replicas get, and the operator, which fetches models for them, beside those that
    gyrus needs. By default none."""
    cloudwatch: bool = True
    """Send logs and metrics to CloudWatch."""
    gyrus: GyrusSection = GyrusSection()
    """gyrus on the cluster."""

    @property
    def nat(self) -> NatChoice:
        """The NAT gateways of new subnets."""
        if self.nat_gateway is not None:
            return self.nat_gateway
        return "single" if self.subnet_visibility == "private" and not self.subnets else "none"

    @property
    def two_operators(self) -> bool:
        """True if the operator's state is in a database, so that a second operator can stand by."""
        return self.gyrus.store != VOLUME

    def contradictions(self) -> Iterator[Contradiction]:
        yield from self._group_faults()
        yield from self._zone_faults()
        yield from self._subnet_faults()
        yield from self._nat_faults()
        yield from self._arn_faults()
        if len(self.tags) > MOST_TAGS:
            message = f"has {len(self.tags)} tags; at most {MOST_TAGS} are allowed"
            yield Contradiction(path=("tags",), message=message, remedy="remove some", at_key=True)

    def _group_faults(self) -> Iterator[Contradiction]:
        if len(self.node_groups) > MOST_GROUPS:
            message = f"has {len(self.node_groups)} groups; at most {MOST_GROUPS} are allowed"
            yield Contradiction(path=("node_groups",), message=message, remedy="remove some", at_key=True)
        yield from repeated(("node_groups",), tuple(group.name for group in self.node_groups), "name")
        if not any(group.max_instances for group in self.node_groups):
            message = "is 0, as in all groups: nothing could ever run"
            yield Contradiction(
                path=("node_groups", 0, "max_instances"), message=message, remedy="write 1 or more"
            )

    def _zone_faults(self) -> Iterator[Contradiction]:
        zones, path = self.availability_zones, ("availability_zones",)
        yield from repeated(path, zones)
        if zones and self.subnets:
            message = "is given beside subnets, which have their zones"
            yield Contradiction(path=path, message=message, remedy="remove one of them", at_key=True)
        elif len(set(zones)) == 1:
            message = f"has only {zones[0]}, and a cluster needs two zones"
            yield Contradiction(path=path, message=message, remedy="add another one, or leave the field out")
        for number, zone in enumerate(zones):
            if region_of(zone) != self.region:
                yield self._other_region((*path, number), zone)

    def _subnet_faults(self) -> Iterator[Contradiction]:
        if self.vpc_id and not self.subnets:
            message = "is given without subnets"
            remedy = "add subnets of this VPC, in at least two zones"
            yield Contradiction(path=("vpc_id",), message=message, remedy=remedy, at_key=True)
        if self.subnets and self.vpc_cidr != DEFAULT_NETWORK:
            message = "is given beside subnets, whose VPC has its addresses"
            yield Contradiction(path=("vpc_cidr",), message=message, remedy="remove it", at_key=True)
        yield from repeated(("subnets",), tuple(subnet.subnet_id for subnet in self.subnets), "subnet_id")
        zones = {subnet.availability_zone for subnet in self.subnets}
        if len(zones) == 1:
            message = f"are all in {zones.pop()}, and a cluster needs two zones"
            yield Contradiction(
                path=("subnets",), message=message, remedy="add one in another zone", at_key=True
            )
        for number, subnet in enumerate(self.subnets):
            if region_of(subnet.availability_zone) != self.region:
                yield self._other_region(("subnets", number, "availability_zone"), subnet.availability_zone)

    def _other_region(self, path: tuple[str | int, ...], zone: str) -> Contradiction:
        return Contradiction(
            path=path,
            message=f"is {zone}, which is not in {self.region}",
            remedy=f"write a zone of {self.region}, such as {self.region}a, or region: {region_of(zone)}",
        )

    def _nat_faults(self) -> Iterator[Contradiction]:
        path = ("nat_gateway",)
        if self.subnets and self.nat != "none":
            message = f"is {self.nat}, and subnets of your own have their own way to the internet"
            yield Contradiction(path=path, message=message, remedy="write none, or leave it out")
        elif self.subnet_visibility == "private" and not self.subnets and self.nat == "none":
            message = "is none, and nodes in private subnets could not reach the internet"
            yield Contradiction(
                path=path, message=message, remedy="write single or highly_available, or leave it out"
            )

    def _arn_faults(self) -> Iterator[Contradiction]:
        partition, path = partition_of(self.region), ("ssl_certificate_arn",)
        arn = self.ssl_certificate_arn
        if arn and (region := arn.split(":")[3]) != self.region:
            message = f"names a certificate of {region}, and the cluster is in {self.region}"
            yield Contradiction(path=path, message=message, remedy=f"request one in {self.region}")
        yield from repeated(("iam_policy_arns",), self.iam_policy_arns)
        for number, policy in enumerate(self.iam_policy_arns):
            if (found := policy.split(":")[1]) != partition:
                message = f"is of the partition {found}, and {self.region} is in {partition}"
                remedy = f"write {policy.replace(f'arn:{found}:', f'arn:{partition}:', 1)}"
                yield Contradiction(path=("iam_policy_arns", number), message=message, remedy=remedy)

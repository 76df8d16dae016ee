"""Texts of cluster.yaml with rules of AWS: names, ARNs, networks, tags.

An invalid value raises ValueError. Its text continues a sentence that begins with the value.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from gyrus.cluster.aws.instance_types import check_instance_type
from gyrus.cluster.aws.regions import check_region, check_zone

OLDEST_KUBERNETES = "1.32"
NEWEST_KUBERNETES = "1.35"
"""The versions of Kubernetes that EKS is known to offer, as of 2026-11-28. A newer one may be offered too."""

SHORTEST_CLUSTER_NAME, LONGEST_CLUSTER_NAME = 3, 54
LONGEST_GROUP_NAME = 25
LARGEST_VPC, SMALLEST_VPC = 16, 24
"""Prefix lengths. AWS has no larger VPC, and a smaller one has too few addresses for its subnets."""

_CLUSTER_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_GROUP_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_VERSION = re.compile(r"1\.\d{2}", re.ASCII)
_SUBNET = re.compile(r"subnet-([0-9a-f]{8}|[0-9a-f]{17})")
_VPC = re.compile(r"vpc-([0-9a-f]{8}|[0-9a-f]{17})")
_CERTIFICATE = re.compile(r"arn:aws(-cn|-us-gov)?:acm:[a-z0-9-]+:\d{12}:certificate/[A-Za-z0-9-]+", re.ASCII)
_POLICY = re.compile(r"arn:aws(-cn|-us-gov)?:iam::(aws|\d{12}):policy/[A-Za-z0-9+=,.@_/-]+", re.ASCII)
_TAG = re.compile(r"[\w +\-=.:/@]+")
RESERVED_TAGS = (
    "aws:",
    "kubernetes.io/",
    "k8s.io/",
    "eksctl.",
    "alpha.eksctl.",
    "beta.eksctl.",
    "gyrus.dev/",
)
"""Prefixes of tags that AWS, Kubernetes, eksctl and gyrus set."""
_UNUSABLE = tuple(IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))


def check_cluster_name(value: str) -> str:
    if not SHORTEST_CLUSTER_NAME <= len(value) <= LONGEST_CLUSTER_NAME:
        raise ValueError(
            f"has {len(value)} characters; write from {SHORTEST_CLUSTER_NAME} to {LONGEST_CLUSTER_NAME}"
        )
    if not _CLUSTER_NAME.fullmatch(value):
        raise ValueError(
            f"is not the name of a cluster: small letters, digits, and single hyphens between them; "
            f"write for example {_plain(value)}"
        )
    return value


def check_group_name(value: str) -> str:
    if len(value) > LONGEST_GROUP_NAME:
        raise ValueError(f"has {len(value)} characters; at most {LONGEST_GROUP_NAME} are allowed")
    if not _GROUP_NAME.fullmatch(value):
        raise ValueError(
            f"is not the name of a node group: small letters, digits and hyphens; "
            f"write for example {_plain(value)}"
        )
    return value


def _plain(value: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") or "cpu"


def check_kubernetes_version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError(f'is not a version of Kubernetes; write for example "{NEWEST_KUBERNETES}"')
    if value < OLDEST_KUBERNETES:
        raise ValueError(
            f"is older than {OLDEST_KUBERNETES}, the oldest version that EKS offers; "
            f'write for example "{NEWEST_KUBERNETES}"'
        )
    return value


def _matches(pattern: re.Pattern[str], what: str, example: str) -> AfterValidator:
    """Return the check of a text. ``what``: what it must be. ``example``: one that is right."""

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"is not {what}; write for example {example}")
        return value

    return AfterValidator(check)


def check_network(value: str) -> str:
    """Check a range of IPv4 addresses."""
    address, slash, length = value.partition("/")
    try:
        IPv4Address(address)
    except AddressValueError:
        raise ValueError("is not a range of IPv4 addresses; write for example 203.0.113.0/24") from None
    if not slash:
        raise ValueError(f"has no prefix length; write {value}/32 for one address")
    try:
        network = IPv4Network(value, strict=False) if re.fullmatch(r"\d{1,2}", length) else None
    except NetmaskValueError:
        network = None
    if network is None:
        raise ValueError("has no prefix length from 0 to 32; write for example 203.0.113.0/24")
    if str(network) != value:
        raise ValueError(f"is inside the range {network}; write {network}, or {address}/32 for one address")
    return value


def check_vpc_network(value: str) -> str:
    try:
        network = IPv4Network(check_network(value))
    except ValueError as error:
        raise ValueError(str(error).partition(", or ")[0]) from None
    if not LARGEST_VPC <= network.prefixlen <= SMALLEST_VPC:
        size = "larger" if network.prefixlen < LARGEST_VPC else "smaller"
        raise ValueError(
            f"is {size} than a VPC may be here, /{LARGEST_VPC} to /{SMALLEST_VPC}; "
            f"write for example {network.network_address}/{LARGEST_VPC}"
        )
    if any(network.subnet_of(other) for other in _UNUSABLE):
        raise ValueError("holds addresses that no network may use; write for example 192.168.0.0/16")
    return value


def check_tag_key(value: str) -> str:
    return _tag(value, 127, "the key of a tag")


def check_tag_value(value: str) -> str:
    return _tag(value, 255, "the value of a tag")


def _tag(value: str, longest: int, what: str) -> str:
    if not 1 <= len(value) <= longest:
        raise ValueError(f"has {len(value)} characters; {what} has from 1 to {longest}")
    if reserved := next((prefix for prefix in RESERVED_TAGS if value.lower().startswith(prefix)), None):
        raise ValueError(f"begins with {reserved}, which is reserved; choose another text")
    if not _TAG.fullmatch(value) or value != value.strip():
        raise ValueError(
            f"is not {what}: letters, digits, spaces between them and + - = . _ : / @; "
            f"write for example {_plain_tag(value)}"
        )
    return value


def _plain_tag(value: str) -> str:
    return re.sub(r"[^\w +\-=.:/@]+", "-", value).strip("- ") or "my-team"


def null_means(value: object) -> BeforeValidator:
    """Return a validator that reads null as this value, where files of Cortex may have null."""
    return BeforeValidator(lambda found: value if found is None else found)


ClusterName = Annotated[
    str,
    AfterValidator(check_cluster_name),
    Field(
        json_schema_extra={
            "pattern": f"^{_CLUSTER_NAME.pattern}$",
            "minLength": SHORTEST_CLUSTER_NAME,
            "maxLength": LONGEST_CLUSTER_NAME,
        }
    ),
]
GroupName = Annotated[
    str,
    AfterValidator(check_group_name),
    Field(json_schema_extra={"pattern": f"^{_GROUP_NAME.pattern}$", "maxLength": LONGEST_GROUP_NAME}),
]
KubernetesVersion = Annotated[
    str,
    AfterValidator(check_kubernetes_version),
    Field(json_schema_extra={"pattern": f"^{_VERSION.pattern}$", "type": ["string", "number"]}),
]
Region = Annotated[str, AfterValidator(check_region)]
Zone = Annotated[str, AfterValidator(check_zone)]
TypeName = Annotated[str, AfterValidator(check_instance_type)]
SubnetId = Annotated[
    str,
    _matches(_SUBNET, "the ID of a subnet", "subnet-060f3961c876872ae"),
    Field(json_schema_extra={"pattern": f"^{_SUBNET.pattern}$"}),
]
VpcId = Annotated[
    str,
    _matches(_VPC, "the ID of a VPC", "vpc-0a1b2c3d4e5f60718"),
    Field(json_schema_extra={"pattern": f"^{_VPC.pattern}$"}),
]
CertificateArn = Annotated[
    str,
    _matches(
        _CERTIFICATE, "the ARN of a certificate", "arn:aws:acm:us-east-1:123456789012:certificate/1a2b3c4d"
    ),
]
PolicyArn = Annotated[
    str, _matches(_POLICY, "the ARN of an IAM policy", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
]
AddressRange = Annotated[str, AfterValidator(check_network)]
VpcNetwork = Annotated[str, AfterValidator(check_vpc_network)]
TagKey = Annotated[str, AfterValidator(check_tag_key)]
TagValue = Annotated[str, AfterValidator(check_tag_value)]

"""Quotas that a cluster counts against: their services and codes, and the vCPU quota of a type. Pure.

Codes and names are those of Service Quotas as of 2026-11-28.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gyrus.cluster.aws.regions import partition_of


@dataclass(frozen=True, slots=True)
class QuotaId:
    """A quota of a service."""

    service: str
    code: str
    name: str
    """Its name in the console."""

    def remedy(self, desired: int, region: str) -> str:
        """Return how to raise it to a value."""
        return (
            f"Raise it: aws service-quotas request-service-quota-increase --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {desired} --region {region} "
            f"(or {self._console(region)})"
        )

    def _console(self, region: str) -> str:
        domain = _CONSOLES[partition_of(region)]
        return f"https://{region}.{domain}/servicequotas/home/services/{self.service}/quotas/{self.code}"


@dataclass(frozen=True, slots=True)
class VcpuQuotas:
    """The two quotas of vCPUs of some families."""

    on_demand: QuotaId
    spot: QuotaId | None
    """The quota of spot instances. None if the families have none, or if the quota is not known."""


_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}

VPCS = QuotaId("vpc", "L-F678F1CE", "VPCs per Region")
INTERNET_GATEWAYS = QuotaId("vpc", "L-A4707A72", "Internet gateways per Region")
NAT_GATEWAYS = QuotaId("vpc", "L-FE5A380F", "NAT gateways per Availability Zone")
SUBNETS = QuotaId("vpc", "L-407747CB", "Subnets per VPC")
SECURITY_GROUPS = QuotaId("vpc", "L-E79EC296", "VPC security groups per Region")
SECURITY_GROUP_RULES = QuotaId("vpc", "L-0EA8095F", "Inbound or outbound rules per security group")
ADDRESSES = QuotaId("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs")
CLUSTERS = QuotaId("eks", "L-1194D53C", "Clusters")
SCALING_GROUPS = QuotaId("autoscaling", "L-CDE20ADC", "Auto Scaling groups per region")
COUNTED = (
    VPCS, INTERNET_GATEWAYS, NAT_GATEWAYS, SUBNETS, SECURITY_GROUPS, SECURITY_GROUP_RULES, ADDRESSES,
    CLUSTERS, SCALING_GROUPS,
)  # fmt: skip


def _pair(name: str, on_demand: str, spot_name: str = "", spot: str = "") -> VcpuQuotas:
    return VcpuQuotas(
        QuotaId("ec2", on_demand, f"Running On-Demand {name} instances"),
        QuotaId("ec2", spot, f"All {spot_name or name} Spot Instance Requests") if spot else None,
    )


STANDARD = _pair(
    "Standard (A, C, D, H, I, M, R, T, Z)", "L-1216C47A", "Standard (A, C, D, H, I, M, R, T, Z)", "L-34B43A08"
)
G_AND_VT = _pair("G and VT", "L-DB2E81BA", "G and VT", "L-3819A6DF")
P_TO_4 = _pair("P", "L-417A185B", "P4, P3 and P2", "L-7212CCBC")
P5 = _pair("P", "L-417A185B", "P5", "L-C4BD4855")
P_OTHER = _pair("P", "L-417A185B")
INF = _pair("Inf", "L-1945791B", "Inf", "L-B5D1601B")
TRN = _pair("Trn", "L-2C3B7624", "Trn", "L-6B0D517C")
DL = _pair("DL", "L-6E869C2A", "DL", "L-85EED4F7")
F = _pair("F", "L-74FC7D96", "F", "L-88CF9481")
X = _pair("X", "L-7295265B", "X", "L-E3A00192")
HPC = _pair("HPC", "L-F7808C92")
HIGH_MEMORY = _pair("High Memory", "L-43DA4232")
VCPUS = (STANDARD, G_AND_VT, P_TO_4, P5, INF, TRN, DL, F, X, HPC, HIGH_MEMORY)
ALL_QUOTAS = tuple(
    dict.fromkeys((*COUNTED, *(quota for pair in VCPUS for quota in (pair.on_demand, pair.spot) if quota)))
)

_BY_LETTERS = {
    **dict.fromkeys(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"), STANDARD),
    **dict.fromkeys(("g", "gr", "vt"), G_AND_VT),
    "inf": INF,
    "trn": TRN,
    "dl": DL,
    "f": F,
    "x": X,
    "hpc": HPC,
    "u": HIGH_MEMORY,
}
_P_TO_4 = re.compile(r"p[2-4]")
_P5 = re.compile(r"p5")


def quotas_of(service: str) -> str:
    """Return how a note names the quotas of a service."""
    return f"quotas of {service}"


def vcpu_quotas(instance_type: str) -> VcpuQuotas | None:
    """Return the quotas of a type's vCPUs. Returns None for a family that is not known.

    >>> vcpu_quotas("g5.xlarge").on_demand.code, vcpu_quotas("p5.48xlarge").spot.code
    ('L-DB2E81BA', 'L-C4BD4855')
    """
    if instance_type.startswith("p"):
        return P_TO_4 if _P_TO_4.match(instance_type) else P5 if _P5.match(instance_type) else P_OTHER
    letters = re.match(r"[a-z]+", instance_type)
    return _BY_LETTERS.get(letters[0]) if letters else None

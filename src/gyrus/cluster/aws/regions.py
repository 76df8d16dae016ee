"""Regions and zones of AWS, by the shape of their names and a table of known regions, as of 2026-11-28."""

from __future__ import annotations

import re

from gyrus.spec.faults import nearest

PLACEHOLDER = "YOUR-REGION"
"""The text in the place of a region that the user fills in."""

REGIONS = (
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
    "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
    "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1",
    "cn-northwest-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2",
    "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
    "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2",
)  # fmt: skip
"""Regions with EKS. One that is not here may exist all the same."""

_REGION = re.compile(r"[a-z]{2}(-gov|-iso[a-z]?)?-(central|(north|south)(east|west)?|east|west)-\d", re.ASCII)
_ZONE = re.compile(r"(?P<region>.+-\d)[a-z]", re.ASCII)


def check_region(value: str) -> str:
    """Check a region's name. An unknown one is accepted if it is well-formed. Raises ValueError."""
    if value == PLACEHOLDER:
        raise ValueError("stands for the region to fill in; write for example us-east-1")
    if value in REGIONS or _REGION.fullmatch(value):
        return value
    if (zone := _ZONE.fullmatch(value)) and zone["region"] in REGIONS:
        raise ValueError(f"is an availability zone; write {zone['region']}")
    close = nearest(value, REGIONS)
    remedy = f'did you mean "{close}"?' if close else "write for example us-east-1"
    raise ValueError(f"is not a region; {remedy}")


def check_zone(value: str) -> str:
    """Check an availability zone's name. Raises ValueError."""
    found = _ZONE.fullmatch(value)
    if not found or not _REGION.fullmatch(found["region"]):
        example = f"{value}a" if _REGION.fullmatch(value) else "us-east-1a"
        raise ValueError(f"is not an availability zone; write for example {example}")
    return value


def region_of(zone: str) -> str:
    """Return the region of a zone.

    >>> region_of("eu-west-1b")
    'eu-west-1'
    """
    return zone[:-1]


def partition_of(region: str) -> str:
    """Return the partition, with which ARNs begin.

    >>> partition_of("cn-north-1"), partition_of("eu-west-1")
    ('aws-cn', 'aws')
    """
    special = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in special.items() if region.startswith(prefix)), "aws")


def home_region(region: str) -> str:
    """Return the region of the partition that is enabled in every account.

    >>> home_region("me-south-1"), home_region("cn-northwest-1")
    ('us-east-1', 'cn-north-1')
    """
    homes = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
    return homes[partition_of(region)]

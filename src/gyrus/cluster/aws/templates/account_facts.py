"""Facts about the account that a base stack depends on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.templates.document import StackResource

ZONES = 3
"""The number of zones, if cluster.yaml names none."""
SERVICE_RANGES = ("10.100.0.0/16", "172.20.0.0/16", "192.168.0.0/16", "10.101.0.0/16", "172.21.0.0/16")
"""Ranges for Kubernetes Services. The first that no network of the VPC overlaps is used."""


class DataState(StrEnum):
    """The part of a stack in the cluster's data: its bucket and its log group."""

    OWN = "own"
    """The stack creates and deletes them."""
    KEPT = "kept"
    """The data stays when the stack is deleted."""
    FOUND = "found"
    """An earlier cluster of this name left the data, and the stack only refers to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """The facts, of which each has a default that needs no question to AWS."""

    zones: tuple[str, ...] = ()
    """The zones. By default those of cluster.yaml, else three that AWS chooses when the stack is created."""
    vpc_ranges: tuple[str, ...] = ()
    """The address ranges of your own VPC. Not needed for a new one."""
    data: DataState = DataState.OWN
    nodes_exist: bool = False
    """True if nodes run, so that add-ons that are pods of a Deployment become ready.

    CloudFormation would wait for these. A base stack is created without them, and updated when nodes run."""


@dataclass(frozen=True, slots=True)
class PlacedZone:
    """One zone of a cluster."""

    label: str
    """The end of the names of its resources within the template."""
    zone: str | StackResource


def placed_zones(spec: ClusterSpec, facts: AccountFacts) -> tuple[PlacedZone, ...]:
    """Return the zones of new subnets.

    A zone is written as ``${AWS::Region}a``. CloudFormation chooses the zones that nothing names.
    """
    chosen = facts.zones or spec.availability_zones
    if not chosen:
        zones: StackResource = {"Fn::GetAZs": {"Ref": "AWS::Region"}}
        return tuple(PlacedZone(str(number + 1), {"Fn::Select": [number, zones]}) for number in range(ZONES))
    letters = sorted(zone[-1] for zone in chosen)
    return tuple(PlacedZone(letter.upper(), {"Fn::Sub": f"${{AWS::Region}}{letter}"}) for letter in letters)


def service_range(spec: ClusterSpec, facts: AccountFacts) -> str:
    """Return the addresses of Kubernetes Services, which no address of the VPC may have."""
    taken = [IPv4Network(text) for text in ((spec.vpc_cidr,) if not spec.subnets else facts.vpc_ranges)]
    free = (text for text in SERVICE_RANGES if not any(IPv4Network(text).overlaps(each) for each in taken))
    return next(free, SERVICE_RANGES[0])


def subnet_ranges(network: str, count: int) -> Sequence[str]:
    """Return equal ranges for subnets, as large as possible.

    >>> subnet_ranges("192.168.0.0/16", 3)
    ['192.168.0.0/18', '192.168.64.0/18', '192.168.128.0/18']
    """
    bits = (count - 1).bit_length()
    found = IPv4Network(network).subnets(prefixlen_diff=bits)
    return [str(subnet) for subnet, _ in zip(found, range(count), strict=False)]

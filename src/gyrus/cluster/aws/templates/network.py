"""The network of a cluster: VPC, subnets, gateways and routes, or your own subnets. Pure.

Nodes have no security group but the one that EKS creates for the cluster: the address ranges of load
balancers are in ``loadBalancerSourceRanges`` of the Kubernetes Services, for which EKS adds the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.resource_names import base_stack, cluster_tags, owner_tag
from gyrus.cluster.aws.templates.account_facts import AccountFacts, PlacedZone, placed_zones, subnet_ranges
from gyrus.cluster.aws.templates.document import (
    StackResource,
    attribute,
    ref,
    resource,
    substituted,
    tag_list,
)

VPC = "Vpc"
INTERNET = "InternetGateway"
ATTACHMENT = "InternetGatewayAttachment"
PUBLIC_ROUTES = "PublicRoutes"
EVERYWHERE = "0.0.0.0/0"
FOR_LOAD_BALANCERS, FOR_INTERNAL_ONES = "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"
"""Tags of the subnets in which Kubernetes places public load balancers, and those of the VPC alone."""


@dataclass(frozen=True, slots=True)
class Network:
    """The network as the other parts of the template use it."""

    resources: Mapping[str, StackResource]
    vpc: Any
    """The VPC. None if it is your own, and cluster.yaml does not name it."""
    public: tuple[Any, ...]
    private: tuple[Any, ...]
    nodes: tuple[Any, ...]
    """The subnets of nodes, in the order of their zones."""
    zones: tuple[Any, ...]
    """The zones of the subnets of nodes."""


def network_of(spec: ClusterSpec, facts: AccountFacts) -> Network:
    """Return the network: a new one, or your own subnets, for which there is nothing to create."""
    return _own_network(spec) if spec.subnets else _new_network(spec, placed_zones(spec, facts))


def _own_network(spec: ClusterSpec) -> Network:
    subnets = tuple(subnet.subnet_id for subnet in spec.subnets)
    zones = tuple(subnet.availability_zone for subnet in spec.subnets)
    is_public = spec.subnet_visibility == "public"
    return Network(
        {}, spec.vpc_id, subnets if is_public else (), () if is_public else subnets, subnets, zones
    )


def _new_network(spec: ClusterSpec, zones: tuple[PlacedZone, ...]) -> Network:
    has_private = spec.subnet_visibility == "private" or spec.nat != "none"
    ranges = subnet_ranges(spec.vpc_cidr, len(zones) * (2 if has_private else 1))
    resources = {**_vpc(spec), **_public_routes(spec)}
    for zone, addresses in zip(zones, ranges, strict=False):
        resources |= _public_subnet(spec, zone, addresses, has_private=has_private)
    if has_private:
        for zone, addresses in zip(zones, ranges[len(zones) :], strict=True):
            resources |= _private_subnet(spec, zone, zones[0], addresses)
        resources |= _nat_gateways(spec, zones)
    resources["StorageEndpoint"] = _storage_endpoint(spec, resources)
    public = tuple(ref(f"PublicSubnet{zone.label}") for zone in zones)
    private = tuple(ref(f"PrivateSubnet{zone.label}") for zone in zones) if has_private else ()
    nodes = private if spec.subnet_visibility == "private" else public
    return Network(resources, ref(VPC), public, private, nodes, tuple(zone.zone for zone in zones))


def _named(spec: ClusterSpec, name: str, **more: str) -> list[StackResource]:
    """Return the tags of a resource that the console shows by its name."""
    return tag_list({**cluster_tags(spec), "Name": f"{base_stack(spec.cluster_name)}/{name}", **more})


def _vpc(spec: ClusterSpec) -> dict[str, StackResource]:
    vpc = {
        "CidrBlock": spec.vpc_cidr,
        "EnableDnsHostnames": True,
        "EnableDnsSupport": True,
        "Tags": _named(spec, VPC),
    }
    return {
        VPC: resource("EC2::VPC", vpc),
        INTERNET: resource("EC2::InternetGateway", {"Tags": _named(spec, INTERNET)}),
        ATTACHMENT: resource(
            "EC2::VPCGatewayAttachment", {"VpcId": ref(VPC), "InternetGatewayId": ref(INTERNET)}
        ),
    }


def _public_routes(spec: ClusterSpec) -> dict[str, StackResource]:
    route = {
        "RouteTableId": ref(PUBLIC_ROUTES),
        "DestinationCidrBlock": EVERYWHERE,
        "GatewayId": ref(INTERNET),
    }
    return {
        PUBLIC_ROUTES: _route_table(spec, PUBLIC_ROUTES),
        "PublicRoute": resource("EC2::Route", route, DependsOn=ATTACHMENT),
    }


def _route_table(spec: ClusterSpec, name: str) -> StackResource:
    return resource("EC2::RouteTable", {"VpcId": ref(VPC), "Tags": _named(spec, name)})


def _public_subnet(
    spec: ClusterSpec, zone: PlacedZone, addresses: str, *, has_private: bool
) -> dict[str, StackResource]:
    # Without private subnets, load balancers of the VPC alone are in the public ones.
    tags = {FOR_LOAD_BALANCERS: "1"} if has_private else {FOR_LOAD_BALANCERS: "1", FOR_INTERNAL_ONES: "1"}
    name = f"PublicSubnet{zone.label}"
    return {
        name: _subnet(spec, name, zone, addresses, tags, is_public=True),
        f"{name}Routes": _association(name, PUBLIC_ROUTES),
    }


def _private_subnet(
    spec: ClusterSpec, zone: PlacedZone, first: PlacedZone, addresses: str
) -> dict[str, StackResource]:
    name, routes = f"PrivateSubnet{zone.label}", f"PrivateRoutes{zone.label}"
    nat = zone if spec.nat == "highly_available" else first
    route = {
        "RouteTableId": ref(routes),
        "DestinationCidrBlock": EVERYWHERE,
        "NatGatewayId": ref(f"NatGateway{nat.label}"),
    }
    return {
        name: _subnet(spec, name, zone, addresses, {FOR_INTERNAL_ONES: "1"}, is_public=False),
        routes: _route_table(spec, routes),
        f"PrivateRoute{zone.label}": resource("EC2::Route", route),
        f"{name}Routes": _association(name, routes),
    }


def _subnet(
    spec: ClusterSpec,
    name: str,
    zone: PlacedZone,
    addresses: str,
    tags: Mapping[str, str],
    *,
    is_public: bool,
) -> StackResource:
    subnet = {
        "VpcId": ref(VPC),
        "AvailabilityZone": zone.zone,
        "CidrBlock": addresses,
        "MapPublicIpOnLaunch": is_public,
        "Tags": _named(spec, name, **tags, **{owner_tag(spec.cluster_name): "shared"}),
    }
    return resource("EC2::Subnet", subnet)


def _association(subnet: str, routes: str) -> StackResource:
    return resource(
        "EC2::SubnetRouteTableAssociation", {"SubnetId": ref(subnet), "RouteTableId": ref(routes)}
    )


def _nat_gateways(spec: ClusterSpec, zones: tuple[PlacedZone, ...]) -> dict[str, StackResource]:
    found: dict[str, StackResource] = {}
    for zone in zones if spec.nat == "highly_available" else zones[:1]:
        address, gateway = f"NatAddress{zone.label}", f"NatGateway{zone.label}"
        found[address] = resource(
            "EC2::EIP", {"Domain": "vpc", "Tags": _named(spec, address)}, DependsOn=ATTACHMENT
        )
        properties = {
            "AllocationId": attribute("AllocationId", address),
            "SubnetId": ref(f"PublicSubnet{zone.label}"),
            "Tags": _named(spec, gateway),
        }
        found[gateway] = resource("EC2::NatGateway", properties, DependsOn="PublicRoute")
    return found


def _storage_endpoint(spec: ClusterSpec, resources: Mapping[str, StackResource]) -> StackResource:
    """Return the endpoint by which traffic to S3 passes no NAT gateway. It is free."""
    tables = [name for name, each in resources.items() if each["Type"] == "AWS::EC2::RouteTable"]
    properties = {
        "VpcId": ref(VPC),
        "ServiceName": substituted("com.amazonaws.${AWS::Region}.s3"),
        "RouteTableIds": [ref(name) for name in tables],
        "Tags": _named(spec, "StorageEndpoint"),
    }
    return resource("EC2::VPCEndpoint", properties)

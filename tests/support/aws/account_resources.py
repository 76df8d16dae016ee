"""Everything in an emulated account that costs money or belongs to a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

AwsClient = Callable[[str], Any]
ENDED = ("terminated", "shutting-down", "deleted", "deleting")


def account_resources(client: AwsClient) -> frozenset[str]:
    """Return the resources of an account, each as ``kind name``.

    The network that every account has from its beginning, and deleted resources that AWS still lists for a
    while, are left out.
    """
    readings = (_stacks, _network, _compute, _data, _identities, _notices, _balancers)
    return frozenset(found for reading in readings for found in reading(client))


@dataclass(frozen=True, slots=True)
class _Listing:
    """One kind of resources, and the operation that lists it."""

    kind: str
    operation: str
    entries: str
    name: str
    wanted: Callable[[dict[str, Any]], bool] = lambda entry: True

    def read(self, client: Any) -> Iterator[str]:
        for entry in getattr(client, self.operation)().get(self.entries, []):
            named: Any = entry[self.name] if self.name else entry
            if not isinstance(entry, dict) or self.wanted(entry):  # pyright: ignore[reportUnknownArgumentType] -- of an untyped client
                yield f"{self.kind} {named}"


def _in_use(entry: dict[str, Any]) -> bool:
    return entry.get("State") not in ENDED and entry.get("State", {}) != {"Name": "terminated"}


def _stacks(client: AwsClient) -> Iterator[str]:
    def exists(entry: dict[str, Any]) -> bool:
        return entry["StackStatus"] != "DELETE_COMPLETE"

    yield from _Listing("stack", "describe_stacks", "Stacks", "StackName", exists).read(
        client("cloudformation")
    )


def _network(client: AwsClient) -> Iterator[str]:
    ec2 = client("ec2")
    default = {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one.get("IsDefault")}

    def own(entry: dict[str, Any]) -> bool:
        vpcs = {entry.get("VpcId")} | {one.get("VpcId") for one in entry.get("Attachments", [])}
        return not vpcs & default and _in_use(entry)

    def chosen(entry: dict[str, Any]) -> bool:
        return own(entry) and entry["GroupName"] != "default"

    def joined(entry: dict[str, Any]) -> bool:
        return own(entry) and not any(one.get("Main") for one in entry["Associations"])

    listings = (
        _Listing("vpc", "describe_vpcs", "Vpcs", "VpcId", own),
        _Listing("subnet", "describe_subnets", "Subnets", "SubnetId", own),
        _Listing("address", "describe_addresses", "Addresses", "AllocationId"),
        _Listing("nat-gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", own),
        _Listing(
            "internet-gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId", own
        ),
        _Listing("route-table", "describe_route_tables", "RouteTables", "RouteTableId", joined),
        _Listing("vpc-endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", own),
        _Listing("security-group", "describe_security_groups", "SecurityGroups", "GroupId", chosen),
        _Listing(
            "interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", _in_use
        ),
    )
    for listing in listings:
        yield from listing.read(ec2)


def _compute(client: AwsClient) -> Iterator[str]:
    ec2 = client("ec2")
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] not in ENDED:
                yield f"instance {instance['InstanceId']}"
    yield from _Listing("volume", "describe_volumes", "Volumes", "VolumeId", _in_use).read(ec2)
    yield from _Listing(
        "launch-template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"
    ).read(ec2)
    yield from _Listing(
        "scaling-group", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"
    ).read(client("autoscaling"))
    yield from _Listing("eks-cluster", "list_clusters", "clusters", "").read(client("eks"))


def _data(client: AwsClient) -> Iterator[str]:
    yield from _Listing("bucket", "list_buckets", "Buckets", "Name").read(client("s3"))
    yield from _Listing("log-group", "describe_log_groups", "logGroups", "logGroupName").read(client("logs"))


def _identities(client: AwsClient) -> Iterator[str]:
    def own(entry: dict[str, Any]) -> bool:
        return not entry["Path"].startswith("/aws-service-role/")

    iam = client("iam")
    yield from _Listing("role", "list_roles", "Roles", "RoleName", own).read(iam)
    yield from _Listing(
        "instance-profile", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"
    ).read(iam)
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        yield f"identity-provider {provider['Arn']}"


def _notices(client: AwsClient) -> Iterator[str]:
    yield from _Listing("queue", "list_queues", "QueueUrls", "").read(client("sqs"))
    yield from _Listing("rule", "list_rules", "Rules", "Name").read(client("events"))
    cloudwatch = client("cloudwatch")
    yield from _Listing("alarm", "describe_alarms", "MetricAlarms", "AlarmName").read(cloudwatch)
    yield from _Listing("dashboard", "list_dashboards", "DashboardEntries", "DashboardName").read(cloudwatch)


def _balancers(client: AwsClient) -> Iterator[str]:
    yield from _Listing("load-balancer", "describe_load_balancers", "LoadBalancers", "LoadBalancerName").read(
        client("elbv2")
    )
    yield from _Listing("target-group", "describe_target_groups", "TargetGroups", "TargetGroupName").read(
        client("elbv2")
    )
    yield from _Listing(
        "classic-load-balancer", "describe_load_balancers", "LoadBalancerDescriptions", "LoadBalancerName"
    ).read(client("elb"))

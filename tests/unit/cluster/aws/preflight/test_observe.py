"""Reading an account, from answers as the services give them."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from gyrus.cluster.aws.calls import Answer
from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.errors import (
    AwsCredentialsRefused,
    AwsDenied,
    AwsError,
    AwsUnreachable,
    NoAwsCredentials,
)
from gyrus.cluster.aws.policies.administrator import administrator_statements
from gyrus.cluster.aws.policies.statement import PolicyScope
from gyrus.cluster.aws.preflight.observe import observe
from gyrus.cluster.aws.preflight.own_readings import internet_route
from gyrus.cluster.aws.preflight.quotas import vcpu_quotas
from gyrus.cluster.aws.preflight.usage_readings import vcpus
from gyrus.cluster.aws.preflight.vcpus import most_spot

SPEC = parse_cluster(
    "cluster_name: vision\nregion: eu-west-1\nnode_groups: [{name: cpu, instance_type: m5.large}]\n", "c"
)
ACCOUNT: dict[str, Any] = {
    "get_caller_identity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/u"},
    "describe_regions": {"Regions": [{"RegionName": "eu-west-1", "OptInStatus": "opt-in-not-required"}]},
    "describe_cluster": {"cluster": {"tags": {}}},
}


def action_of(service: str, operation: str) -> str:
    """The IAM action of an operation, with the letters that botocore's names have."""
    if operation == "head_bucket":
        return "s3:ListBucket"
    name = "".join(word.capitalize() for word in operation.split("_"))
    return f"{service.replace('-', '')}:{name.replace('Aws', 'AWS')}"


class Account:
    """Answers by operation; an error is raised. Other operations have an empty answer."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = ACCOUNT | answers
        self.actions: set[str] = set()

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer:
        self.actions.add(action_of(service, operation))
        answer = self.answers.get(operation, {})
        if isinstance(answer, AwsError):
            raise answer
        return answer

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        return (await self.call(service, operation, **arguments)).get(key, [])


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("get_caller_identity", NoAwsCredentials),
        ("get_caller_identity", lambda: AwsUnreachable("sts", "eu-west-1", "no route")),
        ("describe_regions", lambda: AwsCredentialsRefused("expired")),
        ("list_service_quotas", lambda: AwsCredentialsRefused("expired")),
        ("describe_vpcs", lambda: AwsUnreachable("ec2", "eu-west-1", "no route")),
    ],
)
async def test_an_error_that_concerns_everything_is_raised_as_it_is(
    operation: str, error: Callable[[], AwsError]
):
    raised = error()
    with pytest.raises(type(raised)) as caught:
        await observe(Account(**{operation: raised}), SPEC)
    assert caught.value is raised


async def test_bad_credentials_matter_more_than_a_missing_right():
    refused = AwsCredentialsRefused("expired")
    account = Account(
        describe_nat_gateways=AwsDenied("ec2:DescribeNatGateways", "no"), describe_subnets=refused
    )
    with pytest.raises(AwsCredentialsRefused):
        await observe(account, SPEC)


async def test_what_cannot_be_read_is_noted():
    facts = await observe(
        Account(
            describe_regions=AwsDenied("ec2:DescribeRegions", "no"),
            list_service_quotas=AwsUnreachable("service-quotas", "eu-west-1", "no such host"),
        ),
        SPEC,
    )
    assert facts.region is None
    assert facts.cluster == "foreign"
    assert [str(note) for note in facts.unchecked] == [
        "not checked: region: the credentials lack ec2:DescribeRegions",
        *(
            f"not checked: quotas of {service}: service-quotas in eu-west-1 does not answer: no such host"
            for service in ("autoscaling", "ec2", "eks", "vpc")
        ),
    ]


async def test_a_region_that_is_not_enabled_is_asked_nothing():
    home = Account(describe_regions={"Regions": [{"RegionName": "eu-west-1", "OptInStatus": "not-opted-in"}]})
    region = Account(
        **dict.fromkeys(("describe_vpcs", "get_caller_identity"), AwsCredentialsRefused("invalid"))
    )
    facts = await observe(region, SPEC, home=home)
    assert (facts.region, facts.identity.account) == ("disabled", "123456789012")
    with pytest.raises(AwsCredentialsRefused):
        await observe(region, SPEC)


async def test_running_instances_count_by_their_quota():
    def instance(kind: str, **more: Any) -> dict[str, Any]:
        return {"InstanceType": kind, **more}

    own = {"Tags": [{"Key": "gyrus.dev/cluster", "Value": "vision"}]}
    found = [
        instance("m5.large", CpuOptions={"CoreCount": 1, "ThreadsPerCore": 2}),
        instance("c5.xlarge"),
        instance("g5.xlarge", InstanceLifecycle="spot"),
        instance("p5.48xlarge"),
        instance("m5.metal", Placement={"Tenancy": "host"}),
        instance("mac2.metal"),
        instance("m5.large", **own),
    ]
    account = Account(
        describe_instances={"Reservations": [{"Instances": found[:3]}, {"Instances": found[3:]}]}
    )
    expected = {"L-1216C47A": 6, "L-3819A6DF": 4, "L-417A185B": 192}
    assert await vcpus(account, "vision") == expected


def table(vpc: str, association: dict[str, Any], **route: str) -> dict[str, Any]:
    return {
        "VpcId": vpc,
        "Associations": [association],
        "Routes": [
            {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local"},
            {"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **route},
        ],
    }


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ([], "none"),
        ([table("v", {"Main": True}, GatewayId="igw-1")], "internet gateway"),
        ([table("w", {"Main": True}, GatewayId="igw-1")], "none"),
        ([table("v", {"Main": True}, GatewayId="igw-1"), table("v", {"SubnetId": "s"}, NatGatewayId="nat-1")],
         "NAT gateway"),
        ([table("v", {"SubnetId": "s"}, TransitGatewayId="tgw-1")], "other"),
        ([table("v", {"SubnetId": "s"}, NatGatewayId="nat-1", State="blackhole")], "none"),
        ([table("v", {"SubnetId": "t"}, GatewayId="igw-1")], "none"),
    ],
)  # fmt: skip
def test_the_way_of_a_subnet_to_the_internet(tables: list[dict[str, Any]], expected: str):
    assert internet_route({"SubnetId": "s", "VpcId": "v"}, tables) == expected


@pytest.mark.parametrize(
    ("kind", "on_demand", "spot"),
    [
        ("m5.large", "L-1216C47A", "L-34B43A08"), ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("g4dn.xlarge", "L-DB2E81BA", "L-3819A6DF"), ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("vt1.3xlarge", "L-DB2E81BA", "L-3819A6DF"), ("p4d.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5en.48xlarge", "L-417A185B", "L-C4BD4855"), ("p6-b200.48xlarge", "L-417A185B", None),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"), ("trn1.2xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("dl1.24xlarge", "L-6E869C2A", "L-85EED4F7"), ("f2.6xlarge", "L-74FC7D96", "L-88CF9481"),
        ("x2iedn.xlarge", "L-7295265B", "L-E3A00192"), ("hpc7a.12xlarge", "L-F7808C92", None),
        ("u-6tb1.56xlarge", "L-43DA4232", None), ("u7i-12tb.224xlarge", "L-43DA4232", None),
    ],
)  # fmt: skip
def test_the_quotas_of_a_type(kind: str, on_demand: str, spot: str | None):
    found = vcpu_quotas(kind)
    assert found is not None
    assert (found.on_demand.code, found.spot and found.spot.code) == (on_demand, spot)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        (", spot: true", 10),
        (", spot: true, spot_config: {on_demand_base_capacity: 2}", 8),
        (", spot: true, spot_config: {on_demand_percentage_above_base_capacity: 25}", 7),
        (", spot: true, spot_config: {on_demand_percentage_above_base_capacity: 100}", 0),
    ],
)
def test_how_many_spot_instances_a_group_may_have(text: str, expected: int):
    group = "node_groups: [{name: a, instance_type: m5.large, max_instances: 10" + text + "}]"
    spec = parse_cluster(f"cluster_name: vision\nregion: eu-west-1\n{group}\n", "c")
    assert most_spot(spec.node_groups[0]) == expected


async def test_the_administrator_s_policy_allows_each_call():
    spec = parse_cluster(
        "cluster_name: vision\nregion: eu-west-1\nnode_groups: [{name: cpu, instance_type: m5.large}]\n"
        "iam_policy_arns: ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']\n"
        "ssl_certificate_arn: arn:aws:acm:eu-west-1:123456789012:certificate/1a2b3c4d\n"
        "subnets: [{availability_zone: eu-west-1a, subnet_id: subnet-00000000000000001}, "
        "{availability_zone: eu-west-1b, subnet_id: subnet-00000000000000002}]\n",
        "c",
    )
    subnet = {
        "SubnetId": "subnet-00000000000000001",
        "VpcId": "vpc-1",
        "AvailabilityZone": "eu-west-1a",
        "AvailableIpAddressCount": 9,
    }
    account = Account(
        describe_subnets={"Subnets": [subnet]},
        describe_vpcs={"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}]},
        describe_vpc_attribute={"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": True}},
        describe_certificate={"Certificate": {"Status": "ISSUED"}},
    )
    facts = await observe(account, spec)
    assert facts.unchecked == ()
    statements = administrator_statements(PolicyScope(spec, "123456789012"))
    allowed = [action for statement in statements for action in statement.actions]
    called = account.actions - {"sts:GetCallerIdentity"}  # which needs no right
    assert len(called) == 21
    assert {action for action in called if not any(fnmatch(action, each) for each in allowed)} == set()
    guide = (Path(__file__).parents[5] / "docs" / "guides" / "aws.md").read_text("utf-8")
    assert {action for action in called if f"`{action}`" not in guide} == set()

"""The preflight on an emulated account: what is read, what is denied, what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.errors import AwsCredentialsRefused
from gyrus.cluster.aws.preflight.check import notes, problems
from gyrus.cluster.aws.preflight.facts import ObservedAccount
from gyrus.cluster.aws.preflight.observe import observe
from gyrus.cluster.aws.preflight.zones import chosen_zones
from support.aws.account import REGION, AwsAccount

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
NOW = datetime(2026, 11, 28, tzinfo=UTC)
CPU = "node_groups: [{name: cpu, instance_type: m5.large}]"


@pytest.fixture
def account(running: AwsAccount) -> Iterator[AwsAccount]:
    yield running
    running.set(refusals={}, quotas={}, regions={}, delay=0, throttled=0, failed=0)


def cluster(text: str = CPU, name: str = "vision", region: str = REGION) -> ClusterSpec:
    return parse_cluster(f"cluster_name: {name}\nregion: {region}\n{text}\n", "cluster.yaml")


async def seen(account: AwsAccount, spec: ClusterSpec) -> ObservedAccount:
    return await observe(account.calls(tries=2), spec)


async def test_an_empty_account_has_no_problem(account: AwsAccount):
    spec = cluster()
    facts = await seen(account, spec)
    assert facts.identity.account == "000000000000"
    assert facts.identity.arn.startswith("arn:aws:")
    assert facts.region == "enabled"
    assert chosen_zones(spec, facts) == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    assert facts.types is not None
    assert facts.types["m5.large"].kind.vcpu == 2
    assert (facts.bucket, facts.bucket_name, facts.cluster) == (
        "free",
        "gyrus-vision-000000000000-eu-west-1",
        "free",
    )
    assert facts.quotas["L-1216C47A"] == 256
    assert problems(spec, facts, NOW) == []
    assert notes(spec, facts) == []


async def test_a_type_that_one_zone_offers_and_one_that_does_not_exist(account: AwsAccount):
    spec = cluster(
        "node_groups: [{name: odd, instance_type: m99.large}, {name: p, instance_type: p5.48xlarge}]"
    )
    found = problems(spec, await seen(account, spec), NOW)
    assert [str(problem) for problem in found if "instance_type" in problem.what] == [
        "node_groups[0].instance_type (odd): m99.large: have no such instance type in eu-west-1; "
        "need a type that the region offers. Check the name, choose another type, or another region: "
        "aws ec2 describe-instance-type-offerings --region eu-west-1",
        "node_groups[1].instance_type (p): p5.48xlarge: have no such instance type in eu-west-1; "
        "need a type that the region offers. Check the name, choose another type, or another region: "
        "aws ec2 describe-instance-type-offerings --region eu-west-1",
    ]


async def test_quotas_that_are_too_small(account: AwsAccount):
    account.set(quotas={"L-DB2E81BA": 8, "L-F678F1CE": 1})  # the account has a default VPC
    spec = cluster(
        "node_groups: [{name: gpu, instance_type: g5.2xlarge, min_instances: 2, max_instances: 4}]"
    )
    found = problems(spec, await seen(account, spec), NOW)
    assert [str(problem) for problem in found] == [
        "Running On-Demand G and VT instances (quota L-DB2E81BA): have 8 vCPUs; need 16 to begin with "
        "and 32 for max_instances of gpu. Raise it: aws service-quotas request-service-quota-increase "
        "--service-code ec2 --quota-code L-DB2E81BA --desired-value 32 --region eu-west-1 "
        "(or https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/L-DB2E81BA)",
        "VPCs per Region (quota L-F678F1CE): have 1, of which 1 is in use; need 1 more. Raise it: "
        "aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-F678F1CE "
        "--desired-value 2 --region eu-west-1 "
        "(or https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/vpc/quotas/L-F678F1CE)",
    ]


async def test_what_is_in_use_and_the_cluster_s_own(account: AwsAccount):
    ec2 = account.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    own = [{"ResourceType": "instance", "Tags": [{"Key": "gyrus.dev/cluster", "Value": "vision"}]}]
    for tags in ([], own):
        ec2.run_instances(
            ImageId=image, InstanceType="m5.xlarge", MinCount=2, MaxCount=2, TagSpecifications=tags
        )
    addresses = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2)]
    ec2.create_tags(Resources=addresses[:1], Tags=own[0]["Tags"])
    facts = await seen(account, cluster())
    assert facts.in_use.vcpus == {"L-1216C47A": 8}
    assert facts.in_use.addresses == 1
    assert facts.in_use.vpcs == 1
    assert facts.in_use.security_groups == 1
    other = await seen(account, cluster(name="audio"))
    assert (other.in_use.vcpus, other.in_use.addresses) == ({"L-1216C47A": 16}, 2)
    for address in addresses:
        ec2.release_address(AllocationId=address)


async def test_credentials_that_have_expired(account: AwsAccount):
    expired = "The security token included in the request is expired"
    account.set(refusals={"sts:GetCallerIdentity": ["ExpiredToken", expired]})
    with pytest.raises(AwsCredentialsRefused) as caught:
        await seen(account, cluster())
    assert str(caught.value) == f"AWS refuses the credentials: {expired}"
    assert caught.value.remedy.startswith("Sign in again (for example: aws sso login)")


async def test_credentials_that_expire_meanwhile(account: AwsAccount):
    account.set(refusals={"ec2:DescribeVpcs": ["RequestExpired", "Request has expired."]})
    with pytest.raises(AwsCredentialsRefused, match=r"^AWS refuses the credentials: Request has expired\.$"):
        await seen(account, cluster())


@pytest.mark.parametrize(
    ("action", "code", "message", "expected"),
    [
        (
            "ec2:DescribeVpcs",
            "UnauthorizedOperation",
            "You are not authorized to perform this operation.",
            ["not checked: VPCs in use: the credentials lack ec2:DescribeVpcs"],
        ),
        (
            "ec2:DescribeInstanceTypes",
            "UnauthorizedOperation",
            "User: u is not authorized to perform: ec2:DescribeInstanceTypes on resource: *",
            ["not checked: instance types: the credentials lack ec2:DescribeInstanceTypes"],
        ),
        (
            "servicequotas:ListServiceQuotas",
            "AccessDeniedException",
            "User: u is not authorized to perform: servicequotas:ListServiceQuotas",
            [
                f"not checked: quotas of {service}: the credentials lack servicequotas:ListServiceQuotas"
                for service in ("autoscaling", "ec2", "eks", "vpc")
            ],
        ),
    ],
)
async def test_a_call_that_is_denied_is_noted(
    account: AwsAccount, action: str, code: str, message: str, expected: list[str]
):
    account.set(refusals={action: [code, message]})
    spec = cluster()
    facts = await seen(account, spec)
    assert [str(note) for note in notes(spec, facts)] == expected
    assert problems(spec, facts, NOW) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            "not-opted-in",
            "region eu-west-1: have it disabled in the account 000000000000; need it enabled. "
            "Enable it, which takes minutes: aws account enable-region --region-name eu-west-1",
        ),
        (
            "",
            "region eu-west-1: have no such region for the account 000000000000; need one that exists. "
            "Choose one of: aws ec2 describe-regions --all-regions --query Regions[].RegionName",
        ),
    ],
)
async def test_a_region_that_cannot_be_used(account: AwsAccount, status: str, expected: str):
    account.set(regions={REGION: status}, refusals={"ec2:DescribeVpcs": ["AuthFailure", "no such region"]})
    spec = cluster()
    found = problems(spec, await seen(account, spec), NOW)
    assert [str(problem) for problem in found] == [expected]


async def test_subnets_of_your_own(account: AwsAccount):
    ec2 = account.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    public = _subnet(ec2, network, "10.7.0.0/20", "a")
    private = _subnet(ec2, network, "10.7.16.0/20", "b")
    foreign = _subnet(ec2, other, "10.8.0.0/20", "c")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    table = ec2.create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=public)
    missing = "subnet-0123456789abcdef0"
    entries = "\n".join(
        f"  - {{availability_zone: eu-west-1{zone}, subnet_id: {name}}}"
        for zone, name in (("a", public), ("a", private), ("c", foreign), ("c", missing))
    )
    spec = cluster(f"{CPU}\nvpc_id: {network}\nsubnets:\n{entries}")
    facts = await seen(account, spec)
    assert facts.vpcs is not None
    assert facts.vpcs[network].ranges == ("10.7.0.0/16",)
    assert [str(problem).partition(" Add")[0] for problem in problems(spec, facts, NOW)] == [
        f"subnets[1]: {private}: have it in eu-west-1b; need it in eu-west-1a, as cluster.yaml states. "
        "Write availability_zone: eu-west-1b",
        f"subnets[1]: {private}: have no route to an internet gateway; need one, as subnet_visibility is "
        "public.",
        f"subnets[2]: {foreign}: have it in {other}; need it in {network}, which is vpc_id. "
        "Use subnets of one VPC",
        f"subnets[2]: {foreign}: have no route to an internet gateway; need one, as subnet_visibility is "
        "public.",
        f"subnets[3]: {missing}: have no such subnet in eu-west-1 of the account 000000000000; need a subnet "
        "that exists there. List them: aws ec2 describe-subnets --region eu-west-1",
        f"VPC {network}: have enableDnsHostnames off; need it on: nodes find the control plane by its name. "
        f"Switch it on: aws ec2 modify-vpc-attribute --vpc-id {network} --enable-dns-hostnames "
        "--region eu-west-1",
    ]


def _subnet(ec2: Any, network: str, addresses: str, zone: str) -> str:
    created = ec2.create_subnet(VpcId=network, CidrBlock=addresses, AvailabilityZone=f"{REGION}{zone}")
    return created["Subnet"]["SubnetId"]


async def test_certificate_and_policies(account: AwsAccount):
    arn = account.client("acm").request_certificate(DomainName="api.example.com", ValidationMethod="DNS")
    allowed = '{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}'
    document = f'{{"Version": "2012-10-17", "Statement": [{allowed}]}}'
    iam = account.client("iam")
    policy = iam.create_policy(PolicyName="models", PolicyDocument=document)["Policy"]["Arn"]
    spec = cluster(
        f"{CPU}\nssl_certificate_arn: {arn['CertificateArn']}\n"
        f"iam_policy_arns: [{policy}, {policy}-none, arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]"
    )
    facts = await seen(account, spec)
    assert facts.certificate is not None
    assert facts.certificate.domain == "api.example.com"
    assert facts.policies is not None
    assert (facts.policies[policy], facts.policies[f"{policy}-none"]) == (True, False)
    nothing = arn["CertificateArn"][:-4] + "0000"
    spec = cluster(f"{CPU}\nssl_certificate_arn: {nothing}")
    assert [str(problem) for problem in problems(spec, await seen(account, spec), NOW)] == [
        f"ssl_certificate_arn: {nothing}: have no such certificate in eu-west-1; need one that exists. "
        "List them: aws acm list-certificates --region eu-west-1"
    ]


async def test_names_that_others_have(account: AwsAccount):
    subnets = [each["SubnetId"] for each in account.client("ec2").describe_subnets()["Subnets"]][:2]
    for name, tags in (("taken", {}), ("again", {"gyrus.dev/cluster": "again"})):
        account.client("eks").create_cluster(
            name=name,
            roleArn="arn:aws:iam::000000000000:role/eks",
            resourcesVpcConfig={"subnetIds": subnets},
            tags=tags,
        )
    account.client("s3").create_bucket(
        Bucket="gyrus-again-000000000000-eu-west-1", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    spec = cluster(name="taken")
    account.set(refusals={"s3:HeadBucket": ["403", "Forbidden"]})
    assert [str(problem) for problem in problems(spec, await seen(account, spec), NOW)] == [
        "bucket gyrus-taken-000000000000-eu-west-1: have a bucket of another account, or one that the "
        "credentials may not read; need a bucket of the account 000000000000 in eu-west-1, or none. "
        "Choose another cluster_name, or delete the bucket if it is yours",
        "cluster_name: taken: have an EKS cluster of that name in eu-west-1 that gyrus did not make; need a "
        "free name. Choose another cluster_name, or install gyrus on that cluster: gyrus cluster install",
    ]
    account.set(refusals={})
    spec = cluster(name="again")
    facts = await seen(account, spec)
    assert (facts.bucket, facts.cluster, facts.in_use.clusters) == ("own", "gyrus", 1)
    assert problems(spec, facts, NOW) == []


async def test_throttling_failures_and_delays_change_nothing_of_what_is_read(account: AwsAccount):
    spec = cluster()
    expected = await seen(account, spec)
    account.set(throttled=0.2, failed=0.1, delay=0.05)
    calls = account.calls(tries=20, backoff=Backoff(0.01, 0.1))
    assert await observe(calls, spec) == expected


@pytest.mark.parametrize("delay", [0, 0.4])
async def test_twenty_groups_take_little_time(account: AwsAccount, delay: float):
    account.set(delay=delay)
    sizes = ("large", "xlarge", "2xlarge", "4xlarge")
    groups = "\n".join(
        f"  - {{name: g{number}, instance_type: m5.{size}, max_instances: 1, spot: true, "
        f"spot_config: {{instance_distribution: [m6i.{size}, m7i.{size}, r5.{size}, r6i.{size}]}}}}"
        for number, size in enumerate(sizes * 5)
    )
    spec = cluster(f"node_groups:\n{groups}")
    await seen(account, spec)  # creates the clients' threads, and the emulator's tables
    started = time.monotonic()
    facts = await seen(account, spec)
    observed = time.monotonic()
    assert problems(spec, facts, NOW) == []
    print(f"observed in {observed - started:.2f} s, checked in {time.monotonic() - observed:.4f} s")  # noqa: T201
    assert facts.types is not None
    assert len(facts.types) == 20
    assert time.monotonic() - started < 20

"""A cluster's life with exactly the policies of the guide, on an account that enforces them.

The emulator checks the rights of each call. It does not check those that CloudFormation needs for resources
of a stack, nor those of Service Quotas, and does not know resources of EC2 and the namespace of metrics:
tests of the policies compare these with AWS's schemas and the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.bucket import bucket_exists
from gyrus.cluster.aws.calls import AwsCalls
from gyrus.cluster.aws.cluster_change import ChangeExecution, prepare_change
from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import ClusterStacks, stack_facts
from gyrus.cluster.aws.creation import Creation
from gyrus.cluster.aws.errors import AwsDenied
from gyrus.cluster.aws.inspection.facts import KubernetesFacts, UnreadPart
from gyrus.cluster.aws.inspection.observe import ClusterObserver
from gyrus.cluster.aws.policies.documents import policy_documents
from gyrus.cluster.aws.preflight.check import problems
from gyrus.cluster.aws.preflight.observe import observe
from gyrus.cluster.aws.preflight.zones import chosen_zones
from gyrus.cluster.aws.recorded_file import record, recorded
from gyrus.cluster.aws.removal import Removal
from gyrus.cluster.aws.resource_names import bucket_name, log_group, scaling_group
from gyrus.cluster.aws.stacks import Stacks
from gyrus.cluster.aws.templates.account_facts import AccountFacts
from support.aws.account import AwsAccount, aws_account
from support.aws.identities import user_calls

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
ACCOUNT = "000000000000"
QUICK = Backoff(0.02, 0.2)
TEXT = """
cluster_name: {name}
region: eu-west-1
subnet_visibility: private
node_groups:
  - {{name: cpu, instance_type: m5.large, max_instances: {most}, spot: true}}
"""


@pytest.fixture(scope="module")
def account() -> Iterator[AwsAccount]:
    with aws_account(AUTH="true") as running:
        _create_what_others_own(running)
        yield running


def _create_what_others_own(account: AwsAccount) -> None:
    account.client("s3").create_bucket(
        Bucket="of-others", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    account.client("sqs").create_queue(QueueName="others")


def cluster(name: str = "vision", most: int = 3) -> ClusterSpec:
    return parse_cluster(TEXT.format(name=name, most=most), "cluster.yaml")


def administrator(account: AwsAccount, spec: ClusterSpec) -> AwsCalls:
    return user_calls(account, f"{spec.cluster_name}-admin", policy_documents(spec, ACCOUNT)["administrator"])


def stacks_of(aws: AwsCalls) -> Stacks:
    return Stacks(aws, polls=QUICK)


async def created(aws: AwsCalls, spec: ClusterSpec) -> ClusterStacks:
    """Create a cluster as ``up`` does, without what Kubernetes has."""
    observed = await observe(aws, spec, home=aws)
    assert [str(note) for note in observed.unchecked] == []
    assert problems(spec, observed, datetime.now(UTC)) == []
    zones = {name: found.zones for name, found in (observed.types or {}).items()}
    parts = ClusterStacks(
        spec,
        stacks_of(aws),
        AccountFacts(zones=chosen_zones(spec, observed)),
        {group.name: sorted(zones[group.instance_type]) for group in spec.node_groups},
    )
    creation = Creation(aws, parts, lambda _: None)
    await creation.make_stacks()
    assert (await creation.cluster()).status == "ACTIVE"
    await creation.finish_stacks()
    return parts


async def test_the_administrator_creates_changes_observes_and_removes(account: AwsAccount) -> None:
    spec, before = cluster(), account.resources()
    aws = administrator(account, spec)
    bucket = bucket_name(spec, ACCOUNT)
    await created(aws, spec)
    await record(aws, bucket, TEXT.format(name="vision", most=3))
    assert await recorded(aws, bucket) == spec

    wanted = cluster(most=4)
    has_data = partial(bucket_exists, aws, bucket)
    facts = await stack_facts(stacks_of(aws), "vision", AccountFacts(), has_data)
    changed = ClusterStacks(wanted, stacks_of(aws), facts, {})
    change = await prepare_change(changed)
    assert change.groups

    async def nothing(*_: object) -> None:
        pass

    await ChangeExecution(aws, changed, nothing, nothing).run(change)

    async def kubernetes(_: object) -> KubernetesFacts:
        return KubernetesFacts(installation=UnreadPart(""))

    seen = await ClusterObserver(aws, stacks_of(aws), wanted, kubernetes).observe(datetime.now(UTC))
    parts = (seen.stacks, seen.eks, seen.add_ons, seen.scaling, seen.balancers, seen.queue, seen.bucket)
    assert [part for part in parts if isinstance(part, UnreadPart)] == []
    # AWS allows DescribeLogGroups by the ARN of all log groups; the emulator checks it without a resource.
    assert isinstance(seen.log_group, UnreadPart)
    assert seen.log_group.message.startswith("The credentials lack the right logs:DescribeLogGroups: ")

    await Removal(aws, stacks_of(aws), wanted, ACCOUNT, lambda _: None, sleep=_soon).run()
    assert account.resources() - before == frozenset()


async def test_the_operator_works(account: AwsAccount) -> None:
    spec = cluster("sound")
    admin = administrator(account, spec)
    await created(admin, spec)
    aws = user_calls(account, "sound-operator", policy_documents(spec, ACCOUNT)["operator"])
    bucket, group = bucket_name(spec, ACCOUNT), scaling_group("sound", "cpu", "on-demand")
    queue = (await admin.call("sqs", "get_queue_url", QueueName="gyrus-sound"))["QueueUrl"]
    logs = log_group("sound")

    await aws.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    await aws.call("autoscaling", "describe_scaling_activities", AutoScalingGroupName=group)
    await aws.call("autoscaling", "set_desired_capacity", AutoScalingGroupName=group, DesiredCapacity=2)
    await aws.pages("ec2", "describe_instances", "Reservations")
    await aws.call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10)
    await aws.call("s3", "put_object", Bucket=bucket, Key="packages/a.tar", Body=b"a")
    answer = await aws.call("s3", "get_object", Bucket=bucket, Key="packages/a.tar")
    assert answer["Body"].read() == b"a"
    await aws.call("s3", "list_objects_v2", Bucket=bucket)
    await aws.call("s3", "delete_object", Bucket=bucket, Key="packages/a.tar")
    await aws.call("logs", "create_log_stream", logGroupName=logs, logStreamName="iris/1")
    events = [{"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": "ready"}]
    await aws.call("logs", "put_log_events", logGroupName=logs, logStreamName="iris/1", logEvents=events)
    await aws.call("logs", "filter_log_events", logGroupName=logs)

    for service, operation, arguments, action in _refused_to_operator(group):
        with pytest.raises(AwsDenied) as caught:
            await aws.call(service, operation, **arguments)
        _check_denial(caught.value, action, "sound-operator")
    await Removal(admin, stacks_of(admin), spec, ACCOUNT, lambda _: None, sleep=_soon).run()


def _refused_to_operator(group: str) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    yield "iam", "create_role", {"RoleName": "a", "AssumeRolePolicyDocument": "{}"}, "iam:CreateRole"
    yield "ec2", "run_instances", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}, "ec2:RunInstances"
    yield "ec2", "describe_vpcs", {}, "ec2:DescribeVpcs"
    yield "cloudformation", "delete_stack", {"StackName": "gyrus-sound"}, "cloudformation:DeleteStack"
    yield "eks", "delete_cluster", {"name": "sound"}, "eks:DeleteCluster"
    yield (
        "autoscaling",
        "delete_auto_scaling_group",
        {"AutoScalingGroupName": group},
        "autoscaling:DeleteAutoScalingGroup",
    )
    yield (
        "autoscaling",
        "set_desired_capacity",
        {"AutoScalingGroupName": "others--cpu.spot", "DesiredCapacity": 1},
        "autoscaling:SetDesiredCapacity",
    )
    yield "s3", "get_object", {"Bucket": "of-others", "Key": "a"}, "s3:GetObject"
    yield (
        "logs",
        "filter_log_events",
        {"logGroupName": "/gyrus/others"},
        "logs:FilterLogEvents",
    )


async def test_an_administrator_has_no_right_to_what_others_own(account: AwsAccount) -> None:
    aws = administrator(account, cluster("light"))
    for service, operation, arguments, action in (
        ("cloudformation", "delete_stack", {"StackName": "of-others"}, "cloudformation:DeleteStack"),
        ("s3", "get_object", {"Bucket": "of-others", "Key": "a"}, "s3:GetObject"),
        ("s3", "delete_bucket", {"Bucket": "of-others"}, "s3:DeleteBucket"),
        ("logs", "delete_log_group", {"logGroupName": "/others"}, "logs:DeleteLogGroup"),
        ("ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}, "ec2:TerminateInstances"),
        ("eks", "delete_cluster", {"name": "others"}, "eks:DeleteCluster"),
        ("iam", "delete_role", {"RoleName": "others"}, "iam:DeleteRole"),
        ("iam", "create_user", {"UserName": "others"}, "iam:CreateUser"),
        (
            "sts",
            "assume_role",
            {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/a", "RoleSessionName": "gyrus"},
            "sts:AssumeRole",
        ),
    ):
        with pytest.raises(AwsDenied) as caught:
            await aws.call(service, operation, **arguments)
        _check_denial(caught.value, action, "light-admin")


def _check_denial(error: AwsDenied, action: str, user: str) -> None:
    assert error.action == action
    assert error.message.startswith(f"The credentials lack the right {action}: ")
    assert f"arn:aws:iam::{ACCOUNT}:user/{user}" in error.message
    assert error.remedy == (
        "Add it to the role or user, or use others; gyrus cluster template --policies prints all"
    )


async def _soon(_: float) -> None:
    await asyncio.sleep(0.05)

"""The stacks of a cluster on an emulated AWS: created, changed and removed, whatever was there before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.bucket import bucket_exists
from gyrus.cluster.aws.cluster_change import ChangeExecution, ClusterChange, discard, prepare_change
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.cluster_stacks import ClusterStacks, found_stacks, stack_facts
from gyrus.cluster.aws.creation import Creation
from gyrus.cluster.aws.errors import ChangeRefused, ForeignCluster, NoCluster, StackFailed
from gyrus.cluster.aws.removal import Removal
from gyrus.cluster.aws.resource_names import bucket_name, log_group
from gyrus.cluster.aws.stacks import Stacks
from gyrus.cluster.aws.templates.account_facts import AccountFacts
from support.aws.account import AwsAccount

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
QUICK = Backoff(0.02, 0.2)
NUMBER = "000000000000"
ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")


@pytest.fixture
def account(running: AwsAccount) -> Iterator[AwsAccount]:
    yield running
    running.set(failing={}, undeletable={}, resource_seconds=0, throttled=0, failed=0, delay=0)


def spec(name: str, *groups: dict[str, Any], **fields: Any) -> ClusterSpec:
    chosen = groups or ({"name": "cpu", "instance_type": "m5.large", "spot": True},)
    return ClusterSpec.model_validate(
        {"cluster_name": name, "region": "eu-west-1", "node_groups": list(chosen), **fields}
    )


async def parts_of(account: AwsAccount, wanted: ClusterSpec) -> ClusterStacks:
    calls = account.calls()
    stacks = Stacks(calls, polls=QUICK)
    has_data = partial(bucket_exists, calls, bucket_name(wanted, NUMBER))
    facts = await stack_facts(stacks, wanted.cluster_name, AccountFacts(zones=ZONES), has_data)
    return ClusterStacks(wanted, stacks, facts, {"cpu": ["eu-west-1b"]})


async def create(account: AwsAccount, wanted: ClusterSpec) -> dict[str, str]:
    creation = Creation(account.calls(), await parts_of(account, wanted), _ignore)
    base = await creation.make_stacks()
    await creation.finish_stacks()
    return dict(base.outputs)


async def remove(account: AwsAccount, wanted: ClusterSpec, *, keep_data: bool = False) -> None:
    stacks = Stacks(account.calls(), polls=QUICK)
    await Removal(account.calls(), stacks, wanted, NUMBER, _ignore, keep_data).run()


def _ignore(line: str) -> None:
    pass


def buckets(account: AwsAccount) -> list[str]:
    return [one["Name"] for one in account.client("s3").list_buckets()["Buckets"]]


def log_groups(account: AwsAccount) -> list[str]:
    return [one["logGroupName"] for one in account.client("logs").describe_log_groups()["logGroups"]]


def sizes(account: AwsAccount, cluster: str) -> dict[str, int]:
    groups = account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    prefix = f"gyrus-{cluster}--"
    return {
        one["AutoScalingGroupName"].removeprefix(prefix): one["DesiredCapacity"]
        for one in groups
        if one["AutoScalingGroupName"].startswith(prefix)
    }


async def test_a_cluster_begins_with_its_first_nodes_and_leaves_nothing(account: AwsAccount):
    wanted = spec("alpha")
    outputs = await create(account, wanted)
    assert outputs["ClusterName"] == "alpha"
    assert sizes(account, "alpha") == {"cpu.on-demand": 1, "cpu.spot": 1}
    addons = account.client("eks").list_addons(clusterName="alpha")["addons"]
    assert {"coredns", "vpc-cni"} <= set(addons)
    account.client("s3").put_object(Bucket=outputs["Bucket"], Key="a/b", Body=b"data")
    await remove(account, wanted)
    assert not (await found_stacks(Stacks(account.calls()), "alpha")).any
    assert outputs["Bucket"] not in buckets(account)
    assert log_group("alpha") not in log_groups(account)
    await remove(account, wanted)  # a repetition finds nothing


async def test_a_repetition_changes_nothing_and_shrinks_no_group(account: AwsAccount):
    wanted = spec("beta")
    await create(account, wanted)
    account.client("autoscaling").set_desired_capacity(
        AutoScalingGroupName="gyrus-beta--cpu.spot", DesiredCapacity=4
    )
    parts = await parts_of(account, wanted)
    assert parts.facts.nodes_exist
    assert await prepare_change(parts) == ClusterChange(None, (), ())
    await create(account, wanted)
    assert sizes(account, "beta") == {"cpu.on-demand": 1, "cpu.spot": 4}
    await remove(account, wanted)


async def test_a_failed_creation_goes_on_when_its_cause_is_gone(account: AwsAccount):
    wanted = spec("gamma")
    account.set(failing={"Cluster": "UnsupportedAvailabilityZoneException"})
    with pytest.raises(StackFailed):
        await create(account, wanted)
    account.set(failing={})
    await create(account, wanted)
    await remove(account, wanted)


async def test_a_failed_creation_can_be_removed(account: AwsAccount):
    wanted = spec("delta")
    account.set(failing={"Cluster": "UnsupportedAvailabilityZoneException"})
    with pytest.raises(StackFailed):
        await create(account, wanted)
    await remove(account, wanted)
    assert not (await found_stacks(Stacks(account.calls()), "delta")).any


async def test_data_that_is_kept_is_taken_over_by_the_next_cluster(account: AwsAccount):
    wanted = spec("epsilon")
    bucket = (await create(account, wanted))["Bucket"]
    account.client("s3").put_object(Bucket=bucket, Key="a/b", Body=b"data")
    await remove(account, wanted, keep_data=True)
    assert not (await found_stacks(Stacks(account.calls()), "epsilon")).any
    assert bucket in buckets(account)
    assert log_group("epsilon") in log_groups(account)
    outputs = await create(account, wanted)
    assert outputs["Bucket"] == bucket
    assert account.client("s3").get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"data"
    await remove(account, wanted, keep_data=True)
    assert bucket in buckets(account)
    await remove(account, wanted)
    assert bucket not in buckets(account)
    assert log_group("epsilon") not in log_groups(account)


async def test_a_change_is_planned_for_all_stacks_and_can_be_discarded(account: AwsAccount):
    await create(account, spec("zeta", {"name": "cpu", "instance_type": "m5.large"}))
    wanted = spec(
        "zeta",
        {"name": "cpu", "instance_type": "m5.large", "max_instances": 9},
        {"name": "large", "instance_type": "m5.4xlarge"},
    )
    parts = await parts_of(account, wanted)
    change = await prepare_change(parts)
    assert change.base is None
    found = [(one.stack, one.resource, one.action, one.properties) for one in change.changes]
    assert sorted(found) == [
        ("gyrus-zeta--cpu", "OnDemandGroup", "Modify", ("MaxSize",)),
        ("gyrus-zeta--large", "OnDemandGroup", "Add", ()),
        ("gyrus-zeta--large", "OnDemandLaunchTemplate", "Add", ()),
    ]
    await discard(parts, change)
    assert list((await parts.found()).groups) == ["cpu"]
    without = await parts_of(account, spec("zeta", {"name": "other", "instance_type": "m5.large"}))
    planned = await prepare_change(without)
    assert planned.removed == ("cpu",)
    await discard(without, planned)
    await remove(account, wanted)


async def test_a_change_that_would_replace_the_cluster_is_refused_with_nothing_prepared(account: AwsAccount):
    await create(account, spec("eta"))
    parts = await parts_of(account, spec("eta", vpc_cidr="10.9.0.0/16"))
    with pytest.raises(ChangeRefused) as caught:
        await prepare_change(parts)
    assert "Vpc (AWS::EC2::VPC) would be replaced, since CidrBlock changes" in caught.value.details
    sets = account.client("cloudformation").list_change_sets(StackName="gyrus-eta")["Summaries"]
    assert [one for one in sets if one["ExecutionStatus"] == "AVAILABLE"] == []
    await remove(account, spec("eta"))


async def test_a_cluster_that_does_not_exist_cannot_be_changed(account: AwsAccount):
    with pytest.raises(NoCluster, match="There is no EKS cluster theta in eu-west-1"):
        await prepare_change(await parts_of(account, spec("theta")))


async def test_a_failed_creation_takes_no_bucket_of_its_own_for_that_of_another(account: AwsAccount):
    """The bucket of the failed stack is there when the next creation begins, and goes with the stack."""
    wanted = spec("iota")
    account.set(
        failing={"Cluster": "no"}, undeletable={"Vpc": "The vpc has dependencies and cannot be deleted."}
    )
    with pytest.raises(StackFailed):
        await create(account, wanted)
    account.set(failing={}, undeletable={})
    outputs = await create(account, wanted)
    assert outputs["Bucket"] in buckets(account)
    await remove(account, wanted)


async def test_a_group_that_is_removed_ends_with_its_instances(account: AwsAccount):
    both = ({"name": "cpu", "instance_type": "m5.large"}, {"name": "other", "instance_type": "m5.large"})
    await create(account, spec("kappa", *both))
    parts = await parts_of(account, spec("kappa", both[0]))
    emptied: list[tuple[str, str | None]] = []

    async def empty(group: str, capacity: str | None) -> None:
        emptied.append((group, capacity))

    async def renew(stack: str) -> None:
        pass

    await ChangeExecution(account.calls(), parts, renew, empty).run(await prepare_change(parts))
    assert emptied == [("other", None)]
    assert sizes(account, "kappa") == {"cpu.on-demand": 1}
    instances = account.client("ec2").describe_instances(
        Filters=[{"Name": "tag:gyrus.dev/node-group", "Values": ["other"]}]
    )
    states = {one["State"]["Name"] for entry in instances["Reservations"] for one in entry["Instances"]}
    assert states <= {"terminated"}
    await remove(account, spec("kappa"))


async def test_a_cluster_of_the_same_name_that_gyrus_did_not_make_is_left_alone(account: AwsAccount):
    eks = account.client("eks")
    role = account.client("iam").create_role(RoleName="theirs", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    eks.create_cluster(name="lambda", roleArn=role, resourcesVpcConfig={})
    with pytest.raises(ForeignCluster) as caught:
        await remove(account, spec("lambda"))
    assert str(caught.value) == (
        "The EKS cluster lambda in eu-west-1 was not made by gyrus. Nothing was removed."
    )
    eks.delete_cluster(name="lambda")


async def test_instances_that_no_group_has_end_with_the_cluster(account: AwsAccount):
    wanted = spec("nodes")
    await create(account, wanted)
    tags = {"ResourceType": "instance", "Tags": [{"Key": "gyrus.dev/cluster", "Value": "nodes"}]}
    ec2 = account.client("ec2")
    launched = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, TagSpecifications=[tags])
    instance = launched["Instances"][0]["InstanceId"]
    await remove(account, wanted)
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    assert {one["State"]["Name"] for entry in found for one in entry["Instances"]} <= {"terminated"}


async def test_interfaces_that_the_network_add_on_left_go_with_the_cluster(account: AwsAccount):
    wanted = spec("lines")
    outputs = await create(account, wanted)
    ec2 = account.client("ec2")
    tags = [{"Key": "cluster.k8s.amazonaws.com/name", "Value": "lines"}]
    made = ec2.create_network_interface(
        SubnetId=outputs["Subnets"].split(",")[0],
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": tags}],
    )
    left = made["NetworkInterface"]["NetworkInterfaceId"]
    await remove(account, wanted)
    found = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert left not in [one["NetworkInterfaceId"] for one in found]


def test_the_bucket_of_these_tests_is_the_one_of_the_account():
    assert bucket_name(spec("alpha"), NUMBER) == "gyrus-alpha-000000000000-eu-west-1"

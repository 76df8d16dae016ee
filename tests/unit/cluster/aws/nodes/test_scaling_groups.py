"""Auto Scaling groups, as AWS describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gyrus.cluster.aws.nodes.scaling_groups import ec2_instances, scaling_groups
from gyrus.nodes.state import CapacityType

TAGS = {"gyrus.dev/cluster": "vision", "gyrus.dev/node-group": "cpu", "gyrus.dev/capacity-type": "spot"}


def described(tags: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "AutoScalingGroupName": "gyrus-vision--cpu.spot",
        "DesiredCapacity": 2,
        "MaxSize": 5,
        "Tags": [{"Key": key, "Value": value} for key, value in (TAGS if tags is None else tags).items()],
        "Instances": [],
    }
    return usual | changes


def policy(version: str) -> dict[str, Any]:
    return {
        "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": version}}
    }


def instance(id: str, state: str = "InService", version: str = "3") -> dict[str, Any]:
    return {
        "InstanceId": id,
        "InstanceType": "m5.large",
        "AvailabilityZone": "eu-west-1a",
        "LifecycleState": state,
        "LaunchTemplate": {"Version": version},
    }


def test_a_group_has_its_instances_and_those_that_leave_are_marked() -> None:
    states = (
        "InService",
        "Pending",
        "Pending:Wait",
        "Terminating",
        "Terminating:Wait",
        "Detaching",
        "Terminated",
    )
    entries = [instance(f"i-{number}", state) for number, state in enumerate(states)]
    (group,) = scaling_groups([described(Instances=entries, MixedInstancesPolicy=policy("4"))], "vision")
    assert (group.name, group.pool, group.capacity) == (
        "gyrus-vision--cpu.spot",
        "cpu/spot",
        CapacityType.SPOT,
    )
    assert (group.desired, group.largest, group.version) == (2, 5, "4")
    assert [one.leaves for one in group.instances] == [False, False, False, True, True, True, True]
    assert all(group.is_outdated(one) for one in group.instances)


def test_groups_of_others_and_without_tags_are_left_out() -> None:
    others = [
        described({}),
        described(TAGS | {"gyrus.dev/cluster": "vision-2"}),
        described(TAGS | {"gyrus.dev/capacity-type": "reserved"}),
        described({key: value for key, value in TAGS.items() if "node-group" not in key}),
    ]
    assert scaling_groups(others, "vision") == ()


def test_a_version_that_is_no_number_makes_no_instance_outdated() -> None:
    for version in ("$Latest", "$Default", ""):
        entry = described(Instances=[instance("i-1")], MixedInstancesPolicy=policy(version))
        (group,) = scaling_groups([entry], "vision")
        assert not group.is_outdated(group.instances[0])
    (group,) = scaling_groups(
        [described(Instances=[instance("i-1")], LaunchTemplate={"Version": "3"})], "vision"
    )
    assert not group.is_outdated(group.instances[0])


def test_instances_of_ec2_have_their_launch_and_whether_they_end() -> None:
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    states = ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
    reservations = [
        {"Instances": [{"InstanceId": f"i-{state}", "LaunchTime": at, "State": {"Name": state}}]}
        for state in states
    ]
    found = ec2_instances(reservations)
    assert [found[f"i-{state}"].ends for state in states] == [False, False, True, True, True, True]
    assert {one.launched_at for one in found.values()} == {at.timestamp()}

"""Stacks on an emulated CloudFormation: whatever happened before, and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.errors import StackDeletionFailed, StackFailed
from gyrus.cluster.aws.stack_state import StackEvent
from gyrus.cluster.aws.stacks import Stacks, WantedStack
from support.aws.account import AwsAccount

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
QUICK = Backoff(0.02, 0.2)


@pytest.fixture
def account(running: AwsAccount) -> Iterator[AwsAccount]:
    yield running
    running.set(failing={}, undeletable={}, resource_seconds=0, throttled=0, failed=0, delay=0)


def stack(name: str, cidr: str = "10.0.0.0/16", **parameters: str) -> WantedStack:
    network: dict[str, Any] = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": {"Ref": "Cidr"}}}
    subnet = {"VpcId": {"Ref": "Network"}, "CidrBlock": "10.0.0.0/24"}
    return WantedStack(
        name=name,
        template={
            "Parameters": {"Cidr": {"Type": "String", "Default": cidr}},
            "Resources": {
                "Network": network,
                "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": subnet},
            },
            "Outputs": {"Network": {"Value": {"Ref": "Network"}}},
        },
        parameters=parameters,
        tags={"team": "vision"},
    )


def networks(account: AwsAccount, cidr: str) -> list[str]:
    found = account.client("ec2").describe_vpcs()["Vpcs"]
    return [one["VpcId"] for one in found if one["CidrBlock"] == cidr]


def stacks(account: AwsAccount, events: list[StackEvent] | None = None) -> Stacks:
    noted: list[StackEvent] = events if events is not None else []
    return Stacks(account.calls(), report=noted.append, polls=QUICK)


async def test_a_stack_is_created_changed_in_a_plan_and_removed(account: AwsAccount):
    events: list[StackEvent] = []
    subject = stacks(account, events)
    created = await subject.apply(stack("gyrus-a", Cidr="10.1.0.0/16"))
    assert created.outputs == {"Network": networks(account, "10.1.0.0/16")[0]}
    assert created.parameters == {"Cidr": "10.1.0.0/16"}
    assert created.tags == {"team": "vision"}
    assert [(event.resource, event.status) for event in events] == [
        ("gyrus-a", "CREATE_IN_PROGRESS"),
        ("Network", "CREATE_IN_PROGRESS"),
        ("Network", "CREATE_COMPLETE"),
        ("Subnet", "CREATE_IN_PROGRESS"),
        ("Subnet", "CREATE_COMPLETE"),
        ("gyrus-a", "CREATE_COMPLETE"),
    ]
    assert await subject.prepare(stack("gyrus-a", Cidr="10.1.0.0/16")) is None
    prepared = await subject.prepare(stack("gyrus-a", Cidr="10.2.0.0/16"))
    assert prepared is not None
    changes = {change.resource: change for change in prepared.changes}
    assert changes["Network"].action == "Modify"
    assert changes["Network"].replaced
    assert changes["Network"].properties == ("CidrBlock",)
    await subject.execute(prepared)
    assert networks(account, "10.2.0.0/16")
    assert await subject.delete("gyrus-a") is True
    assert await subject.find("gyrus-a") is None
    assert networks(account, "10.2.0.0/16") == []
    assert await subject.delete("gyrus-a") is False


async def test_a_change_set_that_is_not_wanted_leaves_nothing(account: AwsAccount):
    subject = stacks(account)
    prepared = await subject.prepare(stack("gyrus-b"))
    assert prepared is not None
    assert prepared.creates
    await subject.discard(prepared)
    assert await subject.find("gyrus-b") is None


async def test_a_stack_that_failed_has_its_reason_and_does_not_block_its_name(account: AwsAccount):
    subject = stacks(account)
    account.set(failing={"Subnet": "The maximum number of subnets has been reached."})
    with pytest.raises(StackFailed) as caught:
        await subject.apply(stack("gyrus-c"))
    assert caught.value.message == "The stack gyrus-c failed: it was rolled back."
    assert caught.value.details == (
        "Subnet (AWS::EC2::Subnet): The maximum number of subnets has been reached.",
    )
    account.set(failing={})
    assert (await subject.apply(stack("gyrus-c"))).status == "CREATE_COMPLETE"


async def test_an_update_that_failed_leaves_the_stack_as_it_was(account: AwsAccount):
    subject = stacks(account)
    before = await subject.apply(stack("gyrus-d", Cidr="10.3.0.0/16"))
    wanted = stack("gyrus-d", Cidr="10.3.0.0/16")
    more: dict[str, Any] = dict(wanted.template)
    more["Resources"] = more["Resources"] | {"Network2": {"Type": "AWS::EC2::VPC", "Properties": {}}}
    account.set(failing={"Network2": "no"})
    with pytest.raises(StackFailed, match="it is as it was before"):
        await subject.apply(WantedStack(name="gyrus-d", template=more, parameters=wanted.parameters))
    after = await subject.find("gyrus-d")
    assert after is not None
    assert (after.status, after.outputs) == ("UPDATE_ROLLBACK_COMPLETE", before.outputs)


async def test_a_stack_under_way_is_waited_for(account: AwsAccount):
    """The first caller is interrupted while CloudFormation works; the second one goes on from there."""
    account.set(resource_seconds=0.5)
    begun = asyncio.Event()

    interrupted = Stacks(account.calls(), report=lambda _: begun.set(), polls=QUICK)
    first = asyncio.create_task(interrupted.apply(stack("gyrus-e")))
    await begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await stacks(account).apply(stack("gyrus-e"))).status == "CREATE_COMPLETE"


async def test_a_stack_under_way_can_be_removed(account: AwsAccount):
    account.set(resource_seconds=0.5)
    begun = asyncio.Event()
    subject = Stacks(account.calls(), report=lambda _: begun.set(), polls=QUICK)
    prepared = await subject.prepare(stack("gyrus-f", Cidr="10.4.0.0/16"))
    assert prepared is not None
    running = asyncio.create_task(subject.execute(prepared))
    other = stacks(account)
    await begun.wait()
    assert await other.delete("gyrus-f") is True
    assert networks(account, "10.4.0.0/16") == []
    with pytest.raises(StackFailed):
        await running


async def test_what_cannot_be_deleted_is_named_and_cleared(account: AwsAccount):
    subject = stacks(account)
    await subject.apply(stack("gyrus-g"))
    account.set(undeletable={"Subnet": "The subnet has dependencies and cannot be deleted."})
    with pytest.raises(StackDeletionFailed) as caught:
        await subject.delete("gyrus-g")
    assert caught.value.details[0] == (
        "Subnet (AWS::EC2::Subnet): The subnet has dependencies and cannot be deleted."
    )

    async def clear() -> None:
        account.set(undeletable={})

    assert await subject.delete("gyrus-g", clear=clear) is True


async def test_no_change_is_lost_though_calls_are_throttled_fail_and_come_late(account: AwsAccount):
    """Twelve stacks at the same time; of lost answers, half were carried out before they were lost."""
    account.set(throttled=0.15, failed=0.1, delay=0.1)
    calls = account.calls(backoff=Backoff(0.05, 0.5), tries=30)
    subject = Stacks(calls, polls=QUICK)
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(subject.apply(stack(f"gyrus-many-{number}", Cidr=f"10.{100 + number}.0.0/16")))
            for number in range(12)
        ]
    account.set(throttled=0, failed=0, delay=0)
    assert {task.result().succeeded for task in running} == {True}
    assert [len(networks(account, f"10.{100 + number}.0.0/16")) for number in range(12)] == [1] * 12
    assert len(await subject.named("gyrus-many-")) == 12

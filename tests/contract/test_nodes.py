"""The driver of nodes on emulated Auto Scaling groups, with a virtual Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest

from gyrus.cluster.aws.nodes.driver import NodeDriver
from gyrus.contract.cluster import CORDON_ANNOTATION
from gyrus.kubernetes.resources import PODS
from gyrus.nodes.state import CapacityType, PlannedGroup
from support.aws.account import AwsAccount, aws_account
from support.aws.node_world import NAMESPACE, AdvancedClock, NodeWorld
from support.nodes import group
from support.task_groups import running_in_background

pytestmark = [pytest.mark.processes]
SPOT, ON_DEMAND = CapacityType.SPOT, CapacityType.ON_DEMAND


@pytest.fixture(scope="module")
def running() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


@pytest.fixture
def world(running: AwsAccount) -> Iterator[NodeWorld]:
    world = NodeWorld(running)
    for capacity in CapacityType:
        world.create("cpu", capacity)
    yield world
    running.set(failing_groups={}, silent_groups=[], launch_seconds=0, throttled=0, failed=0, delay=0)


@asynccontextmanager
async def following(driver: NodeDriver) -> AsyncGenerator[NodeDriver]:
    """Run the watches of a driver, whose turns the test takes itself."""
    async with running_in_background(driver.observer.follow()):
        await driver.observer.nodes.listed()
        await driver.observer.pods.listed()
        yield driver


def cpu(**changes: object) -> PlannedGroup:
    return group("cpu", **changes)


async def test_a_pending_pod_gets_a_node_and_an_empty_one_ends(world: NodeWorld):
    clock = AdvancedClock()
    async with following(world.driver(cpu(spot=False), clock=clock)) as driver:
        await driver.turn()
        assert (driver.view.fault, world.desired) == ("", {})
        world.add_pods(4)
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 2}
        await world.settled(lambda: not world.waiting)
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 2}
        assert [node.state for node in driver.view.nodes] == ["ready", "ready"]
        for name in world.pods:
            world.server.remove(PODS, name, NAMESPACE)
        await world.settled(lambda: not world.pods)
        await driver.turn()
        clock.ahead += 200
        await driver.turn()
        await driver.turn()
        assert world.desired == {}
        await world.settled(lambda: not world.nodes)
        assert driver.view.failures == ()


async def test_spot_that_fails_is_replaced_at_once_and_tried_again_later(
    world: NodeWorld, running: AwsAccount
):
    spot = world.groups()["cpu/spot"]["AutoScalingGroupName"]
    message = "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity."
    running.set(failing_groups={spot: message})
    clock = AdvancedClock()
    async with following(world.driver(cpu(), clock=clock)) as driver:
        world.add_pods(2)
        world.require(2)
        await driver.turn()
        assert world.desired == {"cpu/spot": 1}
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 1}
        (barred,) = [pool for pool in driver.view.pools if pool.barred_until]
        assert (barred.capacity_type, barred.failure) == ("spot", message)
        await world.settled(lambda: not world.waiting)
        running.set(failing_groups={})
        clock.ahead += 700
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 1, "cpu/spot": 1}
        await world.settled(lambda: len(world.nodes) == 2)
        for _ in range(6):
            await driver.turn()
            world.replace_evacuated()
            world.step()
            await asyncio.sleep(0.05)
        assert world.desired == {"cpu/spot": 1}
        await world.settled(lambda: len(world.nodes) == 1)
        assert not world.waiting


async def test_a_pool_that_launches_nothing_counts_as_failed_after_90_s(
    world: NodeWorld, running: AwsAccount
):
    running.set(silent_groups=[world.groups()["cpu/spot"]["AutoScalingGroupName"]])
    clock = AdvancedClock()
    async with following(world.driver(cpu(), clock=clock)) as driver:
        world.add_pods(1)
        await driver.turn()
        await driver.turn()
        clock.ahead += 80
        await driver.turn()
        assert world.desired == {"cpu/spot": 1}
        clock.ahead += 11
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 1}


async def test_an_interrupted_node_is_replaced_before_it_is_drained(world: NodeWorld):
    world.create_queue()
    driver = world.driver(cpu())
    assert driver.queue is not None
    async with following(driver), running_in_background(driver.queue.run()):
        world.add_pods(3)
        world.require(3)
        await driver.turn()
        await world.settled(lambda: not world.waiting)
        (name, manifest) = next(iter(world.nodes.items()))
        instance = manifest["spec"]["providerID"].rpartition("/")[2]
        with driver.queue.changes.listen() as messages:
            world.warn(instance)
            world.warn("i-0123456789abcdef0")  # of another cluster
            world.warn(instance)  # again
            while len(driver.queue.waiting) < 3:
                await messages.wait()
        await driver.turn()
        assert world.desired == {"cpu/spot": 2}
        assert world.nodes[name]["spec"]["unschedulable"] is True
        assert world.nodes[name]["metadata"]["annotations"] == {
            CORDON_ANNOTATION: "EC2 interrupts this spot instance"
        }
        assert len(world.pods_on(name)) == 3
        assert driver.queue.waiting == {}
        world.replace_evacuated()
        await world.settled(lambda: len(world.waiting) == 0)
        assert len(world.pods_on(name)) == 3  # they serve until their replacements do
        world.replace_evacuated()
        await world.settled(lambda: not world.pods_on(name))
        await driver.turn()
        await driver.turn()
        assert world.desired == {"cpu/spot": 1}
        await world.settled(lambda: name not in world.nodes)
        assert len(world.pods) == 3
    attributes = world.account.client("sqs").get_queue_attributes(
        QueueUrl=world.queue, AttributeNames=["All"]
    )
    counts = attributes["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesNotVisible"] == "0"

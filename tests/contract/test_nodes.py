"""The driver of nodes on emulated Auto Scaling groups, with a virtual Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.nodes.driver import NodeDriver
from gyrus.cluster.aws.nodes.group_prices import group_rules
from gyrus.cluster.aws.nodes.node_pods import cluster_pods
from gyrus.cluster.aws.nodes.observation import ObservedCluster
from gyrus.cluster.aws.nodes.observer import NodeObserver
from gyrus.cluster.aws.prices.table import packaged_prices
from gyrus.cluster.aws.resource_names import group_stack
from gyrus.cluster.aws.stacks import Stacks, WantedStack
from gyrus.cluster.aws.templates.group_stack import render_group
from gyrus.contract.cluster import CORDON_ANNOTATION
from gyrus.contract.nodes import NodesView
from gyrus.kubernetes.resources import PODS
from gyrus.nodes.state import CapacityType, PlannedGroup
from support.api_server import Refusal
from support.aws.account import REGION, AwsAccount, aws_account
from support.aws.node_world import NAMESPACE, AdvancedClock, MemoryRecord, NodeWorld, pod
from support.nodes import gpu_group, group
from support.task_groups import running_in_background

pytestmark = [pytest.mark.aws, pytest.mark.processes]
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
    running.set(failing_groups={}, silent_groups=[], full_groups=[], throttled=0, failed=0, delay=0)


@asynccontextmanager
async def following(driver: NodeDriver) -> AsyncGenerator[NodeDriver]:
    """Run the watches of a driver, whose turns the test takes itself."""
    async with running_in_background(driver.observer.follow()):
        await driver.observer.listed()
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


async def test_the_next_operator_knows_the_latest_changes(world: NodeWorld):
    async with following(world.driver(cpu(spot=False))) as driver:
        world.add_pods(1)
        await driver.turn()
        known = driver.view.changes
    assert [one.message for one in known if "cpu/on-demand: 0 → 1" in one.message]
    async with following(world.driver(cpu(spot=False))) as driver:
        await driver.turn()
        assert driver.view.changes[: len(known)] == known


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


async def test_nodes_of_an_earlier_template_are_replaced_one_by_one(world: NodeWorld):
    driver = world.driver(cpu(spot=False))
    async with following(driver):
        world.add_pods(6)
        world.require(6)
        await driver.turn()
        await world.settled(lambda: not world.waiting)
        old = set(world.nodes)
        world.change_template("cpu", ON_DEMAND, "2")
        most, least = 0, 2
        for _ in range(30):
            await driver.turn()
            world.replace_evacuated()
            world.step()
            most = max(most, world.desired["cpu/on-demand"])
            least = min(least, sum("unschedulable" not in node["spec"] for node in world.nodes.values()))
            await asyncio.sleep(0.05)
            if not old & set(world.nodes) and len(world.nodes) == 2:
                break
        assert not old & set(world.nodes)
        assert (most, least, world.desired) == (3, 2, {"cpu/on-demand": 2})
        assert any("its launch template has changed" in one.message for one in driver.view.changes)


async def test_trouble_of_aws_loses_no_update(world: NodeWorld, running: AwsAccount):
    """Answers are lost, late or refused, and each instance is still ordered and ended once."""
    clock = AdvancedClock()
    driver = world.driver(cpu(spot=False), clock=clock, backoff=Backoff(0.01, 0.05), tries=12)
    async with following(driver):
        running.set(throttled=0.25, failed=0.25, delay=0.05)
        world.add_pods(9)
        world.require(9)
        for _ in range(3):
            await driver.turn()
        running.set(throttled=0, failed=0, delay=0)
        assert world.desired == {"cpu/on-demand": 3}
        await world.settled(lambda: not world.waiting)
        assert len(world.nodes) == 3
        for name in world.pods:
            world.server.remove(PODS, name, NAMESPACE)
        world.require(0)
        await world.settled(lambda: not world.pods)
        running.set(throttled=0.25, failed=0.25, delay=0.05)
        for _ in range(4):
            await driver.turn()
            clock.ahead += 100
        running.set(throttled=0, failed=0, delay=0)
        await driver.turn()
        assert world.desired == {}
        await world.settled(lambda: not world.nodes)


async def test_a_size_that_others_changed_meanwhile_is_not_overwritten(world: NodeWorld):
    driver = world.driver(cpu(spot=False))
    name = world.groups()["cpu/on-demand"]["AutoScalingGroupName"]
    async with following(driver):
        world.add_pods(1)
        await asyncio.sleep(0.05)
        observe = driver.observer.observe

        async def observed_early() -> ObservedCluster:
            seen = await observe()
            world.account.client("autoscaling").set_desired_capacity(
                AutoScalingGroupName=name, DesiredCapacity=2
            )
            return seen

        turn = replace(driver, observer=_Early(driver.observer, observed_early))
        await turn.turn()
        assert world.desired == {"cpu/on-demand": 2}
        assert turn.view.failures == (
            "cpu/on-demand stays at 2 nodes, since its size was changed from 0 meanwhile",
        )
        await driver.turn()
        assert (driver.view.failures, world.desired) == ((), {"cpu/on-demand": 2})


async def test_a_failure_of_one_group_stops_no_other(world: NodeWorld, running: AwsAccount):
    for capacity in CapacityType:
        world.create("gpu", capacity)
    driver = world.driver(cpu(spot=False), gpu_group(spot=False))
    async with following(driver):
        world.add_pods(1, cpu="3")
        pod_with_gpu = pod("gpu-pod")
        pod_with_gpu["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = "1"
        world.server.put(PODS, pod_with_gpu)
        await asyncio.sleep(0.05)
        running.set(full_groups=[world.groups()["gpu/on-demand"]["AutoScalingGroupName"]])
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 1}
        (failure,) = driver.view.failures
        expected = "gpu/on-demand does not get 1 nodes: autoscaling refuses SetDesiredCapacity: New Set"
        assert failure.startswith(expected)
        running.set(full_groups=[])
        await driver.turn()
        assert world.desired == {"cpu/on-demand": 1, "gpu/on-demand": 1}


async def test_the_next_operator_goes_on_and_a_forgotten_cordon_is_lifted(world: NodeWorld):
    world.create_queue()
    driver = world.driver(cpu())
    assert driver.queue is not None
    async with following(driver), running_in_background(driver.queue.run()):
        world.add_pods(1)
        world.require(1)
        await driver.turn()
        await world.settled(lambda: not world.waiting)
        (name,) = world.nodes
        instance = world.nodes[name]["spec"]["providerID"].rpartition("/")[2]
        with driver.queue.changes.listen() as messages:
            world.warn(instance)
            await messages.wait()
        await driver.turn()
        assert world.nodes[name]["spec"]["unschedulable"] is True
    async with following(world.driver(cpu())) as successor:
        await successor.turn()
        assert [one.state for one in successor.view.nodes if one.name == name] == ["leaving"]
        assert world.desired == {"cpu/spot": 2}
    world.record = MemoryRecord()  # its memory is lost
    async with following(world.driver(cpu())) as successor:
        await successor.turn()
        assert "unschedulable" not in world.nodes[name]["spec"]


async def test_a_drain_evicts_other_pods_and_leaves_replicas_to_control(world: NodeWorld):
    driver = world.driver(cpu(spot=False))
    async with following(driver):
        world.add_pods(1)
        world.add_pods(1, api="")
        await driver.turn()
        await world.settled(lambda: not world.waiting)
        await driver.turn()
        pods = cluster_pods(world.pods.values())
        failures: list[str] = []
        await driver.changes.evictions.drain(pods, float("inf"), failures)
        assert [*world.pods] == ["iris-1"]
        world.server.refuse("POST", PODS, Refusal(429, "TooManyRequests", "the budget forbids it"))
        await driver.changes.evictions.drain(pods[:1], 40.0, failures)
        assert ([*world.pods], failures) == ([], [])


async def test_a_missing_right_is_reported_and_nothing_is_changed(world: NodeWorld):
    views: list[NodesView] = []
    driver = replace(world.driver(cpu(spot=False)), publish=views.append)
    missing = 'User "gyrus" cannot list resource "pods" in API group "" at the cluster scope'
    world.server.refuse("GET", PODS, Refusal(403, "Forbidden", missing))
    world.add_pods(1)
    async with running_in_background(driver.observer.follow()):
        await driver.observer.nodes.listed()
        await asyncio.sleep(0.05)
        await driver.turn()
    expected = "gyrus may not list pods in the cluster. Grant it this right, or use other credentials"
    assert views[-1].fault == expected
    assert world.desired == {}


async def test_the_loop_plans_at_once_and_ends_when_it_is_cancelled(world: NodeWorld):
    world.create_queue()
    views: list[NodesView] = []
    driver = replace(world.driver(cpu(spot=False)), publish=views.append)
    async with running_in_background(driver.run()):
        await world.settled(lambda: bool(views))
        world.add_pods(1)
        await world.settled(lambda: bool(world.nodes) and not world.waiting, within=20)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    assert views[-1].fault == ""
    assert any("node group cpu/on-demand: 0 → 1, because" in one.message for one in views[-1].changes)


async def test_a_group_of_the_template_is_driven_and_keeps_its_size(running: AwsAccount):
    world = NodeWorld(running)
    spec = cluster_spec(world.name)
    ec2 = running.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    closed = ec2.create_security_group(GroupName=world.name, Description="none", VpcId=network)["GroupId"]
    parameters = {
        "ClusterEndpoint": "https://cluster", "ClusterCertificate": "none", "ServiceRange": "10.100.0.0/16",
        "SecurityGroup": closed, "NodeProfile": "arn:aws:iam::000000000000:instance-profile/none",
        "Subnets": subnet,
    }  # fmt: skip
    stacks = Stacks(running.calls(), report=lambda event: None, polls=Backoff(0.02, 0.2))
    name, group = group_stack(world.name, "cpu"), spec.node_groups[0]
    wanted = WantedStack(name=name, template=render_group(spec, group), parameters=parameters)
    await stacks.apply(wanted)
    rules = group_rules(spec.node_groups, packaged_prices(REGION))
    async with following(replace(world.driver(), rules=lambda: rules)) as driver:
        world.add_pods(1)
        world.require(1)
        await driver.turn()
        assert world.desired == {"cpu/spot": 1}
        await world.settled(lambda: not world.waiting)
        (old,) = world.nodes
        larger = group.model_copy(update={"instance_volume_size": 80})
        await stacks.apply(replace(wanted, template=render_group(spec, larger)))
        assert world.desired == {"cpu/spot": 1}
        await driver.turn()
        assert world.desired == {"cpu/spot": 2}
        await world.settled(lambda: len(world.nodes) == 2)
        for _ in range(10):
            await driver.turn()
            world.replace_evacuated()
            world.step()
            await asyncio.sleep(0.05)
        assert world.desired == {"cpu/spot": 1}
        await world.settled(lambda: old not in world.nodes)
        assert not world.waiting


def cluster_spec(name: str) -> ClusterSpec:
    groups = [{"name": "cpu", "instance_type": "m5.large", "spot": True, "min_instances": 0}]
    return ClusterSpec.model_validate({"cluster_name": name, "region": REGION, "node_groups": groups})


class _Early(NodeObserver):
    """An observer after whose look something happens."""

    def __init__(self, real: NodeObserver, observe: Callable[[], Awaitable[ObservedCluster]]) -> None:
        self.aws, self.cluster, self.client = real.aws, real.cluster, real.client
        self.clock, self.required, self.nodes, self.pods = real.clock, real.required, real.nodes, real.pods
        self._observe = observe

    async def observe(self) -> ObservedCluster:
        return await self._observe()

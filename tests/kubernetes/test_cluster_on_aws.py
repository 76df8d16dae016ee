"""``gyrus cluster up``, ``configure`` and ``down``: an emulated AWS with this cluster as its EKS."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gyrus.contract.cluster import API_LABEL, CAPACITY_LABEL, CORDON_ANNOTATION, NODE_GROUP_LABELS
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NODES, PODS, name_of
from support.aws.account import REGION
from support.aws.cluster_on_aws import ClusterOnAws
from support.cluster import eventually, new_volume
from support.load import Load

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]
CPU = {"name": "cpu", "instance_type": "m5.large", "spot": True}
HANDLER = """\
import json


class Handler:
    def __init__(self, config, models=None):
        self.factor = json.loads((models / "factor.json").read_text()) if models else 2

    def predict(self, payload):
        print("multiplied")
        return {"twice": self.factor * payload["number"]}
"""
WORK = {"name": "work", "instance_type": "m5.large", "spot": True, "min_instances": 0, "max_instances": 2}
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
KILLS = 20
RATE = 20
"""Requests a second."""


def project(folder: Path, more: str = "", handler: str = "path: handler.py") -> Path:
    folder.mkdir()
    (folder / "handler.py").write_text(HANDLER)
    (folder / "gyrus.yaml").write_text(
        "- name: twice\n"
        "  kind: RealtimeAPI\n"
        f"  handler: {{{handler}}}\n"
        f"  compute: {{cpu: 50m, mem: 128Mi}}\n{more}"
    )
    return folder


async def test_a_cluster_serves_changes_and_leaves_nothing(
    cluster: ClusterOnAws, client: ClusterClient, tmp_path: Path
):
    async with new_volume(client, cluster.name, tmp_path / "volume") as storage_class:
        await asyncio.to_thread(serve_and_change, cluster, tmp_path, storage_class)


def serve_and_change(cluster: ClusterOnAws, tmp_path: Path, storage_class: str) -> None:
    before = cluster.account.resources()
    cluster.write([CPU], storage_class=storage_class)
    up = cluster.run("cluster", "up", "-y")
    assert up.code == 0, up.err
    assert "total" in up.err
    assert f"The cluster {cluster.name} runs in eu-west-1, with gyrus" in up.out

    deployed = cluster.run("-e", cluster.environment, "deploy", project(tmp_path / "project"))
    assert deployed.code == 0, deployed.err
    endpoint = cluster.run("-e", cluster.environment, "get", "twice", "-o", "json").json["endpoint"]
    assert httpx.post(endpoint, json={"number": 21}, timeout=30).json() == {"twice": 42}

    groups = [CPU | {"max_instances": 7}, {"name": "large", "instance_type": "m5.4xlarge"}]
    cluster.write(groups, storage_class=storage_class)
    changed = cluster.run("cluster", "configure", "-y", "-o", "json")
    assert changed.code == 0, changed.err
    assert {one["stack"] for one in changed.json["changes"]} == {
        f"gyrus-{cluster.name}--cpu",
        f"gyrus-{cluster.name}--large",
    }
    prices = changed.json["usd_per_hour"]
    assert prices["after"]["maximum"] > prices["before"]["maximum"] > 0

    refused = cluster.run("cluster", "down", "-y")
    assert refused.code == 1
    assert refused.err.startswith(f"error: The cluster {cluster.name} has 1 API.")
    down = cluster.run("cluster", "down", "-y", "--force")
    assert down.code == 0, down.err
    assert cluster.account.resources() == before
    assert cluster.run("env", "list", "-o", "json").out.find(cluster.environment) == -1


class JoiningNodes:
    """Lets nodes of this cluster join as instances of the account, and end with them.

    A node that has not joined is cordoned, or has no label of a group. Its provider ID can be set only once,
    so the account gives its instances the IDs of these nodes.
    """

    def __init__(self, cluster: ClusterOnAws, client: ClusterClient, nodes: Sequence[str]) -> None:
        self._cluster = cluster
        self._client = client
        self.instances = {f"i-{int(node.rpartition('-')[2]):017x}": node for node in nodes}
        self.joined: set[str] = set()
        self.may_join = {next(iter(self.instances))}
        """Instances that may become nodes: at first one alone, whatever the operator has ordered."""

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for instance in await asyncio.to_thread(self._in_service):
                if instance in self.may_join and instance not in self.joined:
                    await self._join(instance)

    def _in_service(self) -> list[str]:
        groups = self._cluster.account.client("autoscaling").describe_auto_scaling_groups()
        return [
            one["InstanceId"]
            for group in groups["AutoScalingGroups"]
            for one in group["Instances"]
            if one["LifecycleState"] == "InService"
        ]

    async def _join(self, instance: str) -> None:
        self.joined.add(instance)
        labels = {NODE_GROUP_LABELS[0]: "work", CAPACITY_LABEL: "spot", INSTANCE_TYPE: "m5.large"}
        provider = {"providerID": f"aws:///eu-west-1a/{instance}"}
        change = {"metadata": {"labels": labels}, "spec": {"unschedulable": None, **provider}}
        await self._client.patch(NODES, self.instances[instance], change)

    async def leave(self) -> None:
        """Make all nodes as they were, but for their provider IDs."""
        labels = {NODE_GROUP_LABELS[0]: None, CAPACITY_LABEL: None, INSTANCE_TYPE: None}
        annotations = {CORDON_ANNOTATION: None}
        for node in self.instances.values():
            change = {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"unschedulable": None},
            }
            await self._client.patch(NODES, node, change)


def warn(cluster: ClusterOnAws, instance: str) -> None:
    """Warn of a spot interruption, as EventBridge does."""
    body = {
        "detail-type": "EC2 Spot Instance Interruption Warning",
        "source": "aws.ec2",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "detail": {"instance-id": instance, "instance-action": "terminate"},
    }
    sqs = cluster.account.client("sqs")
    url = sqs.get_queue_url(QueueName=f"gyrus-{cluster.name}")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))


async def test_a_pending_replica_gets_a_node_and_an_interruption_fails_no_request(
    cluster: ClusterOnAws, client: ClusterClient, tmp_path: Path
):
    """The first node hosts gyrus, and joins as the replacement; the second one joins before."""
    first, second = sorted(name_of(node) for node in (await client.list(NODES)).items)[:2]
    nodes = JoiningNodes(cluster, client, [second, first])
    spot = f"gyrus-{cluster.name}--work.spot"
    cluster.account.set(instance_ids={spot: list(nodes.instances)}, launch_seconds=2)
    await client.patch(NODES, second, {"spec": {"unschedulable": True}})
    joining = asyncio.create_task(nodes.run(), name="join nodes")
    try:
        cluster.write([WORK])
        up = await asyncio.to_thread(cluster.run, "cluster", "up", "-y")
        assert up.code == 0, up.err
        await asyncio.to_thread(end_first_nodes, cluster)
        endpoint = await asyncio.to_thread(deploy_on_work, cluster, tmp_path)
        async with Load(endpoint, RATE, body=b'{"number": 21}') as load:
            nodes.may_join.update(nodes.instances)
            await asyncio.to_thread(warn, cluster, next(iter(nodes.instances)))
            await eventually(lambda: replica_is_on(client, cluster.namespace, first), within=200)
        assert load.result.failed == (), str(load.result)
        assert len(load.result.answers) > RATE
        changes = await asyncio.to_thread(node_changes, cluster)
        assert any("EC2 interrupts this spot instance" in change for change in changes), changes
        await eventually(lambda: lines_in_cloudwatch(cluster), within=60)
        await asyncio.to_thread(check_costs_and_logs, cluster)
    finally:
        joining.cancel()
        # The operator would cordon the node again.
        await asyncio.to_thread(cluster.run, "cluster", "down", "-y", "--force")
        await nodes.leave()


def end_first_nodes(cluster: ClusterOnAws) -> None:
    """End the instances with which the cluster began: gyrus runs on a node of this cluster that is none."""
    scaling = cluster.account.client("autoscaling")
    name = f"gyrus-{cluster.name}--work.on-demand"
    [group] = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    for one in group["Instances"]:
        scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=one["InstanceId"], ShouldDecrementDesiredCapacity=True
        )


def deploy_on_work(cluster: ClusterOnAws, tmp_path: Path) -> str:
    """Deploy an API whose model is in a bucket of the account, and return its endpoint."""
    bucket = f"models-{cluster.name}"
    s3 = cluster.account.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key="twice/factor.json", Body=b"2")
    handler = f"path: handler.py, models: s3://{bucket}/twice"
    folder = project(tmp_path / "project", "  node_groups: [work]\n", handler)
    deployed = cluster.run("-e", cluster.environment, "deploy", folder)
    assert deployed.code == 0, deployed.err
    return cluster.run("-e", cluster.environment, "get", "twice", "-o", "json").json["endpoint"]


def check_costs_and_logs(cluster: ClusterOnAws) -> None:
    costs = cluster.run("-e", cluster.environment, "cost", "-o", "json").json
    assert costs["bill"]["per_hour"] > 0
    parts = [*(api["cost"] for api in costs["apis"]), costs["idle"], *costs["shared"].values()]
    assert sum(part["per_hour"] for part in parts) == pytest.approx(costs["bill"]["per_hour"], abs=1e-8)
    assert "EKS control plane" in costs["shared"]
    logs = cluster.run("-e", cluster.environment, "logs", "twice", "--since", "1h")
    assert "multiplied" in logs.out, logs.err


async def replica_is_on(client: ClusterClient, namespace: str, node: str) -> bool:
    """Return True if the only replica runs on a node."""
    pods = (await client.list(PODS, namespace, labels=f"{API_LABEL}=twice")).items
    return [pod["spec"].get("nodeName") for pod in pods] == [node]


def node_changes(cluster: ClusterOnAws) -> list[str]:
    info = cluster.run("cluster", "info", "-f", "cluster.yaml", "-o", "json")
    assert info.code == 0, info.err
    return [change["message"] for change in info.json["planned"]["changes"]]


def logged(cluster: ClusterOnAws) -> list[str]:
    """Return the lines that are in CloudWatch."""
    logs = cluster.account.client("logs")
    events = logs.filter_log_events(logGroupName=f"/gyrus/{cluster.name}", filterPattern="")["events"]
    return [event["message"] for event in events]


async def lines_in_cloudwatch(cluster: ClusterOnAws) -> bool:
    """Return True if the lines of the replica are in CloudWatch."""
    return any("multiplied" in line for line in await asyncio.to_thread(logged, cluster))


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a command at a time. Returns False if it had ended before."""
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def test_a_creation_that_is_killed_anywhere_goes_on_or_is_removed(cluster: ClusterOnAws):
    """Twenty times, at times that are spread over a creation: by turns it goes on, or it is removed."""
    cluster.account.set(resource_seconds=0.1)
    before = cluster.account.resources()
    cluster.write([CPU])
    chance = random.Random(11)
    killed = 0
    while killed < KILLS:
        killed += kill_after(cluster.start("cluster", "up", "-y"), chance.uniform(0.5, 9))
        if killed % 5 == 4:
            again = cluster.run("cluster", "up", "-y")
            assert again.code == 0, again.err
        if killed % 2:
            down = cluster.run("cluster", "down", "-y", "--force")
            assert down.code == 0, down.err
            assert cluster.account.resources() == before
    down = cluster.run("cluster", "down", "-y", "--force")
    assert down.code == 0, down.err
    assert cluster.account.resources() == before

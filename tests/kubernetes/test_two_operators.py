"""Two operators on one PostgreSQL: the standby takes over, and neither end costs a request.

PostgreSQL runs on this machine, at an address that pods reach (``GYRUS_TEST_HOST_ADDRESS``).
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
import yaml

from gyrus.contract import cluster as names
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import LEASES, NAMESPACES, NODES, PODS, SERVICES, name_of
from support import operator_pods
from support.cluster import HOST_ADDRESS, PATIENCE, connected, eventually
from support.command_line import Ran
from support.installation import Installation
from support.load import Load, Result
from support.postgresql import PASSWORD, binaries, started

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

RATE = 100
"""Requests a second."""
LOSE_NODE = os.environ.get("GYRUS_TEST_NODE_LOSS", "")
"""A program that loses a node and gives it back. Its arguments: ``cut`` or ``join``, and the node's name."""
TAKEOVER = 15.0
"""Seconds from the end of the leader to the first decision of the next one."""
HANDLER = """
class Handler:
    def predict(self, payload):
        return {"number": payload["number"]}
"""
SPEC = """
- name: tiny
  handler: {path: handler.py}
  max_concurrency: 8
  compute: {cpu: 50m, mem: 256Mi}
  autoscaling: {min_replicas: 2, max_replicas: 2}
- name: idle
  handler: {path: handler.py}
  idempotent: true
  compute: {cpu: 50m, mem: 256Mi}
  autoscaling: {min_replicas: 0, init_replicas: 0, max_replicas: 1}
"""


@dataclass
class Platform:
    """An installation with two operators."""

    installation: Installation
    client: ClusterClient
    environment: str
    gateway: str
    printed: str = ""
    """The answer of the last command that was awaited, for the report of a failed test."""

    async def gyrus(self, *arguments: str | Path) -> Any:
        """Run a command in this environment, and return its JSON. It must succeed."""
        ran = await asyncio.to_thread(self.installation.run, "-e", self.environment, *arguments, "-o", "json")
        assert ran.code == 0, ran.err
        return ran.json

    async def under_load(self, act: Callable[[], Awaitable[object]]) -> Result:
        async with Load(f"{self.gateway}/tiny", RATE, body=b'{"number":7}') as load:
            await asyncio.sleep(1)  # the load begins before the act, and goes on for a while after it
            await act()
            await asyncio.sleep(1)
        return load.result

    async def pods(self, labels: str) -> list[str]:
        found = await self.client.list(PODS, self.installation.namespace, labels=labels)
        return [name_of(pod) for pod in found.items if "deletionTimestamp" not in pod["metadata"]]

    async def leader(self) -> str:
        lease = await self.client.find(LEASES, names.OPERATOR, self.installation.namespace)
        assert lease
        return lease["spec"].get("holderIdentity", "")

    async def standby(self) -> str:
        """Return the operator that does not lead, once there is one."""
        await eventually(self.is_healthy)
        leader = await self.leader()
        operators = await self.pods(f"{names.ROLE_LABEL}={names.OPERATOR_ROLE}")
        (standby,) = (pod for pod in operators if pod != leader)
        return standby

    async def kill(self, pod: str) -> None:
        """End an operator by SIGKILL, and its pod, so that it does not start again there."""
        try:
            await operator_pods.kill(self.client, pod, self.installation.namespace)
        except operator_pods.ProcessNotHere as error:
            pytest.skip(str(error))

    async def answers(self) -> bool:
        """Return True if the operator's API answers."""
        return self._succeeded(
            await asyncio.to_thread(self.installation.run, "-e", self.environment, "get", "tiny")
        )

    async def is_healthy(self) -> bool:
        return self._succeeded(await asyncio.to_thread(self.installation.cluster, "health"))

    def _succeeded(self, ran: Ran) -> bool:
        self.printed = ran.out + ran.err
        return ran.code == 0

    async def node_of(self, pod: str) -> str:
        """Return the node of a pod. Empty if it has none."""
        found = await self.client.find(PODS, pod, self.installation.namespace)
        return found["spec"].get("nodeName", "") if found else ""

    async def leads_at_the_address(self) -> bool:
        """Return True if the leader is on the node by whose address this machine reaches the platform."""
        node = await self.client.get(NODES, await self.node_of(await self.leader()))
        return urlsplit(self.gateway).hostname in [each["address"] for each in node["status"]["addresses"]]

    async def beside(self, node: str) -> str:
        """Return the endpoint of ``tiny`` at another node."""
        nodes = {name_of(each): each for each in (await self.client.list(NODES)).items}
        other = next(each for name, each in nodes.items() if name != node)
        addresses = {each["type"]: each["address"] for each in other["status"]["addresses"]}
        return f"http://{addresses['InternalIP']}:{urlsplit(self.gateway).port}/tiny"

    async def selected(self) -> list[str]:
        """Return the pods behind the operator's Service."""
        service = await self.client.get(SERVICES, names.OPERATOR, self.installation.namespace)
        return await self.pods(
            ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST_ADDRESS, 0))
        return probe.getsockname()[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL: install Debian's package postgresql")
    try:
        port = free_port()
    except OSError:
        pytest.skip(
            f"this machine has no address {HOST_ADDRESS}: set GYRUS_TEST_HOST_ADDRESS to one that pods reach"
        )
    with tempfile.TemporaryDirectory() as name, started(programs, HOST_ADDRESS, port):
        folder = Path(name)
        (folder / "handler.py").write_text(HANDLER)
        (folder / "gyrus.yaml").write_text(SPEC)
        installation = Installation(folder)
        url = f"postgresql://postgres:{PASSWORD}@{HOST_ADDRESS}:{port}/postgres"
        async with connected() as client:
            try:
                await create_store(client, installation.namespace, url)
                values = with_store(installation.values())
                installed = await asyncio.to_thread(
                    installation.cluster, "install", "--values", values, "-o", "json"
                )
                assert installed.code == 0, installed.err
                made = Platform(
                    installation, client, installed.json["environment"], installed.json["gateway"]
                )
                await made.gyrus("deploy", folder, "-y")
                yield made
            finally:
                await asyncio.to_thread(installation.cluster, "uninstall", "-y")
                await client.delete(NAMESPACES, installation.namespace)


async def create_store(client: ClusterClient, namespace: str, url: str) -> None:
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    await client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "gyrus-store", "namespace": namespace},
            "stringData": {"url": url},
        }
    )


def with_store(values: Path) -> Path:
    settings = yaml.safe_load(values.read_text())
    del settings["operator"]["storage"]
    settings["operator"]["store"] = {"secret": "gyrus-store"}
    values.write_text(yaml.safe_dump(settings))
    return values


async def test_one_leads_and_the_other_one_stands_by(platform: Platform) -> None:
    leader = await platform.leader()
    assert await platform.standby() != leader
    assert await platform.selected() == [leader]


async def test_both_have_metrics_and_one_of_them_leads(platform: Platform) -> None:
    leaders = {await platform.leader(): 1.0, await platform.standby(): 0.0}
    for pod, leads in leaders.items():
        found = await platform.client.get(PODS, pod, platform.installation.namespace)
        async with httpx.AsyncClient() as client:
            url = f"http://{found['status']['podIP']}:{names.MONITORING_PORT}"
            metrics = (await client.get(f"{url}/metrics")).text
            assert (await client.get(f"{url}/readyz")).text == "ok\n"
        assert f"gyrus_operator_leader {leads}\n" in metrics
        assert "gyrus_operator_store_reachable 1.0\n" in metrics


async def test_the_password_of_the_database_is_nowhere(platform: Platform) -> None:
    namespace = platform.installation.namespace
    shown = [await platform.gyrus("get"), (await platform.client.list(PODS, namespace)).items]
    shown.append((await asyncio.to_thread(platform.installation.cluster, "info", "-o", "json")).out)
    assert PASSWORD not in str(shown)
    for pod in (await platform.leader(), await platform.standby()):
        async with aclosing(platform.client.logs(pod, namespace)) as lines:
            assert not [line async for line in lines if PASSWORD in line]


async def test_the_standby_takes_over_from_a_killed_leader(platform: Platform) -> None:
    leader, standby = await platform.leader(), await platform.standby()
    took = 0.0

    async def kill() -> None:
        nonlocal took
        replicas = await platform.pods(f"{names.API_LABEL}=tiny")
        began = time.monotonic()
        await platform.kill(leader)
        await platform.client.delete(PODS, replicas[0], platform.installation.namespace)

        async def replaced() -> bool:
            return len(set(await platform.pods(f"{names.API_LABEL}=tiny")) - set(replicas)) > 0

        await eventually(replaced)
        took = time.monotonic() - began
        await eventually(platform.answers)  # the Service reaches the new leader
        await eventually(platform.is_healthy)

    result = await platform.under_load(kill)
    print(f"leader killed: next decision after {took:.1f} s; {result}")  # noqa: T201
    assert await platform.leader() == standby
    assert await platform.selected() == [standby]
    assert took < TAKEOVER
    assert result.failed == (), str(result)


async def test_a_request_to_an_idle_api_survives_its_operator(platform: Platform) -> None:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(timeout=60) as client:
            return await client.post(f"{platform.gateway}/idle", json={"number": 7})

    async with asyncio.TaskGroup() as group:
        request = group.create_task(ask(), name="request to the idle API")
        await eventually(lambda: platform.pods(f"{names.API_LABEL}=idle"))
        await platform.kill(await platform.leader())
    assert request.result().status_code == 200, request.result().text
    await eventually(platform.is_healthy)


async def test_the_end_of_the_standby_costs_nothing(platform: Platform) -> None:
    leader, standby = await platform.leader(), await platform.standby()

    async def kill() -> None:
        await platform.kill(standby)
        await platform.gyrus("get", "tiny")
        await eventually(platform.is_healthy)

    result = await platform.under_load(kill)
    assert await platform.leader() == leader
    assert result.failed == (), str(result)


async def test_a_new_leader_has_packages_and_environments(platform: Platform) -> None:
    """The next leader has never seen an upload: replicas start from the files that it fetches."""
    killed = await platform.leader()
    await platform.kill(killed)

    async def replaced() -> bool:
        return await platform.leader() not in (killed, "")

    await eventually(replaced)
    await eventually(platform.answers)
    await platform.gyrus("refresh", "tiny")
    assert await platform.pods(f"{names.ROLE_LABEL}={names.BUILDER_ROLE}") == []


@pytest.mark.skipif(not LOSE_NODE, reason="set GYRUS_TEST_NODE_LOSS to a program that loses a node")
async def test_the_loss_of_the_leaders_node_fails_no_request_10_s_later(platform: Platform) -> None:
    """A replica and a gateway are lost with it. Updates go on while the node is gone."""
    node = await spread_with_the_leader_elsewhere(platform)
    load = Load(await platform.beside(node), RATE, body=b'{"number":7}')
    try:
        async with load:
            began = asyncio.get_running_loop().time()
            await lose_node("cut", node)

            async def replaced() -> bool:
                replicas = await platform.pods(f"{names.API_LABEL}=tiny")
                nodes = [await platform.node_of(pod) for pod in replicas]
                return sum(found not in (node, "") for found in nodes) >= 2

            await eventually(replaced)
            await eventually(platform.answers)
            await platform.gyrus("refresh", "tiny")
            lasted = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, 20 - lasted))
    finally:
        await lose_node("join", node)
    late = [answer for answer in load.result.failed if answer.due > 10]
    print(f"node lost: {len(load.result.failed)} of {len(load.result.answers)} failed")  # noqa: T201
    assert late == [], str(load.result)
    assert await platform.node_of(await platform.leader()) != node
    await eventually(platform.is_healthy)


async def spread_with_the_leader_elsewhere(platform: Platform) -> str:
    """Spread the pods so that the leader is not on the node of the platform's address. Return its node."""
    async with asyncio.timeout(3 * PATIENCE):
        while True:
            await spread(platform)
            leader = await platform.leader()
            if not await platform.leads_at_the_address():
                return await platform.node_of(leader)
            await platform.client.delete(PODS, leader, platform.installation.namespace)

            async def is_replaced(before: str = leader) -> bool:
                return await platform.leader() not in (before, "")

            await eventually(is_replaced)


async def lose_node(act: str, node: str) -> None:
    process = await asyncio.create_subprocess_exec(LOSE_NODE, act, node)
    assert await process.wait() == 0


async def spread(platform: Platform) -> None:
    """Wait until gateways, operators and replicas are each on different nodes. Move those that are not."""
    for labels in (
        f"{names.ROLE_LABEL}={names.GATEWAY_ROLE}",
        f"{names.ROLE_LABEL}={names.OPERATOR_ROLE}",
        f"{names.API_LABEL}=tiny",
    ):

        async def is_spread(labels: str = labels) -> bool:
            pods = await platform.pods(labels)
            nodes = {await platform.node_of(pod) for pod in pods}
            if len(pods) == 2 and len(nodes) == 1 and "" not in nodes:
                await platform.client.delete(PODS, pods[0], platform.installation.namespace)
            return len(nodes) > 1 and "" not in nodes

        await eventually(is_spread)
    await eventually(platform.is_healthy)

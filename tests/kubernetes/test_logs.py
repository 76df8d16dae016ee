"""Output of replicas that are gone, through an installed platform on a real cluster."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gyrus.contract.cluster import API_LABEL, ROLE_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import PERSISTENT_VOLUMES, PODS, name_of
from support.cluster import SERVER_IMAGE, connected, eventually
from support.installation import Installation

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

HANDLER = """
import os


class Handler:
    def predict(self, payload):
        print(payload)
        if payload == "die":
            os._exit(1)
        return payload
"""
SPECS = {
    "text": """
name: text
handler: {{path: handler.py}}
max_concurrency: 8
compute: {{cpu: 50m, mem: 256Mi}}
autoscaling: {{min_replicas: {least}, max_replicas: 2, window: 2s, downscale_stabilization_period: 2s}}
""",
    "server": """
name: server
process: {{image: {image}, command: [python3, /server.py], ready: {{path: /ready}}}}
max_concurrency: 8
compute: {{cpu: 50m, mem: 64Mi}}
autoscaling: {{min_replicas: {least}, max_replicas: 2, window: 2s, downscale_stabilization_period: 2s}}
""",
}


@dataclass
class Platform:
    """An installation whose operator has a volume."""

    installation: Installation
    client: ClusterClient
    environment: str
    folder: Path

    async def gyrus(self, *arguments: str | Path) -> str:
        """Run a command in this environment, and return its output. It must succeed."""
        ran = await asyncio.to_thread(self.installation.run, "-e", self.environment, *arguments)
        assert ran.code == 0, ran.err
        return ran.out

    async def deploy(self, api: str, *, least: int = 1) -> None:
        text = SPECS[api].format(image=SERVER_IMAGE, least=least)
        (self.folder / "gyrus.yaml").write_text(text)
        await self.gyrus("deploy", self.folder, "-y")

    async def ask(self, api: str, text: str, path: str = "") -> int:
        """Send a request, whose text its replica prints. Return the status."""
        endpoint = json.loads(await self.gyrus("get", api, "-o", "json"))["endpoint"]
        async with httpx.AsyncClient(timeout=60) as client:
            return (await client.post(endpoint + path, json=text)).status_code

    async def log(self, api: str, *options: str) -> list[dict[str, Any]]:
        lines = (await self.gyrus("logs", api, *options, "-o", "json")).splitlines()
        return [json.loads(line) for line in lines]

    async def messages(self, api: str, *options: str) -> list[str]:
        """Return the lines of the replicas' own."""
        return [line["message"] for line in await self.log(api, *options) if line.get("stream") != "gyrus"]

    async def pods(self, labels: str) -> list[str]:
        found = await self.client.list(PODS, self.installation.namespace, labels=labels)
        return [name_of(pod) for pod in found.items if "deletionTimestamp" not in pod["metadata"]]

    async def gone(self, pod: str) -> None:
        async def is_gone() -> bool:
            return await self.client.find(PODS, pod, self.installation.namespace) is None

        await eventually(is_gone)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "volume").mkdir()
        (folder / "volume").chmod(0o777)
        project = folder / "project"
        project.mkdir()
        (project / "handler.py").write_text(HANDLER)
        installation = Installation(folder)
        async with connected() as client:
            await client.create(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": installation.namespace},
                    "spec": {
                        "capacity": {"storage": "1Gi"},
                        "accessModes": ["ReadWriteOnce"],
                        "storageClassName": installation.namespace,
                        "hostPath": {"path": str(folder / "volume")},
                    },
                }
            )
            try:
                values = installation.values(storage_class=installation.namespace)
                installed = await asyncio.to_thread(
                    installation.cluster, "install", "--values", values, "-o", "json"
                )
                assert installed.code == 0, installed.err
                yield Platform(installation, client, installed.json["environment"], project)
            finally:
                await asyncio.to_thread(installation.cluster, "uninstall", "-y")
                await client.delete(PERSISTENT_VOLUMES, installation.namespace)


async def test_a_replica_that_was_scaled_down_is_in_the_log_to_its_last_line(platform: Platform) -> None:
    await platform.deploy("text")
    await platform.ask("text", "before the end")
    (pod,) = await platform.pods(f"{API_LABEL}=text")
    living = await platform.log("text", "--replica", pod)
    await platform.deploy("text", least=0)
    await platform.gone(pod)
    kept = await platform.log("text", "--replica", pod)
    assert kept[: len(living)] == living
    assert [line["message"] for line in kept][-1] == "process 0 ended (code 0)"
    assert await platform.log("text", "--replica", pod, "--previous") == kept
    assert await platform.log("text", "--replica", pod, "--tail", "3") == kept[-3:]
    since = datetime.fromtimestamp(kept[-2]["time"], UTC)
    assert await platform.log("text", "--replica", pod, "--since", since.isoformat()) == kept[-2:]


async def test_lines_before_a_crash_are_those_of_the_previous_run(platform: Platform) -> None:
    await platform.deploy("text")
    await platform.ask("text", "fine")
    assert await platform.ask("text", "die") == 502
    await eventually(lambda: platform.ask("text", "fine again"))
    (pod,) = await platform.pods(f"{API_LABEL}=text")

    async def of_previous_run() -> bool:
        return (await platform.messages("text", "--replica", pod, "--previous"))[-2:] == ["fine", "die"]

    await eventually(of_previous_run)
    assert (await platform.messages("text", "--replica", pod))[-3:] == ["fine", "die", "fine again"]


async def test_a_follower_misses_no_line_and_sees_none_twice_when_pods_go(platform: Platform) -> None:
    """One pod is deleted without grace, so that the cluster's own log of it is gone at once."""
    await platform.deploy("text", least=2)
    command = [sys.executable, "-m", "gyrus.cli.main", "-e", platform.environment]
    home = {**os.environ, "GYRUS_HOME": str(platform.folder.parent / "home")}
    following = await asyncio.create_subprocess_exec(
        *command, "logs", "text", "-f", "--tail", "0", "-o", "json", stdout=asyncio.subprocess.PIPE, env=home
    )
    seen: list[str] = []

    async def follow() -> None:
        assert following.stdout
        async for text in following.stdout:
            message = json.loads(text)["message"]
            seen.append(message)

    reading = asyncio.create_task(follow(), name="follower")
    try:
        async with asyncio.timeout(60):
            while not seen:  # until it follows
                await platform.ask("text", "begin")
        answered = await _numbers(platform, 0, 100)
        first, *_ = await platform.pods(f"{API_LABEL}=text")
        await asyncio.sleep(1.5)  # what a replica prints within a second of its kill may be lost
        await platform.client.delete(PODS, first, platform.installation.namespace, grace=0)
        await eventually(lambda: _is_replaced(platform, first))
        answered += await _numbers(platform, 100, 200)

        def missing() -> list[str]:
            return [number for number in answered if number not in seen]

        with suppress(TimeoutError):
            await eventually(lambda: not missing())
        assert not missing(), f"{first} was killed; seen: {len(seen)} lines"
    finally:
        following.terminate()
        await following.wait()
        await reading
    assert {number: count for number, count in Counter(seen).items() if count > 1 and number.isdigit()} == {}
    kept = Counter(await platform.messages("text"))
    assert {number: kept[number] for number in answered} == dict.fromkeys(answered, 1)


async def _is_replaced(platform: Platform, pod: str) -> bool:
    """Return True once a killed pod answers no more requests, whose lines may be lost with it."""
    state = json.loads(await platform.gyrus("get", "text", "-o", "json"))
    return state["replicas"]["ready"] >= 2 and pod not in await platform.pods(f"{API_LABEL}=text")


async def _numbers(platform: Platform, first: int, last: int) -> list[str]:
    """Let replicas print these numbers, and return those that were answered."""
    endpoint = json.loads(await platform.gyrus("get", "text", "-o", "json"))["endpoint"]
    answered: list[str] = []
    async with httpx.AsyncClient(timeout=60) as client:
        for number in range(first, last):
            answer = await client.post(endpoint, json=str(number))
            if answer.status_code == 200:
                answered.append(answer.text)
    return answered


async def test_an_image_without_a_supervisor_is_in_the_log_after_its_end(platform: Platform) -> None:
    await platform.deploy("server")
    for number in range(3):
        await platform.ask("server", "", f"/line-{number}")
    (pod,) = await platform.pods(f"{API_LABEL}=server")
    await platform.deploy("server", least=0)
    await platform.gone(pod)

    async def paths() -> list[str]:
        return [message for message in await platform.messages("server") if message.startswith("/line")]

    assert await paths() == ["/line-0", "/line-1", "/line-2"]
    of_it = "--replica", pod  # its successor may run by now
    assert await platform.messages("server", *of_it, "--tail", "1000") == await platform.messages(
        "server", *of_it, "--previous"
    )


async def test_the_archive_outlives_the_operator_and_goes_on(platform: Platform) -> None:
    await platform.deploy("text", least=1)
    await platform.ask("text", "before the restart")
    before = await platform.messages("text")
    (operator,) = await platform.pods(f"{ROLE_LABEL}=operator")
    await platform.client.delete(PODS, operator, platform.installation.namespace)
    await platform.gone(operator)

    async def is_healthy() -> bool:
        return (await asyncio.to_thread(platform.installation.cluster, "health")).code == 0

    await eventually(is_healthy)
    await platform.ask("text", "after the restart")
    pods = await platform.pods(f"{API_LABEL}=text")
    await platform.deploy("text", least=0)
    for pod in pods:
        await platform.gone(pod)
    assert await platform.messages("text") == [*before, "after the restart"]


async def test_the_log_goes_with_its_api(platform: Platform) -> None:
    await platform.gyrus("delete", "text", "-y")
    await platform.deploy("text")
    await platform.ask("text", "new")
    assert await platform.messages("text") == ["new"]

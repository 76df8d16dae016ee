"""Servers and handlers in images of the user's own, through an installed platform on a real cluster."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gyrus.contract.cluster import API_LABEL, REVISION_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import PODS
from support.cluster import SERVER_IMAGE, connected, eventually
from support.command_line import Ran
from support.installation import Installation
from support.load import Load

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

RATE = 50
"""Requests a second."""
WRITER = (
    "import signal, sys; open('/mnt/shared', 'w').write('hello'); "
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit()); signal.pause()"
)
POD = """
name: words
kind: RealtimeAPI
pod:
  port: 9000
  max_concurrency: 8
  containers:
    - name: api
      image: {image}
      command: [python3, /server.py, $(CORTEX_PORT), "{version}"]
      compute: {{cpu: 50m, mem: 64Mi, shm: 16Mi}}
      readiness_probe: {{http_get: {{port: 9000, path: /ready}}, period_seconds: 1}}
    - name: writer
      image: {image}
      command: [python3, -c, "{writer}"]
      compute: {{cpu: 20m, mem: 32Mi}}
autoscaling: {{min_replicas: {least}, max_replicas: 2, window: 2s, downscale_stabilization_period: 2s}}
"""
PROCESS = """
name: server
process: {{image: {image}, command: [python3, /server.py, $PORT, "{version}"], ready: {{path: /ready}}}}
max_concurrency: 8
compute: {{cpu: 50m, mem: 64Mi}}
"""
UNLIMITED = """
name: unlimited
process: {{image: {image}, command: [python3, /server.py, $PORT, "{version}"]}}
compute: {{cpu: 50m, mem: 64Mi}}
"""
HANDLER = """
name: reader
handler: {{path: handler.py, image: {image}}}
compute: {{cpu: 50m, mem: 128Mi}}
max_concurrency: 8
"""
CODE = """
class Handler:
    def predict(self, payload):
        return {{"arguments": ["{version}"], "payload": payload}}
"""
SPECS = {"words": POD, "server": PROCESS, "unlimited": UNLIMITED, "reader": HANDLER}


@dataclass
class Platform:
    """An installation, and a folder for each API."""

    installation: Installation
    client: ClusterClient
    folder: Path
    environment: str
    gateway: str = ""

    async def gyrus(self, *arguments: str | Path) -> Ran:
        return await asyncio.to_thread(
            self.installation.run, "-e", self.environment, *arguments, "-o", "json"
        )

    async def deploy(
        self, api: str, version: int = 1, *options: str, image: str = SERVER_IMAGE, least: int = 1
    ) -> Ran:
        folder = self.folder / api
        folder.mkdir(exist_ok=True)
        (folder / "gyrus.yaml").write_text(
            SPECS[api].format(image=image, version=version, least=least, writer=WRITER)
        )
        (folder / "handler.py").write_text(CODE.format(version=version))
        return await self.gyrus("deploy", folder, "-y", *options)

    async def get(self, api: str) -> dict[str, Any]:
        return (await self.gyrus("get", api)).json

    async def updated(self, api: str) -> None:
        """Wait until the pods of earlier revisions are gone."""
        earlier = f"{API_LABEL}={api},{REVISION_LABEL}!={(await self.get(api))['revision']}"

        async def gone() -> bool:
            return not (await self.client.list(PODS, self.installation.namespace, labels=earlier)).items

        await eventually(gone)

    async def ask(self, api: str, path: str = "") -> httpx.Response:
        endpoint = (await self.get(api))["endpoint"]
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(endpoint + path, json={"number": 7})
        assert answer.status_code == 200, answer.text
        return answer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        installation = Installation(folder)
        async with connected() as client:
            try:
                values = installation.values()
                installed = await asyncio.to_thread(
                    installation.cluster, "install", "--values", values, "-o", "json"
                )
                assert installed.code == 0, installed.err
                made = Platform(installation, client, folder, installed.json["environment"])
                for ran in await asyncio.gather(*map(made.deploy, SPECS)):
                    assert ran.code == 0, ran.err
                yield made
            finally:
                await asyncio.to_thread(installation.cluster, "uninstall", "-y")


async def test_containers_share_a_folder_and_get_the_variables_of_cortex(platform: Platform) -> None:
    answer = await platform.ask("words", "/below")
    found = answer.json()
    assert (found["path"], found["shared"], found["arguments"]) == ("/below", "hello", ["9000", "1"])
    variables = found["variables"]
    assert variables["CORTEX_PORT"] == "9000"
    assert variables["CORTEX_VERSION"] == "0.42.1"
    assert variables["CORTEX_CLI_CONFIG_DIR"] == "/cortex/client"
    assert f"operator_endpoint: https://gyrus-operator.{platform.installation.namespace}" in found["client"]
    assert answer.headers["x-cortex-origin"] == "api"


@pytest.mark.parametrize("api", ["server", "unlimited", "reader"])
async def test_an_image_answers_through_the_gateways_service(platform: Platform, api: str) -> None:
    answer = await platform.ask(api)
    assert answer.json()["arguments"][-1] == "1"
    assert "x-cortex-origin" not in answer.headers


@pytest.mark.parametrize("api", list(SPECS))
async def test_an_update_under_load_loses_no_request(platform: Platform, api: str) -> None:
    endpoint = (await platform.get(api))["endpoint"]
    async with Load(endpoint, RATE, body=b'{"number":7}') as load:
        ran = await platform.deploy(api, 2)
        assert ran.code == 0, ran.err
        await platform.updated(api)
    assert load.result.failed == (), str(load.result)
    assert (await platform.ask(api)).json()["arguments"][-1] == "2"


async def test_a_held_request_names_the_activator(platform: Platform) -> None:
    ran = await platform.deploy("words", 3, least=0)
    assert ran.code == 0, ran.err

    async def idle() -> bool:
        return (await platform.get("words"))["status"] == "idle"

    await eventually(idle)
    endpoint = (await platform.get("words"))["endpoint"]
    async with httpx.AsyncClient(timeout=60) as client:
        answers = [await client.post(endpoint) for _ in range(2)]  # at once: it is soon idle again
    assert [answer.headers["x-cortex-origin"] for answer in answers] == ["activator", "api"]


async def test_output_names_its_container(platform: Platform) -> None:
    await platform.ask("words", "/in-the-log")
    ran = await platform.gyrus("logs", "words")
    assert "[api] /in-the-log" in {json.loads(line)["message"] for line in ran.out.splitlines()}


async def test_an_image_that_does_not_exist_is_named(platform: Platform) -> None:
    began = time.monotonic()
    image = "localhost/no-such-image:1"
    ran = await platform.deploy("server", 4, "--no-wait", image=image)
    assert ran.code == 0, ran.err

    async def explained() -> bool:
        described = await platform.gyrus("describe", "server")
        return f"the image {image} cannot be pulled: " in described.out

    await eventually(explained)
    assert time.monotonic() - began < 60
    assert (await platform.ask("server")).json()["arguments"][-1] == "2"  # the earlier revision goes on

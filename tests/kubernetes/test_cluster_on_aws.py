"""``gyrus cluster up``, ``configure`` and ``down``: an emulated AWS with this cluster as its EKS."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import NAMESPACES
from support.aws.cluster_on_aws import ClusterOnAws, cluster_on_aws
from support.cluster import new_volume

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]
CPU = {"name": "cpu", "instance_type": "m5.large", "spot": True}
HANDLER = """\
class Handler:
    def predict(self, payload):
        return {"twice": 2 * payload["number"]}
"""


@pytest_asyncio.fixture
async def cluster(tmp_path: Path, client: ClusterClient) -> AsyncIterator[ClusterOnAws]:
    with cluster_on_aws(tmp_path) as made:
        await made.give_credentials(client)
        try:
            yield made
        finally:
            await asyncio.to_thread(made.run, "cluster", "down", "-y", "--force")
            await client.delete(NAMESPACES, made.namespace)


def project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "handler.py").write_text(HANDLER)
    (folder / "gyrus.yaml").write_text(
        "- name: twice\n"
        "  kind: RealtimeAPI\n"
        "  handler: {path: handler.py}\n"
        "  compute: {cpu: 50m, mem: 128Mi}\n"
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
    cluster.account.set(resource_seconds=0.05)
    before = cluster.account.resources()
    cluster.write([CPU])
    chance = random.Random(11)
    killed = 0
    for number in range(20):
        killed += kill_after(cluster.start("cluster", "up", "-y"), chance.uniform(0.5, 20))
        if number % 5 == 4:
            again = cluster.run("cluster", "up", "-y")
            assert again.code == 0, again.err
        if number % 2:
            down = cluster.run("cluster", "down", "-y", "--force")
            assert down.code == 0, down.err
            assert cluster.account.resources() == before
    down = cluster.run("cluster", "down", "-y", "--force")
    assert down.code == 0, down.err
    assert cluster.account.resources() == before
    assert killed >= 15

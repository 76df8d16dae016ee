"""The client against a real API server."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gyrus.aio.clock import SystemClock
from gyrus.cluster.aws.nodes.evictions import Evictions
from gyrus.cluster.aws.nodes.node_pods import pod_of
from gyrus.kubernetes import errors
from gyrus.kubernetes.client import ClusterClient, EventType
from gyrus.kubernetes.configuration import from_kubeconfig
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import (
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    DISRUPTION_BUDGETS_BETA,
    PODS,
    Manifest,
)
from support.cluster import eventually


def config_map(namespace: str, name: str = "a", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"for": "test"}},
        "data": data,
    }


async def test_the_life_of_an_object(client: ClusterClient, namespace: str) -> None:
    made = await client.create(config_map(namespace, x="1"))
    assert made["metadata"]["uid"]
    with pytest.raises(errors.AlreadyExists):
        await client.create(config_map(namespace))
    assert (await client.get(CONFIG_MAPS, "a", namespace))["data"] == {"x": "1"}
    patched = await client.patch(CONFIG_MAPS, "a", {"data": {"y": "2"}}, namespace)
    assert patched["data"] == {"x": "1", "y": "2"}
    with pytest.raises(errors.ObjectConflict):
        await client.delete(CONFIG_MAPS, "a", namespace, uid="other")
    await client.delete(CONFIG_MAPS, "a", namespace, uid=made["metadata"]["uid"])
    with pytest.raises(errors.ObjectNotFound):
        await client.get(CONFIG_MAPS, "a", namespace)
    assert await client.find(CONFIG_MAPS, "a", namespace) is None


async def test_apply_owns_its_fields(client: ClusterClient, namespace: str) -> None:
    dry = await client.apply(config_map(namespace, x="1", y="1"), dry_run=True)
    assert dry["data"] == {"x": "1", "y": "1"}
    assert await client.find(CONFIG_MAPS, "a", namespace) is None
    first = await client.apply(config_map(namespace, x="1", y="1"))
    again = await client.apply(config_map(namespace, x="1", y="1"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    changed = await client.apply(config_map(namespace, x="2"))
    assert changed["data"] == {"x": "2"}


async def test_an_invalid_object_is_explained(client: ClusterClient, namespace: str) -> None:
    with pytest.raises(errors.ObjectInvalid, match=r"metadata\.name: Invalid value"):
        await client.create(config_map(namespace, "Not A Name"))


async def test_a_list_has_pages_and_selectors(client: ClusterClient, namespace: str) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(client.create(config_map(namespace, f"m{number}")))
    listed = await client.list(CONFIG_MAPS, namespace, labels="for=test")
    assert [item["metadata"]["name"] for item in listed.items] == ["m0", "m1", "m2", "m3", "m4"]
    assert listed.items[0]["kind"] == "ConfigMap"
    one = await client.list(CONFIG_MAPS, namespace, fields="metadata.name=m3")
    assert len(one.items) == 1


async def test_a_watch_yields_changes_and_ends(client: ClusterClient, namespace: str) -> None:
    listed = await client.list(CONFIG_MAPS, namespace, labels="for=test")
    await client.create(config_map(namespace, x="1"))
    await client.apply(config_map(namespace, x="2"))
    await client.delete(CONFIG_MAPS, "a", namespace)
    watch = client.watch(CONFIG_MAPS, namespace, version=listed.version, labels="for=test", seconds=1)
    events = [event async for event in watch]
    types = [event.type for event in events if event.type is not EventType.BOOKMARK]
    assert types == [EventType.ADDED, EventType.MODIFIED, EventType.DELETED]


async def test_a_version_of_the_future_or_past_is_refused(client: ClusterClient, namespace: str) -> None:
    with pytest.raises(errors.KubernetesError):
        async for _ in client.watch(CONFIG_MAPS, namespace, version="not-a-version", seconds=1):
            pass


async def test_discovery(client: ClusterClient) -> None:
    major, minor = await client.server_version()
    assert major == 1
    assert minor >= 20
    assert await client.has(PODS)
    assert await client.has(DISRUPTION_BUDGETS) or await client.has(DISRUPTION_BUDGETS_BETA)
    assert await client.may("create", PODS, "default")


async def test_wrong_credentials(client: ClusterClient, tmp_path: Path) -> None:
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    document["users"] = [{"name": user["name"], "user": {"token": "wrong"}} for user in document["users"]]
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(document))
    async with ClusterClient(from_kubeconfig(path=file)) as stranger:
        with pytest.raises(errors.CredentialsRefused, match="The cluster does not accept the credentials"):
            await stranger.list(PODS, "default")


async def test_no_server(client: ClusterClient, tmp_path: Path) -> None:
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(document))
    async with ClusterClient(from_kubeconfig(path=file)) as lost:
        with pytest.raises(
            errors.Unreachable, match=r"The cluster at https://127\.0\.0\.1:1 does not answer"
        ):
            await lost.list(PODS, "default")


async def test_a_reflector_follows(client: ClusterClient, namespace: str) -> None:
    selection = Selection(resource=CONFIG_MAPS, namespace=namespace, labels="for=test")
    reflector = Reflector(client, selection, SystemClock())
    await client.create(config_map(namespace, "before"))
    with reflector.changes.listen() as changes:
        running = asyncio.create_task(reflector.run())
        try:
            async with asyncio.timeout(20):
                assert await changes.wait() == {"before"}
            await client.create(config_map(namespace, "after"))
            await eventually(lambda: "after" in reflector.objects)
            await client.delete(CONFIG_MAPS, "before", namespace)
            await eventually(lambda: set(reflector.objects) == {"after"})
            assert reflector.fault is None
        finally:
            running.cancel()
            await asyncio.wait((running,))


async def test_an_eviction_deletes_a_pod_in_the_version_of_the_cluster(
    client: ClusterClient, namespace: str
) -> None:
    spec = {
        "nodeSelector": {"no-node": "has-it"},
        "containers": [{"name": "main", "image": "none.example.com/none"}],
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "evicted", "namespace": namespace},
        "spec": spec,
    }
    await client.create(manifest)
    failures: list[str] = []
    pod = pod_of(await client.get(PODS, "evicted", namespace))
    await Evictions(client).drain([replace(pod, may_move=True)], math.inf, failures)
    assert failures == []

    async def gone() -> bool:
        return await client.find(PODS, "evicted", namespace) is None

    await eventually(gone)

"""The backend of pods on a real cluster."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.backends.kubernetes.backend import KubernetesBackend
from gyrus.backends.kubernetes.observed import DELETED_OUTSIDE
from gyrus.backends.kubernetes.programs import ImagePrograms
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.operator import LogQuery
from gyrus.contract.replica import Phase, ProcessConfig, Reason, RestartPolicy
from gyrus.contract.workload import ComputeResources
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import ObjectRefused
from gyrus.kubernetes.resources import PODS, QUOTAS, Manifest
from support import backends
from support.backends import all_of, gone, observed, order, running, until
from support.cluster import PATIENCE, SERVER_IMAGE, eventually
from support.log_archive import intake_of

ID = "iris-1-aaaaa"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "PATIENCE", PATIENCE)


def serving(id: str = ID, *, generation: int = 1, cpu: float = 0.0) -> ReplicaOrder:
    made = order(id, generation=generation)
    process = ProcessConfig(command=("python3", "/server.py"))
    workload = replace(
        made.workload,
        code=replace(made.workload.code, process=process, package=None),
        compute=ComputeResources(cpu=cpu),
        grace=1.0,
    )
    return replace(made, workload=workload)


def once(code: int) -> ReplicaOrder:
    made = serving()
    process = ProcessConfig(command=("python3", "-c", f"import sys; sys.exit({code})"), serves=False)
    code_ = replace(made.workload.code, process=process)
    return replace(made, workload=replace(made.workload, code=code_, restart=RestartPolicy.NEVER))


def backend_of(client: ClusterClient, namespace: str, image: str = SERVER_IMAGE) -> KubernetesBackend:
    settings = KubernetesSettings(namespace=namespace, image=image, secret="s", runtime="r", serving_on=0)
    return KubernetesBackend(
        client,
        settings,
        ImagePrograms(image),
        SystemClock(),
        is_built=lambda environment: True,
        intake=intake_of(),
    )


async def get(endpoint: str, path: str) -> None:
    host, _, port = endpoint.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    await reader.read()
    writer.close()


async def vanished(client: ClusterClient, namespace: str) -> bool:
    return await client.find(PODS, ID, namespace) is None


async def test_a_replica_becomes_ready_answers_and_drains(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving(generation=7))
        assert all_of(backend)[ID].status.phase is Phase.PENDING
        seen = await observed(backend, ID, Phase.READY)
        assert (seen.generation, seen.status.api, seen.status.restarts) == (7, "iris", 0)
        (endpoint,) = seen.status.endpoints
        await get(endpoint, "/hello")
        lines = [line async for line in backend.logs(LogQuery(api="iris"))]
        assert [line.message for line in lines if line.message.startswith("/")] == ["/hello"]
        await backend.stop(ID, grace=5)
        draining = all_of(backend)[ID].status
        assert (draining.phase, draining.endpoints) == (Phase.DRAINING, ())
        await backend.stop(ID, grace=5)
        await gone(backend, ID)
    await eventually(lambda: vanished(client, namespace))


async def test_replicas_outlive_their_operator(client: ClusterClient, namespace: str) -> None:
    first = backend_of(client, namespace)
    async with running(first):
        await first.start(serving(generation=3))
        before = await observed(first, ID, Phase.READY)
    second = backend_of(client, namespace)
    assert not all_of(second)
    await second.adopt()
    assert dict(all_of(second)) == {ID: before}
    async with running(second):
        await second.stop(ID, grace=1)
        await gone(second, ID)


async def test_an_order_is_kept_though_the_operator_dies_at_once(
    client: ClusterClient, namespace: str
) -> None:
    first = backend_of(client, namespace)
    await first.adopt()
    await first.start(serving())
    second = backend_of(client, namespace)
    async with running(second):
        await observed(second, ID, Phase.READY)


async def test_starting_twice_is_starting_once(client: ClusterClient, namespace: str) -> None:
    backend, other = backend_of(client, namespace), backend_of(client, namespace)
    async with running(backend), running(other):
        await asyncio.gather(backend.start(serving()), backend.start(serving()), other.start(serving()))
        await observed(backend, ID, Phase.READY)
        await observed(other, ID, Phase.READY)
        assert len((await client.list(PODS, namespace)).items) == 1


async def test_a_process_that_dies_is_started_again_in_its_place(
    client: ClusterClient, namespace: str
) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        (endpoint,) = (await observed(backend, ID, Phase.READY)).status.endpoints
        await get(endpoint, "/exit")
        await until(backend, lambda: all_of(backend)[ID].status.phase is not Phase.READY)
        again = (await observed(backend, ID, Phase.READY)).status
        assert again.restarts == 1


async def test_a_wrong_image_is_explained_soon(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace, "localhost/no-such-image:1")
    async with running(backend):
        await backend.start(serving())
        await until(backend, lambda: all_of(backend)[ID].status.reason is Reason.IMAGE)
        status = all_of(backend)[ID].status
        assert status.message.startswith("the image localhost/no-such-image:1 cannot be pulled")
        assert status.phase in (Phase.BACKOFF, Phase.FAILED)


async def test_an_unschedulable_pod_names_the_shortage(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        began = time.monotonic()
        await backend.start(serving(cpu=900))
        await until(backend, lambda: all_of(backend)[ID].status.reason is Reason.CAPACITY)
        assert time.monotonic() - began < 10
        status = all_of(backend)[ID].status
        assert status.phase is Phase.PENDING
        assert status.message.startswith("waiting for capacity: ")
        assert "too little CPU free (it needs 900)" in status.message
        await backend.stop(ID, grace=1)
        await gone(backend, ID)


async def test_a_quota_is_waited_for(client: ClusterClient, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    await client.create(quota)

    async def applies() -> bool:
        """Return True if the cluster refuses a pod. A new quota takes a moment."""
        pod: Manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": namespace}}
        container = {"name": "x", "image": SERVER_IMAGE}
        pod["spec"] = {"automountServiceAccountToken": False, "containers": [container]}
        try:
            await client.apply(pod, dry_run=True)
        except ObjectRefused as refused:
            return "exceeded quota" in str(refused)
        return False

    await eventually(applies)
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        await until(backend, lambda: all_of(backend)[ID].status.reason is Reason.CAPACITY)
        message = "waiting for capacity: the quota none allows 0 pods; 0 are in use, and this needs 1 more"
        assert all_of(backend)[ID].status.message == message
        await client.delete(QUOTAS, "none", namespace)
        await observed(backend, ID, Phase.READY)


@pytest.mark.parametrize("code", [0, 3])
async def test_one_that_runs_once_ends_with_its_exit_code(
    client: ClusterClient, namespace: str, code: int
) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(once(code))
        ended = Phase.FAILED if code else Phase.SUCCEEDED
        assert (await observed(backend, ID, ended)).status.exit_code == code
        await backend.stop(ID, grace=1)
        await gone(backend, ID)


async def test_a_pod_that_others_delete_drains_and_is_gone(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        await observed(backend, ID, Phase.READY)
        await client.delete(PODS, ID, namespace, grace=1)
        await gone(backend, ID)


async def test_a_pod_that_vanishes_at_once_is_shown_with_the_reason(
    client: ClusterClient, namespace: str
) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        await observed(backend, ID, Phase.READY)
        await client.delete(PODS, ID, namespace, grace=0)
        status = (await observed(backend, ID, Phase.GONE)).status
        assert (status.reason, status.message) == (Reason.EVICTED, DELETED_OUTSIDE)
        await gone(backend, ID)


async def test_a_pod_that_its_node_ended_is_gone(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        await observed(backend, ID, Phase.READY)
        await client.patch(PODS, ID, {"spec": {"activeDeadlineSeconds": 1}}, namespace)
        await gone(backend, ID)
    await eventually(lambda: vanished(client, namespace))


async def test_following_sees_what_comes(client: ClusterClient, namespace: str) -> None:
    backend = backend_of(client, namespace)
    async with running(backend):
        await backend.start(serving())
        (endpoint,) = (await observed(backend, ID, Phase.READY)).status.endpoints
        await get(endpoint, "/before")
        heard: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for line in backend.logs(LogQuery(api="iris", follow=True)):
                heard.append(line.message)
                if line.message == "/before":
                    await get(endpoint, "/after")
                if line.message == "/after":
                    break
        assert heard[-2:] == ["/before", "/after"]

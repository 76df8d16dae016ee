"""A handler's way into a pod: a builder pod builds its environment once, and replicas fetch it and serve."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.backends.kubernetes.backend import KubernetesBackend
from gyrus.backends.kubernetes.programs import ReplicaPrograms
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import FILES_PORT, OPERATOR, OPERATOR_TLS
from gyrus.contract.operator import LogQuery
from gyrus.contract.replica import Phase, Reason
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import PODS, Manifest
from gyrus.objects.opening import open_objects
from gyrus.operator.environment_choice import EnvironmentChoice
from gyrus.operator.unrouted import UnroutedReplicas
from gyrus.packaging.archive import pack
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.packaging.store import PackageStore
from gyrus.server.files import FilesContext, build_files_app
from gyrus.server.listening import listen_on_port
from gyrus.server.serving import serve
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board
from support import backends
from support.backends import all_of, gone, observed, order_of, running, until
from support.cluster import RUNTIME_IMAGE
from support.log_archive import intake_of
from support.tls import Authority

SECRET = "installation"
HANDLER = """
import os

class Handler:
    def __init__(self, config):
        print("loaded", flush=True)

    def predict(self, payload):
        if payload == "exit":
            os._exit(7)
        return {"payload": payload}
"""
BROKEN = """
import no_such_module

class Handler:
    def predict(self, payload):
        return payload
"""
BUILD_PATIENCE = 300.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "PATIENCE", BUILD_PATIENCE)


@dataclass(slots=True)
class Operator:
    """The parts of an operator that serve pods, in this process."""

    backend: KubernetesBackend
    packages: PackageStore
    folder: Path

    async def order(self, id: str, handler: str, requirements: str = "") -> ReplicaOrder:
        """Upload a project, and return an order for it."""
        project = self.folder / id
        project.mkdir()
        (project / "handler.py").write_text(handler)
        (project / "requirements.txt").write_text(requirements)
        file = self.folder / f"{id}.tar"
        with file.open("wb") as output:
            packed = pack(project, output)

        async def chunks() -> AsyncIterator[bytes]:
            yield file.read_bytes()

        await self.packages.add(packed.digest, chunks())
        api = id.rsplit("-", 2)[0]
        spec = RealtimeSpec.model_validate({"name": api, "handler": {"path": "handler.py"}})
        made = order_of(spec, id=id, package=packed.digest)
        return replace(made, workload=replace(made.workload, grace=2.0))


@pytest_asyncio.fixture
async def operator(client: ClusterClient, namespace: str, tmp_path: Path) -> AsyncIterator[Operator]:
    packages = PackageStore(tmp_path / "packages", tmp_path / "revisions")
    environments = EnvironmentStore(tmp_path / "archives")
    packages.clean_up()
    environments.clean_up()
    settings = KubernetesSettings(
        namespace=namespace,
        image=RUNTIME_IMAGE,
        secret=SECRET,
        runtime=RuntimeCode.installed().digest,
        serving_on=0,
        builder_cpu=0.1,
        builder_variables={k: v for k, v in os.environ.items() if k.startswith(("PIP_INDEX", "UV_INDEX"))},
    )
    choice = EnvironmentChoice(packages, environments, image=settings.image, runtime=settings.runtime)
    backend = KubernetesBackend(
        client,
        settings,
        ReplicaPrograms(settings, choice),
        SystemClock(),
        is_built=environments.has,
        intake=intake_of(),
    )
    context = FilesContext(
        packages=packages,
        environments=environments,
        builds=backend.environments,
        logs=backend.replica_logs,
        unrouted=UnroutedReplicas(Board(), backend, lambda: True).wait,
        secret=SECRET,
        open_store=open_objects,
    )
    authority, started = Authority(), asyncio.Event()
    tls = authority.server(f"{OPERATOR}.{namespace}.svc")
    listener = listen_on_port("0.0.0.0", 0, lambda: tls)
    port = listener.socket.getsockname()[1]
    for manifest in _service(namespace, _own_address(client.address), port, authority.certificate):
        await client.apply(manifest)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(build_files_app(context), [listener], started=started))
        await started.wait()
        async with running(backend):
            yield Operator(backend, packages, tmp_path)
        serving.cancel()


def _own_address(cluster: str) -> str:
    """The address of this machine on the way to the cluster."""
    url = urlsplit(cluster)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((url.hostname, url.port or 443))
        return probe.getsockname()[0]


def _service(namespace: str, address: str, port: int, certificate: str) -> tuple[Manifest, ...]:
    """The operator's Service, whose only endpoint is this process, and the authority that pods trust."""
    name = {"name": OPERATOR, "namespace": namespace}
    ports = [{"name": "files", "port": FILES_PORT, "targetPort": port, "protocol": "TCP"}]
    endpoint = {
        "addresses": [{"ip": address}],
        "ports": [{"name": "files", "port": port, "protocol": "TCP"}],
    }
    return (
        {"apiVersion": "v1", "kind": "Service", "metadata": name, "spec": {"ports": ports}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": name, "subsets": [endpoint]},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": OPERATOR_TLS, "namespace": namespace},
            "data": {"ca.crt": base64.b64encode(certificate.encode()).decode()},
        },
    )


def predict(endpoint: str, payload: object) -> object:
    request = urllib.request.Request(
        f"http://{endpoint}/", json.dumps(payload).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


async def test_replicas_share_an_environment_that_is_built_once(
    operator: Operator, client: ClusterClient, namespace: str
) -> None:
    backend = operator.backend
    first = await operator.order("iris-1-aaaaa", HANDLER)
    second = replace(first, id="iris-1-bbbbb")
    messages: list[str] = []
    await asyncio.gather(backend.start(first), backend.start(second))
    assert backend.observe("iris")[first.id].status.phase in (Phase.PENDING, Phase.BUILDING)

    def ready() -> bool:
        seen = [backend.observe("iris")[order.id].status for order in (first, second)]
        messages.extend(status.message for status in seen if status.phase is Phase.BUILDING)
        return all(status.phase is Phase.READY for status in seen)

    await until(backend, ready)
    assert "resolving dependencies" in messages
    for order in (first, second):
        status = backend.observe("iris")[order.id].status
        (endpoint,) = status.endpoints
        assert await asyncio.to_thread(predict, endpoint, [1]) == {"payload": [1]}
    await until(backend, lambda: all(seen.status.processes for seen in backend.observe("iris").values()))
    lines = [line async for line in backend.logs(LogQuery(api="iris"))]
    # Not of both: nodes that share a file system, as in a test cluster, remove each other's output.
    assert {line.replica for line in lines if line.message == "loaded"} <= {first.id, second.id}
    third = replace(first, id="iris-1-ccccc")
    await backend.start(third)
    await observed(backend, third.id, Phase.READY)
    for order in (first, second, third):
        await backend.stop(order.id, grace=2)
    for order in (first, second, third):
        await gone(backend, order.id)


async def test_a_worker_that_dies_is_reported_by_its_supervisor(operator: Operator) -> None:
    backend = operator.backend
    order = await operator.order("iris-1-aaaaa", HANDLER)
    await backend.start(order)
    (endpoint,) = (await observed(backend, order.id, Phase.READY)).status.endpoints
    with pytest.raises(OSError, match=r".*"):
        await asyncio.to_thread(predict, endpoint, "exit")
    await until(backend, lambda: backend.observe("iris")[order.id].status.restarts == 1)
    await observed(backend, order.id, Phase.READY)


async def test_a_handler_that_cannot_be_imported_fails_with_its_traceback(operator: Operator) -> None:
    backend = operator.backend
    order = await operator.order("iris-1-aaaaa", BROKEN)
    await backend.start(order)
    failed = (await observed(backend, order.id, Phase.FAILED)).status
    assert failed.reason is Reason.IMPORT
    assert "no_such_module" in failed.message + "\n".join(failed.last_lines)
    await backend.stop(order.id, grace=1)
    await gone(backend, order.id)


async def test_requirements_that_do_not_exist_fail_as_they_do_locally(
    operator: Operator, client: ClusterClient, namespace: str
) -> None:
    backend = operator.backend
    order = await operator.order("iris-1-aaaaa", HANDLER, "no-such-package-of-gyrus==99\n")
    await backend.start(order)
    failed = (await observed(backend, order.id, Phase.FAILED)).status
    assert failed.reason is Reason.DEPENDENCIES
    assert "no-such-package-of-gyrus" in failed.message + "\n".join(failed.last_lines)
    assert all_of(backend)
    assert not [p for p in (await client.list(PODS, namespace)).items if p["metadata"]["name"] == order.id]

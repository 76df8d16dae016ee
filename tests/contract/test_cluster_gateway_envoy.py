"""The gateways of a cluster, with real Envoys as their pods start them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.routing import silent_gateways
from gyrus.routing.admin import Admin
from gyrus.routing.cluster_gateway import ClusterGateway
from gyrus.routing.envoy import locate
from gyrus.routing.gateway_drain import drain
from gyrus.routing.gateway_pod import PodFiles, bootstrap_of, gateway_settings
from gyrus.routing.settings import TlsAddress
from gyrus.routing.silent_gateways import GatewayPod
from gyrus.state.board import Board, Traffic
from support.gateways import tls_files
from support.routes import route_to
from support.upstreams import Request, Upstream, answer, free_port, until

pytestmark = pytest.mark.processes


class Cluster:
    """The operator's part, and gateways that the test starts as their pods would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.board = Board()
        # Pods have an address each and one port; processes of one machine share the address.
        self.settings = replace(gateway_settings(), port=free_port(), address="127.0.0.1")
        self.files = PodFiles(folder)
        self.ready_port = free_port()
        self.address = TlsAddress(
            host="127.0.0.1", port=free_port(), tls=tls_files(folder, "gyrus", "operator")
        )
        self.gateway = ClusterGateway(
            self.board, self.address, self.settings, f"unix:{folder}/activator", self.files
        )
        self.pods: dict[str, subprocess.Popen[bytes]] = {}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Cluster]:
        running = asyncio.create_task(self.gateway.run(), name="gateway")
        try:
            yield self
        finally:
            for pod in self.pods.values():
                pod.kill()
                pod.wait()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    def start(self, pod: str) -> None:
        ads_at = TlsAddress(
            host="localhost", port=self.address.port, tls=tls_files(self.folder, "gyrus", "gateway")
        )
        built = bootstrap_of(pod, ads_at, self.settings, self.files, self.ready_port)
        self.files.envoy.pressure.write_text("0.0")
        file = self.folder / f"{pod}.json"
        file.write_text(json.dumps(built))
        command = [str(locate()[0]), "--config-path", str(file), "--concurrency", "1", "--log-level", "error"]
        output = (self.folder / f"{pod}.log").open("wb")
        self.pods[pod] = subprocess.Popen([*command, "--disable-hot-restart"], stdout=output, stderr=output)
        output.close()

    async def status(self, path: str) -> int:
        """The status of the port for Kubernetes."""
        async with httpx.AsyncClient() as client:
            return (await client.get(f"http://127.0.0.1:{self.ready_port}{path}")).status_code

    @property
    def traffic(self) -> Traffic:
        return self.board.traffic.get("iris", Traffic())

    def put_route(self, upstream: Upstream) -> None:
        self.board.routes["iris"] = route_to("iris", [upstream.endpoint])
        self.board.route_signals.notify("iris")


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncGenerator[Cluster]:
    async with Cluster(tmp_path).serving() as serving:
        yield serving


@dataclass
class SlowApi:
    """An API whose upstream answers once it may."""

    upstream: Upstream
    begun: asyncio.Event
    go_on: asyncio.Event


@contextlib.asynccontextmanager
async def slow_api(cluster: Cluster) -> AsyncGenerator[SlowApi]:
    """A pod of the gateway that serves such an API."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Request, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await go_on.wait()
        writer.write(answer(200, b"{}"))

    async with Upstream("a", cluster.folder / "a.sock", slow).serving() as upstream:
        cluster.put_route(upstream)
        cluster.start("pod-a")
        await until(lambda: cluster.board.gateway == "running")
        yield SlowApi(upstream, begun, go_on)


async def test_all_is_known_once_each_gateway_that_may_serve_has_reported(cluster: Cluster) -> None:
    gateway, here = cluster.gateway, GatewayPod("127.0.0.1:1")
    async with slow_api(cluster):
        assert not gateway.complete, "the gateways' pods have not been listed"
        gateway.exist({"pod-a": here})
        assert gateway.complete
        for pod in (GatewayPod(), GatewayPod("127.0.0.1:1", ready=False)):
            gateway.exist({"pod-a": here, "pod-b": pod})
            assert gateway.complete, "no new connection reaches it"
        with cluster.board.gateway_signals.listen() as changes:
            gateway.exist({"pod-a": here, "pod-b": here})
            assert not gateway.complete
            assert changes.take()
        gateway.exist({"pod-a": here})
        assert gateway.complete


async def test_a_pod_serves_reports_its_load_and_is_forgotten(cluster: Cluster) -> None:
    async with slow_api(cluster) as slow:
        assert cluster.gateway.serving_nodes == ("pod-a",)
        await until(lambda: cluster.board.acknowledged_of("iris") == frozenset({slow.upstream.endpoint}))
        async with httpx.AsyncClient() as client, asyncio.TaskGroup() as group:
            url = f"http://127.0.0.1:{cluster.settings.port}/iris"
            asking = group.create_task(client.get(url), name="request")
            await slow.begun.wait()
            await until(lambda: cluster.traffic.in_flight == 1)
            slow.go_on.set()
            assert (await asking).status_code == 200
        await until(lambda: cluster.traffic.in_flight == 0)
        cluster.gateway.exist({"pod-b": GatewayPod()})
        assert cluster.gateway.serving_nodes == ("pod-a",), "it is connected, and the list may be late"
        cluster.gateway.exist({"pod-a": GatewayPod(f"127.0.0.1:{cluster.ready_port}")})
        await until(lambda: cluster.traffic.view.by_code == {"2xx": 1})
        await until(lambda: cluster.traffic.view.p50 is not None)  # Envoy adds it every 5 s
        assert await cluster.status("/ready") == 200
        assert await cluster.status("/stats/prometheus") == 200
        assert await cluster.status("/quitquitquit") == 404, "the admin interface itself is not reachable"
        cluster.gateway.exist({"pod-b": GatewayPod()})
        await until(lambda: cluster.board.gateway != "running" or not cluster.gateway.serving_nodes)
        assert cluster.board.gateway_message == "no gateway is connected"


async def test_a_pod_that_ends_closes_its_connections_and_finishes_its_requests(cluster: Cluster) -> None:
    async with slow_api(cluster) as slow:
        url = f"http://127.0.0.1:{cluster.settings.port}/iris"
        admin = Admin(cluster.files.envoy.admin)
        async with httpx.AsyncClient() as client, asyncio.TaskGroup() as group:
            asking = group.create_task(client.get(url), name="request")
            await slow.begun.wait()
            draining = group.create_task(drain(admin, SystemClock(), least=0.0), name="drain")
            await until(lambda: ready_fails(cluster.ready_port))
            assert not draining.done(), "a request is in progress"
            slow.go_on.set()
            answered = await asking
            assert (answered.status_code, answered.headers["connection"]) == (200, "close")
            await draining


def ready_fails(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 503


async def test_a_gateway_that_hangs_holds_up_rollouts_for_a_bounded_time(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silent_gateways, "GIVEN_UP_AFTER", 0.5)
    async with slow_api(cluster), Upstream("b", cluster.folder / "b.sock").serving() as other:
        cluster.gateway.exist({"pod-a": GatewayPod(ready=False)})
        cluster.pods["pod-a"].send_signal(signal.SIGSTOP)
        cluster.put_route(other)
        await until(lambda: not cluster.gateway.serving_nodes)  # its connection breaks only when it is asked
        cluster.pods["pod-a"].send_signal(signal.SIGCONT)
        await until(lambda: cluster.gateway.serving_nodes == ("pod-a",))
        await until(lambda: cluster.board.acknowledged_of("iris") == frozenset({other.endpoint}))

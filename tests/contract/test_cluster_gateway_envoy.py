"""The gateways of a cluster, with real Envoys as their pods start them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from gyrus.aio.clock import SystemClock
from gyrus.cluster.certificates import KeyPair, issue, new_authority
from gyrus.routing import gateway_statistics, silent_gateways
from gyrus.routing.admin import Admin
from gyrus.routing.bootstrap import tls_secrets
from gyrus.routing.cluster_gateway import ClusterGateway
from gyrus.routing.envoy import locate
from gyrus.routing.gateway_drain import drain
from gyrus.routing.gateway_pod import PodFiles, bootstrap_of, gateway_settings
from gyrus.routing.resources import file_secrets
from gyrus.routing.resources.tls_listener import TlsListener
from gyrus.routing.settings import TlsAddress, TlsFiles
from gyrus.routing.silent_gateways import GatewayPod
from gyrus.state.board import Board, Traffic
from support.gateways import tls_files
from support.routes import route_to
from support.secret_volume import SecretVolume
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
        self.tls = tls_files(folder, "gyrus", "gateway")
        """Of the gateways' pods."""
        self.gateway = ClusterGateway(
            self.board, self.address, self.settings, f"unix:{folder}/activator", self.files
        )
        self.pods: dict[str, subprocess.Popen[bytes]] = {}
        self.endpoint_tls: TlsListener | None = None

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
        ads_at = TlsAddress(host="localhost", port=self.address.port, tls=self.tls)
        built = bootstrap_of(pod, ads_at, self.settings, self.files, self.ready_port, self.endpoint_tls)
        endpoint = [self.endpoint_tls.certificate] if self.endpoint_tls else []
        for secret in (*tls_secrets(self.files.envoy, ads_at.tls), *endpoint):
            secret.file.write_text(json.dumps(secret.document))
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


@contextlib.contextmanager
def full_listen_queue() -> Generator[str]:
    """The address of a server that accepts nothing, with as many connections as its queue takes."""
    with socket.socket() as server, contextlib.ExitStack() as fillers:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_requests_that_wait_for_a_connection_count(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_statistics, "EVERY", 0.05)
    with full_listen_queue() as endpoint:
        cluster.board.routes["iris"] = route_to("iris", [endpoint], timeout=1.0)
        cluster.board.route_signals.notify("iris")
        cluster.start("pod-a")
        await until(lambda: cluster.board.acknowledged_of("iris") == frozenset({endpoint}))
        cluster.gateway.exist({"pod-a": GatewayPod(f"127.0.0.1:{cluster.ready_port}")})
        async with httpx.AsyncClient(timeout=30) as client, asyncio.TaskGroup() as group:
            url = f"http://127.0.0.1:{cluster.settings.port}/iris"
            asking = [group.create_task(client.get(url), name=f"request {number}") for number in range(5)]
            await until(lambda: cluster.traffic.in_flight == 5)
        assert {task.result().status_code for task in asking} == {504}
        await until(lambda: cluster.traffic.in_flight == 0)


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


def data_of(pair: KeyPair, *authorities: KeyPair) -> dict[str, str]:
    """Return the data of a Secret with this certificate, and with the authorities to trust."""
    trusted = "".join(each.certificate for each in authorities)
    return {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": trusted}


def files_in(folder: Path) -> TlsFiles:
    return TlsFiles(certificate=folder / "tls.crt", key=folder / "tls.key", authority=folder / "ca.crt")


@dataclass
class SecuredApi:
    """An API at a gateway with TLS, whose certificate can be replaced."""

    cluster: Cluster
    tls: TlsListener
    certificate: SecretVolume

    @property
    def url(self) -> str:
        return f"https://localhost:{self.tls.port}/iris"


@contextlib.asynccontextmanager
async def secured_api(cluster: Cluster, first: KeyPair) -> AsyncGenerator[SecuredApi]:
    volume = SecretVolume(cluster.folder / "endpoint-tls")
    volume.write({"tls.crt": first.certificate, "tls.key": first.key})
    folder = volume.folder
    cluster.endpoint_tls = TlsListener(
        port=free_port(),
        redirect_port=free_port(),
        https_port=30443,
        certificate=file_secrets.certificate(
            "certificate", cluster.folder, folder / "tls.crt", folder / "tls.key"
        ),
    )
    async with Upstream("a", cluster.folder / "a.sock").serving() as upstream:
        cluster.put_route(upstream)
        cluster.start("pod-a")
        await until(lambda: cluster.board.gateway == "running")
        yield SecuredApi(cluster, cluster.endpoint_tls, volume)


async def shown(port: int, *, alpn: str = "http/1.1") -> tuple[str, str | None]:
    """Return the certificate that a new connection gets, as PEM, and the protocol that was chosen."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    try:
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        der = found.getpeercert(binary_form=True)
        assert der is not None
        return ssl.DER_cert_to_PEM_cert(der), found.selected_alpn_protocol()
    finally:
        writer.close()


async def test_endpoints_have_a_certificate_that_is_replaced_under_requests(cluster: Cluster) -> None:
    now = datetime.now(UTC)
    authority = new_authority("authority", now)
    first, second, third = (issue(authority, ["localhost"], now) for _ in range(3))
    trusting = ssl.create_default_context(cadata=authority.certificate)
    async with secured_api(cluster, first) as api:
        assert await shown(api.tls.port) == (first.certificate, "http/1.1")
        assert (await shown(api.tls.port, alpn="h2"))[1] == "h2"
        async with httpx.AsyncClient(verify=trusting) as client:
            assert (await client.get(api.url)).status_code == 200
            api.certificate.write({"tls.crt": second.certificate, "tls.key": second.key})
            async with asyncio.timeout(10):
                while (await shown(api.tls.port))[0] != second.certificate:
                    assert (await client.get(api.url)).status_code == 200  # on its first connection
        async with httpx.AsyncClient(verify=trusting) as client:
            assert (await client.get(api.url)).status_code == 200
        api.certificate.write({"tls.crt": first.certificate, "tls.key": second.key})
        assert (await shown(api.tls.port))[0] == second.certificate, "one that cannot be used changes nothing"
        api.certificate.write({"tls.crt": third.certificate, "tls.key": third.key})
        async with asyncio.timeout(10):
            while (found := await shown(api.tls.port))[0] != third.certificate:
                assert found[0] == second.certificate


async def test_requests_without_tls_are_redirected(cluster: Cluster) -> None:
    now = datetime.now(UTC)
    pair = issue(new_authority("authority", now), ["localhost"], now)
    async with secured_api(cluster, pair) as api, httpx.AsyncClient() as client:
        answered = await client.post(f"http://localhost:{api.tls.redirect_port}/iris/x?a=b", content=b"{}")
        assert (answered.status_code, answered.headers["location"]) == (
            308,
            "https://localhost:30443/iris/x?a=b",
        )


async def test_operator_and_gateways_take_over_renewed_certificates(cluster: Cluster) -> None:
    """Their authority changes, too: they connect again when the first one is trusted no more."""
    now = datetime.now(UTC)
    old, new = new_authority("gyrus", now), new_authority("gyrus", now)
    volumes = {name: SecretVolume(cluster.folder / name) for name in ("operator-tls", "gateway-tls")}
    both = Cluster(cluster.folder)

    def write(signer: KeyPair, *trusted: KeyPair) -> None:
        for volume in volumes.values():
            volume.write(data_of(issue(signer, ["localhost", "127.0.0.1"], now), *trusted))

    write(old, old)
    both.tls = files_in(volumes["gateway-tls"].folder)
    both.address = replace(both.address, tls=files_in(volumes["operator-tls"].folder))
    both.gateway = ClusterGateway(
        both.board, both.address, both.settings, f"unix:{cluster.folder}/activator", both.files
    )
    async with both.serving(), Upstream("a", cluster.folder / "a.sock").serving() as upstream:
        both.put_route(upstream)
        both.start("pod-a")
        await until(lambda: both.gateway.serving_nodes == ("pod-a",))
        for step in ((old, old, new), (new, old, new), (new, new)):
            write(*step)
        both.pods["pod-a"].kill()
        both.start("pod-b")
        await until(lambda: "pod-b" in both.gateway.serving_nodes)

"""A project's way into a pod: a builder uploads its environment, a fetcher brings both, and it serves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from gyrus.contract.cluster import PRE_STOP, log_secret, replica_proof, replica_secret
from gyrus.contract.operator import LogLine
from gyrus.contract.pods import UNROUTED_PATH, BuildOrder, FetchOrder, builder_name, use_lock
from gyrus.contract.replica import (
    BATCH_HEADER,
    LOGS_PATH,
    PROOF_HEADER,
    HandlerConfig,
    LogArchiveAccess,
    Phase,
    Reason,
    ReplicaConfig,
    ReplicaStatus,
)
from gyrus.environments.runtime_copy import RuntimeCode
from gyrus.objects.opening import open_objects
from gyrus.operator.environment_choice import EnvironmentChoice
from gyrus.packaging.archive import pack
from gyrus.packaging.environment_store import EnvironmentStore
from gyrus.packaging.store import PackageStore
from gyrus.pods import pre_stop
from gyrus.pods.build import build
from gyrus.pods.failure import FilesUnreachable, PodFailed
from gyrus.pods.fetch import fetch
from gyrus.pods.files_client import FilesClient
from gyrus.pods.order import FilesAccess
from gyrus.runtime.codec import decode
from gyrus.server.files import FilesContext, build_files_app
from gyrus.server.listening import listen_on_port
from gyrus.server.serving import serve
from support.cluster import eventually
from support.tls import Authority
from support.wheels import make_wheel

pytestmark = pytest.mark.processes

INSTALLATION = "installation-secret"
HANDLER = """
import flowers
class Handler:
    def __init__(self, config): print("loaded", flowers.version)
    def predict(self, payload): return {"version": flowers.version, "payload": payload}
"""


@dataclass
class Builds:
    """The operator's side of builds in progress."""

    packages: dict[str, str] = field(default_factory=dict[str, str])
    heard: list[str] = field(default_factory=list[str])
    complete: list[str] = field(default_factory=list[str])

    def is_build_of(self, environment: str, package: str) -> bool:
        return self.packages.get(environment) == package

    def progress(self, environment: str, message: str) -> None:
        self.heard.append(message)

    def stored(self, environment: str) -> None:
        self.complete.append(environment)


@dataclass
class Logs:
    """The operator's log archive."""

    lines: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    async def append(self, replica: str, number: int, lines: Sequence[LogLine]) -> None:
        self.lines.setdefault(replica, []).extend(line.message for line in lines)


@dataclass
class Routes:
    """Gateways that leave each replica when the test lets them."""

    asked: list[str] = field(default_factory=list[str])
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def unrouted(self, replica: str) -> None:
        self.asked.append(replica)
        await self.left.wait()


@dataclass
class Operator:
    """A served files server."""

    url: str
    ca: Path
    packages: PackageStore
    environments: EnvironmentStore
    builds: Builds
    logs: Logs
    routes: Routes

    def client(self, pod: str, *, secret: str | None = None, patience: float = 10.0) -> FilesClient:
        secret = secret or replica_secret(INSTALLATION, pod)
        access = FilesAccess(url=self.url, pod=pod, secret=secret, ca=str(self.ca))
        return FilesClient(access, patience=patience)

    async def upload(self, project: Path) -> str:
        """Store the project's package, and return its digest."""
        file = project.with_suffix(".tar")
        with file.open("wb") as output:
            packed = pack(project, output)

        async def chunks() -> AsyncIterator[bytes]:
            yield file.read_bytes()

        await self.packages.add(packed.digest, chunks())
        return packed.digest


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    packages = PackageStore(tmp_path / "packages", tmp_path / "revisions")
    environments = EnvironmentStore(tmp_path / "archives")
    packages.clean_up()
    environments.clean_up()
    builds, logs, routes = Builds(), Logs(), Routes()
    authority, started = Authority(), asyncio.Event()
    ca = tmp_path / "ca.crt"
    ca.write_text(authority.certificate)
    app = build_files_app(
        FilesContext(
            packages=packages,
            environments=environments,
            builds=builds,
            logs=logs,
            unrouted=routes.unrouted,
            open_store=open_objects,
            secret=INSTALLATION,
        )
    )
    tls = authority.server("127.0.0.1")
    listener = listen_on_port("127.0.0.1", 0, lambda: tls)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(app, [listener], started=started), name="files server")
        await started.wait()
        yield Operator(listener.name, ca, packages, environments, builds, logs, routes)
        serving.cancel()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    make_wheel(tmp_path / "wheels", "flowers", "1.2")
    (folder / "handler.py").write_text(HANDLER)
    (folder / "requirements.txt").write_text("flowers==1.2\n")
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"PIP_FIND_LINKS": str(tmp_path / "wheels")}


async def key_of(operator: Operator, package: str) -> str:
    choice = EnvironmentChoice(
        operator.packages, operator.environments, image="runtime:1", runtime=RuntimeCode.installed().digest
    )
    return await choice.environment(package, None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@dataclass
class Pod:
    """The main container: the supervisor, started as in a pod."""

    root: Path
    config: ReplicaConfig
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [self.config.python, "-I", "-m", "gyrus.runtime.supervisor"]
        with (self.root / "stdout").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(self.root / "run/config.json")], stdout=output, start_new_session=True
            )

    def ask(self, address: str, path: str, payload: object = None) -> Any:
        data = None if payload is None else json.dumps(payload).encode()
        headers = {"content-type": "application/json", PROOF_HEADER: self.config.proof}
        request = urllib.request.Request(f"http://{address}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def until_ready(self) -> ReplicaStatus:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(OSError):
                return self.status(self.ask(cast(str, self.config.status_address), "/readyz"))
            time.sleep(0.05)
        raise AssertionError((self.root / "stdout").read_text())

    def status(self, _ready: object = None) -> ReplicaStatus:
        answered = self.ask(cast(str, self.config.status_address), "/status")
        return decode(ReplicaStatus, json.dumps(answered))

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    root = tmp_path / "gyrus"
    root.mkdir()
    config = ReplicaConfig(
        id="iris-1-abcde",
        api="iris",
        revision=1,
        project=str(root / "project"),
        python="",
        handler=HandlerConfig(path="handler.py"),
        run_dir=str(root / "run"),
        work_dir=str(root / "work"),
        listen=(f"127.0.0.1:{free_port()}",),
        status_address=f"127.0.0.1:{free_port()}",
        proof="a1b2",
        log_to_stdout=True,
    )
    pod = Pod(root, config)
    yield pod
    if pod.process is not None:
        with suppress(ProcessLookupError):
            os.killpg(pod.process.pid, signal.SIGKILL)
        pod.process.wait(10)


def order_of(operator: Operator, pod: Pod, package: str, key: str) -> FetchOrder:
    python = str(pod.root / "environments" / key / "bin/python")
    secret = log_secret(INSTALLATION, pod.config.id)
    archive = LogArchiveAccess(url=operator.url, secret=secret, ca=str(operator.ca))
    pod.config = replace(pod.config, python=python, log_archive=archive)
    return FetchOrder(package=package, environment=key, config=pod.config)


def status_without_proof(url: str) -> int:
    request = urllib.request.Request(url, headers={"x-gyrus-internal": "1"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_what_a_builder_uploads_serves_in_a_pod(
    operator: Operator, project: Path, environ: dict[str, str], pod: Pod
) -> None:
    package = await operator.upload(project)
    key = await key_of(operator, package)
    operator.builds.packages[key] = package
    order = BuildOrder(environment=key, package=package)
    await build(order, operator.client(builder_name(key)), environ, pod.root)

    assert operator.builds.complete == [key, key]  # the second time with bytecode
    assert operator.builds.heard[-1].startswith("storing the environment (")
    (lock,) = operator.packages.locks(package).glob("*.json")
    assert operator.environments.lock(key) == (lock.stem, lock.read_bytes())
    shutil.rmtree(pod.root)  # another pod, with the same paths
    pod.root.mkdir()

    await asyncio.to_thread(
        fetch, order_of(operator, pod, package, key), operator.client("iris-1-abcde"), pod.root
    )
    assert list(pod.root.glob("environments/*/lib/*/site-packages/__pycache__/flowers.*.pyc"))
    assert list(pod.root.glob("runtimes/*/gyrus/runtime/supervisor/__pycache__/loop.*.pyc"))
    pod.start()
    status = await asyncio.to_thread(pod.until_ready)
    assert status.phase is Phase.READY
    assert status.endpoints == pod.config.listen
    for address, path in ((pod.config.status_address, "/status"), (pod.config.listen[0], "/-/load")):
        assert await asyncio.to_thread(status_without_proof, f"http://{address}{path}") == 404
    answer = await asyncio.to_thread(pod.ask, pod.config.listen[0], "/", {"a": 1})
    assert answer == {"version": "1.2", "payload": {"a": 1}}
    assert await asyncio.to_thread(pod.stop) == 0
    lines = [json.loads(line) for line in (pod.root / "stdout").read_text().splitlines()]
    assert "loaded 1.2" in [line["message"] for line in lines]
    assert {line["replica"] for line in lines} == {"iris-1-abcde"}
    assert operator.logs.lines == {"iris-1-abcde": [line["message"] for line in lines]}


async def test_a_failed_build_has_the_same_words_as_a_local_one(
    operator: Operator, project: Path, environ: dict[str, str], pod: Pod
) -> None:
    (project / "requirements.txt").write_text("flowers==9\n")
    package = await operator.upload(project)
    key = await key_of(operator, package)
    with pytest.raises(PodFailed) as failed:
        await build(
            BuildOrder(environment=key, package=package),
            operator.client(builder_name(key)),
            environ,
            pod.root,
        )
    assert failed.value.failure.reason is Reason.DEPENDENCIES
    assert failed.value.failure.message.startswith("installing requirements.txt failed: ")
    assert "flowers" in "".join(failed.value.failure.lines)
    assert not operator.environments.has(key)


async def test_only_the_builder_of_an_environment_may_store_it(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "archive"
    file.write_bytes(b"planted")
    key = "0" * 32
    for pod in ("iris-1-abcde", builder_name("1" * 32)):
        with pytest.raises(PodFailed, match=f"{pod} does not build the environment {key}"):
            await asyncio.to_thread(operator.client(pod).upload, f"/environments/{key}", file)
    forged = operator.client(builder_name(key), secret="0" * 64)
    with pytest.raises(PodFailed, match="does not know the secret of the pod"):
        await asyncio.to_thread(forged.upload, f"/environments/{key}", file)
    assert not operator.environments.has(key)


def post_lines(operator: Operator, pod: str, secret: str, path: str = LOGS_PATH) -> int:
    """Return the status of the answer."""
    headers = {"authorization": f"Bearer {pod}.{secret}", BATCH_HEADER: "1"}
    body = b'{"time": 1.5, "replica": "other-1-aaaaa", "message": "hello"}\nnot a line\n\n'
    request = urllib.request.Request(operator.url + path, body, headers)
    try:
        with urllib.request.urlopen(
            request, context=ssl.create_default_context(cafile=str(operator.ca))
        ) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def test_a_pod_writes_to_its_own_log_with_a_secret_for_nothing_else(operator: Operator) -> None:
    pod = "iris-1-abcde"
    own, other = log_secret(INSTALLATION, pod), log_secret(INSTALLATION, "iris-1-bbbbb")
    assert await asyncio.to_thread(post_lines, operator, pod, own) == 204
    assert operator.logs.lines == {pod: ["hello"]}
    for secret in (other, replica_secret(INSTALLATION, pod), ""):
        assert await asyncio.to_thread(post_lines, operator, pod, secret) == 401
    with pytest.raises(PodFailed, match="does not know the secret of the pod"):
        await asyncio.to_thread(operator.client(pod, secret=own).has, f"/environments/{'0' * 32}")
    assert operator.logs.lines == {pod: ["hello"]}


async def test_the_first_archive_of_an_environment_stays(operator: Operator, tmp_path: Path) -> None:
    key, file = "0" * 32, tmp_path / "archive"
    for content in (b"first", b"second"):
        file.write_bytes(content)
        await asyncio.to_thread(operator.client(builder_name(key)).upload, f"/environments/{key}", file)
    assert (await operator.environments.environment(key)).path.read_bytes() == b"first"


async def test_a_missing_package_is_named(operator: Operator, pod: Pod) -> None:
    order = FetchOrder(package="0" * 64, environment="0" * 32, config=pod.config)
    with pytest.raises(PodFailed, match=f"The package {'0' * 64} does not exist; deploy the project again."):
        await asyncio.to_thread(fetch, order, operator.client("iris-1-abcde"), pod.root)


async def test_an_operator_that_is_away_is_named_after_some_tries(pod: Pod, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(Authority().certificate)
    url = f"https://127.0.0.1:{free_port()}"
    access = FilesAccess(url=url, pod="iris-1-abcde", secret="", ca=str(ca))
    order = FetchOrder(package="0" * 64, environment="0" * 32, config=pod.config)
    with pytest.raises(FilesUnreachable, match=f"from the operator at {url} failed: .*refused"):
        await asyncio.to_thread(fetch, order, FilesClient(access, patience=0.5), pod.root)


async def test_pods_of_a_node_share_an_environment(
    operator: Operator, project: Path, environ: dict[str, str], pod: Pod, capfd: pytest.CaptureFixture[str]
) -> None:
    package = await operator.upload(project)
    key = await key_of(operator, package)
    operator.builds.packages[key] = package
    await build(
        BuildOrder(environment=key, package=package), operator.client(builder_name(key)), environ, pod.root
    )
    shutil.rmtree(pod.root)
    pod.root.mkdir()
    folder = pod.root / "environments"
    folder.mkdir()
    pod.config = replace(pod.config, holds=use_lock(str(folder), key))
    order = replace(order_of(operator, pod, package, key), cached=True)
    other = pod.root.with_name("other")
    other.mkdir()
    (other / "environments").symlink_to(folder)

    async def bring(root: Path) -> str:
        """Carry out the order in a pod's volume, and return what the fetcher reported."""
        await asyncio.to_thread(fetch, order, operator.client("iris-1-abcde"), root)
        return capfd.readouterr().err

    async with asyncio.TaskGroup() as group:
        both = [group.create_task(bring(root), name=root.name) for root in (pod.root, other)]
    reported = "".join(task.result() for task in both)
    assert reported.count("fetched the environment in") == 1
    assert reported.count("the node has the environment") == 1
    assert list(other.glob("runtimes/*/gyrus/runtime/supervisor/loop.py"))

    # A newer archive waits until no replica runs with the environment.
    stored = await operator.environments.environment(key)
    content = stored.path.read_bytes() + b"\x50\x2a\x4d\x18\x00\x00\x00\x00"  # an empty frame of zstd to skip

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await operator.environments.add(key, hashlib.sha256(content).hexdigest(), chunks(), replace=True)
    pod.start()
    assert (await asyncio.to_thread(pod.until_ready)).phase is Phase.READY
    assert "the node has the environment" in await bring(other)
    assert await asyncio.to_thread(pod.stop) == 0
    assert "fetched the environment in" in await bring(other)
    assert "the node has the environment" in await bring(other)


async def hook(operator: Operator, proof: str, *, pause: float = 10.0, longest: float = 20.0) -> float:
    """Run the pre-stop hook as a pod does. Return its seconds."""
    order = {
        "url": operator.url + UNROUTED_PATH,
        "pod": "iris-1-abcde",
        "proof": proof,
        "ca": str(operator.ca),
        "pause": pause,
        "longest": longest,
    }
    began = time.monotonic()
    command = (sys.executable, "-I", "-S", pre_stop.__file__, json.dumps(order))
    running = await asyncio.create_subprocess_exec(*command)
    assert await running.wait() == 0
    return time.monotonic() - began


async def test_a_pod_leaves_as_soon_as_no_gateway_routes_to_it(operator: Operator) -> None:
    proof = replica_proof(INSTALLATION, PRE_STOP, "iris-1-abcde")
    leaving = asyncio.create_task(hook(operator, proof), name="hook")
    await eventually(lambda: operator.routes.asked)
    assert operator.routes.asked == ["iris-1-abcde"]
    assert not leaving.done()
    operator.routes.left.set()
    assert await leaving < 10
    assert await hook(operator, proof) < 10, "the operator stops the pod itself"


async def test_a_pod_whose_gateways_stay_leaves_in_the_end(operator: Operator) -> None:
    proof = replica_proof(INSTALLATION, PRE_STOP, "iris-1-abcde")
    assert 1.0 <= await hook(operator, proof, pause=1.0, longest=2.0) < 10
    assert operator.routes.asked


@pytest.mark.parametrize("purpose", ["secret", "calls"])
async def test_the_question_needs_its_own_proof(operator: Operator, purpose: str) -> None:
    pod = "iris-1-abcde"
    secret = replica_secret(INSTALLATION, pod)
    other = secret if purpose == "secret" else replica_proof(INSTALLATION, purpose, pod)
    assert await hook(operator, other, pause=0.5) >= 0.5
    assert not operator.routes.asked
    answered = operator.client(pod, secret=replica_proof(INSTALLATION, PRE_STOP, pod))
    with pytest.raises(PodFailed, match="does not know the secret of the pod"):
        await asyncio.to_thread(answered.has, f"/environments/{'0' * 32}")

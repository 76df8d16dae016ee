"""Packages and environments of two operators in a bucket, and pods that fetch from it by signed URLs."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from gyrus.contract.cluster import replica_proof, replica_secret
from gyrus.contract.models import ModelFolder
from gyrus.contract.operator import LogLine
from gyrus.contract.pods import models_purpose
from gyrus.objects.location import parse_location
from gyrus.objects.models import resolve_models
from gyrus.objects.opening import open_objects
from gyrus.objects.store import ObjectStore
from gyrus.packaging.archive import pack
from gyrus.packaging.environment_store import UNUSED, EnvironmentStore
from gyrus.packaging.object_files import ObjectFiles
from gyrus.packaging.shared_folder import SharedFolder
from gyrus.packaging.store import PackageStore
from gyrus.pods.failure import PodFailed
from gyrus.pods.fetch import fetch_project
from gyrus.pods.fetch_models import fetch_models, share_models
from gyrus.pods.files_client import FilesClient
from gyrus.pods.node_cache import EnvironmentsOfNode
from gyrus.pods.order import FilesAccess
from gyrus.server.files import FilesContext, build_files_app
from gyrus.server.listening import listen_on_port
from gyrus.server.serving import serve
from support.aws.emulators import Emulator, moto_server
from support.tls import Authority

pytestmark = [pytest.mark.aws, pytest.mark.processes]
INSTALLATION, POD, KEY = "installation-secret", "iris-1-abcde", "0" * 32
LOCK = "1" * 16


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with moto_server(tmp_path_factory.mktemp("moto")) as emulator:
        yield emulator


@pytest.fixture
def objects(moto: Emulator) -> ObjectStore:
    return open_objects(parse_location(f"s3://{moto.bucket()}/cluster/files"), moto.variables)


@dataclass
class Stores:
    """The stores of one operator."""

    folder: Path
    packages: PackageStore
    environments: EnvironmentStore

    @classmethod
    async def opened(cls, objects: ObjectStore, folder: Path) -> Stores:
        files, archives = ObjectFiles(objects), folder / "archives"
        packages = folder / "packages"
        stores = cls(
            folder,
            PackageStore(packages, folder / "projects", shared=SharedFolder(files, "packages", packages)),
            EnvironmentStore(archives, shared=SharedFolder(files, "environments", archives)),
        )
        stores.packages.clean_up()
        stores.environments.clean_up()
        await stores.packages.load()
        await stores.environments.load()
        return stores


class NoBuilds:
    def is_build_of(self, environment: str, package: str) -> bool:
        return False

    def progress(self, environment: str, message: str) -> None: ...

    def stored(self, environment: str) -> None: ...


class NoLogs:
    async def append(self, replica: str, number: int, lines: Sequence[LogLine]) -> None: ...


async def unrouted(replica: str) -> None: ...


@asynccontextmanager
async def served(
    stores: Stores, folder: Path, environ: Mapping[str, str] = {}
) -> AsyncGenerator[FilesClient]:
    """Serve the files, and yield a pod's client."""
    authority, started, ca = Authority(), asyncio.Event(), folder / "ca.crt"
    ca.write_text(authority.certificate)
    context = FilesContext(
        packages=stores.packages,
        environments=stores.environments,
        builds=NoBuilds(),
        logs=NoLogs(),
        unrouted=unrouted,
        open_store=partial(open_objects, environ=environ),
        secret=INSTALLATION,
    )
    tls = authority.server("127.0.0.1")
    listener = listen_on_port("127.0.0.1", 0, lambda: tls)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(build_files_app(context), [listener], started=started))
        await started.wait()
        access = FilesAccess(url=listener.name, pod=POD, secret=replica_secret(INSTALLATION, POD), ca=str(ca))
        yield FilesClient(access, patience=10.0)
        serving.cancel()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    (tmp_path / "pod").mkdir()
    return tmp_path / "pod"


def package(folder: Path) -> tuple[str, bytes]:
    project = folder / "project"
    project.mkdir()
    (project / "handler.py").write_text("class Handler: ...\n")
    content = io.BytesIO()
    return pack(project, content).digest, content.getvalue()


async def test_the_next_operator_has_all_files(objects: ObjectStore, tmp_path: Path) -> None:
    digest, content = package(tmp_path)
    first = await Stores.opened(objects, tmp_path / "a")
    await first.packages.add(digest, chunks(content))
    await first.environments.keep_lock(KEY, LOCK, b"{}")
    second = await Stores.opened(objects, tmp_path / "b")
    project = await second.packages.project(digest)
    assert (project / "handler.py").read_text() == "class Handler: ...\n"
    assert second.environments.lock(KEY) == (LOCK, b"{}")
    await second.packages.forget([digest])
    await second.environments.sweep(2 * UNUSED + 2e9)
    third = await Stores.opened(objects, tmp_path / "c")
    assert not third.packages.has(digest)


async def test_a_pod_fetches_from_the_bucket(objects: ObjectStore, tmp_path: Path, pod: Path) -> None:
    digest, content = package(tmp_path)
    stores = await Stores.opened(objects, tmp_path / "a")
    await stores.packages.add(digest, chunks(content))
    shutil.rmtree(stores.folder / "packages")  # the operator would have to fetch it first
    async with served(stores, tmp_path) as client:
        folder = await asyncio.to_thread(fetch_project, digest, client, pod)
        assert (folder / "handler.py").exists()
    assert not (stores.folder / "packages").exists()


async def test_a_damaged_object_reaches_no_pod(
    objects: ObjectStore, tmp_path: Path, pod: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    digest, content = package(tmp_path)
    stores = await Stores.opened(objects, tmp_path / "a")
    await stores.packages.add(digest, chunks(content))
    name = f"packages/{digest}.tar~{digest}"
    await objects.put(name, content[:-1] + b"x")
    async with served(stores, tmp_path) as client:
        damaged = asyncio.create_task(asyncio.to_thread(fetch_project, digest, client, pod))
        async with asyncio.timeout(20):
            while "damaged on its way" not in capfd.readouterr().err:  # noqa: ASYNC110 -- no event of ours
                await asyncio.sleep(0.05)
        await objects.put(name, content)
        assert (await damaged / "handler.py").exists()


async def test_a_pod_that_cannot_reach_the_bucket_asks_the_operator(
    moto: Emulator, tmp_path: Path, pod: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    digest, content = package(tmp_path)
    bucket = moto.bucket()
    location = parse_location(f"s3://{bucket}/files")
    stores = await Stores.opened(open_objects(location, moto.variables), tmp_path / "a")
    await stores.packages.add(digest, chunks(content))
    moto.client("s3").delete_object(Bucket=bucket, Key=f"files/packages/{digest}.tar~{digest}")
    async with served(stores, tmp_path) as client:
        folder = await asyncio.to_thread(fetch_project, digest, client, pod)
        assert (folder / "handler.py").exists()
    place = f"{moto.endpoint}/{bucket}/files/packages/{digest}.tar~{digest}"
    assert (
        f"fetching /packages/{digest} failed: {place} cannot be fetched (it answered with status 404), and "
        "the operator is asked for it; trying again"
    ) in capfd.readouterr().err


def proof_of(models: ModelFolder, pod: str = POD) -> str:
    return replica_proof(INSTALLATION, models_purpose(models.key), pod)


async def stored_models(moto: Emulator, *, versioned: bool = False) -> tuple[ObjectStore, ModelFolder]:
    url = f"s3://{moto.bucket(versioned=versioned)}/iris"
    store = open_objects(parse_location(url), moto.variables)
    await store.put("weights/a.bin", b"a" * 1000)
    await store.put("b", b"")
    return store, await resolve_models(url, partial(open_objects, environ=moto.variables))


async def test_a_pod_fetches_models_without_credentials(
    moto: Emulator, objects: ObjectStore, tmp_path: Path, pod: Path
) -> None:
    _, models = await stored_models(moto)
    async with served(await Stores.opened(objects, tmp_path / "a"), tmp_path, moto.variables) as client:
        for _ in range(2):
            await asyncio.to_thread(fetch_models, models, proof_of(models), client, pod / "models")
    assert (pod / "models/weights/a.bin").read_bytes() == b"a" * 1000
    assert (pod / "models/b").read_bytes() == b""
    assert [path.name for path in pod.iterdir()] == ["models"]


async def test_the_pods_of_a_node_fetch_models_once(
    moto: Emulator, objects: ObjectStore, tmp_path: Path, pod: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, models = await stored_models(moto)
    async with served(await Stores.opened(objects, tmp_path / "a"), tmp_path, moto.variables) as client:
        share = partial(share_models, models, proof_of(models), client)
        await asyncio.gather(*(asyncio.to_thread(share, EnvironmentsOfNode(pod)) for _ in range(3)))
    written = capfd.readouterr().err
    assert (written.count("fetched 0 MiB of models"), written.count("the node has the models")) == (1, 2)
    assert (pod / f"models-{models.key}/weights/a.bin").read_bytes() == b"a" * 1000


async def test_a_pod_gets_a_version_that_was_replaced(
    moto: Emulator, objects: ObjectStore, tmp_path: Path, pod: Path
) -> None:
    store, models = await stored_models(moto, versioned=True)
    await store.put("weights/a.bin", b"later")
    async with served(await Stores.opened(objects, tmp_path / "a"), tmp_path, moto.variables) as client:
        await asyncio.to_thread(fetch_models, models, proof_of(models), client, pod / "models")
    assert (pod / "models/weights/a.bin").read_bytes() == b"a" * 1000


async def test_models_that_are_gone_are_reported(
    moto: Emulator, objects: ObjectStore, tmp_path: Path, pod: Path
) -> None:
    store, models = await stored_models(moto)
    await store.put("weights/a.bin", b"later")
    async with served(await Stores.opened(objects, tmp_path / "a"), tmp_path, moto.variables) as client:
        with pytest.raises(PodFailed) as raised:
            await asyncio.to_thread(fetch_models, models, proof_of(models), client, pod / "models")
    assert str(raised.value) == (
        f"The object {models.url}/weights/a.bin has changed, and its store keeps no earlier versions; turn "
        "on the versioning of the bucket, and deploy again what uses the object."
    )
    assert not (pod / "models").exists()


async def test_a_pod_fetches_only_the_models_of_its_order(
    moto: Emulator, objects: ObjectStore, tmp_path: Path, pod: Path
) -> None:
    _, models = await stored_models(moto)
    _, other = await stored_models(moto)
    async with served(await Stores.opened(objects, tmp_path / "a"), tmp_path, moto.variables) as client:
        for proof in (proof_of(other), proof_of(models, "wine-1-abcde"), ""):
            with pytest.raises(PodFailed, match=f"The pod {POD} may not fetch these models of {models.url}"):
                await asyncio.to_thread(fetch_models, models, proof, client, pod / "models")

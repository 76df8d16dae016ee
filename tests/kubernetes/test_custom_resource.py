"""APIs as objects of the cluster: mirrors of what the CLI deploys, and manifests that deploy by kubectl."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gyrus.kubernetes.resources import APIS, NODES, Manifest
from support.cluster import eventually
from support.installed import Installed, installed, needs_kubectl, specification

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    needs_kubectl,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Installed]:
    async with installed() as made:
        yield made


def manifest(name: str, **changes: object) -> Manifest:
    spec = specification(autoscaling={"min_replicas": 1, "max_replicas": 1}, **changes)
    return {"apiVersion": "gyrus.dev/v1", "kind": "API", "metadata": {"name": name}, "spec": spec}


async def pushed(platform: Installed, name: str, version: int = 1) -> dict[str, str]:
    """Upload a project; return the package as its manifest names it."""
    return {"sha256": (await platform.gyrus("package", "push", platform.project(name, version)))["sha256"]}


async def until(
    platform: Installed, name: str, reached: Callable[[Mapping[str, Any]], object]
) -> Mapping[str, Any]:
    """Wait until an object's status is as it should be, and return the status."""
    status: Mapping[str, Any] = {}

    async def look() -> bool:
        nonlocal status
        object = await platform.client.find(APIS, name, platform.namespace)
        if object is None:  # one that was deleted comes back a little later
            return False
        status = object.get("status") or {}
        return status.get("observedGeneration") == object["metadata"]["generation"] and bool(reached(status))

    try:
        await eventually(look)
    except TimeoutError:
        pytest.fail(f"the status of {name} stays {status}")
    return status


def condition(status: Mapping[str, Any], type: str) -> tuple[str, str, str]:
    found = next(each for each in status["conditions"] if each["type"] == type)
    return found["status"], found["reason"], found["message"]


def is_ready(status: Mapping[str, Any]) -> bool:
    return "conditions" in status and condition(status, "Ready")[0] == "True"


def is_refused(status: Mapping[str, Any]) -> bool:
    return "conditions" in status and condition(status, "Accepted")[0] == "False"


async def test_what_the_cli_deploys_has_an_object_that_owns_its_pods(platform: Installed) -> None:
    await platform.gyrus("deploy", platform.project("mirrored"), "-y")
    status = await until(platform, "mirrored", is_ready)
    shown = await platform.gyrus("get", "mirrored")
    names = ("status", "endpoint", "revision", "replicas", "owner")
    assert {name: status[name] for name in names} == {name: shown[name] for name in names}
    assert shown["owner"] == "cli"
    listed = await platform.kubectl("get", "apis.gyrus.dev", "mirrored", "--no-headers")
    assert listed.split()[:3] == ["mirrored", "RealtimeAPI", "live"]
    object = await platform.client.get(APIS, "mirrored", platform.namespace)
    [pod] = await platform.pods("mirrored")
    [owner] = pod["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (object["metadata"]["uid"], True)

    await platform.kubectl("apply", "-f", "-", manifest=manifest("mirrored", package={"sha256": "0" * 64}))
    refused = await until(platform, "mirrored", is_refused)
    assert condition(refused, "Accepted")[1:] == (
        "OtherOwner",
        "`gyrus deploy` deployed mirrored. Delete that API first (gyrus delete mirrored), "
        "or give the manifest another name.",
    )
    await platform.kubectl("delete", "apis.gyrus.dev", "mirrored")
    await until(platform, "mirrored", is_ready)  # the API is the CLI's: its object comes back
    await platform.gyrus("delete", "mirrored", "-y")
    await eventually(lambda: _is_gone(platform, "mirrored"))


async def test_a_manifest_deploys_updates_and_deletes(platform: Installed) -> None:
    first = manifest("declared", package=await pushed(platform, "declared"))
    await platform.kubectl("apply", "-f", "-", manifest=first)
    status = await until(platform, "declared", is_ready)
    assert (status["owner"], status["revision"]) == ("manifest", 1)
    assert await platform.ask(status["endpoint"]) == {"version": 1}

    second = manifest("declared", package=await pushed(platform, "declared", 2))
    await platform.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", manifest=second)
    status = await until(platform, "declared", lambda status: is_ready(status) and status["revision"] == 2)
    assert await platform.ask(status["endpoint"]) == {"version": 2}

    changing = (
        "A manifest deployed declared. Change the manifest and apply it again, or delete its object "
        "(kubectl delete apis.gyrus.dev declared), which deletes the API."
    )
    for command in (["rollback", "declared"], ["delete", "declared", "-y"]):
        ran = await platform.run(*command)
        assert ran.code == 1
        assert changing in ran.err
    ran = await platform.run("deploy", platform.project("declared"), "-y")
    assert (ran.code, changing in ran.err) == (1, True)

    await platform.kubectl("delete", "apis.gyrus.dev", "declared")
    await eventually(lambda: _is_gone(platform, "declared"))
    await eventually(lambda: _lists_nothing(platform))


async def test_faults_are_conditions_and_a_corrected_manifest_is_deployed(platform: Installed) -> None:
    broken = manifest("broken", handler={"pth": "handler.py"})
    await platform.kubectl("apply", "-f", "-", manifest=broken)
    status = await until(platform, "broken", is_refused)
    state, reason, message = condition(status, "Accepted")
    assert (state, reason) == ("False", "InvalidSpec")
    assert 'spec.handler.pth: unknown field; did you mean "path"?' in message.splitlines()
    assert condition(status, "Stalled")[0] == "True"
    assert status["status"] == "refused"

    missing = manifest("broken", package={"sha256": "0" * 64})
    await platform.kubectl("apply", "-f", "-", manifest=missing)
    status = await until(
        platform, "broken", lambda status: condition(status, "Accepted")[1] == "PackageMissing"
    )
    assert "has not been uploaded, or was removed" in condition(status, "Accepted")[2]
    await platform.kubectl("delete", "apis.gyrus.dev", "broken")


async def test_a_package_comes_from_the_web_if_its_digest_is_right(platform: Installed) -> None:
    file = platform.folder / "served" / "package.tar"
    file.parent.mkdir()
    built = await platform.gyrus("package", "build", platform.project("fetched"), file)
    with _served(file.parent, await _address(platform)) as url:
        wrong = manifest("fetched", package={"sha256": "0" * 64, "url": f"{url}/package.tar"})
        await platform.kubectl("apply", "-f", "-", manifest=wrong)
        status = await until(platform, "fetched", is_refused)
        assert condition(status, "Accepted")[1] == "PackageUnavailable"
        assert f"is not the package {'0' * 64}" in condition(status, "Accepted")[2]
        right = manifest("fetched", package={"sha256": built["sha256"], "url": f"{url}/package.tar"})
        await platform.kubectl("apply", "-f", "-", manifest=right)
        status = await until(platform, "fetched", is_ready)
    assert await platform.ask(status["endpoint"]) == {"version": 1}
    await platform.kubectl("delete", "apis.gyrus.dev", "fetched")


async def _lists_nothing(platform: Installed) -> bool:
    return await platform.gyrus("get") == []


async def _is_gone(platform: Installed, name: str) -> bool:
    return await platform.client.find(APIS, name, platform.namespace) is None and not await platform.pods(
        name
    )


async def _address(platform: Installed) -> str:
    """The address under which nodes reach this machine."""
    node = (await platform.client.list(NODES)).items[0]
    addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((addresses["InternalIP"], 9))
        return probe.getsockname()[0]


@contextmanager
def _served(folder: Path, address: str) -> Generator[str]:
    """Serve the files of a folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer((address, 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="files")
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

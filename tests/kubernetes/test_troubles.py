"""What hinders a pod reaches ``gyrus describe`` in plain words, soon after the cluster knows it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from gyrus.client.client import Client
from gyrus.client.environments import Environments
from gyrus.client.errors import UnknownApi
from gyrus.cluster.fields import section
from gyrus.contract.home import Home
from gyrus.contract.operator import ApiDescription
from gyrus.contract.replica import ReplicaStatus
from gyrus.kubernetes.amounts import CPU, allocatable, requested, total_of
from gyrus.kubernetes.resources import EVENTS, NODES, PODS, Manifest
from support.admission import refusing
from support.cluster import PATIENCE, SERVER_IMAGE, eventually
from support.installed import Installed, installed, needs_kubectl

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    needs_kubectl,
]

LATEST = 5.0
"""Seconds from the cluster's knowledge to the description."""
POLL = 0.1
SMALL = {"cpu": "20m", "mem": "32Mi"}
LARGE = {"cpu": "300m", "mem": "32Mi"}
SERVE = ["python3", "/server.py", "$PORT"]
FAIL = [
    "python3",
    "-c",
    "import sys; print('no model at /models', file=sys.stderr); sys.exit(3)",
]
ALLOCATE = ["python3", "-c", "print('loading', flush=True); held = b'x' * 200_000_000"]
FILES = ["python3", "-m", "http.server", "$(CORTEX_PORT)"]

Knows = Callable[[Manifest], bool]
"""Returns True if a pod or an event has the trouble."""


def container(pod: Manifest, *path: str) -> Any:
    """Return a part of the status of the first container of the user. None if there is none."""
    statuses: list[Manifest] = pod.get("status", {}).get("containerStatuses", [])
    found = next((each for each in statuses if each["name"] != "sidecar"), Manifest())
    *above, last = path
    return section(found, *above).get(last)


def cannot_pull(pod: Manifest) -> bool:
    return container(pod, "state", "waiting", "reason") in ("ErrImagePull", "ImagePullBackOff")


def cannot_run(pod: Manifest) -> bool:
    waiting = container(pod, "state", "waiting", "reason") == "RunContainerError"
    return waiting or container(pod, "state", "terminated", "reason") == "StartError"


def ended(code: int, reason: str) -> Knows:
    def knows(pod: Manifest) -> bool:
        runs = (container(pod, "state", "terminated"), container(pod, "lastState", "terminated"))
        return any(run and (run["exitCode"], run["reason"]) == (code, reason) for run in runs)

    return knows


def unschedulable(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each.get("reason") == "Unschedulable" for each in conditions)


def warned(reason: str, text: str) -> Knows:
    return lambda event: event.get("reason") == reason and text in event.get("message", "")


def evicted(pod: Manifest) -> bool:
    return pod.get("status", {}).get("reason") == "Evicted"


def deleted(pod: Manifest) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def restarted(pod: Manifest) -> bool:
    return bool(container(pod, "restartCount"))


def process(*command: str, image: str = SERVER_IMAGE, **fields: Any) -> dict[str, Any]:
    return {"process": {"image": image, "command": [*command]}, "compute": SMALL, **fields}


def pod(*command: str, **fields: Any) -> dict[str, Any]:
    made = {"name": "api", "image": SERVER_IMAGE, "command": [*command], "compute": SMALL, **fields}
    return {"pod": {"port": 9000, "containers": [made]}}


@dataclass(frozen=True)
class Trouble:
    spec: dict[str, Any]
    knows: Knows
    words: str
    """A part of the replica's message."""
    lines: tuple[str, ...] = ()
    """The last lines of output."""
    about_events: bool = False
    """True if an event has the trouble, not the pod."""
    reason: str = ""
    """The replica's reason, and that of the event. Empty if it is no failure, but what a start waits for."""

    def is_described(self, description: ApiDescription) -> bool:
        """Return True if a replica shows the trouble now, and an event shows it for good."""
        shown = any(self._is_shown(replica.status) for replica in description.replicas)
        recorded = any(
            event.reason == self.reason and self.words in event.message for event in description.events
        )
        # A container that has run again within a second shows its failure for a moment only.
        return recorded and (shown or not self.lines) if self.reason else shown

    def _is_shown(self, status: ReplicaStatus) -> bool:
        lines = status.last_lines[-len(self.lines) :] if self.lines else ()
        return self.words in status.message and lines == self.lines


SHARED = ["python3", "-c", "import signal; open('/dev/shm/a', 'wb').write(bytes(2**24)); signal.pause()"]
LOST = {
    "exec": {"command": ["python3", "-c", "raise SystemExit('the model is lost')"]},
    "initial_delay_seconds": 5,
    "period_seconds": 5,
    "failure_threshold": 1,
}
EVICTION = "eviction"
"""The trouble that takes longest: the kubelet measures volumes once a minute."""
NOWHERE = {"zone": "nowhere"}
PROBE = {"http_get": {"port": 9000, "path": "/absent"}, "period_seconds": 1, "failure_threshold": 1}
TROUBLES = {
    "image": Trouble(
        process(*SERVE, image="localhost/absent:1"),
        cannot_pull,
        "the image localhost/absent:1 cannot be pulled: its registry does not answer",
        reason="ImagePullFailure",
    ),
    "crash": Trouble(
        process(*FAIL),
        ended(3, "Error"),
        "it exited with code 3",
        lines=("no model at /models",),
        reason="Exited",
    ),
    "memory": Trouble(
        process(*ALLOCATE),
        ended(137, "OOMKilled"),
        "it was killed, because it used more memory than compute.mem",
        lines=("loading",),
        reason="OutOfMemory",
    ),
    "program": Trouble(
        process("absent"),
        cannot_run,
        f"the image {SERVER_IMAGE} has no program absent",
        reason="ContainerFailure",
    ),
    "cpu": Trouble(
        process(*SERVE, compute={"cpu": 900, "mem": "32Mi"}),
        unschedulable,
        "too little CPU free (it needs 900)",
        reason="WaitingForCapacity",
    ),
    "mem": Trouble(
        process(*SERVE, compute={"cpu": "20m", "mem": "9000Gi"}),
        unschedulable,
        "too little memory free (it needs",
        reason="WaitingForCapacity",
    ),
    "gpu": Trouble(
        process(*SERVE, compute={**SMALL, "gpu": 1}),
        unschedulable,
        "too few GPUs free (it needs 1)",
        reason="WaitingForCapacity",
    ),
    "selector": Trouble(
        process(*SERVE, node_selector=NOWHERE),
        unschedulable,
        "other labels than those that the API selects (node_selector zone=nowhere)",
        reason="WaitingForCapacity",
    ),
    EVICTION: Trouble(
        pod(*SHARED, compute={"cpu": "20m", "mem": "64Mi", "shm": "4Mi"}),
        evicted,
        "it was evicted on node",
        reason="Evicted",
    ),
    "readiness": Trouble(
        pod(*FILES, readiness_probe=PROBE),
        warned("Unhealthy", "Readiness probe failed: HTTP"),
        "its readiness check fails: it answers with code 404",
        about_events=True,
    ),
    "liveness": Trouble(
        pod("python3", "/server.py", liveness_probe=LOST),
        restarted,
        "it was restarted, because its liveness check fails: the model is lost",
        reason="Unresponsive",
    ),
}


@dataclass
class Platform:
    installed: Installed
    folder: Path
    seen: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """What the operator has described of each API so far, for the report of a failed test."""
    early: Mapping[str, asyncio.Task[float]] = field(default_factory=dict[str, asyncio.Task[float]])
    """The measurements that began with the module, by name."""

    def client(self) -> Client:
        home = Home(self.folder / "home")
        return Client(Environments.load(home).resolve(self.installed.environment, home))

    def write(self, name: str, spec: dict[str, Any]) -> Path:
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump({"name": name, "kind": "RealtimeAPI", **spec}))
        return file

    async def deploy(self, name: str, spec: dict[str, Any]) -> None:
        await self.installed.gyrus("deploy", self.write(name, spec), "--no-wait")

    async def measured(self, name: str) -> float:
        """Deploy an API with a trouble. Return the seconds until it is described."""
        trouble = TROUBLES[name]
        return await self.measure(name, trouble, partial(self.deploy, name, trouble.spec))

    async def measure(self, name: str, trouble: Trouble, cause: Callable[[], Awaitable[object]]) -> float:
        """Cause a trouble. Return the seconds from the cluster's knowledge to the description."""
        client, namespace = self.installed.client, self.installed.namespace
        resource = EVENTS if trouble.about_events else PODS
        version = (await client.list(resource, namespace)).version
        async with self.in_time(), asyncio.TaskGroup() as group:
            known = group.create_task(self._known(name, trouble, version), name=f"{name} is known")
            described = group.create_task(self.described(name, trouble), name=f"{name} is described")
            group.create_task(_awaited(cause()), name=f"cause of {name}")
        return described.result() - known.result()

    @asynccontextmanager
    async def in_time(self) -> AsyncGenerator[None]:
        """Bound the time of the block. A failure shows what was described until then."""
        try:
            async with asyncio.timeout(PATIENCE):
                yield
        except TimeoutError:
            raise AssertionError(f"in {PATIENCE:g} s, only this was described: {self.seen}") from None

    async def _known(self, name: str, trouble: Trouble, version: str) -> float:
        """Return the time at which the cluster shows the trouble."""
        resource = EVENTS if trouble.about_events else PODS
        watch = self.installed.client.watch(
            resource, self.installed.namespace, version=version, seconds=int(PATIENCE)
        )
        async with aclosing(watch) as changes:
            async for change in changes:
                about = change.object.get("involvedObject", change.object["metadata"]).get("name", "")
                if about.startswith(f"{name}-") and trouble.knows(change.object):
                    return time.monotonic()
        raise AssertionError(f"the cluster never showed the trouble of {name}")

    async def described(self, name: str, trouble: Trouble) -> float:
        """Return the time at which the operator describes the trouble."""
        seen: dict[str, None] = {}
        with self.client() as client:
            while True:
                await asyncio.sleep(POLL)
                try:
                    description = await asyncio.to_thread(client.describe, name)
                except UnknownApi:  # not deployed yet
                    continue
                for replica in description.replicas:
                    seen[f"{replica.status.phase} {replica.status.reason}: {replica.status.message}"] = None
                self.seen[name] = list(seen)
                if trouble.is_described(description):
                    return time.monotonic()


async def _awaited(what: Awaitable[object]) -> None:
    await what


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[Platform]:
    async with installed() as made:
        platform = Platform(made, made.folder)
        slow = asyncio.create_task(platform.measured(EVICTION), name=EVICTION)
        platform.early = {EVICTION: slow}
        yield platform
        slow.cancel()
        await asyncio.wait((slow,))


@pytest.mark.parametrize("name", sorted(TROUBLES, key=lambda name: name == EVICTION))
async def test_a_trouble_of_a_pod_is_described_in_time(
    name: str, platform: Platform, record_property: Callable[[str, object], None]
) -> None:
    begun = platform.early.get(name)
    delay = await (begun or platform.measured(name))
    record_property("seconds", round(delay, 2))
    assert delay < LATEST


async def test_a_pod_that_another_one_deletes_is_described(platform: Platform) -> None:
    await platform.installed.gyrus("deploy", platform.write("deleted", process(*SERVE)))
    (found,) = await platform.installed.pods("deleted")
    outside = Trouble({}, deleted, "its pod was deleted from outside", reason="Evicted")
    cause = partial(platform.installed.kubectl, "delete", "pod", found["metadata"]["name"], "--wait=false")
    assert await platform.measure("deleted", outside, cause) < LATEST


@pytest.mark.parametrize(
    ("name", "limit", "words", "reason"),
    [
        (
            "quota",
            {"kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}}},
            "waiting for capacity: the quota limit allows 0 pods;",
            "WaitingForCapacity",
        ),
        (
            "range",
            {"kind": "LimitRange", "spec": {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]}},
            "the pod is refused: the namespace has a LimitRange: maximum memory usage per Container is 16Mi",
            "Refused",
        ),
    ],
)
async def test_a_pod_that_the_cluster_refuses_is_described(
    name: str, limit: Manifest, words: str, reason: str, platform: Platform
) -> None:
    """The refusal is the answer to the operator's own request, so that the time begins with the deploy."""
    manifest = {"apiVersion": "v1", "metadata": {"name": "limit"}, **limit}
    await platform.installed.kubectl("apply", "-f", "-", manifest=manifest)
    try:
        await platform.deploy(name, process(*SERVE))
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            described = await platform.described(name, Trouble({}, deleted, words, reason=reason))
        assert described - began < LATEST
    finally:
        await platform.installed.kubectl("delete", limit["kind"], "limit")


async def test_a_pod_that_a_policy_refuses_is_described(platform: Platform) -> None:
    name = f"refused-{secrets.token_hex(3)}"
    words = "the pod is refused: the policy policy.example.com refuses it: our registry only"
    async with refusing(name, "our registry only") as webhook:
        await platform.installed.kubectl("apply", "-f", "-", manifest=webhook)
        try:
            await platform.deploy(name, process(*SERVE))
            began = time.monotonic()
            async with platform.in_time():
                described = await platform.described(name, Trouble({}, deleted, words, reason="Refused"))
            assert described - began < LATEST
        finally:
            await platform.installed.kubectl("delete", webhook["kind"], name)


async def test_a_pod_that_gives_way_to_a_more_important_one_is_described(platform: Platform) -> None:
    name = f"preempted-{secrets.token_hex(3)}"
    await platform.installed.gyrus("deploy", platform.write(name, process(*SERVE, compute=LARGE)))
    (found,) = await platform.installed.pods(name)
    node = found["spec"]["nodeName"]
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1_000_000}
    important |= {"metadata": {"name": name}}
    spec = {
        "priorityClassName": name,
        "nodeSelector": {"kubernetes.io/hostname": node},
        "containers": [
            {
                "name": "important",
                "image": SERVER_IMAGE,
                "resources": {"requests": {"cpu": str(await free_cpu(platform, node) + Decimal("0.25"))}},
            }
        ],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    await platform.installed.kubectl("apply", "-f", "-", manifest=important)
    try:
        preempted = Trouble({}, deleted, "a pod of higher priority takes its place", reason="Evicted")
        cause = partial(platform.installed.kubectl, "apply", "-f", "-", manifest=pod)
        assert await platform.measure(name, preempted, cause) < LATEST
    finally:
        await platform.installed.kubectl("delete", "priorityclass", name)
        await platform.installed.kubectl("delete", "pod", name, "--wait=false", "--ignore-not-found")


async def pods_on(platform: Platform, node: str) -> Sequence[Manifest]:
    return (await platform.installed.client.list(PODS, fields=f"spec.nodeName={node}")).items


async def free_cpu(platform: Platform, node: str) -> Decimal:
    """Return the cores of a node that no pod holds."""
    offers = allocatable(await platform.installed.client.get(NODES, node))

    async def nothing_ends() -> bool:
        return all("deletionTimestamp" not in pod["metadata"] for pod in await pods_on(platform, node))

    await eventually(nothing_ends)
    pods = await pods_on(platform, node)
    held = [requested(pod) for pod in pods if pod["status"]["phase"] not in ("Succeeded", "Failed")]
    return offers[CPU] - total_of(held)[CPU]

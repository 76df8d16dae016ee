"""Times on a real cluster: deploys, a cold request, the leader's death, and changes of endpoints.

    KUBECONFIG=... scripts/bench cluster_times ENVIRONMENT [--namespace N] [--rounds N] [--apis N]

ENVIRONMENT is a fresh installation of ``gyrus cluster install`` with two operators, on a cluster whose nodes
run on this machine: the leader is killed by SIGKILL. It gets APIs, which are deleted at the end. The first
deploy is measured once, all other times in each round.

A change of endpoints is the end of one of two replicas, and its replacement. Its time is that of the
operator's metric ``gyrus_gateway_acknowledgement_seconds``: from the change of the route until every gateway
has acknowledged it. It is measured twice: with these APIs alone, and beside idle ones (``--apis`` in all).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import machine
from prometheus_client.parser import text_string_to_metric_families
from table import render

from gyrus.contract.cluster import API_LABEL, MONITORING_PORT, OPERATOR
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import LEASES, PODS, Manifest, name_of
from support.cluster import connected
from support.operator_pods import kill
from support.project import Project, handler_api

IRIS = Path(__file__).resolve().parent.parent / "examples/iris"
COLD = """
class Handler:
    def predict(self, payload):
        return {"number": payload["number"]}
"""
IDLE = {"min_replicas": 0, "window": "1s", "downscale_stabilization_period": "1s", "panic_window": "1s"}
PAIR = {"min_replicas": 2, "max_replicas": 2}
SMALL = {"cpu": "50m", "mem": "256Mi"}
ACKNOWLEDGEMENT = "gyrus_gateway_acknowledgement_seconds"
NO_OPERATOR = "No operator answers"
POLL = 0.2
PATIENCE = 300.0


@dataclass
class Times:
    """Seconds by what was measured."""

    taken: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, seconds: float) -> None:
        self.taken.setdefault(name, []).append(seconds)
        print(f"{name}: {seconds:.3g} s", file=sys.stderr, flush=True)

    def rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (name, f"{statistics.median(taken):.3g}", f"{max(taken):.3g}", str(len(taken)))
            for name, taken in self.taken.items()
        ]


@dataclass
class Cluster:
    """One installation, as the command line and Kubernetes show it."""

    environment: str
    namespace: str
    client: ClusterClient

    async def gyrus(self, *arguments: str | Path) -> Any:
        """Run a command, and return its JSON. Repeats it until an operator answers: one may take over."""
        command = [sys.executable, "-m", "gyrus.cli.main", "-e", self.environment, *map(str, arguments)]
        until = time.monotonic() + PATIENCE
        while True:
            ran = await asyncio.to_thread(
                subprocess.run, [*command, "-o", "json"], capture_output=True, text=True, check=False
            )
            if not ran.returncode:
                return json.loads(ran.stdout)
            if NO_OPERATOR not in ran.stderr or time.monotonic() > until:
                sys.exit(f"{' '.join(map(str, arguments))} failed:\n{ran.stderr}")

    async def deploy(self, folder: Path) -> float:
        """Deploy, and return the seconds until the API is live."""
        began = time.monotonic()
        await self.gyrus("deploy", folder, "--yes")
        return time.monotonic() - began

    async def until_idle(self, api: str) -> str:
        """Wait until the API has no replica, and return its endpoint."""
        found = await until(lambda: self.gyrus("get", api), lambda found: found["status"] == "idle")
        return found["endpoint"]

    async def leader(self) -> str | None:
        lease = await self.client.find(LEASES, OPERATOR, self.namespace)
        return lease["spec"].get("holderIdentity") if lease else None

    async def pods(self, api: str) -> dict[str, Manifest]:
        """Return the pods of an API that are not being deleted, by name."""
        found = await self.client.list(PODS, self.namespace, labels=f"{API_LABEL}={api}")
        return {name_of(pod): pod for pod in found.items if "deletionTimestamp" not in pod["metadata"]}

    async def kill_leader(self, api: str) -> float:
        """Kill the leader, and return the seconds until another one replaces a replica that ended then."""
        leader, replicas = await self.leader(), await self.pods(api)
        began = time.monotonic()
        await kill(self.client, leader or "", self.namespace)
        await self.client.delete(PODS, next(iter(replicas)), self.namespace)
        await until(lambda: self.pods(api), lambda now: bool(now.keys() - replicas.keys()))
        return time.monotonic() - began

    async def acknowledgements(self) -> tuple[int, float]:
        """Return the number of changes that the leader's gateways have acknowledged, and their seconds."""
        pod = await self.client.get(PODS, await self.leader() or "", self.namespace)
        text = await asyncio.to_thread(read, f"http://{pod['status']['podIP']}:{MONITORING_PORT}/metrics")
        samples = {
            sample.name.removeprefix(ACKNOWLEDGEMENT): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith(ACKNOWLEDGEMENT)
        }
        return int(samples["_count"]), samples["_sum"]

    async def change_endpoints(self, api: str) -> float:
        """End a replica, and return the mean seconds until all gateways knew of its end and its successor."""
        before, (count, total) = await self.pods(api), await self.acknowledgements()
        await self.client.delete(PODS, next(iter(before)), self.namespace)
        await until(lambda: self.pods(api), lambda now: bool(now.keys() - before.keys()))
        await until(lambda: self.gyrus("get", api), lambda found: found["replicas"]["ready"] == len(before))
        more, longer = await until(self.acknowledgements, lambda now: now[0] >= count + 2)
        return (longer - total) / (more - count)


async def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Look again and again, and return what holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds(found := await look()):
                return found
            await asyncio.sleep(POLL)


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def ask(endpoint: str) -> float:
    """Send one request, and return the seconds until its answer."""
    body = json.dumps({"number": 7}).encode()
    request = urllib.request.Request(endpoint, body, {"content-type": "application/json"})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()
    return time.monotonic() - began


async def measure(cluster: Cluster, folder: Path, rounds: int, apis: int) -> Times:
    times = Times()
    iris = folder / "iris"
    shutil.copytree(IRIS, iris)
    times.add("iris, first deploy until live", await cluster.deploy(iris))
    small = Project(folder / "small").write(
        handler_api("cold", compute=SMALL, autoscaling=IDLE),
        handler_api("pair", compute=SMALL, autoscaling=PAIR),
        handler=COLD,
    )
    await cluster.deploy(small)
    handler = iris / "handler.py"
    for number in range(rounds):
        handler.write_text(f"{handler.read_text()}\n# {number}\n")
        times.add("iris, changed code until live", await cluster.deploy(iris))
        endpoint = await cluster.until_idle("cold")
        times.add("request to an idle API", await asyncio.to_thread(ask, endpoint))
        times.add("change of endpoints, 3 APIs", await cluster.change_endpoints("pair"))
    names = [f"idle-{number}" for number in range(apis - 3)]
    idle = {"min_replicas": 0, "init_replicas": 0}
    many = Project(folder / "many").write(
        *(handler_api(name, compute=SMALL, autoscaling=idle) for name in names), handler=COLD
    )
    await cluster.deploy(many)
    for _ in range(rounds):
        times.add(f"change of endpoints, {apis} APIs", await cluster.change_endpoints("pair"))
    for _ in range(rounds):
        times.add("death of the leader until the next decision", await cluster.kill_leader("pair"))
        await until(lambda: health(cluster), bool)
    await cluster.gyrus("delete", "iris", "cold", "pair", *names, "--yes")
    return times


async def health(cluster: Cluster) -> bool:
    command = [sys.executable, "-m", "gyrus.cli.main", "cluster", "health", "--namespace", cluster.namespace]
    ran = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    return ran.returncode == 0


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment")
    parser.add_argument("--namespace", default="gyrus")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apis", type=int, default=100)
    given = parser.parse_args()
    if given.apis < 4:
        parser.error("--apis must be at least 4: three APIs are measured alone")
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name:
        async with connected() as client:
            cluster = Cluster(given.environment, given.namespace, client)
            times = await measure(cluster, Path(name), given.rounds, given.apis)
    print(machine.description())
    print(render(("seconds", "median", "most", "rounds"), times.rows()))


if __name__ == "__main__":
    asyncio.run(main())

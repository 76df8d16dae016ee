"""Times on a real cluster: deploys, a cold request, and the change of the leading operator.

    KUBECONFIG=... scripts/bench cluster_times ENVIRONMENT [--rounds N]

ENVIRONMENT is a fresh installation of ``gyrus cluster install``. It gets two APIs, which are deleted at the
end. The first deploy is measured once, all other times in each round.
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
from table import render

from gyrus.contract.cluster import OPERATOR, OPERATOR_ROLE, ROLE_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.resources import LEASES, PODS, name_of
from support.cluster import connected
from support.project import Project, handler_api

IRIS = Path(__file__).resolve().parent.parent / "examples/iris"
COLD = """
class Handler:
    def predict(self, payload):
        return {"number": payload["number"]}
"""
IDLE = {"min_replicas": 0, "window": "1s", "downscale_stabilization_period": "1s", "panic_window": "1s"}
POLL = 0.2
PATIENCE = 300.0


@dataclass
class Times:
    """Seconds by what was measured."""

    taken: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, seconds: float) -> None:
        self.taken.setdefault(name, []).append(seconds)

    def rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (name, f"{statistics.median(taken):.1f}", f"{max(taken):.1f}", str(len(taken)))
            for name, taken in self.taken.items()
        ]


@dataclass
class Cluster:
    """One installation, as the command line and Kubernetes show it."""

    environment: str
    namespace: str
    client: ClusterClient

    async def gyrus(self, *arguments: str | Path) -> Any:
        command = [sys.executable, "-m", "gyrus.cli.main", "-e", self.environment, *map(str, arguments)]
        ran = await asyncio.to_thread(
            subprocess.run, [*command, "-o", "json"], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            sys.exit(f"{' '.join(map(str, arguments))} failed:\n{ran.stderr}")
        return json.loads(ran.stdout)

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

    async def end_leader(self) -> float:
        """Delete the leader's pod without grace, and return the seconds until another operator leads."""
        before = await self.leader()
        pods = await self.client.list(PODS, self.namespace, labels=f"{ROLE_LABEL}={OPERATOR_ROLE}")
        leading = [pod for pod in pods.items if name_of(pod) in (before or "")] or pods.items
        began = time.monotonic()
        await self.client.delete(PODS, name_of(leading[0]), self.namespace, grace=0)
        await until(self.leader, lambda now: now not in (None, "", before))
        return time.monotonic() - began


async def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Look again and again, and return what holds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if holds(found := await look()):
                return found
            await asyncio.sleep(POLL)


def ask(endpoint: str) -> float:
    """Send one request, and return the seconds until its answer."""
    body = json.dumps({"number": 7}).encode()
    request = urllib.request.Request(endpoint, body, {"content-type": "application/json"})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()
    return time.monotonic() - began


async def measure(cluster: Cluster, folder: Path, rounds: int) -> Times:
    times = Times()
    iris = folder / "iris"
    shutil.copytree(IRIS, iris)
    times.add("iris, first deploy until live", await cluster.deploy(iris))
    cold = Project(folder / "cold").write(handler_api("cold", autoscaling=IDLE), handler=COLD)
    await cluster.deploy(cold)
    handler = iris / "handler.py"
    for number in range(rounds):
        handler.write_text(f"{handler.read_text()}\n# {number}\n")
        times.add("iris, changed code until live", await cluster.deploy(iris))
        endpoint = await cluster.until_idle("cold")
        times.add("request to an idle API", await asyncio.to_thread(ask, endpoint))
        times.add("end of the leader until the next one leads", await cluster.end_leader())
        await until(lambda: health(cluster), bool)
    for api in ("iris", "cold"):
        await cluster.gyrus("delete", api, "--yes")
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
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name:
        async with connected() as client:
            cluster = Cluster(given.environment, given.namespace, client)
            times = await measure(cluster, Path(name), given.rounds)
    print(machine.description())
    print(render(("seconds", "median", "most", "rounds"), times.rows()))


if __name__ == "__main__":
    asyncio.run(main())

"""A burst on one replica, with more replicas a second later: distance from the optimum, and fairness.

100 concurrent requests of 200 ms arrive at one replica with ``max_concurrency: 1``. Four more replicas arrive
after one second. Envoy and the replicas are real. The burst runs once with the gate's rebalancer and once
with plain least-request balancing. The exit code is 0 only if the makespan is within 1.15 × of the
work-conserving optimum and no request is overtaken by a later one by more than one service time.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx
import machine

from gyrus.aio.clock import SystemClock
from gyrus.contract.home import Home
from gyrus.contract.replica import HandlerConfig, Limits, Phase
from gyrus.gate.rebalancer import Rebalancer
from gyrus.routing.settings import GatewayFiles
from gyrus.state.board import QueuePolicy
from support.replicas import Replicas
from support.upstreams import Stage

REQUESTS = 100
SERVICE = 0.2
LATER = 1.0
"""Seconds after which the other replicas arrive."""
REPLICAS = 5
QUEUE = 100
MOST_MAKESPAN = 1.15
"""Times the optimum."""
MOST_OVERTAKING = 1.0
"""Service times."""

HANDLER = f"""
import asyncio, time

class Handler:
    async def predict(self, payload, request_id):
        began = time.time()
        await asyncio.sleep({SERVICE})
        return [request_id, began]
"""


@dataclass(frozen=True, slots=True)
class Served:
    arrived: float
    """Arrival at the gateway, in seconds since the epoch."""
    began: float


@dataclass(frozen=True, slots=True)
class Burst:
    """The result of one burst."""

    makespan: float
    """Seconds from the first request to the last answer."""
    served: tuple[Served, ...]

    def late(self, service: float) -> float:
        """Return the most service times by which a request began after its turn.

        In order of arrival, the n-th request would have begun when the n-th of all did.
        """
        turns = sorted(each.began for each in self.served)
        late = max(one.began - turn for one, turn in zip(self._by_arrival(), turns, strict=True))
        return late / service

    def overtaking(self, service: float) -> float:
        """Return the most service times by which a request began after one that had arrived later."""
        earliest, longest = math.inf, 0.0
        for each in reversed(self._by_arrival()):
            longest = max(longest, each.began - earliest)
            earliest = min(earliest, each.began)
        return longest / service

    def _by_arrival(self) -> list[Served]:
        return sorted(self.served, key=lambda each: each.arrived)


def optimum() -> float:
    """Return the makespan in seconds if no slot is ever free while a request waits."""
    left = REQUESTS - LATER / SERVICE
    return LATER + math.ceil(left / REPLICAS) * SERVICE


async def burst(folder: Path, endpoints: Sequence[str], *, rebalancing: bool) -> Burst:
    stage = Stage(folder)
    rebalancer = Rebalancer(stage.board, stage.home.backlog_socket, SystemClock())
    async with stage.running(), asyncio.TaskGroup() as group:
        url = await _route(stage, endpoints[:1])
        task = group.create_task(rebalancer.run(), name="rebalancer") if rebalancing else None
        makespan, began = await _load(url, asyncio.create_task(_arrive(stage, endpoints), name="arrivals"))
        if task:
            task.cancel()
    arrived = _arrivals(GatewayFiles(stage.home).access_log)
    return Burst(makespan, tuple(Served(arrived[each], began[each]) for each in began))


async def _arrive(stage: Stage, endpoints: Sequence[str]) -> None:
    await asyncio.sleep(LATER)
    await _route(stage, endpoints)


async def _load(url: str, arrivals: asyncio.Task[None]) -> tuple[float, dict[str, float]]:
    """Return the makespan, and the time at which each request began, by its id."""
    clock = asyncio.get_running_loop().time
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        began = clock()
        answers = await asyncio.gather(*(client.post(url, json={}) for _ in range(REQUESTS)))
        makespan = clock() - began
    await arrivals
    failed = [each.text for each in answers if each.status_code != 200]
    if failed:
        sys.exit(f"{len(failed)} requests failed: {failed[0]}")
    return makespan, dict(each.json() for each in answers)


def _arrivals(access_log: Path) -> dict[str, float]:
    """Return the time of each request's arrival at the gateway, by its id."""
    lines = (json.loads(line) for line in access_log.read_text().splitlines())
    return {line["request_id"]: datetime.fromisoformat(line["time"]).timestamp() for line in lines}


async def _route(stage: Stage, endpoints: Sequence[str]) -> str:
    queueing = QueuePolicy(
        slots=1, longest_queue=QUEUE, processes=1, replicas=len(endpoints), hold=60.0, generation=1
    )
    return await stage.route("a", *endpoints, timeout=60.0, queueing=queueing)


def measured(*, rebalancing: bool) -> Burst:
    with (
        tempfile.TemporaryDirectory(prefix="gyrus-burst-", dir="/tmp") as folder,
        closing(Replicas(Path(folder) / "replicas")) as replicas,
    ):
        home = Home(Path(folder) / "home")
        running = [
            replicas.launch(
                script=HANDLER,
                handler=HandlerConfig(path="server.py"),
                limits=Limits(max_concurrency=1, max_queue_length=QUEUE, timeout=60.0),
                backlog_socket=str(home.backlog_socket),
            )
            for _ in range(REPLICAS)
        ]
        endpoints = [each.until_phase(Phase.READY).endpoints[0] for each in running]
        return asyncio.run(burst(home.root, endpoints, rebalancing=rebalancing))


def _row(name: str, result: Burst, service: float) -> str:
    return (
        f"{name:<22}{result.makespan:>10.2f} s{result.makespan / optimum():>12.2f} ×"
        f"{result.overtaking(service):>15.2f}{result.late(service):>22.2f}"
    )


def main() -> int:
    print(machine.description())
    header = f"{'overtaken by':>15}{'behind turn by':>22}"
    print(f"{'':<22}{'makespan':>12}{'optimum ×':>14}{header}  (service times, at most)")
    print(f"{'optimum':<22}{optimum():>10.2f} s")
    gate, plain = measured(rebalancing=True), measured(rebalancing=False)
    service = plain.makespan / REQUESTS  # a request's real time in a slot: just over 200 ms
    print(_row("with requeue", gate, service))
    print(_row("least-request alone", plain, service))
    good = gate.makespan <= MOST_MAKESPAN * optimum() and gate.overtaking(service) <= MOST_OVERTAKING
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

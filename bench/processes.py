"""The processes of one replica: answers per second of N to those of one, and the distance from one queue.

    scripts/bench processes [--processes 2] [--only rate|order] [--work cpu sleep] [--load 0.9]

A replica has a synchronous handler and one slot in each process. Envoy, the replicas and the rebalancer are
real. ``--work cpu``: a request burns its time in Python, as CPU time of its thread. ``--work sleep``: a
request only holds its slot, so that other work on the machine does not matter.

Rate: 8 clients for each process send requests of 10 ms, one after the other, to a replica with one process
and to one with N, alternately. "of bare loops" is the ratio to as many loops that do the same work without a
server, measured next to each. The aim: N processes answer at least 0.9 × N times as much as one, as far as
the loops do.

Order: requests arrive at random, at a share ``--load`` of the rate of such clients. One queue is computed for
the same arrivals and service times: each request starts in order of arrival as soon as any slot is free. The
service times are measured, since other work on the machine makes them longer. The aims: the mean wait is at
most half a service time longer than in one queue, and 99 % of the requests are not overtaken by a later one
by more than the longest service time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heapreplace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import machine
from table import render

from gyrus.aio.clock import SystemClock
from gyrus.aio.http.client import HttpClient
from gyrus.aio.http.message import HttpRequest
from gyrus.contract.home import Home
from gyrus.contract.replica import HandlerConfig, Limits, Phase
from gyrus.gate.rebalancer import Rebalancer
from gyrus.routing.settings import GatewayFiles
from gyrus.state.board import QueuePolicy
from support.replicas import Replicas
from support.upstreams import Stage

Answer = tuple[str, float, float]
"""The request's id, and when its work began and ended, in seconds since the epoch."""

QUEUE = 1000
PATIENCE = 120.0
"""Seconds for one request."""
CLIENTS = 8
"""Clients for each process, when the rate is measured."""
UNIFORM = (0.01,)
MIXES = {"10 ms": UNIFORM, "5 or 50 ms": (0.005, 0.05)}
"""Service times in seconds, each as likely as the others, by the name of the mix."""
LEAST_SHARE = 0.9
MOST_LATER = 0.5
"""Mean service times."""

WORK = """
import time

def cpu(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))

sleep = time.sleep
"""
HANDLER = """
class Handler:
    def __init__(self, config):
        self.work = globals()[config["work"]]

    def predict(self, payload, request_id):
        began = time.time()
        self.work(payload)
        return [request_id, began, time.time()]
"""
LOOP = """
import sys
seconds, work = float(sys.argv[1]), globals()[sys.argv[2]]
work(0.2)
began, number = time.monotonic(), 0
while time.monotonic() < began + seconds:
    work(0.01)
    number += 1
print(number / (time.monotonic() - began))
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One request. Times in seconds since the epoch; ``arrived`` is that at the gateway."""

    arrived: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Order:
    """The order in which the slots of a replica served requests, sorted by arrival."""

    served: tuple[Served, ...]
    slots: int

    @property
    def wait(self) -> float:
        """Mean seconds from the arrival to the start."""
        return statistics.mean(each.began - each.arrived for each in self.served)

    @property
    def service(self) -> float:
        """Mean seconds from the start to the end: longer than asked for if the machine is busy."""
        return statistics.mean(each.ended - each.began for each in self.served)

    @property
    def ideal_wait(self) -> float:
        """Mean seconds in one queue of all slots, for the same arrivals and service times."""
        free, waits = [0.0] * self.slots, list[float]()
        heapify(free)
        for each in self.served:
            began = max(each.arrived, free[0])
            heapreplace(free, began + each.ended - each.began)
            waits.append(began - each.arrived)
        return statistics.mean(waits)

    def overtaken(self, share: float) -> float:
        """Return the seconds by which a request began after a later arrival: of this share, at most."""
        earliest, late = math.inf, list[float]()
        for each in reversed(self.served):
            late.append(max(0.0, each.began - earliest))
            earliest = min(earliest, each.began)
        return sorted(late)[math.ceil(share * len(late)) - 1]

    @property
    def idle(self) -> float:
        """Share of the slots' time in which a slot was free although a request waited for it."""
        changes = sorted(
            change
            for each in self.served
            for change in ((each.arrived, 1, 0), (each.began, -1, 1), (each.ended, 0, -1))
        )
        waiting = busy = 0
        idle, before = 0.0, changes[0][0]
        for at, arrived, began in changes:
            idle += min(waiting, self.slots - busy) * (at - before)
            waiting, busy, before = waiting + arrived, busy + began, at
        return idle / (self.slots * (before - changes[0][0]))


# One replica behind the gateway


class Target:
    """The URL of a replica, and the requests to it."""

    def __init__(self, url: str) -> None:
        self._address, _, path = url.removeprefix("http://").partition("/")
        self._path = f"/{path}"
        self._client = HttpClient(connections=QUEUE)

    async def request(self, seconds: float) -> Answer:
        """Return the request's id, and when its work began and ended."""
        headers = {"content-type": "application/json"}
        request = HttpRequest("POST", self._path, headers, json.dumps(seconds).encode())
        response = await self._client.send(self._address, request, timeout=PATIENCE)
        if response.status != 200:
            sys.exit(f"a request failed: {response.status} {response.body.decode(errors='replace')}")
        return json.loads(response.body)


@asynccontextmanager
async def target(folder: Path, processes: int, work: str) -> AsyncGenerator[Target]:
    folder.mkdir()
    with closing(Replicas(folder / "replicas")) as replicas:
        home = Home(folder / "home")
        replica = replicas.launch(
            script=WORK + HANDLER,
            handler=HandlerConfig(path="server.py", config={"work": work}),
            processes=processes,
            limits=Limits(max_concurrency=1, max_queue_length=QUEUE, timeout=PATIENCE),
            backlog_socket=str(home.backlog_socket),
        )
        ready = replica.until(lambda s: s.phase is Phase.READY and len(s.endpoints) == processes)
        stage = Stage(home.root)
        rebalancer = Rebalancer(stage.board, home.backlog_socket, SystemClock())
        policy = QueuePolicy(
            slots=processes, longest_queue=QUEUE, processes=processes, replicas=1, hold=60.0, generation=1
        )
        async with stage.running(), asyncio.TaskGroup() as group:
            url = await stage.route("a", *ready.endpoints, timeout=PATIENCE, queueing=policy)
            task = group.create_task(rebalancer.run(), name="rebalancer")
            yield Target(url)
            task.cancel()


# Rate


async def rate(target: Target, mix: Sequence[float], clients: int, seconds: float) -> float:
    """Return the answers per second of clients that send one request after the other."""
    clock, chance = asyncio.get_running_loop().time, random.Random(1)
    began, answers = clock(), 0

    async def client() -> None:
        nonlocal answers
        while clock() < began + seconds:
            await target.request(chance.choice(mix))
            answers += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers / (clock() - began)


async def loops(number: int, work: str, seconds: float) -> float:
    """Return how often per second this number of processes does the work, without a server."""
    command = (sys.executable, "-c", WORK + LOOP, str(seconds), work)
    started = [await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE) for _ in range(number)]
    return sum([float((await each.communicate())[0]) for each in started])


async def compare_rates(folder: Path, given: argparse.Namespace, work: str) -> bool:
    folder.mkdir()
    counts = (1, given.processes)
    found: dict[str, list[float]] = {f"{kind} {count}": [] for kind in ("of", "bare") for count in counts}
    async with target(folder / "one", 1, work) as one, target(folder / "n", counts[1], work) as n:
        for _ in range(given.rounds):
            for count, replica in zip(counts, (one, n), strict=True):
                found[f"bare {count}"].append(await loops(count, work, given.seconds / 2))
                found[f"of {count}"].append(await rate(replica, UNIFORM, CLIENTS * count, given.seconds))
    medians = {name: statistics.median(values) for name, values in found.items()}
    rows = [
        (
            f"{count}",
            f"{medians[f'of {count}']:.1f}",
            f"{medians[f'bare {count}']:.1f}",
            f"{medians[f'of {count}'] / medians[f'bare {count}']:.3f}",
        )
        for count in counts
    ]
    print(render(("processes", "answers/s", "bare loops/s", "of bare loops"), rows))
    loaded, bare = (medians[f"{kind} {counts[1]}"] / medians[f"{kind} 1"] for kind in ("of", "bare"))
    aim = LEAST_SHARE * bare
    print(
        f"{counts[1]} processes: {loaded:.2f} × one process; bare loops: {bare:.2f} ×; aim: ≥ {aim:.2f} ×\n"
    )
    return loaded >= aim


# Order


async def serve_at_random(target: Target, mix: Sequence[float], every: float, seconds: float) -> list[Answer]:
    """Send requests at random for some seconds, a mean of ``every`` seconds apart; return the answers."""
    chance, clock = random.Random(1), asyncio.get_running_loop().time
    at = clock()
    end = at + seconds
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[Answer]] = []
        while at < end:
            await asyncio.sleep(at - clock())
            work = target.request(chance.choice(mix))
            tasks.append(group.create_task(work, name=f"request {len(tasks)}"))
            at += chance.expovariate(1 / every)
    return [task.result() for task in tasks]


async def compare_orders(folder: Path, given: argparse.Namespace, work: str) -> bool:
    folder.mkdir()
    good, rows = True, list[Sequence[str]]()
    for place, (name, mix) in enumerate(MIXES.items()):
        home = folder / str(place)
        async with target(home, given.processes, work) as replica:
            fastest = await rate(replica, mix, CLIENTS * given.processes, given.seconds)
            every = 1 / fastest / given.load
            answers = await serve_at_random(replica, mix, every, given.seconds * given.rounds)
            await asyncio.sleep(1.2)  # Envoy writes its access log once a second
        order = ordered(answers, GatewayFiles(Home(home / "home")).access_log, given.processes)
        later, longest = order.wait - order.ideal_wait, order.service * max(mix) / statistics.mean(mix)
        good = good and later <= MOST_LATER * order.service and order.overtaken(0.99) <= longest
        figures = (order.service, order.wait, order.ideal_wait, order.overtaken(0.99), order.overtaken(1))
        rows.append((f"{work}, {name}", *(f"{each * 1000:.1f}" for each in figures), f"{order.idle:.1%}"))
    heading = ("work", "service ms", "wait ms", "one queue's", "overtaken, 99 %", "at most", "idle")
    print(render(heading, rows))
    return good


def ordered(answers: Sequence[Answer], access_log: Path, slots: int) -> Order:
    lines = (json.loads(line) for line in access_log.read_text().splitlines())
    arrivals = {line["request_id"]: datetime.fromisoformat(line["time"]).timestamp() for line in lines}
    served = (Served(arrivals[name], began, ended) for name, began, ended in answers)
    return Order(tuple(sorted(served, key=lambda each: each.arrived)), slots)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", choices=("rate", "order"))
    parser.add_argument("--work", choices=("cpu", "sleep"), nargs="*", default=["cpu", "sleep"])
    parser.add_argument("--load", type=float, default=0.9, help="share of the slots' capacity")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4, help="length of each measurement")
    given = parser.parse_args()
    print(machine.description())
    return 0 if asyncio.run(compare(given)) else 1


async def compare(given: argparse.Namespace) -> bool:
    good = True
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-", dir="/tmp") as name:
        for work in given.work:
            if given.only != "order":
                good &= await compare_rates(Path(name) / f"rate-{work}", given, work)
            if given.only != "rate":
                good &= await compare_orders(Path(name) / f"order-{work}", given, work)
    return good


if __name__ == "__main__":
    sys.exit(main())

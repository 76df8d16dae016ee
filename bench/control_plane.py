"""The cost of deciding: the operator's own parts over many APIs, and what holds the event loop.

Everything is real (SQLite, board, control, autoscaler, gateway with its Envoy, the operator's HTTP API)
but the replicas, which are the memory backend's: nothing listens at their endpoints, and no request is
sent. CPU times are those of the loop's thread, so that what else runs on the machine does not count. Beside
them stands the time that passed: it includes waiting for a core, and for threads that hold the interpreter.
Ends by itself after ``--limit`` seconds, with what was measured by then.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import cast

import machine
import psutil
from bare import free_port
from loop_meter import BENCH, LoopMeter, Window
from table import render

from gyrus.aio import unix_sockets
from gyrus.aio.clock import SystemClock
from gyrus.autoscaling.default import DefaultPolicy
from gyrus.backends.memory import MemoryBackend, MemoryMachine, Step
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.home import Home
from gyrus.contract.operator import OperatorInfo, Outcome
from gyrus.contract.replica import Phase
from gyrus.control.autoscaler import Autoscaler
from gyrus.control.controller import Controller
from gyrus.control.reconciler import Reconciler
from gyrus.objects.models import resolve_models
from gyrus.objects.opening import open_objects
from gyrus.operator.garbage import collect_garbage, collect_thoroughly, short_collections
from gyrus.packaging.store import PackageStore
from gyrus.routing.local_gateway import LocalGateway
from gyrus.routing.settings import GatewaySettings
from gyrus.server.app import ServerContext, build_app
from gyrus.server.listening import listen_in_home
from gyrus.server.serving import serve
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import open_store
from gyrus.state.store import Store

CLOCK = SystemClock()
WATCHERS = Path(__file__).with_name("list_watchers.py")
MIB = 1024 * 1024
HOLD = 0.010
"""Seconds of CPU for which one callback may hold the event loop."""
STEADY = 32.0
"""Seconds; a resync of every API is within it."""
WATCHED = 15.0
"""Seconds."""
PACE = 0.1
"""Seconds between two changes that watchers see."""
GETS = 5
"""Calls of each kind."""
SHOWN = 6
"""Parts of the operator that are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    apis: int
    replicas: int
    """The number for each API."""
    changes: int
    watchers: int

    @property
    def names(self) -> list[str]:
        return [f"api-{number:04}" for number in range(self.apis)]


@dataclass(slots=True)
class Report:
    """All that was measured by now, in the order of its rows."""

    windows: dict[str, Window] = field(default_factory=dict[str, Window])
    figures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, name: str, figure: str) -> None:
        self.figures.append((name, figure))

    @contextmanager
    def window(self, name: str, meter: LoopMeter) -> Generator[Window]:
        with meter.measuring() as window:
            self.windows[name] = window
            yield window

    def __str__(self) -> str:
        tables = (
            render(("", "figure"), self.figures),
            render(
                ("CPU", "loop per s", "process per s", "longest gc", "longest hold", "by"),
                [*self._windows()],
            ),
            *self._parts(),
            render(("longest hold", "CPU", "passed", "verdict"), [*self._verdicts()]),
        )
        return "\n\n".join(table for table in tables if table)

    def _windows(self) -> Iterator[tuple[str, ...]]:
        for name, window in self.windows.items():
            part, longest = window.longest
            per_second = (window.cpu / window.seconds, window.process / window.seconds)
            yield (
                name,
                *(milliseconds(each) for each in per_second),
                milliseconds(window.longest_collection),
                milliseconds(longest),
                part,
            )

    def _verdicts(self) -> Iterator[tuple[str, ...]]:
        for name, window in self.windows.items():
            (_, cpu), (_, passed) = window.longest, window.longest_wall
            verdict = "within" if cpu <= HOLD else "BEYOND"
            yield name, milliseconds(cpu), milliseconds(passed), f"{verdict} {milliseconds(HOLD)}"

    def _parts(self) -> Iterator[str]:
        for name, window in self.windows.items():
            costliest = sorted(window.parts.items(), key=lambda each: -each[1].cpu)[:SHOWN]
            yield render(
                (f"{name}: the costliest", "CPU per s", "longest hold", "passed", "callbacks per s"),
                [
                    (
                        part,
                        milliseconds(cost.cpu / window.seconds),
                        milliseconds(cost.longest),
                        milliseconds(cost.longest_wall),
                        f"{cost.callbacks / window.seconds:,.0f}",
                    )
                    for part, cost in costliest
                ],
            )


@dataclass(slots=True)
class Plane:
    """An operator over replicas in memory."""

    size: Size
    home: Home
    store: Store
    board: Board
    backend: MemoryBackend

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for acknowledgements until the condition holds."""
        with self.board.acknowledged_signals.listen() as listener:
            while not holds():
                await listener.wait()

    async def change(self, number: int) -> float:
        """Take a replica out of the route and put it back.

        Returns the seconds of one of the two until Envoy had acknowledged it.
        """
        api = self.size.names[number * 37 % self.size.apis]
        replica = self.board.replicas[api][number % self.size.replicas].id
        (endpoint,) = self.board.replicas[api][number % self.size.replicas].status.endpoints
        began = time.monotonic()
        for phase, there in ((Phase.UNREADY, False), (Phase.READY, True)):
            self.backend.set(replica, Step(phase=phase))
            await self.until(lambda there=there: (endpoint in self.board.acknowledged_of(api)) is there)
        return (time.monotonic() - began) / 2

    def get(self, call: str) -> bytes:
        """Ask the operator's API. Blocks."""
        connection = HTTPConnection("operator")
        connection.sock = unix_sockets.connect(self.home.control_socket)
        with closing(connection):
            connection.request("GET", f"/v1/{call}")
            return connection.getresponse().read()

    async def update(self, name: str) -> None:
        """Roll one API to another revision."""
        await self.store.deploy([spec(name, self.size, env={"A": "b"})], None, CLOCK.now())
        self.board.intent_signals.notify(name)
        with self.board.replica_signals.listen() as listener:
            while not (api := await self.store.api(name)) or api.outcome is not Outcome.DONE:
                await listener.wait()


def spec(name: str, size: Size, **changes: object) -> RealtimeSpec:
    scaling = {"min_replicas": size.replicas, "max_replicas": 2 * size.replicas}
    fields = {"name": name, "process": {"command": ["serve"]}, "autoscaling": scaling, **changes}
    return RealtimeSpec.model_validate(fields)


async def fill(store: Store, size: Size) -> MemoryMachine:
    """All APIs live, and all replicas ready: what an operator finds that is started again."""
    specs = [spec(name, size) for name in size.names]
    for change in await store.deploy(specs, None, CLOCK.now()):
        await store.finish(change.api, Outcome.DONE, "", CLOCK.now())
    found = MemoryMachine()
    backend = MemoryBackend(machine=found)
    for each in specs:
        workload = each.workload(None)
        for number in range(size.replicas):
            replica = f"{each.name}-1-{number:05}"
            await backend.start(
                ReplicaOrder(id=replica, api=each.name, generation=1, revision=1, workload=workload)
            )
    while backend.advance():
        pass
    return found


@asynccontextmanager
async def plane(
    folder: Path, store: Store, machine_before: MemoryMachine, size: Size, meter: LoopMeter, report: Report
) -> AsyncGenerator[Plane]:
    """Run the operator's parts, from when Envoy has acknowledged every API."""
    home, board = Home(folder / "home"), Board()
    backend = MemoryBackend(machine=machine_before)
    settings = GatewaySettings(port=free_port())
    gateway = LocalGateway(board, home, settings)
    events = EventRecorder(store, board, CLOCK)
    controller = Controller(Reconciler(store, board, backend, CLOCK, events))
    autoscaler = Autoscaler(store, board, CLOCK, events, DefaultPolicy, backend)
    app = build_app(context(store, board, events, backend, home, settings.port))
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = listen_in_home(home.control_socket)
    await gateway.adopt()
    await backend.adopt()
    with report.window("restoring", meter) as restoring:
        # In a task of its own, because the benchmark's task is not charged.
        await asyncio.create_task(controller.restore(), name="control: restore")
    report.add("restore after a restart", f"{restoring.seconds:,.1f} s")
    bodies = {
        "backend": backend.run(),
        "gateway": gateway.run(),
        "events": events.run(),
        "controller": controller.run(),
        "autoscaler": autoscaler.run(),
        "garbage": collect_garbage(CLOCK, board.no_request_is_held),
        "serve": serve(app, [listener], started=asyncio.Event(), grace=1),
    }
    try:
        async with asyncio.TaskGroup() as group:
            made = Plane(size, home, store, board, backend)
            with report.window("starting", meter) as starting:
                tasks = [group.create_task(body, name=name) for name, body in bodies.items()]
                await made.until(lambda: len(board.acknowledged) == size.apis)
            report.add("Envoy has acknowledged all", f"{starting.seconds:,.1f} s")
            yield made
            for task in tasks:
                task.cancel()
    finally:
        await gateway.stop()


def context(
    store: Store, board: Board, events: EventRecorder, backend: MemoryBackend, home: Home, port: int
) -> ServerContext:
    info = OperatorInfo(
        version="bench",
        gateway=f"http://127.0.0.1:{port}",
        gateway_state="running",
        backend=backend.name,
        pid=os.getpid(),
        home=str(home.root),
    )

    async def stop() -> None:
        raise NotImplementedError

    return ServerContext(
        store=store,
        board=board,
        events=events,
        packages=PackageStore(home.packages, home.projects),
        logs=backend,
        clock=CLOCK,
        token=None,
        info=lambda: info,
        stop=stop,
        models=partial(resolve_models, open_store=open_objects),
    )


# What is measured


async def measure(at: Plane, meter: LoopMeter, report: Report) -> None:
    await asyncio.sleep(5)  # the first looks at everything are over
    report.add("memory of the operator", f"{psutil.Process().memory_info().rss / MIB:,.0f} MiB")
    report.add("memory of Envoy", f"{envoy_memory(at.home.root) / MIB:,.0f} MiB")
    with report.window("deciding", meter) as steady:
        await asyncio.sleep(STEADY)
    with report.window("changes", meter) as changing:
        took = [await at.change(number) for number in range(at.size.changes)]
    each = (changing.process - steady.process / steady.seconds * changing.seconds) / (2 * len(took))
    report.add("one endpoint's change until acknowledged, median", f"{milliseconds(statistics.median(took))}")
    report.add("one endpoint's change until acknowledged, longest", f"{milliseconds(max(took))}")
    report.add("one endpoint's change, CPU", f"{milliseconds(each)}")
    with report.window("an update", meter):
        began = time.monotonic()
        await at.update(at.size.names[0])
        report.add(f"an update of {at.size.replicas} replicas", f"{time.monotonic() - began:,.1f} s")
    await watched(at, meter, report)
    for call in ("apis", "metrics"):
        with report.window(f"GET /{call}", meter) as window:
            length = [len(await asyncio.to_thread(at.get, call)) for _ in range(GETS)][-1]
        took = f"{milliseconds(window.seconds / GETS)}, {length / 1024:,.0f} KiB"
        report.add(f"GET /{call}", took)
    collect(report)


def collect(report: Report) -> None:
    """Report the garbage that waits for the next thorough collection, and what that costs."""
    began = time.thread_time()
    found = sum(each["collected"] for each in gc.get_stats())
    collect_thoroughly()
    found = sum(each["collected"] for each in gc.get_stats()) - found
    report.add("thorough garbage collection, when memory has grown", milliseconds(time.thread_time() - began))
    report.add("objects that it found", f"{found:,}")


async def watched(at: Plane, meter: LoopMeter, report: Report) -> None:
    async with watchers(at) as received:
        await asyncio.sleep(2)
        with report.window(f"{at.size.watchers} watchers", meter):
            end = time.monotonic() + WATCHED
            number = at.size.changes
            while time.monotonic() < end:
                await at.change(number)
                await asyncio.sleep(PACE)
                number += 1
    seconds = WATCHED + 2
    report.add("sent to each watcher", f"{received['bytes'] / at.size.watchers / seconds / 1024:,.0f} KiB/s")


@asynccontextmanager
async def watchers(at: Plane) -> AsyncGenerator[dict[str, int]]:
    """Run a process of watchers; what they received is there after the block."""
    received: dict[str, int] = {}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(WATCHERS), str(at.home.control_socket), str(at.size.watchers)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield received
        output, _ = await process.communicate(b"")  # ends its input, too
        received.update(json.loads(output))
    finally:
        if process.returncode is None:
            process.kill()


def envoy_memory(home: Path) -> int:
    """In bytes, of the Envoy whose files are in this home."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if "--concurrency" in words and any(str(home) in word for word in words):
                return process.memory_info().rss
        except psutil.Error:
            continue
    return 0


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


async def run(folder: Path, size: Size, report: Report, limit: float) -> bool:
    """Return whether all was measured before the limit."""
    meter = LoopMeter()
    cast("asyncio.Task[bool]", asyncio.current_task()).set_name(BENCH)
    try:
        async with asyncio.timeout(limit), open_store(sqlite_url(folder / "state.db")) as store:
            with meter.installed():
                machine_before = await fill(store, size)
                with short_collections():
                    async with plane(folder, store, machine_before, size, meter, report) as at:
                        await measure(at, meter, report)
    except TimeoutError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apis", type=int, default=1000)
    parser.add_argument("--replicas", type=int, default=100, help="of each API")
    parser.add_argument("--changes", type=int, default=20, help="endpoints that go and come back")
    parser.add_argument("--watchers", type=int, default=20, help="of the list of all APIs")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds")
    given = parser.parse_args()
    size = Size(apis=given.apis, replicas=given.replicas, changes=given.changes, watchers=given.watchers)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as folder:
        complete = asyncio.run(run(Path(folder), size, report, given.limit))
    print(machine.description())
    print(f"{size.apis:,} APIs of {size.replicas:,} replicas\n")
    print(report)
    if not complete:
        print(f"\nWhat is missing took longer than {given.limit:g} s; see --limit.")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())

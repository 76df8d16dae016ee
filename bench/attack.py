"""Attack a gateway for two minutes, while a client with 100 requests per second must not notice.

::

    bench/attack.py                       a platform of its own, in a temporary home
    bench/attack.py --url http://127.0.0.1:8080/iris --body '{}'   a running one (its API must be idempotent)

The attacks run one after another, then all at once: idle connections, requests with unfinished bodies of
12 MiB, half-open connections to the operator's socket, and mutated requests. The script needs 20,000 files in
all, divided among its processes (``ulimit -n`` of 6,000 suffices), and raises its own limit as far as it
may. It prints a table and a verdict, and exits with 1 if a request has failed or memory exceeds its bound.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import resource
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import psutil
from table import render
from whole import platform

from gyrus.aio import unix_sockets
from gyrus.contract.home import Home

MIB = 1024 * 1024
RATE = 100
"""Requests per second of the client that must not notice."""
PATIENCE = 10.0
"""Seconds for one of its requests."""
LONGEST_BODY = 12 * MIB
WORKERS = 4
"""Processes that share an attack's connections, because each may have only so many files."""


@dataclass(frozen=True, slots=True)
class Target:
    host: str
    port: int
    path: str
    body: bytes = b"{}"
    control: str | None = None
    """The operator's socket."""

    def request(self, *, length: int | None = None, close: bool = False) -> bytes:
        """Build a POST, its body included unless ``length`` declares another."""
        size = len(self.body) if length is None else length
        connection = "connection: close\r\n" if close else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {size}\r\n{connection}\r\n"
        ).encode()
        return head + (self.body if length is None else b"")


@dataclass(slots=True)
class Phase:
    """The observations during one attack."""

    name: str
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    slowest: float = 0.0
    gateway: int = 0
    """Largest resident memory, in bytes."""
    replica: int = 0


# The client that must not notice


async def ask(target: Target) -> str:
    """Send one request on a new connection. Returns its status line's code, or the error's name."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            try:
                writer.write(target.request(close=True))
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return type(error).__name__
    return answer[9:12].decode("latin-1") or "no answer"


async def watch(target: Target, phase: Phase, seconds: float, memory: Callable[[Phase], None]) -> None:
    """Send :data:`RATE` requests per second, each at its time whether or not the last is answered."""
    loop = asyncio.get_running_loop()
    end, due = loop.time() + seconds, loop.time()
    async with asyncio.TaskGroup() as group:
        while due < end:
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(_timed(target, phase), name="request")
            if round((end - due) * RATE) % (RATE // 4) == 0:
                memory(phase)
            due += 1 / RATE


async def _timed(target: Target, phase: Phase) -> None:
    began = time.monotonic()
    status = await ask(target)
    phase.slowest = max(phase.slowest, time.monotonic() - began)
    phase.answered += 1
    if status != "200":
        phase.failures[status] += 1


Count: TypeAlias = "Synchronized[int]"
"""The connections or requests of one attack so far."""


# Attacks: each runs in processes of its own until it is stopped


def idle_connections(target: Target, number: int, stop: Event, count: Count) -> None:
    """Keep this many connections that never send a byte, and open closed ones again."""
    _hold(number, stop, lambda: _connected(target.host, target.port), count)


def half_open_connections(target: Target, number: int, stop: Event, count: Count) -> None:
    """Keep this many connections to the operator that begin a request and never end its header."""

    def begun() -> socket.socket | None:
        return _half_open(target.control) if target.control else None

    _hold(number, stop, begun, count)


def unfinished_bodies(target: Target, number: int, stop: Event, count: Count) -> None:
    """Keep this many requests whose last byte of 12 MiB never comes."""
    asyncio.run(_unfinished(target, number, stop, count))


async def _unfinished(target: Target, number: int, stop: Event, count: Count) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one_unfinished(target, count)) for _ in range(number)]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()


async def _one_unfinished(target: Target, count: Count) -> None:
    piece = b" " * (64 * 1024)
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            try:
                writer.write(target.request(length=LONGEST_BODY))
                _increment(count)
                for _ in range(LONGEST_BODY // len(piece) - 1):
                    writer.write(piece)
                    await writer.drain()
                await reader.read()  # until the gateway closes
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


def mutated_requests(target: Target, number: int, stop: Event, count: Count) -> None:
    """Send this many requests with damaged bytes."""
    chance = random.Random(number)
    whole = target.request()
    for _ in range(number):
        if stop.is_set():
            return
        data = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            position = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[position] = chance.randrange(256)
                case 1:
                    del data[position : position + chance.randrange(1, 9)]
                case _:
                    data[position:position] = chance.randbytes(chance.randrange(1, 9))
            data = data or bytearray(b"\0")
        if (connection := _connected(target.host, target.port, bytes(data))) is not None:
            _increment(count)
            connection.settimeout(0.02)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
            connection.close()


def _increment(count: Count) -> None:
    with count.get_lock():
        count.value += 1


def _connected(host: str, port: int, first: bytes = b"") -> socket.socket | None:
    with suppress(OSError):
        connection = socket.create_connection((host, port), timeout=2)
        connection.sendall(first)
        connection.setblocking(False)
        return connection
    return None


def _half_open(control: str) -> socket.socket | None:
    with suppress(OSError):
        connection = unix_sockets.connect(Path(control), timeout=2)
        connection.sendall(b"GET /v1/apis HTTP/1.1\r\nhost: x\r\n")
        connection.setblocking(False)
        return connection
    return None


def _hold(number: int, stop: Event, connect: Callable[[], socket.socket | None], count: Count) -> None:
    held: list[socket.socket] = []
    while not stop.is_set():
        held = [connection for connection in held if not _is_closed(connection)]
        for _ in range(min(200, number - len(held))):
            if (connection := connect()) is not None:
                held.append(connection)
                _increment(count)
        if len(held) >= number:
            stop.wait(0.2)


def _is_closed(connection: socket.socket) -> bool:
    try:
        gone = connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        gone = True
    if gone:
        connection.close()
    return gone


Attack: TypeAlias = "Callable[[Target, int, Event, Count], None]"


@dataclass(frozen=True, slots=True)
class Wave:
    name: str
    attacks: tuple[tuple[Attack, int], ...]


IDLE = (idle_connections, 20_000)
BODIES = (unfinished_bodies, 1_000)
HALF_OPEN = (half_open_connections, 10_000)
MUTATED = (mutated_requests, 20_000)
WAVES = (
    Wave("nothing", ()),
    Wave("20,000 idle connections", (IDLE,)),
    Wave("1,000 unfinished bodies of 12 MiB", (BODIES,)),
    Wave("10,000 half-open to the operator", (HALF_OPEN,)),
    Wave("20,000 mutated requests", (MUTATED,)),
    Wave("all at once", (IDLE, BODIES, HALF_OPEN, MUTATED)),
    Wave("nothing, afterwards", ()),
)


class Attackers:
    """The processes of one wave. They end with the block."""

    def __init__(self, wave: Wave, target: Target) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._counts: dict[str, Count] = {
            attack.__name__: context.Value("i", 0) for attack, _ in wave.attacks
        }
        self._processes = [
            context.Process(
                target=attack,
                args=(target, number // WORKERS, self._stop, self._counts[attack.__name__]),
                daemon=True,
            )
            for attack, number in wave.attacks
            for _ in range(WORKERS)
            if attack is not half_open_connections or target.control
        ]

    def __enter__(self) -> Attackers:
        for process in self._processes:
            process.start()
        return self

    @property
    def done(self) -> str:
        """Return the number of connections and requests of each attack, as text."""
        return ", ".join(
            f"{name.replace('_', ' ')}: {count.value:,}"
            for name, count in self._counts.items()
            if count.value
        )

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()


# Memory


class MemoryMeter:
    """The resident memory of the gateway and of the replica's processes in a home."""

    def __init__(self, home: Path | None) -> None:
        self._gateway: set[psutil.Process] = set()
        self._replicas: set[psutil.Process] = set()
        for process in psutil.process_iter() if home else ():
            with suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if f"{home}" not in words:
                    continue
                if "--restart-epoch" in words:
                    self._gateway.add(process)
                elif "gyrus.runtime" in words:
                    self._replicas |= {process, *process.children(recursive=True)}

    def __call__(self, phase: Phase) -> None:
        phase.gateway = max(phase.gateway, _resident(self._gateway))
        phase.replica = max(phase.replica, _resident(self._replicas))


def _resident(processes: set[psutil.Process]) -> int:
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


# The whole


def run(target: Target, home: Path | None, seconds: float) -> list[Phase]:
    meter = MemoryMeter(home)
    each = seconds / len(WAVES)
    phases: list[Phase] = []
    for wave in WAVES:
        phase = Phase(wave.name)
        with Attackers(wave, target) as attackers:
            asyncio.run(watch(target, phase, each, meter))
            done = attackers.done
        phases.append(phase)
        print(f"  {wave.name}: {phase.failures.total()} failed{f' ({done})' if done else ''}", flush=True)
    return phases


def report(phases: list[Phase], bounds: tuple[int, int]) -> int:
    """Print the table and the verdict. Returns the exit code."""
    heading = ("attack", "requests", "failed", "slowest", "gateway", "replica")
    rows = [
        (
            phase.name,
            f"{phase.answered:,}",
            f"{phase.failures.total()}",
            f"{phase.slowest * 1000:,.0f} ms",
            f"{phase.gateway / MIB:,.0f} MiB",
            f"{phase.replica / MIB:,.0f} MiB",
        )
        for phase in phases
    ]
    print("\n" + render(heading, rows) + "\n")
    failures: Counter[str] = Counter()
    for phase in phases:
        failures.update(phase.failures)
    above = [
        f"{name} took {used / MIB:,.0f} MiB, its bound is {bound / MIB:,.0f} MiB"
        for name, used, bound in (
            ("the gateway", max(phase.gateway for phase in phases), bounds[0]),
            ("the replica", max(phase.replica for phase in phases), bounds[1]),
        )
        if used > bound
    ]
    faults = [f"{number} requests: {name}" for name, number in failures.items()] + above
    bound = f"bounds: gateway {bounds[0] / MIB:,.0f} MiB, replica {bounds[1] / MIB:,.0f} MiB"
    print(f"FAILED: {'; '.join(faults)}" if faults else f"PASSED: no request failed; {bound}")
    return 1 if faults else 0


def memory_bounds() -> tuple[int, int]:
    """Return the stated bounds of the gateway's and a replica's memory, in bytes."""
    from gyrus.contract.replica import Limits
    from gyrus.routing.settings import GatewaySettings
    from gyrus.runtime.server.bodies import most_of

    most = most_of(Limits())
    return GatewaySettings().heap, most + 256 * MIB  # and the interpreter with the handler's imports


def raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", help="the API of a running platform (default: a platform of its own)")
    parser.add_argument("--body", default='{"number": 1}', help="the JSON body of its requests")
    parser.add_argument("--home", type=Path, help="the running platform's home, to attack its operator too")
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    raise_file_limit()
    with ExitStack() as stack:
        url, home = arguments.url, arguments.home
        if url is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attack-")))
            url, home = stack.enter_context(platform(folder)), folder / "home"
        place = urlsplit(url)
        target = Target(
            place.hostname or "127.0.0.1",
            place.port or 80,
            place.path or "/",
            arguments.body.encode(),
            str(Home(home).control_socket) if home else None,
        )
        print(f"attacking {url} for {arguments.seconds:g} s, from {os.cpu_count()} cores")
        return report(run(target, home, arguments.seconds), memory_bounds())


if __name__ == "__main__":
    sys.exit(main())

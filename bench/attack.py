"""Attack a gateway for two minutes, while a client with 100 requests per second must not notice.

::

    bench/attack.py                       a platform of its own, in a temporary home
    bench/attack.py --url http://127.0.0.1:8080/iris --body '{}'   a running one (its API must be idempotent)

The attacks run one after another, then all at once: idle connections, requests with unfinished bodies of
12 MiB, half-open connections to the operator's socket, and mutated requests. Each attack counts what it
really opened or sent. If one is below its size at the end of its time, it goes on for two minutes at most; if
it still is, the run fails.

Each process of the script needs 6,000 open files, and raises its own limit as far as it may. If the hard
limit is lower (``ulimit -Hn``), raise that first, as root: ``ulimit -Hn 6000`` in the shell,
``LimitNOFILE=6000`` of a service, ``--ulimit nofile=6000`` of a container. The gateway's limit of connections
follows from its own limit of open files.

The script prints a table and a verdict. It exits with 1 if a request has failed, if an attack is below its
size, or if memory exceeds its bound. That is what the gateway and the replicas take before the attacks, and
what their settings allow for connections and bodies.
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
from collections.abc import Callable, Sequence
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
AT_A_TIME = 25
"""Mutated requests that one process has under way."""
FILES = 6_000
"""Open files that each of them needs."""
CONNECTION = 16 * 1024
"""Bytes of the gateway for an idle connection."""
PASSES = 2
"""Times that a long body passes the gateway."""
SLACK = 64 * MIB
"""Memory that allocators keep although it is free again, in bytes."""
GROWTH = 1.25
"""Memory of a body that a replica reads, by its bytes: a buffer that grows has some to spare."""
EXTRA = 120.0
"""Seconds for which a wave goes on at most until its attacks have reached their sizes."""


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
    attacks: tuple[Attacked, ...] = ()


@dataclass(frozen=True, slots=True)
class Attacked:
    """The result of one attack."""

    name: str
    size: int
    """Connections or requests that it should reach."""
    reached: int
    at_once: int
    """The most that were open at the same time, in a sample every quarter of a second."""

    def __str__(self) -> str:
        open_ones = f", {self.at_once:,} open at once" if self.at_once else ""
        return f"{self.name}: {self.reached:,}{open_ones}"


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


@dataclass(frozen=True, slots=True)
class Tally:
    """The numbers of one attack, which its processes share."""

    reached: Count
    """Connections that were accepted, or requests that were sent, so far."""
    open: Count
    """Connections or requests that are open now."""

    def opened(self, number: int = 1) -> None:
        _add(self.reached, number)
        _add(self.open, number)

    def closed(self, number: int = 1) -> None:
        _add(self.open, -number)

    def sent(self) -> None:
        _add(self.reached, 1)


def _add(count: Count, number: int) -> None:
    with count.get_lock():
        count.value += number


# Attacks: each runs in processes of its own until it is stopped


def idle_connections(target: Target, number: int, stop: Event, tally: Tally) -> None:
    """Keep this many connections that never send a byte, and open closed ones again."""
    _hold(number, stop, lambda: _connected(target.host, target.port), tally)


def half_open_connections(target: Target, number: int, stop: Event, tally: Tally) -> None:
    """Keep this many connections to the operator that begin a request and never end its header."""

    def begun() -> socket.socket | None:
        return _half_open(target.control) if target.control else None

    _hold(number, stop, begun, tally)


def unfinished_bodies(target: Target, number: int, stop: Event, tally: Tally) -> None:
    """Keep this many requests whose last byte of 12 MiB never comes."""
    asyncio.run(_unfinished(target, number, stop, tally))


async def _unfinished(target: Target, number: int, stop: Event, tally: Tally) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one_unfinished(target, tally)) for _ in range(number)]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()


async def _one_unfinished(target: Target, tally: Tally) -> None:
    piece = b" " * (64 * 1024)
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            tally.opened()
            try:
                writer.write(target.request(length=LONGEST_BODY))
                for _ in range(LONGEST_BODY // len(piece) - 1):
                    writer.write(piece)
                    await writer.drain()
                await reader.read()  # until the gateway closes
            finally:
                writer.transport.abort()
                tally.closed()
        await asyncio.sleep(1)


def mutated_requests(target: Target, number: int, stop: Event, tally: Tally) -> None:
    """Send this many requests with damaged bytes, a few at a time."""
    chance = random.Random(number)
    sent = 0
    while sent < number and not stop.is_set():
        wanted = (_damaged(target.request(), chance) for _ in range(min(AT_A_TIME, number - sent)))
        connections = [_connected(target.host, target.port, data) for data in wanted]
        for connection in filter(None, connections):
            sent += 1
            tally.sent()
            connection.settimeout(0.005)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)
            connection.close()


def _damaged(whole: bytes, chance: random.Random) -> bytes:
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
    return bytes(data)


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


def _hold(number: int, stop: Event, connect: Callable[[], socket.socket | None], tally: Tally) -> None:
    held: list[socket.socket] = []
    while not stop.is_set():
        before = len(held)
        held = [connection for connection in held if not _is_closed(connection)]
        tally.closed(before - len(held))
        for _ in range(min(200, number - len(held))):
            if (connection := connect()) is not None:
                held.append(connection)
                tally.opened()
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


Attack: TypeAlias = "Callable[[Target, int, Event, Tally], None]"


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


def possible(target: Target) -> tuple[Attack, ...]:
    """Return the attacks on this target. Without a home, the operator's socket is not known."""
    on_operator = (half_open_connections,) if target.control else ()
    return (idle_connections, unfinished_bodies, mutated_requests, *on_operator)


class Attackers:
    """The processes of one wave. They end with the block."""

    def __init__(self, wave: Wave, target: Target) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        attacks = [(attack, size) for attack, size in wave.attacks if attack in possible(target)]
        self._sizes = {attack.__name__: size for attack, size in attacks}
        self._tallies = {name: Tally(context.Value("i", 0), context.Value("i", 0)) for name in self._sizes}
        self._at_once: Counter[str] = Counter()
        self._processes = [
            context.Process(
                target=attack,
                args=(target, size // WORKERS, self._stop, self._tallies[attack.__name__]),
                daemon=True,
            )
            for attack, size in attacks
            for _ in range(WORKERS)
        ]

    def __enter__(self) -> Attackers:
        for process in self._processes:
            process.start()
        return self

    def sample(self) -> None:
        """Note how many connections and requests are open."""
        for name, tally in self._tallies.items():
            self._at_once[name] = max(self._at_once[name], tally.open.value)

    @property
    def done(self) -> tuple[Attacked, ...]:
        return tuple(
            Attacked(name.replace("_", " "), size, self._tallies[name].reached.value, self._at_once[name])
            for name, size in self._sizes.items()
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

            def sample(phase: Phase, attackers: Attackers = attackers) -> None:
                meter(phase)
                attackers.sample()

            asyncio.run(watch(target, phase, each, sample))
            deadline = time.monotonic() + EXTRA
            while short_of_size(attackers.done) and time.monotonic() < deadline:
                asyncio.run(watch(target, phase, 1.0, sample))
            phase.attacks = attackers.done
        phases.append(phase)
        done = "; ".join(str(attacked) for attacked in phase.attacks)
        print(f"  {wave.name}: {phase.failures.total()} failed{f' ({done})' if done else ''}", flush=True)
    return phases


def short_of_size(attacks: Sequence[Attacked]) -> list[str]:
    """Return the faults of attacks that did not reach their size."""
    return [
        f"{attacked.name} reached {attacked.reached:,} of {attacked.size:,}"
        for attacked in attacks
        if attacked.reached < attacked.size
    ]


def report(phases: list[Phase]) -> int:
    """Print the table and the verdict. Returns the exit code."""
    bounds = memory_bounds(phases[0])
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
    faults += [fault for phase in phases for fault in short_of_size(phase.attacks)]
    print(f"bounds: gateway {bounds[0] / MIB:,.0f} MiB, replica {bounds[1] / MIB:,.0f} MiB")
    print(f"FAILED: {'; '.join(faults)}" if faults else "PASSED: no request failed, all sizes were reached")
    return 1 if faults else 0


def memory_bounds(before: Phase) -> tuple[int, int]:
    """Return the bounds of the gateway's and the attacked replica's memory, in bytes.

    The gateway keeps the part of a body that the replica has read, for a retry, and reads some more ahead.
    The replica bounds the bodies that it reads. ``before``: the phase without an attack.
    """
    from gyrus.contract.replica import Limits
    from gyrus.routing.resources.listener import BUFFER
    from gyrus.routing.settings import GatewaySettings
    from gyrus.runtime.server.bodies import FREE, most_of

    settings, read = GatewaySettings(), most_of(Limits())
    admitted = max(tier.most for tier in settings.tiers if tier.least <= LONGEST_BODY <= tier.kept)
    kept = min(settings.bodies, read + admitted * (PASSES * BUFFER + FREE))
    connections = settings.connections.most * CONNECTION
    return (
        before.gateway + connections + kept + SLACK,
        before.replica + round(GROWTH * read) + admitted * FREE + SLACK,
    )


def raise_file_limit() -> None:
    """Raise the limit of open files, which the attacks' processes inherit. Ends the script if it is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        sys.exit(f"Each process needs {FILES:,} open files and may have {soft:,}. See --help for the remedy.")


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
            url, home = stack.enter_context(platform(folder)) + "/tiny", folder / "home"
        place = urlsplit(url)
        target = Target(
            place.hostname or "127.0.0.1",
            place.port or 80,
            place.path or "/",
            arguments.body.encode(),
            str(Home(home).control_socket) if home else None,
        )
        print(f"attacking {url} for {arguments.seconds:g} s, from {os.cpu_count()} cores")
        return report(run(target, home, arguments.seconds))


if __name__ == "__main__":
    sys.exit(main())

"""Answers per second of a tiny JSON handler through gyrus: as most users write it, and as a coroutine.

All servers run at the same time and are measured alternately, in several rounds, so that other load on the
machine affects all of them. wrk runs on the same machine; the last column shows how much of a core it takes.
The baseline is bare Envoy in front of bare Granian, whose handler is a coroutine. Both Envoys have the same
number of workers. The aims are ratios: the synchronous handler to the coroutine, and gyrus to the baseline.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import bare
import machine
import psutil
import whole
import wrk
from table import render

SYNC, ASYNC, BARE = "gyrus, sync", "gyrus, async", "bare Envoy → Granian, async"
SYNC_ALONE, ASYNC_ALONE, GRANIAN = "runtime alone, sync", "runtime alone, async", "Granian alone, async"
COMPARED = {SYNC: ASYNC, ASYNC: BARE, SYNC_ALONE: ASYNC_ALONE, ASYNC_ALONE: GRANIAN}
"""The server to which each is compared."""
CONNECTIONS = (1, 8, 32, 256)
RATE_AIMS = {(SYNC, connections): 0.85 for connections in CONNECTIONS} | {(ASYNC, 1): 0.9, (ASYNC, 32): 1.0}
LATENCY_AIM = 1.5
"""The 99th percentile of the synchronous handler's latency to the coroutine's, at most."""


@dataclass(frozen=True, slots=True)
class Sample:
    figures: wrk.Figures
    cpu: float
    """CPU seconds of all processes of the server for 1,000 requests."""
    generator: float
    """Cores that wrk took."""


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    script: Path
    processes: Callable[[], list[psutil.Process]]

    def measure(self, connections: int, seconds: int) -> Sample:
        processes, generator = self.processes(), _children_seconds()
        before = _cpu_seconds(processes)
        figures = wrk.run(self.url, connections=connections, seconds=seconds, script=self.script)
        used = _cpu_seconds(processes) - before
        return Sample(figures, 1000 * used / figures.requests, (_children_seconds() - generator) / seconds)


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes if process.is_running()]
    return sum(time.user + time.system for time in times)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


Samples = dict[tuple[str, int], list[Sample]]


def measure(servers: dict[str, Server], rounds: int, seconds: int) -> Samples:
    samples: Samples = {(name, connections): [] for connections in CONNECTIONS for name in servers}
    for number in range(rounds + 1):
        for name, connections in samples:
            sample = servers[name].measure(connections, 1 if number == 0 else seconds)
            if number > 0:  # the first round only warms up
                samples[name, connections].append(sample)
    return samples


def ratio(samples: Samples, name: str, connections: int, figure: Callable[[wrk.Figures], float]) -> float:
    """Return the median of the rounds' ratios to the server to which this one is compared."""
    pairs = zip(samples[name, connections], samples[COMPARED[name], connections], strict=True)
    return statistics.median(figure(one.figures) / figure(other.figures) for one, other in pairs)


def rows(samples: Samples) -> list[tuple[str, ...]]:
    return [_row(samples, name, connections) for name, connections in samples]


def _row(samples: Samples, name: str, connections: int) -> tuple[str, ...]:
    def median(figure: Callable[[Sample], float]) -> float:
        return statistics.median(map(figure, samples[name, connections]))

    compared, aim = "", RATE_AIMS.get((name, connections))
    if name in COMPARED:
        compared = f"{ratio(samples, name, connections, lambda figures: figures.rate):.2f}"
        slower = f"{ratio(samples, name, connections, lambda figures: figures.p99):.2f}"
    else:
        slower = ""
    return (
        name,
        str(connections),
        f"{median(lambda sample: sample.figures.rate):,.0f}",
        f"{median(lambda sample: sample.figures.median):.2f}",
        f"{median(lambda sample: sample.figures.p99):.2f}",
        f"{median(lambda sample: sample.cpu):.3f}",
        compared,
        f"≥ {aim}" if aim else "",
        slower,
        f"≤ {LATENCY_AIM}" if name == SYNC else "",
        f"{median(lambda sample: sample.generator):.2f}",
    )


HEADING = (
    "", "connections", "answers/s", "median ms", "p99 ms", "CPU s/1,000", "ratio", "aim", "p99 ratio", "aim",
    "wrk's cores",
)  # fmt: skip


def met(samples: Samples) -> bool:
    rates = all(
        ratio(samples, name, connections, lambda figures: figures.rate) >= aim
        for (name, connections), aim in RATE_AIMS.items()
    )
    latencies = all(
        ratio(samples, SYNC, connections, lambda figures: figures.p99) <= LATENCY_AIM
        for connections in CONNECTIONS
    )
    return rates and latencies


def start(folder: Path, script: Path, stack: ExitStack) -> tuple[dict[str, Server], int]:
    """Start all servers. Returns them, and the number of workers of each Envoy."""
    platform = stack.enter_context(whole.platform(folder))
    workers = whole.gateway_workers(folder)
    granian = stack.enter_context(bare.granian(folder))
    envoy = stack.enter_context(bare.envoy(folder, granian, workers))
    asynchronous = stack.enter_context(whole.replica(folder, "tiny", 64))
    synchronous = stack.enter_context(whole.replica(folder, "tiny_sync", 1))

    def found(*words: str) -> Callable[[], list[psutil.Process]]:
        return lambda: whole.processes(*words)

    everything = found(str(folder / "home"))
    bare_envoy = found(str(folder / "envoy.json"))
    bare_granian = found("granian", granian.rstrip("/").rpartition(":")[2])
    return {
        SYNC: Server(f"{platform}/tiny-sync", script, everything),
        ASYNC: Server(f"{platform}/tiny", script, everything),
        BARE: Server(envoy, script, lambda: [*bare_envoy(), *bare_granian()]),
        SYNC_ALONE: Server(synchronous, script, found(str(folder / "tiny_sync.json"))),
        ASYNC_ALONE: Server(asynchronous, script, found(str(folder / "tiny.json"))),
        GRANIAN: Server(granian, script, bare_granian),
    }, workers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    arguments = parser.parse_args()
    wrk.require()
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name, ExitStack() as stack:
        script = Path(name) / "post.lua"
        script.write_text(wrk.POST.format(body='{"number": 21}'))
        servers, workers = start(Path(name), script, stack)
        samples = measure(servers, arguments.rounds, arguments.seconds)

    print(machine.description())
    print(f"Workers of each Envoy: {workers}")
    print(render(HEADING, rows(samples)))
    return 0 if met(samples) else 1


if __name__ == "__main__":
    sys.exit(main())

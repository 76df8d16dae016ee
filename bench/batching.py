"""Batches: ``max_wait: auto`` against fixed waits, a loop without a server, LitServe and mosec.

    scripts/bench batching --python SCRATCH/bin/python

The replicas, the loop and the peers run with that interpreter. What it lacks is skipped. To have all:

    python3 -m venv SCRATCH
    SCRATCH/bin/pip install uvloop httptools orjson msgspec scikit-learn onnx onnxruntime litserve mosec
    SCRATCH/bin/pip install torch        (with CUDA, the model is a 12-layer transformer on the GPU)

All servers of a model run at the same time and are measured alternately, in several rounds; the figures are
medians. "of a loop" is the ratio to a loop that reads JSON, runs the model and writes JSON: one by one for
one connection, else in full batches. "of the best" is auto's ratio to the better of the fixed waits. CPU is
that of the server's processes. One replica is measured without a gateway.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import machine
import psutil
import wrk
from bare import BENCH, free_port, running
from table import render

from gyrus.contract.replica import HandlerConfig, Limits, ReplicaConfig

FOLDER = BENCH / "batches"
LIBRARIES = {"device": (), "sklearn": ("sklearn",), "onnx": ("onnx", "onnxruntime"), "torch": ("torch",)}
WAITS: dict[str, float | None] = {"auto": None, "5ms": 0.005, "0ms": 0.0}
PEERS = {"LitServe": "litserve", "mosec": "mosec"}
SIZE = 64
ONE_THREAD = "OMP_NUM_THREADS=1"
"""Setting of all servers and the loop: pools of OpenMP threads on few cores would wait for each other."""
LOAD_SECONDS = 120
AIMS = {1: 0.85, 64: 0.95, 256: 0.95}
"""Least ratio to a loop, by connections."""


@dataclass
class Server:
    name: str
    url: str
    process: psutil.Process
    taken: dict[int, list[wrk.Figures]] = field(default_factory=dict[int, list[wrk.Figures]])
    cpu: dict[int, list[float]] = field(default_factory=dict[int, list[float]])
    """Milliseconds of CPU per answer."""

    def measure(self, connections: int, seconds: int, script: Path) -> None:
        before = self._cpu_seconds()
        figures = wrk.run(self.url, connections=connections, seconds=seconds, script=script)
        used = self._cpu_seconds() - before
        self.taken.setdefault(connections, []).append(figures)
        self.cpu.setdefault(connections, []).append(used * 1000 / max(1.0, figures.rate * seconds))

    def rate(self, connections: int) -> float:
        return statistics.median(each.rate for each in self.taken[connections])

    def p99(self, connections: int) -> float:
        return statistics.median(each.p99 for each in self.taken[connections])

    def _cpu_seconds(self) -> float:
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(sum(each.cpu_times()[:2]) for each in processes)


@contextmanager
def served(name: str, command: list[str], port: int, folder: Path, path: str) -> Generator[Server]:
    environment = ["env", ONE_THREAD, f"PYTHONPATH={BENCH.parent / 'src'}:{FOLDER}", *command]
    log = folder / f"{name}.log"
    with running(environment, port=port, log=log, cwd=FOLDER, seconds=LOAD_SECONDS) as started:
        yield Server(name, f"http://127.0.0.1:{port}{path}", psutil.Process(started.pid))


@contextmanager
def replica(python: str, model: str, name: str, wait: float | None, folder: Path) -> Generator[Server]:
    port, place = free_port(), folder / name
    place.mkdir()
    config = ReplicaConfig(
        id=name,
        api=model,
        revision=1,
        project=str(FOLDER),
        python=python,
        handler=HandlerConfig(
            path="handler.py", config={"model": model}, batch_max_size=SIZE, batch_max_wait=wait
        ),
        limits=Limits(max_concurrency=SIZE, max_queue_length=1000),
        run_dir=str(place),
        log_dir=str(place),
    )
    file = place / "config.json"
    file.write_text(json.dumps(dataclasses.asdict(config)))
    command = [f"GYRUS_BIND=127.0.0.1:{port}", python, "-m", "gyrus.runtime.worker", str(file), "0"]
    with served(name, command, port, place, "/") as server:
        yield server


@contextmanager
def peer(python: str, model: str, name: str, folder: Path) -> Generator[Server]:
    port, place = free_port(), folder / name
    place.mkdir()
    if name == "mosec":
        command = [f"MODEL={model}", f"SIZE={SIZE}", python, "mosec_server.py", "--port", str(port)]
        path = "/inference"
    else:
        command, path = [python, "lit.py", model, str(SIZE), str(port)], "/predict"
    with served(name, command, port, place, path) as server:
        yield server


def has(python: str, modules: Sequence[str]) -> bool:
    code = "import " + ", ".join(modules) if modules else ""
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def direct(python: str, model: str, size: int, seconds: float) -> float:
    command = [python, "direct.py", model, str(size), str(seconds)]
    variable, _, value = ONE_THREAD.partition("=")
    environment = {**os.environ, variable: value, "PYTHONPATH": str(FOLDER)}
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(python: str, model: str, given: argparse.Namespace, folder: Path) -> list[Sequence[str]]:
    row = json.loads(
        subprocess.run(
            [python, "-c", f"import json, models; print(json.dumps(models.row({model!r})))"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    script = folder / "post.lua"
    script.write_text(wrk.POST.format(body=json.dumps({"row": row})))
    loops: dict[int, list[float]] = {1: [], SIZE: []}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(replica(python, model, name, wait, folder)) for name, wait in WAITS.items()
        ]
        for name, module in PEERS.items():
            if has(python, [module]):
                servers.append(stack.enter_context(peer(python, model, name, folder)))
            else:
                print(f"{name} is skipped: {python} has no {module}")
        for number in range(given.rounds + 1):
            for size, found in loops.items():
                found.append(direct(python, model, size, given.seconds))
            for connections in given.connections:
                for server in servers[number % 2 :] + servers[: number % 2]:
                    server.measure(connections, given.seconds, script)
            if number == 0:  # the first round only warms up
                for server in servers:
                    server.taken.clear()
                    server.cpu.clear()
    return rows(model, servers, {size: statistics.median(found) for size, found in loops.items()}, given)


def rows(
    model: str, servers: Sequence[Server], loops: dict[int, float], given: argparse.Namespace
) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for connections in given.connections:
        loop = loops[1 if connections == 1 else SIZE]
        best = max(each.rate(connections) for each in servers if each.name in ("5ms", "0ms"))
        for server in servers:
            rate, is_auto = server.rate(connections), server.name == "auto"
            aim = AIMS.get(connections) if is_auto else None
            lines.append(
                (
                    f"{model}, {server.name}",
                    str(connections),
                    f"{rate:,.0f}",
                    f"{server.p99(connections):.1f}",
                    f"{statistics.median(server.cpu[connections]):.3f}",
                    f"{rate / loop:.2f}",
                    f"≥ {aim}" if aim else "",
                    f"{rate / best:.2f}" if is_auto else "",
                )
            )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", choices=LIBRARIES, nargs="*", default=list(LIBRARIES))
    parser.add_argument("--connections", type=int, nargs="*", default=[1, 4, 16, 64, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    given = parser.parse_args()
    wrk.require()
    print(machine.description())
    for model in given.only:
        if not has(given.python, LIBRARIES[model]):
            print(f"{model} is skipped: {given.python} lacks {' or '.join(LIBRARIES[model])}")
            continue
        with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name:
            lines = measure(given.python, model, given, Path(name))
        heading = ("", "connections", "answers/s", "p99 ms", "CPU ms", "of a loop", "aim", "of the best")
        print(render(heading, lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The simulator against reality: the beginning of a trace, replayed on a platform and simulated.

A handler that sleeps gets the trace's requests at their times. Then the same requests are simulated with the
start-up time that the platform has measured. The exit code is 0 only if both agree: within 10 % in
replica-seconds and within 20 % in p95 latency.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from bare import BENCH, free_port
from table import render

GYRUS = str(Path(sys.executable).with_name("gyrus"))
API = "sleeper"
PAYLOAD = '{"seconds": {service_time}}'
WITHIN = {"replica_seconds": 0.10, "p95_latency": 0.20}
"""Shares by which figures may differ."""
SHOWN = (
    "replica_seconds",
    "p95_latency",
    "p50_latency",
    "p99_latency",
    "slo_misses",
    "peak_replicas",
    "scalings",
)

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Platform:
    home: Path

    def gyrus(self, *arguments: str) -> str:
        """Run a command and return its standard output. Standard error is shown directly."""
        environment = {**os.environ, "GYRUS_HOME": str(self.home), "NO_COLOR": "1"}
        done = subprocess.run([GYRUS, *arguments], env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"gyrus {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.gyrus("-o", "json", *arguments))

    @contextmanager
    def running(self) -> Generator[None]:
        self.gyrus("up", "--gateway-port", str(free_port()))
        try:
            self.gyrus("deploy", str(BENCH / API), "--yes")
            yield
        finally:
            self.gyrus("down")


def startup(platform: Platform) -> float:
    """Return the measured seconds from ordering a replica until requests reach it."""
    starts = platform.json("describe", API)["starts"]
    return float(starts[0]["median"])


def figures(report: Mapping[str, Any]) -> Figures:
    return report["policies"][0]


def rows(real: Figures, simulated: Figures) -> list[Sequence[str]]:
    return [(name, *_row(name, real[name] or 0.0, simulated[name] or 0.0)) for name in SHOWN]


def _row(name: str, real: float, simulated: float) -> tuple[str, ...]:
    ratio = f"{real / simulated:.3f}" if simulated else "-"
    aim = f"±{WITHIN[name]:.0%}" if name in WITHIN else ""
    return f"{real:,.2f}", f"{simulated:,.2f}", ratio, aim


def agree(real: Figures, simulated: Figures) -> bool:
    return all(abs(real[name] / simulated[name] - 1) <= share for name, share in WITHIN.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", required=True, help="a CSV file, with GeneratedTokens or service_time")
    parser.add_argument("--first", default="5m")
    parser.add_argument(
        "--scale", default="0.2", help="the share of the requests that this machine can serve"
    )
    parser.add_argument("--slo", default="20s")
    parser.add_argument(
        "--plots", metavar="FOLDER", help="the folder for the charts real.svg and simulated.svg"
    )
    given = parser.parse_args()
    trace = ["--trace", given.trace, "--first", given.first, "--scale", given.scale, "--slo", given.slo]
    trace += ["--service-time", "column"]

    def plot(name: str) -> list[str]:
        return ["--plot", str(Path(given.plots) / f"{name}.svg")] if given.plots else []

    print(machine.description())
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as folder:
        platform = Platform(Path(folder) / "home")
        with platform.running():
            lived = platform.json(
                "replay", API, *trace, "--payload", PAYLOAD, "--timeout", "5m", *plot("real")
            )
            seconds = startup(platform)
    command = ["simulate", str(BENCH / API), *trace, "--startup", f"{seconds:.3f}s", *plot("simulated")]
    real, simulated = figures(lived), figures(platform.json(*command))
    troubles = lived["troubles"] or "no trouble"
    print(f"{lived['requests']} requests; a replica takes {seconds:.2f} s to start; {troubles}")
    print(render(("", "real", "simulated", "ratio", "aim"), rows(real, simulated)))
    return 0 if agree(real, simulated) and lived["sender"]["kept_up"] else 1


if __name__ == "__main__":
    sys.exit(main())

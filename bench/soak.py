"""Random load and faults with a verdict: minutes of bursts, silence, slow clients, disconnects and kill -9.

The exit code is 0 only if every request was answered or its failure is explained, all counters are zero at
the end, and no process of the platform has grown by more than 5 %. The same seed repeats a run's load and
faults.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import machine

from support.platform import platform_of_its_own
from support.soak.apis import TARGETS
from support.soak.scenario import scenario
from support.soak.soak import Memory, Report, Soak

BIG_SHARE = 0.01
"""Share of requests with 10 MB, besides those at the beginning."""
LONG = 20.0
"""Minutes; shorter runs have no such requests. In a short run, a process's memory would be measured before
its first large request, which increases the memory permanently."""


def measured(minutes: float, seed: int) -> Report:
    seconds = minutes * 60
    memory = Memory(settling=min(300.0, seconds / 6), window=min(60.0, seconds / 12))
    with platform_of_its_own() as platform, tempfile.TemporaryDirectory(prefix="gyrus-soak-") as folder:
        big = BIG_SHARE if minutes >= LONG else 0.0
        soak = Soak(platform, scenario(seed, seconds, TARGETS, big=big), TARGETS, memory)
        return asyncio.run(soak.run(Path(folder)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="seed of load and faults (default: random)")
    arguments = parser.parse_args()
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    print(machine.description())
    print(f"seed {seed}")
    report = measured(arguments.minutes, seed)
    print(report)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())

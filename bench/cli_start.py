"""Time of ``gyrus --version`` and ``--help``, relative to an empty Python program. The aim is at most 3 ×."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine
from table import render

GYRUS = str(Path(sys.executable).with_name("gyrus"))
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "gyrus --version": [GYRUS, "--version"],
    "gyrus --help": [GYRUS, "--help"],
    "gyrus deploy --help": [GYRUS, "deploy", "--help"],
}
AIMS = {"gyrus --version": 3.0, "gyrus --help": 3.0}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="runs of each command, alternately")
    rounds: int = parser.parse_args().rounds
    for command in COMMANDS.values():
        seconds(command)  # once, so that the bytecode is compiled
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))

    medians = {name: statistics.median(taken) for name, taken in times.items()}
    bare = medians["python -c pass"]
    print(machine.description())
    print(
        render(
            ("command", "median ms", "ratio", "aim"),
            [
                (
                    name,
                    f"{median * 1000:.1f}",
                    f"{median / bare:.2f}",
                    f"≤ {AIMS[name]}" if name in AIMS else "",
                )
                for name, median in medians.items()
            ],
        )
    )
    return 0 if all(medians[name] / bare <= aim for name, aim in AIMS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())

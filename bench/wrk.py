"""wrk, the load generator, run on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_MEDIAN = re.compile(r"\b50%\s+([\d.]+)(us|ms|s)")
_FAULTS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_UNIT_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

POST = 'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["content-type"] = "application/json"\n'


@dataclass(frozen=True, slots=True)
class Figures:
    rate: float
    """Answers per second."""
    median: float
    """Milliseconds of latency."""


def require() -> None:
    """Exit if wrk is missing."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Install it (on Debian and Ubuntu: apt-get install wrk) and try again.")


def run(url: str, *, connections: int, seconds: int, script: Path) -> Figures:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if fault := _FAULTS.search(output):
        sys.exit(f"{url} did not answer everything: {fault[0]}")
    rate, median = _RATE.search(output), _MEDIAN.search(output)
    if not rate or not median:
        sys.exit(f"wrk's output cannot be read:\n{output}")
    return Figures(float(rate[1]), float(median[1]) * _UNIT_MILLISECONDS[median[2]])

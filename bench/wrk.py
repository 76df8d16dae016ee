"""wrk, the load generator, run on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_REQUESTS = re.compile(r"(\d+) requests in")
_PERCENTILE = r"\b{percent}%\s+([\d.]+)(us|ms|s)"
_FAULTS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_UNIT_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

POST = 'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["content-type"] = "application/json"\n'


@dataclass(frozen=True, slots=True)
class Figures:
    rate: float
    """Answers per second."""
    median: float
    """Milliseconds of latency."""
    p99: float
    """Milliseconds of latency: 99 % of the requests took less."""
    requests: int


def require() -> None:
    """Exit if wrk is missing."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing. Install it (on Debian and Ubuntu: apt-get install wrk) and try again.")


def run(url: str, *, connections: int, seconds: int, script: Path) -> Figures:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if fault := _FAULTS.search(output):
        sys.exit(f"{url} did not answer everything: {fault[0]}")
    rate, requests = _RATE.search(output), _REQUESTS.search(output)
    median, p99 = _milliseconds(output, 50), _milliseconds(output, 99)
    if not rate or not requests or median is None or p99 is None:
        sys.exit(f"wrk's output cannot be read:\n{output}")
    if int(requests[1]) == 0:
        sys.exit(f"{url} answered nothing with {connections} connections in {seconds} s:\n{output}")
    return Figures(float(rate[1]), median, p99, int(requests[1]))


def _milliseconds(output: str, percent: int) -> float | None:
    found = re.search(_PERCENTILE.format(percent=percent), output)
    return float(found[1]) * _UNIT_MILLISECONDS[found[2]] if found else None

"""From zero: the time of an idle API to answer a request, cold and warm, divided into its parts.

It runs ``examples/iris`` on its own platform, scaled to zero between any two requests. The exit code is 0
only if the median of the warm starts is at most 150 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import machine
import yaml
from bare import free_port
from reality import Platform
from table import render

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "iris"
PAYLOAD = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
IDLE_SOON = {
    "min_replicas": 0,
    "window": "1s",
    "downscale_stabilization_period": "1s",
    "panic_window": "1s",
    "forecast": False,
}
MOST = 0.150
"""Seconds; the limit for the median of the warm starts."""
PARTS = (
    ("sent → decided", "the gateway, the activator, the autoscaler"),
    ("decided → ordered", "control, the replica's folder"),
    ("ordered → process", "environment, configuration, fork or exec"),
    ("process → ready", "loading, making the instance, the first probe"),
    ("ready → reached", "the operator observes it, the gateway acknowledges it"),
    ("reached → answered", "requeue, retry, prediction"),
)


@dataclass(frozen=True, slots=True)
class Wake:
    """The steps of one start, in seconds since the epoch."""

    sent: float
    decided: float
    ordered: float
    process: float
    ready: float
    reached: float
    answered: float
    start: str

    @property
    def whole(self) -> float:
        return self.answered - self.sent

    @property
    def parts(self) -> tuple[float, ...]:
        """Seconds of each step, in the order of :data:`PARTS`."""
        moments = (
            self.sent,
            self.decided,
            self.ordered,
            self.process,
            self.ready,
            self.reached,
            self.answered,
        )
        return tuple(later - earlier for earlier, later in pairwise(moments))


@dataclass(frozen=True, slots=True)
class Bench:
    platform: Platform
    port: int
    name: str

    def wakes(self, number: int, *, warm: bool) -> Iterator[Wake]:
        for _ in range(number):
            self._until_idle(warm=warm)
            yield self._wake()

    def _until_idle(self, *, warm: bool) -> None:
        """Wait until the API is idle and, if the next start must be warm, its fork server is ready."""
        while True:
            described = self._describe()
            fork_server = (
                described["fork_server"] is not None and described["fork_server"]["phase"] == "ready"
            )
            if described["api"]["status"] == "idle" and not described["replicas"] and fork_server is warm:
                break
            time.sleep(0.2)
        time.sleep(1.0)

    def _wake(self) -> Wake:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = time.time()
        connection.request("POST", f"/{self.name}", json.dumps(PAYLOAD), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        answered = time.time()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {body.decode(errors='replace')}")
        return self._explained(sent, answered)

    def _explained(self, sent: float, answered: float) -> Wake:
        described = self._describe()
        (replica,) = described["replicas"]
        status = replica["status"]
        scaled = [e for e in described["events"] if e["reason"] == "ScaledUp"][-1]
        ordered = (self.platform.home / "replicas" / status["id"] / "order.json").stat().st_mtime
        (taken,) = [each for each in described["starts"] if each["kind"] == status["start"]]
        return Wake(
            sent=sent,
            decided=datetime.fromisoformat(scaled["time"]).timestamp(),
            ordered=ordered,
            process=status["started_at"],
            ready=status["ready_at"],
            reached=min(ordered + taken["last"], answered),
            answered=answered,
            start=status["start"],
        )

    def _describe(self) -> Any:
        return self.platform.json("describe", self.name)


@contextmanager
def platform_with(folder: Path, name: str, warm_start: str) -> Generator[Bench]:
    project = folder / "project"
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True)
    (api,) = yaml.safe_load((EXAMPLE / "gyrus.yaml").read_text())
    handler = {**api["handler"], "warm_start": warm_start}
    (project / "gyrus.yaml").write_text(
        json.dumps([{**api, "name": name, "handler": handler, "autoscaling": IDLE_SOON}])
    )
    platform, port = Platform(folder / "home"), free_port()
    platform.gyrus("up", "--gateway-port", str(port))
    try:
        platform.gyrus("deploy", str(project), "--yes")
        yield Bench(platform, port, name)
    finally:
        platform.gyrus("down")


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"


def rows(by_kind: dict[str, Sequence[Wake]]) -> Iterator[Sequence[str]]:
    kinds = by_kind.values()
    for number, (part, what) in enumerate(PARTS):
        yield (
            part,
            *(milliseconds(statistics.median(w.parts[number] for w in wakes)) for wakes in kinds),
            what,
        )
    yield (
        "sent → answered",
        *(milliseconds(statistics.median(w.whole for w in wakes)) for wakes in kinds),
        "",
    )
    yield ("slowest", *(milliseconds(max(w.whole for w in wakes)) for wakes in kinds), "")


def measured(warm_start: str, times: int) -> Sequence[Wake]:
    kind = "cold" if warm_start == "off" else "warm"
    with (
        tempfile.TemporaryDirectory(prefix="gyrus-bench-") as folder,
        platform_with(Path(folder), "iris", warm_start) as bench,
    ):
        wakes = tuple(bench.wakes(times, warm=kind == "warm"))
    if others := sum(wake.start != kind for wake in wakes):
        sys.exit(f"{others} of {times} starts with warm_start: {warm_start} were not {kind}")
    return wakes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument(
        "--kinds", default="off,module,model", help="values of warm_start, separated by commas"
    )
    given = parser.parse_args()
    print(machine.description())
    by_kind: dict[str, Sequence[Wake]] = {}
    for kind in given.kinds.split(","):
        by_kind[kind] = measured(kind, given.times)
    print(f"milliseconds, medians of {given.times}")
    print(render(("", *by_kind, ""), tuple(rows(by_kind))))
    warm = [statistics.median(w.whole for w in wakes) for kind, wakes in by_kind.items() if kind != "off"]
    return 0 if all(each <= MOST for each in warm) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The present code against an earlier commit's, running in parallel: the rate, and waking from zero.

    scripts/bench paired COMMIT

Two platforms run side by side, each with the code of its commit and the same dependencies. Each round
measures both, in alternating order, so that other work on the machine affects both alike. The figures are
medians of the rounds' own ratios, present to earlier. The exit code is 0 only if each is within 3 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import machine
import wrk
from bare import BENCH
from table import render

from support.earlier import command_of, is_known
from support.platform import GYRUS, Platform, platform_of_its_own
from support.project import ECHO_REVISION, Project, handler_api

WITHIN = 0.03
EARLIER, TODAY = "earlier", "today"
IDLE_SOON = {"min_replicas": 0, "window": "1s", "downscale_stabilization_period": "1s", "panic_window": "1s"}
POLL = 0.2
SETTLE = 0.5
"""Seconds without requests to both platforms before a wake."""


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    unit: str
    more_is_better: bool
    take: Callable[[Platform], float]
    taken: dict[str, list[float]] = field(default_factory=lambda: {EARLIER: [], TODAY: []})

    @property
    def ratio(self) -> float:
        """Return the median of the rounds' ratios, present to earlier."""
        return statistics.median(
            now / then for now, then in zip(self.taken[TODAY], self.taken[EARLIER], strict=True)
        )

    @property
    def holds(self) -> bool:
        loss = 1 - self.ratio if self.more_is_better else self.ratio - 1
        return loss <= WITHIN


def rate(connections: int, seconds: int, script: Path) -> Callable[[Platform], float]:
    return lambda platform: (
        wrk.run(platform.url("tiny"), connections=connections, seconds=seconds, script=script).rate
    )


def wake(platform: Platform) -> float:
    """Return the milliseconds from a request to an idle API, with a ready fork server, until its answer."""
    until_idle(platform)
    began = time.perf_counter()
    reply = platform.ask("nap", {})
    if reply.status != 200:
        sys.exit(f"the idle API answered {reply.status}: {reply.body.decode(errors='replace')}")
    return (time.perf_counter() - began) * 1000


def until_idle(platform: Platform) -> None:
    while True:
        described = platform.json("describe", "nap")
        server = described.get("fork_server") or described.get("parked")
        is_ready = server is not None and server["phase"] in ("ready", "parked")
        if described["api"]["status"] == "idle" and not described["replicas"] and is_ready:
            return
        time.sleep(POLL)


def deploy(platform: Platform, folder: Path) -> None:
    platform.gyrus("deploy", BENCH / "tiny", "--yes")
    handler = {"path": "handler.py", "config": {"version": 1}, "warm_start": "module"}
    nap = handler_api("nap", autoscaling={**IDLE_SOON, "forecast": False}) | {"handler": handler}
    platform.gyrus("deploy", Project(folder).write(nap, handler=ECHO_REVISION), "--yes")


def measure(platforms: dict[str, Platform], measures: Sequence[Measure], rounds: int) -> None:
    for number in range(rounds + 1):
        order = list(platforms) if number % 2 else list(platforms)[::-1]
        for each in measures:
            if each.take is wake:
                for platform in platforms.values():
                    until_idle(platform)
                time.sleep(SETTLE)
            for name in order:
                value = each.take(platforms[name])
                if number > 0:  # the first round only warms up
                    each.taken[name].append(value)


def rows(measures: Sequence[Measure]) -> list[Sequence[str]]:
    return [
        (
            each.name,
            each.unit,
            *(f"{statistics.median(each.taken[name]):,.1f}" for name in (EARLIER, TODAY)),
            f"{each.ratio:.3f}",
        )
        for each in measures
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3, help="length of each rate measurement")
    given = parser.parse_args()
    wrk.require()
    if not is_known(given.commit):
        sys.exit(f"The history does not reach back to {given.commit}.")
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(wrk.POST.format(body=json.dumps({"number": 21})))
        commands = {EARLIER: command_of(given.commit, folder), TODAY: GYRUS}
        platforms = {
            each: stack.enter_context(platform_of_its_own(command)) for each, command in commands.items()
        }
        for each, platform in platforms.items():
            deploy(platform, folder / each)
        measures = (
            Measure("tiny handler, 32 connections", "answers/s", True, rate(32, given.seconds, script)),
            Measure("tiny handler, 1 connection", "answers/s", True, rate(1, given.seconds, script)),
            Measure("from zero, warm", "ms", False, wake),
        )
        measure(platforms, measures, given.rounds)
    print(machine.description())
    print(f"Medians of {given.rounds} rounds; {given.commit} against today's code")
    print(render(("", "unit", EARLIER, TODAY, "ratio"), rows(measures)))
    return 0 if all(each.holds for each in measures) else 1


if __name__ == "__main__":
    sys.exit(main())

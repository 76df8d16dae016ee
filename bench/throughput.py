"""Answers per second of the tiny JSON handler through gyrus, against bare Envoy in front of bare Granian.

All servers run at the same time and are measured alternately, in several rounds, so that other load on the
machine affects all of them. Both Envoys have the same number of workers. The aims are ratios of at least 1.0
at 32 connections and 0.9 at one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import bare
import machine
import whole
import wrk
from table import render

WHOLE, BARE = "gyrus: Envoy → replica", "bare Envoy → Granian"
REPLICA, GRANIAN = "gyrus's runtime alone", "Granian alone"
PAIRS = ((WHOLE, BARE), (REPLICA, GRANIAN))
AIMS = {(WHOLE, 32): 1.0, (WHOLE, 1): 0.9}
CONNECTIONS = (32, 1)

Rounds = dict[tuple[str, int], list[wrk.Figures]]


def measure(urls: dict[str, str], script: Path, rounds: int, seconds: int) -> Rounds:
    figures: Rounds = {(name, connections): [] for connections in CONNECTIONS for name in urls}
    for number in range(rounds + 1):
        for name, connections in figures:
            taken = wrk.run(urls[name], connections=connections, seconds=seconds, script=script)
            if number > 0:  # the first round only warms up
                figures[name, connections].append(taken)
    return figures


def ratio(figures: Rounds, ours: str, theirs: str, connections: int) -> float:
    """Return the median of the rounds' ratios."""
    pairs = zip(figures[ours, connections], figures[theirs, connections], strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


def rows(figures: Rounds) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for connections in CONNECTIONS:
        for ours, theirs in PAIRS:
            for name in (ours, theirs):
                taken = figures[name, connections]
                rate = statistics.median(one.rate for one in taken)
                latency = statistics.median(one.median for one in taken)
                compared = f"{ratio(figures, ours, theirs, connections):.2f}" if name == ours else ""
                aim = AIMS.get((name, connections))
                lines.append(
                    (
                        name,
                        str(connections),
                        f"{rate:,.0f}",
                        f"{latency:.2f}",
                        compared,
                        f"≥ {aim}" if aim else "",
                    )
                )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of each measurement")
    arguments = parser.parse_args()
    wrk.require()
    with tempfile.TemporaryDirectory(prefix="gyrus-bench-") as name, ExitStack() as servers:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(wrk.POST.format(body='{"number": 21}'))
        granian = servers.enter_context(bare.granian(folder))
        platform = servers.enter_context(whole.platform(folder))
        workers = whole.gateway_workers(folder)
        urls = {
            WHOLE: platform,
            BARE: servers.enter_context(bare.envoy(folder, granian, workers)),
            REPLICA: servers.enter_context(whole.replica(folder)),
            GRANIAN: granian,
        }
        figures = measure(urls, script, arguments.rounds, arguments.seconds)

    print(machine.description())
    print(f"Workers of each Envoy: {workers}")
    print(render(("", "connections", "answers/s", "median ms", "ratio", "aim"), rows(figures)))
    met = all(ratio(figures, WHOLE, BARE, connections) >= aim for (_, connections), aim in AIMS.items())
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

"""Whether the platform's processes grow. The weighing looks at processes; the comparison is pure."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil

_MODULE = re.compile(r"gyrus\.[a-z_.]+")
_REPLICA = re.compile(r"/([a-z]+)-\d+-\w{5}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One look at one process."""

    at: float
    """Seconds since the beginning."""
    role: str
    pid: int
    rss: int
    """Bytes that are resident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    role: str
    pid: int
    before: float
    after: float
    """Bytes."""

    @property
    def share(self) -> float:
        return self.after / self.before - 1

    def __str__(self) -> str:
        before, after = (f"{weight / 1024 / 1024:.1f}" for weight in (self.before, self.after))
        return f"{self.role} ({self.pid}): {before} → {after} MiB ({self.share:+.1%})"


def weigh(processes: Iterable[psutil.Process], at: float) -> list[Weight]:
    """Those of the platform itself; what is not ours among them is left out."""
    weights: list[Weight] = []
    for process in processes:
        try:
            role = role_of(process.cmdline())
            if role:
                weights.append(Weight(at=at, role=role, pid=process.pid, rss=process.memory_info().rss))
        except psutil.Error:
            continue
    return weights


def role_of(command: list[str]) -> str:
    """Empty: it is none of ours.

    >>> role_of(["python", "-m", "gyrus.runtime.worker", "/home/replicas/iris-1-abcde/config.json", "0"])
    'gyrus.runtime.worker of iris'
    """
    line = " ".join(command)
    if "--restart-epoch" in command or (command and command[0].endswith("envoy")):
        return "envoy"
    module, replica = _MODULE.search(line), _REPLICA.search(line)
    if module is None:
        return ""
    return f"{module[0]} of {replica[1]}" if replica else module[0]


def growths(weights: Iterable[Weight], settling: float, window: float) -> Iterator[Growth]:
    """Of each process that was there long enough: the median of a window after it had settled against the
    median of its last. All in seconds."""
    by_process: dict[tuple[str, int], list[Weight]] = defaultdict(list)
    for weight in weights:
        by_process[weight.role, weight.pid].append(weight)
    for (role, pid), looks in by_process.items():
        began, died = looks[0].at, looks[-1].at
        if died - began < settling + 2 * window:
            continue
        before = [look.rss for look in looks if 0 <= look.at - began - settling <= window]
        after = [look.rss for look in looks if look.at >= died - window]
        if before:
            yield Growth(role=role, pid=pid, before=statistics.median(before), after=statistics.median(after))

"""What this machine has: cores and memory, as far as its processes may use them, and GPUs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import psutil

from gyrus.backends.local.capacity import Machine
from gyrus.backends.local.devices import detect

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

CPU_FILES = ("cpu.max", "cpu.cfs_quota_us")
MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")


def look_at_machine(environ: Mapping[str, str]) -> Machine:
    """Blocks, for seconds where there are GPUs."""
    return Machine(cpu=math.floor(cores() * 1000), mem=memory(), gpus=detect(environ))


def cores() -> float:
    """That our processes may use at once: as many as we may run on, and no more than our quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min((float(allowed), *cpu_quotas(CGROUPS, own_groups(_read(OWN_CGROUPS)))))


def memory() -> int:
    """Bytes."""
    installed = int(psutil.virtual_memory().total)
    return min((installed, *memory_limits(CGROUPS, own_groups(_read(OWN_CGROUPS)))))


def own_groups(text: str) -> Mapping[str, str]:
    """Our control groups by controller, as ``/proc/self/cgroup`` tells; version 2 has all under ``""``.

    >>> own_groups("4:cpu,cpuacct:/a\\n0::/b\\n")
    {'cpu': '/a', 'cpuacct': '/a', '': '/b'}
    """
    lines = (line.split(":", 2) for line in text.splitlines())
    return {name: path for _, names, path in lines for name in names.split(",")}


def cpu_quotas(root: Path, groups: Mapping[str, str]) -> Iterator[float]:
    """Cores that each of our groups may use, where there is a limit."""
    for file in _files(root, "cpu", groups, CPU_FILES):
        if file.name == "cpu.max":
            quota, _, period = _read(file).strip().partition(" ")
        else:
            quota, period = _read(file).strip(), _read(file.with_name("cpu.cfs_period_us")).strip()
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def memory_limits(root: Path, groups: Mapping[str, str]) -> Iterator[int]:
    """Bytes that each of our groups may use, where there is a limit."""
    limits = (_read(file).strip() for file in _files(root, "memory", groups, MEMORY_FILES))
    return (int(limit) for limit in limits if limit.isdecimal())


def _files(root: Path, controller: str, groups: Mapping[str, str], names: tuple[str, str]) -> Iterator[Path]:
    """A limit's file in our group and in every group around it. In a container, the path may be that of
    outside: the files that are there are then those of the root."""
    newer, older = names
    for mount, name, group in (
        (root, newer, groups.get("")),
        (root / controller, older, groups.get(controller)),
    ):
        path = PurePosixPath(group or "/")
        for part in (path, *path.parents) if group is not None else ():
            yield mount / str(part).lstrip("/") / name


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""

"""The resources of this machine: GPUs, and the cores and memory that this process may use."""

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
    """Return the machine's resources. Blocks, for seconds if there are GPUs."""
    return Machine(cpu=math.floor(cores() * 1000), mem=memory(), gpus=detect(environ))


def cores() -> float:
    """Return the cores that our processes may use: those of our affinity mask, limited by our quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min((float(allowed), *cpu_quotas(CGROUPS, own_groups(_read(OWN_CGROUPS)))))


def memory() -> int:
    """Return the bytes of memory that our processes may use."""
    installed = int(psutil.virtual_memory().total)
    return min((installed, *memory_limits(CGROUPS, own_groups(_read(OWN_CGROUPS)))))


def own_groups(text: str) -> Mapping[str, str]:
    """Return our control groups by controller, from ``/proc/self/cgroup``. Version 2 has ``""`` for all.

    >>> own_groups("4:cpu,cpuacct:/a\\n0::/b\\n")
    {'cpu': '/a', 'cpuacct': '/a', '': '/b'}
    """
    lines = (line.split(":", 2) for line in text.splitlines())
    return {name: path for _, names, path in lines for name in names.split(",")}


def cpu_quotas(root: Path, groups: Mapping[str, str]) -> Iterator[float]:
    """Yield the cores that each of our groups may use, if it has a limit."""
    for file in _files(root, "cpu", groups, CPU_FILES):
        if file.name == "cpu.max":
            quota, _, period = _read(file).strip().partition(" ")
        else:
            quota, period = _read(file).strip(), _read(file.with_name("cpu.cfs_period_us")).strip()
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def memory_limits(root: Path, groups: Mapping[str, str]) -> Iterator[int]:
    """Return the bytes that each of our groups may use, if it has a limit."""
    limits = (_read(file).strip() for file in _files(root, "memory", groups, MEMORY_FILES))
    return (int(limit) for limit in limits if limit.isdecimal())


def _files(root: Path, controller: str, groups: Mapping[str, str], names: tuple[str, str]) -> Iterator[Path]:
    """Yield a limit's file in our group and in every group around it.

    In a container, the path may be that of the host. Then only the files of the root exist.
    """
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

"""The table of all processes, their parents and memory, from ``/proc`` on Linux, from ``ps`` elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gyrus.runtime.supervisor.kernel import LINUX

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Row:
    """One process."""

    pid: int
    parent: int
    group: int
    resident: int
    """Bytes of resident memory. Zero means a zombie: it is dead and has not been reaped."""


ProcessRows = Mapping[int, Row]


def read_table() -> ProcessRows:
    rows = _rows_of_proc() if LINUX else _rows_of_ps()
    return {row.pid: row for row in rows}


def descendants(table: ProcessRows, root: int) -> set[int]:
    """Return the children of ``root``, their children and so on, without ``root``."""
    children: dict[int, list[int]] = {}
    for row in table.values():
        children.setdefault(row.parent, []).append(row.pid)
    found: set[int] = set()
    waiting = [root]
    while waiting:
        fresh = [pid for pid in children.get(waiting.pop(), ()) if pid not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found - {root}


def strays(table: ProcessRows, leader: int, known: Iterable[int]) -> set[int]:
    """Return the living members of the leader's group or descent that do not descend from ``known`` ones."""
    belonging = descendants(table, leader) | {row.pid for row in table.values() if row.group == leader}
    accounted = {leader, *known}
    for pid in known:
        accounted |= descendants(table, pid)
    return {pid for pid in belonging - accounted if table[pid].resident}


def family(root: int) -> list[int]:
    """Return ``root`` and its descendants. This is cheap on Linux: it reads no other processes."""
    if not LINUX or not os.path.exists(f"/proc/{root}/task/{root}/children"):
        return [root, *descendants(read_table(), root)]
    found = [root]
    for pid in found:  # the list grows during the loop
        found.extend(_children(pid))
    return found


def resident(pid: int) -> int:
    """Return the bytes of memory that the process uses now. Returns 0 if it has exited."""
    if not LINUX:
        return next((row.resident for row in _rows_of_ps("-p", str(pid))), 0)
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as statm:
            return int(statm.read(128).split(b" ", 2)[1]) * PAGE
    except OSError:
        return 0


def _children(pid: int) -> Iterator[int]:
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as children:
                yield from map(int, children.read(65536).split())
    except OSError:
        return


def _rows_of_proc() -> Iterator[Row]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as stat:
                fields = stat.read(4096).rpartition(b")")[2].split()
        except OSError:
            continue
        yield Row(int(name), int(fields[1]), int(fields[2]), int(fields[21]) * PAGE)


def _rows_of_ps(*which: str) -> Iterator[Row]:
    command = ["ps", *(which or ("-A",)), "-o", "pid=,ppid=,pgid=,rss="]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in shown.stdout.splitlines():
        pid, parent, group, kilobytes = map(int, line.split())
        yield Row(pid, parent, group, kilobytes * 1024)

"""The visible title of a process: its command line, and the replica that its environment names.

A fork has the title of its fork server. To be seen, recognised and ended as a replica's process, it writes
its own title over the memory that the kernel shows. That memory must be large enough, so the fork server is
started with padding.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence

REPLICA = "GYRUS_REPLICA"
PADDING = "-" * 96
"""An argument that only reserves memory.

The command line of a replica is longer than that of its fork server, by the name of a folder and the end of
the replica's name.
"""
_BLANK = " " * 64
"""Padding for the replica's name, which is always shorter."""
_ARGUMENTS, _VARIABLES = 45, 47
"""Indices, after the command's name in ``/proc/self/stat``, of the start addresses of the two areas."""


class TitleTooLong(Exception):
    """The new title is longer than the memory of the old one."""


def with_padding(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which the replica's name can be replaced.

    The variable comes last: the zero bytes after a shorter name then look like the end of the environment.
    """
    return {name: value for name, value in env.items() if name != REPLICA} | {REPLICA: _BLANK}


def show(command: Sequence[str], replica: str) -> None:
    """Show this command line and this replica from now on. Raises TitleTooLong, OSError."""
    start, end = _bounds(_ARGUMENTS)
    _write(start, end, b"".join(os.fsencode(word) + b"\0" for word in command))
    start, end = _bounds(_VARIABLES)
    with open("/proc/self/environ", "rb") as file:
        at = file.read().rfind(b"\0" + REPLICA.encode() + b"=")
    if at < 0:
        raise TitleTooLong(f"the environment has no {REPLICA}")
    _write(start + at + 1, end, f"{REPLICA}={replica}\0".encode())


def _bounds(which: int) -> tuple[int, int]:
    """Return the start and end addresses of an area."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[which]), int(fields[which + 1])


def _write(start: int, end: int, words: bytes) -> None:
    space = end - start
    if not start or len(words) > space:
        raise TitleTooLong(f"{len(words)} bytes are needed, but only {space if start else 0} are available")
    ctypes.memmove(start, words.ljust(space, b"\0"), space)

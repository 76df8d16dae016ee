"""What others see of a process: its command line, and the replica that its environment names.

A fork looks like what it is a fork of. So that it is seen, known again and ended as what it has become, it
writes its own words over those in its memory that the kernel shows. There must be room for them: the parked
process is started with some to spare.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence

REPLICA = "GYRUS_REPLICA"
ROOM = "-" * 96
"""An argument that nobody reads. What a replica is started with is longer than what its parked process is, by
some folder's name and the end of the replica's."""
_BLANK = " " * 64
"""Replicas have shorter names."""
_ARGUMENTS, _VARIABLES = 45, 47
"""Where, behind the command's name in ``/proc/self/stat``, the bounds of the two stand."""


class TitleTooLong(Exception):
    """The new words are longer than the old."""


def with_room(env: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the replica's name can be replaced. It comes last: what is shorter than before
    is followed by what looks like the end."""
    return {name: value for name, value in env.items() if name != REPLICA} | {REPLICA: _BLANK}


def show(command: Sequence[str], replica: str) -> None:
    """From now on be seen as this program, and as a part of this replica. Raises TitleTooLong, OSError."""
    start, end = _bounds(_ARGUMENTS)
    _write(start, end, b"".join(os.fsencode(word) + b"\0" for word in command))
    start, end = _bounds(_VARIABLES)
    with open("/proc/self/environ", "rb") as file:
        at = file.read().rfind(b"\0" + REPLICA.encode() + b"=")
    if at < 0:
        raise TitleTooLong(f"the environment has no {REPLICA}")
    _write(start + at + 1, end, f"{REPLICA}={replica}\0".encode())


def _bounds(which: int) -> tuple[int, int]:
    """Addresses."""
    with open("/proc/self/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[which]), int(fields[which + 1])


def _write(start: int, end: int, words: bytes) -> None:
    room = end - start
    if not start or len(words) > room:
        raise TitleTooLong(f"{len(words)} bytes are needed, and there are {room if start else 0}")
    ctypes.memmove(start, words.ljust(room, b"\0"), room)

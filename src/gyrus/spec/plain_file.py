"""Reading a file that the user names: at once, or not at all. A pipe, a socket or a device is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotPlain(ValueError):
    """A path that names no plain file. The text ends a sentence that begins with the name: ``is a pipe``."""


def read_plain_file(path: Path, most: int | None = None) -> bytes:
    """Return the content; of a larger file, ``most`` bytes and one more. Raises NotPlain and OSError."""
    _check(os.stat(path).st_mode)  # before opening: a device may act when it is opened
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        _check(os.fstat(descriptor).st_mode)
        return file.read() if most is None else file.read(most + 1)


def _check(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotPlain(f"is {next((kind for test, kind in _KINDS if test(mode)), 'no file')}")

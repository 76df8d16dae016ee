"""A lock on a file by which a process proves its identity: the kernel names the holder's pid.

It is a POSIX record lock. Unlike that of ``flock``, it belongs to one process and no fork inherits it. The
kernel releases it when the process ends, however it ends. No other user can take it in a folder that only its
owner may enter.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

_DARWIN = sys.platform == "darwin"
_FLOCK = "qqihh" if _DARWIN else "hhqqi"
"""Layout of ``struct flock``: type, whence, start, length and pid, in the system's order."""


def hold(path: str) -> int:
    """Take the lock for as long as this process lives, and return its descriptor.

    The process must not open the file again: closing any descriptor of it would release the lock. Raises
    BlockingIOError if another process holds the lock, and OSError if the file system has no locks; the file
    then does not exist.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, (BlockingIOError, PermissionError)):  # POSIX allows either errno
            raise BlockingIOError(error.errno, error.strerror, path) from error
        os.unlink(path)
        raise
    return descriptor


def holder(path: str) -> int | None:
    """Return the pid of the process that holds the lock. Returns None if none does. Raises OSError.

    Raises FileNotFoundError if no process has ever tried to take it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_GETLK, _pack(fcntl.F_WRLCK))
    finally:
        os.close(descriptor)
    kind, pid = _unpack(found)
    return None if kind == fcntl.F_UNLCK else pid


def _pack(kind: int) -> bytes:
    return struct.pack(_FLOCK, 0, 0, 0, kind, 0) if _DARWIN else struct.pack(_FLOCK, kind, 0, 0, 0, 0)


def _unpack(lock: bytes) -> tuple[int, int]:
    fields = struct.unpack(_FLOCK, lock)
    return (fields[3], fields[2]) if _DARWIN else (fields[0], fields[4])

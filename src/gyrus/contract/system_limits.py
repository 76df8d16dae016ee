"""The messages for what the system has run out of: processes and threads, open files, memory, disk space."""

from __future__ import annotations

import errno

OUT_OF_PROCESSES = (
    "the limit of processes and threads is reached; end some, or raise the limit (ulimit -u of the user, "
    "pids.max of the container or service)"
)

OUT_OF_FILES = "the limit of open files is reached; close some, or raise the limit (ulimit -n)"

OUT_OF_FILES_OF_MACHINE = (
    "the machine's limit of open files is reached; stop other programs, or raise fs.file-max"
)

OUT_OF_MEMORY = "the machine has no memory for another process; stop other programs, or run fewer replicas"

OUT_OF_SPACE = "the disk is full, or the user's quota of it is; free some space there"


def all_files_in_use(limit: int) -> str:
    """Return the clause for a process that has as many open files as it may have."""
    return f"all its {limit} file descriptors are in use: close files and connections, or raise ulimit -n"


_REMEDIES = {
    errno.EAGAIN: OUT_OF_PROCESSES,  # fork and clone report it
    errno.EMFILE: OUT_OF_FILES,
    errno.ENFILE: OUT_OF_FILES_OF_MACHINE,
    errno.ENOMEM: OUT_OF_MEMORY,
    errno.ENOSPC: OUT_OF_SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): OUT_OF_SPACE,
}


def explain(error: Exception) -> str:
    """Return the error's text, with the limit and the remedy if the system has run out of something."""
    remedy = exhausted(error)
    return f"{error}: {remedy}" if remedy else str(error)


def exhausted(error: Exception) -> str | None:
    """Return the limit that is reached, with the remedy. Returns None if the error has another cause."""
    if isinstance(error, OSError):
        return _REMEDIES.get(error.errno or 0)
    no_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    return OUT_OF_PROCESSES if no_thread else None

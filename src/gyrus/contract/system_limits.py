"""The messages for limits of the system: too many processes and threads, or open files."""

from __future__ import annotations

import errno

OUT_OF_PROCESSES = (
    "the limit of processes and threads is reached; end some, or raise the limit (ulimit -u of the user, "
    "pids.max of the container or service)"
)

OUT_OF_FILES = "the limit of open files is reached; close some, or raise the limit (ulimit -n)"


def explain(error: Exception) -> str:
    """Return the error's text, with the remedy if the system has no more processes, threads or open files."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error}: {OUT_OF_FILES}"
    return f"{error}: {OUT_OF_PROCESSES}" if _is_out_of_processes(error) else str(error)


def _is_out_of_processes(error: Exception) -> bool:
    if isinstance(error, OSError):  # fork and clone report EAGAIN
        return error.errno == errno.EAGAIN
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)

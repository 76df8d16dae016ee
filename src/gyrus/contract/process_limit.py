"""The message for a process or thread that the system refuses to start, because there are too many."""

from __future__ import annotations

import errno

OUT_OF_PROCESSES = (
    "the limit of processes and threads is reached; end some, or raise the limit (ulimit -u of the user, "
    "pids.max of the container or service)"
)


def explain(error: OSError) -> str:
    """Return the error's text, with the remedy if the system has no more processes."""
    return f"{error.strerror or error}: {OUT_OF_PROCESSES}" if error.errno == errno.EAGAIN else str(error)

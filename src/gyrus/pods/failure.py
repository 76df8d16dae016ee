"""The failure of a program in a pod, and how Kubernetes learns of it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from gyrus.contract.pods import TERMINATION_LOG, UNREACHABLE, PodFailure
from gyrus.contract.replica import Reason

STOPPED = 128 + signal.SIGTERM
"""Exit code after a signal."""


class PodFailed(Exception):
    """A program that could not do its work. ``str()`` is one line.

    └── FilesUnreachable    the operator did not answer: a retry may help
    """

    def __init__(self, reason: Reason, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.failure = PodFailure(reason=reason, message=message, lines=lines)


class FilesUnreachable(PodFailed):
    pass


def run(program: Callable[[], None], termination_log: Path = Path(TERMINATION_LOG)) -> int:
    """Run a program and return its exit code. A failure goes to stderr and into the pod's status."""
    signal.signal(signal.SIGTERM, _stop)  # by default, the first process of a container ignores it
    try:
        program()
    except PodFailed as failed:
        report(failed.failure, termination_log)
        return UNREACHABLE if isinstance(failed, FilesUnreachable) else 1
    return 0


def report(failure: PodFailure, termination_log: Path) -> None:
    """Print the failure, its one line last, and write it into the termination log."""
    for line in failure.lines:
        print(line, file=sys.stderr)  # noqa: T201
    print(f"{failure.reason}: {failure.message}", file=sys.stderr, flush=True)  # noqa: T201
    try:
        termination_log.write_bytes(failure.shortened())
    except OSError as error:
        print(f"{termination_log} cannot be written: {error}", file=sys.stderr)  # noqa: T201


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(STOPPED)

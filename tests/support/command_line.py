"""The command line as a test calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.operator_thread import Operator


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Gyrus = Callable[..., Ran]


@dataclass(frozen=True, slots=True)
class Terminal:
    """What a command shows on a pseudo-terminal."""

    descriptor: int

    def read_until(self, words: bytes) -> bytes:
        """All that is shown until these words have been. Raises AssertionError where they never are."""
        shown = b""
        while words not in shown:
            try:
                chunk = os.read(self.descriptor, 65536)
            except OSError:  # on Linux, the other end is closed
                chunk = b""
            assert chunk, f"it ended without {words!r} after {shown!r}"
            shown += chunk
        return shown


@contextmanager
def on_terminal(operator: Operator, *arguments: str, **variables: str) -> Generator[Terminal]:
    """Runs a command on a terminal of its own, and interrupts it where it still runs at the block's end."""
    import pty

    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gyrus.cli.main", *arguments],
        env={**kept, "GYRUS_HOME": str(operator.home.root), "TERM": "xterm", **variables},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(ours)
        process.send_signal(signal.SIGINT)
        os.close(ours)
        process.wait(60)
    finally:
        process.kill()
        process.wait()

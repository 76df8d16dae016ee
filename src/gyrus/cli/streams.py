"""The command's standard streams, even if they are full or closed, or if their reader is gone.

OutputLost   a write to stdout that failed
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any

PIPE_CLOSED = 141
"""The exit code of a program that SIGPIPE ends: 128 + 13."""


class OutputLost(OSError):
    """A failed write to stdout. The rest of the output is dropped."""


class _Stdout(io.RawIOBase):
    """The file descriptor of stdout. Its errors are OutputLost, apart from any other OSError."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lost = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._descriptor is None:
            raise io.UnsupportedOperation("stdout is closed")
        return self._descriptor

    def isatty(self) -> bool:
        return self._descriptor is not None and os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        if self._lost:
            return len(data)  # the failure has been raised already: the flush at the exit must not fail again
        try:
            if self._descriptor is None:
                raise OSError(errno.EBADF, "it is closed")
            return os.write(self._descriptor, data)
        except OSError as error:
            self._lost = True
            raise OutputLost(error.errno, error.strerror) from error


def install() -> None:
    """Replace stdout by one with recognisable errors, and closed streams by ones that can be used.

    Does nothing with streams that are not the process's own, as in tests.
    """
    if os.name != "posix":
        return
    _occupy_standard_descriptors()
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] -- closed by the shell
        sys.stdin = open(os.devnull)  # noqa: SIM115 -- for the rest of the process
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdout = _text_stream(_Stdout(None), "utf-8")
    elif sys.stdout is sys.__stdout__:
        sys.stdout = _text_stream(_Stdout(sys.stdout.fileno()), sys.stdout.encoding)


def report_lost(lost: OutputLost) -> int:
    """Explain on stderr that the output is lost, unless its reader is gone. Return the exit code."""
    if lost.errno == errno.EPIPE:
        return PIPE_CLOSED
    try:
        sys.stderr.write(f"error: The output cannot be written: {lost.strerror}.\n")
        sys.stderr.flush()
    except OSError:
        pass  # the exit code has to do
    return 1


def settle() -> None:
    """Drop what stderr does not take, so that the interpreter does not fail at its exit."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- for the rest of the process


def _text_stream(raw: _Stdout, encoding: str) -> io.TextIOWrapper:
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding, errors="replace", line_buffering=raw.isatty())


def _occupy_standard_descriptors() -> None:
    """Open /dev/null where the shell has closed a standard stream, so that no other file gets its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)

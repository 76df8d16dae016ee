"""The bytes below a captured ``sys.stdout`` or ``sys.stderr``: they become log lines.

The text layer above is an ordinary :class:`io.TextIOWrapper`, so that a handler can use it as in any program.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from gyrus.runtime.supervisor.lines import LineCutter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Emit = Callable[[str, str | None], None]
"""Function that logs a line with the id of its request."""
CurrentRequest = Callable[[], str | None]
"""Function that returns the id of the request that the current thread or task works on."""

_UTF_8 = "utf-8"


class LineSink(io.BufferedIOBase):
    """A binary file without a buffer. Each thread has its own incomplete line.

    A line ends at a line end, a flush, the end of its request and the end of its thread.
    """

    def __init__(
        self, name: str, original: Any, emit: Emit, request: CurrentRequest, pending: set[int]
    ) -> None:
        """``pending``: receives the ids of all threads' incomplete lines; several sinks may share it."""
        super().__init__()
        self.name = f"<{name}>"
        self._original = original
        self._emit = emit
        self._request = request
        self._pending = pending
        self.encoding: Callable[[], str] = lambda: _UTF_8
        """Function that returns the encoding of the text layer."""
        self.forget()

    def forget(self) -> None:
        """Drop all incomplete lines without logging them: in a forked child, they are the parent's."""
        for line in getattr(self, "_lines", ()):
            line.drop()
        self._held = threading.local()
        self._lines: WeakSet[_Line] = WeakSet()
        self._lock = threading.Lock()

    # The file

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        if self._original is None:
            raise io.UnsupportedOperation("fileno")
        return self._original.fileno()

    @property
    def raw(self) -> Any:
        return self

    def write(self, data: ReadableBuffer, /) -> int:
        written = bytes(data)
        if (encoding := self.encoding()) != _UTF_8:
            text = written.decode(encoding, "replace").encode(errors="replace")
        else:
            text = written
        self._line().add(text, self._request())
        return len(written)

    def flush(self) -> None:
        """End this thread's incomplete line, and flush what was written to the real stream below."""
        self.end_line()
        if self._original is not None:
            with suppress(OSError, ValueError):
                self._original.flush()

    def close(self) -> None:
        """Flush. The stream stays open for other threads, and for the platform's own messages."""
        self.flush()

    # The ends of lines

    def end_line(self) -> None:
        """End this thread's incomplete line."""
        line = getattr(self._held, "line", None)
        if line is not None and line.pending:
            line.end()

    def finish(self) -> None:
        """End the incomplete lines of all threads."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.end()

    def _line(self) -> _Line:
        line = getattr(self._held, "line", None)
        if line is None:
            line = self._held.line = _Line(self._emit, self._pending)
            with self._lock:
                self._lines.add(line)
        return line


class _Line:
    """The incomplete line of one thread. It ends with its thread, which drops it."""

    def __init__(self, emit: Emit, pending: set[int]) -> None:
        self._emit = emit
        self._pending = pending
        self._cutter = LineCutter()
        self._continues = False
        """True if the last output was ended by a flush: a line end that follows adds nothing."""
        self.request: str | None = None

    def add(self, data: bytes, request: str | None) -> None:
        if self.pending and request != self.request:
            self.end()
        if self._continues and data:
            self._continues = False
            data = data.removeprefix(b"\r").removeprefix(b"\n")
        self.request = request
        for line in self._cutter.feed(data):
            self._emit(line, request)
        if data.endswith(b"\n"):
            self.drop()
        elif data:
            self._pending.add(id(self))

    @property
    def pending(self) -> bool:
        return id(self) in self._pending

    def end(self) -> None:
        if not self.pending:
            return
        self.drop()
        for line in self._cutter.finish():
            if text := line.strip("\r"):
                self._emit(text, self.request)
                self._continues = True

    def drop(self) -> None:
        self._pending.discard(id(self))

    def __del__(self) -> None:
        with suppress(Exception):  # at the interpreter's end, parts of it may be gone
            self.end()

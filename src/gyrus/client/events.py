"""Server-sent events, read as they arrive (the subset that the operator sends)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    type: str
    data: bytes


class EventReader:
    """Assembles events from chunks that may end anywhere.

    >>> reader = EventReader()
    >>> reader.feed(b"event: gone\\ndata: {")
    []
    >>> reader.feed(b"}\\n\\n: still here\\n\\n")
    [ServerEvent(type='gone', data=b'{}')]
    """

    def __init__(self) -> None:
        self._rest = b""
        self._type = "message"
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [event for line in lines if (event := self._take(line.removesuffix(b"\r"))) is not None]

    def _take(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._finish()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._type = value.decode()
        elif name == b"data":
            self._data.append(value)
        return None

    def _finish(self) -> ServerEvent | None:
        event = ServerEvent(self._type, b"\n".join(self._data)) if self._data else None
        self._type, self._data = "message", []
        return event

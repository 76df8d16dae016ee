"""Messages of a worker or queue proxy on its control pipe, one JSON document per line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from gyrus.contract.replica import Phase, Reason
from gyrus.runtime.supervisor.logfile import LogEntry


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The process's own status: ``{"kind": "status", …}``."""

    phase: Phase
    reason: Reason | None
    message: str
    lines: tuple[str, ...]


def understand(line: str, now: float) -> WorkerStatus | LogEntry:
    """Parse a line. A line that is neither a status nor a log line becomes a log line as it is."""
    try:
        said = json.loads(line)
        match said:
            case {"kind": "status"}:
                return _announcement(cast("dict[str, Any]", said))
            case {"kind": "log"}:
                return _entry(cast("dict[str, Any]", said), now)
            case _:
                pass
    except (ValueError, TypeError, KeyError):
        pass
    return LogEntry(message=line, time=now, stream="gyrus")


def _announcement(said: dict[str, Any]) -> WorkerStatus:
    reason = said.get("reason")
    return WorkerStatus(
        phase=Phase(said["phase"]),
        reason=Reason(reason) if reason else None,
        message=str(said.get("message", "")),
        lines=tuple(str(line) for line in said.get("lines") or ()),
    )


def _entry(said: dict[str, Any], now: float) -> LogEntry:
    return LogEntry(
        message=str(said.get("message", "")),
        time=float(said.get("time", now)),
        stream=str(said.get("stream", "gyrus")),
        level=_text(said.get("level")),
        request_id=_text(said.get("request_id")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)

"""Messages of a worker or queue proxy on its control pipe, one JSON document per line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from gyrus.contract.replica import Phase, PoisonedRequest, Reason
from gyrus.runtime.supervisor.logfile import LogEntry


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The process's own status: ``{"kind": "status", …}``."""

    phase: Phase
    reason: Reason | None
    message: str
    lines: tuple[str, ...]


def understand(line: str, now: float) -> WorkerStatus | PoisonedRequest | LogEntry:
    """Parse a line. A line that is no message becomes a log line as it is."""
    try:
        document = json.loads(line)
        match document:
            case {"kind": "status"}:
                return _announcement(cast("dict[str, Any]", document))
            case {"kind": "poison"}:
                return _poisoned(cast("dict[str, Any]", document), now)
            case {"kind": "log"}:
                return _entry(cast("dict[str, Any]", document), now)
            case _:
                pass
    except (ValueError, TypeError, KeyError):
        pass
    return LogEntry(message=line, time=now, stream="gyrus")


def _announcement(document: dict[str, Any]) -> WorkerStatus:
    reason = document.get("reason")
    return WorkerStatus(
        phase=Phase(document["phase"]),
        reason=Reason(reason) if reason else None,
        message=str(document.get("message", "")),
        lines=tuple(str(line) for line in document.get("lines") or ()),
    )


def _poisoned(document: dict[str, Any], now: float) -> PoisonedRequest:
    return PoisonedRequest(id=str(document["request_id"]), refused_at=float(document.get("time", now)))


def _entry(document: dict[str, Any], now: float) -> LogEntry:
    return LogEntry(
        message=str(document.get("message", "")),
        time=float(document.get("time", now)),
        stream=str(document.get("stream", "gyrus")),
        level=_text(document.get("level")),
        request_id=_text(document.get("request_id")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)

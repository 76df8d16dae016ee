"""Messages of a worker or queue proxy on its control pipe, one JSON document per line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from gyrus.contract.replica import Phase, PoisonedRequest, Reason
from gyrus.runtime.supervisor.logfile import LogEntry
from gyrus.runtime.supervisor.process_state import Failure


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The process's own status: ``{"kind": "status", …}``."""

    phase: Phase
    reason: Reason | None
    message: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """A worker's event loop is blocked: ``{"kind": "blocked", …}``."""

    message: str
    """A clause; empty: it runs again."""


def understand(line: str, now: float) -> WorkerStatus | PoisonedRequest | LoopBlocked | LogEntry:
    """Parse a line. A line that is no message becomes a log line as it is."""
    try:
        document = json.loads(line)
        match document:
            case {"kind": "status"}:
                return _announcement(cast("dict[str, Any]", document))
            case {"kind": "poison"}:
                return _poisoned(cast("dict[str, Any]", document), now)
            case {"kind": "blocked"}:
                return LoopBlocked(str(document.get("message", "")))
            case {"kind": "log"}:
                return _entry(cast("dict[str, Any]", document), now)
            case _:
                pass
    except (ValueError, TypeError, KeyError):
        pass
    return LogEntry(message=line, time=now, stream="gyrus")


def status_line(phase: Phase, failure: Failure) -> bytes:
    """Return the line that reports a failure."""
    document = {"kind": "status", "phase": phase, "reason": failure.reason, "message": failure.message}
    return json.dumps({**document, "lines": list(failure.lines)}).encode() + b"\n"


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

"""Problem documents as answers.

::

    RequestRefused    the request is at fault, or cannot be served now
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gyrus.contract.problem import (
    BODIES_FULL,
    BODY_TIMEOUT,
    BODY_TOO_LARGE,
    MEDIA_TYPE,
    QUEUE_FULL,
    UPSTREAM_FAILED,
    ProblemType,
)
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.bodies import LEAST_PACE, LONGEST

MIB = 1024 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Encoder of documents. It is kept, because a handler may replace the functions of :mod:`json`."""


@dataclass(eq=False)
class RequestRefused(Exception):
    """The end of the work on a request. ``detail`` names the problem, its cause and its remedy."""

    kind: ProblemType
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Additional members of the problem document."""

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    def answer(self, request_id: bytes) -> Answer:
        return problem_answer(self.kind, self.detail, request_id, headers=self.headers, more=self.more)


def body_too_large(limit: int) -> RequestRefused:
    """Build the refusal of a body of more than ``limit`` bytes."""
    detail = f"The body is larger than the limit of {_size(limit)}; send less at once."
    return RequestRefused(BODY_TOO_LARGE, detail)


def decompressed_too_large(limit: int) -> RequestRefused:
    """Build the refusal of a body that has more than ``limit`` bytes once it is decompressed."""
    detail = f"The decompressed body is larger than the limit of {_size(limit)}; send less at once."
    return RequestRefused(BODY_TOO_LARGE, detail)


def _size(limit: int) -> str:
    return f"{limit // MIB} MiB" if limit % MIB == 0 else f"{limit} bytes"


def bodies_full(most: int) -> RequestRefused:
    """Build the refusal of a body while others take all of the memory for bodies."""
    detail = (
        f"The bodies of other requests that are still arriving take the {most // MIB} MiB that this process "
        "has for them; try again."
    )
    return RequestRefused(BODIES_FULL, detail, {"retry-after": "1"})


def too_slow() -> RequestRefused:
    """Build the refusal of a body that arrives too slowly, or for too long."""
    detail = (
        f"The body arrives too slowly: the least is {LEAST_PACE // 1024} KiB per second on average, and "
        f"{LONGEST / 60:g} min for all of it; send less at once, or compress it."
    )
    return RequestRefused(BODY_TIMEOUT, detail)


def queue_full(slots: int | None, waiting: int) -> RequestRefused:
    detail = (
        f"All slots are busy ({slots}) and the queue is full ({waiting} waiting); "
        "try again, or raise max_replicas or max_queue_length."
    )
    return RequestRefused(QUEUE_FULL, detail, {"retry-after": "1"})


def tries_used_up() -> RequestRefused:
    """Build the refusal of a last try by a process that knows of no other process's death."""
    detail = (
        "The replicas that started the request ended it without an answer, so no other one starts it. "
        "The logs of the API show their last output."
    )
    return RequestRefused(UPSTREAM_FAILED, detail)


def problem_answer(
    kind: ProblemType,
    detail: str,
    request_id: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Answer:
    document = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": f"urn:gyrus:request:{request_id.decode('latin-1')}",
        **(more or {}),
    }
    body = _encode(document).encode(errors="replace")
    return Answer(kind.status, MEDIA_TYPE, body, tuple((headers or {}).items()))

"""The answers to requests that the activator does not hold, or holds no longer: problem documents. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from gyrus.contract.problem import (
    BODIES_FULL,
    BODY_TOO_LARGE,
    MEDIA_TYPE,
    NO_REPLICA,
    QUEUE_FULL,
    TIMEOUT,
    UNKNOWN_API,
    Problem,
    ProblemType,
)
from gyrus.contract.replica import PLATFORM_REQUEUE_HEADER, REQUEUE_HEADER
from gyrus.gate.hold_time import HoldEnd
from gyrus.state.board import Replica, Route, StartFailure
from gyrus.state.status import NONE_YET, what_becomes

SOON = 1
LATER = 30
"""Seconds after which a retry may succeed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    kind: ProblemType
    detail: str
    retry_after: int | None = SOON
    """Seconds; sent if the status is 503."""
    requeue: bool = False
    """True if the gateway retries the request at a replica; the client does not see this answer."""
    at_limit: bool = False
    """True if the activator cannot hold more."""


RELEASED = Refusal(NO_REPLICA, "A replica is ready now.", requeue=True)


def unknown(api: str) -> Refusal:
    return Refusal(
        UNKNOWN_API, f"API {api} does not exist, or is being deleted. `gyrus get` lists the deployed APIs."
    )


def ending(api: str) -> Refusal:
    detail = f"The platform of API {api} is shutting down. The API is back after the next `gyrus up`."
    return Refusal(NO_REPLICA, detail)


def unavailable(api: str, why: str) -> Refusal:
    detail = f"API {api} has no working replica: {_clause(why)}. `gyrus describe {api}` shows more."
    return Refusal(NO_REPLICA, detail, LATER)


def too_large(api: str, most: int) -> Refusal:
    return Refusal(BODY_TOO_LARGE, f"The body is larger than max_body of API {api}, {most:,} bytes.", None)


def crowded(api: str) -> Refusal:
    detail = f"API {api} has no replica yet, and the platform cannot hold more requests. Try again."
    return Refusal(QUEUE_FULL, detail, at_limit=True)


def bodies_full(api: str) -> Refusal:
    detail = (
        f"API {api} has no replica yet, and the platform cannot hold more requests with unfinished bodies, "
        "or bodies of more than 12 MiB. Try again."
    )
    return Refusal(BODIES_FULL, detail, at_limit=True)


def full(api: str, held: int) -> Refusal:
    detail = (
        f"API {api} has no replica yet, and {held} requests wait for one, which is the limit. "
        "Try again, or raise max_queue_length."
    )
    return Refusal(QUEUE_FULL, detail)


def overdue(
    route: Route, replicas: Sequence[Replica], limit: HoldEnd, failure: StartFailure | None = None
) -> Refusal:
    """Build the answer to a request that was held until its limit. ``failure`` is that of the last start."""
    queueing = route.queueing
    assert queueing is not None
    doing = what_becomes(queueing.generation, replicas)
    if doing == NONE_YET and failure:
        doing = failure.message
    why = f"{_clause(doing)}. `gyrus describe {route.api}` shows more."
    if limit.is_timeout:
        began = f"API {route.api} had no free replica within the timeout of {route.timeout:g} s"
        return Refusal(TIMEOUT, f"{began}: {why}")
    return Refusal(
        NO_REPLICA, f"API {route.api} had no free replica within max_hold, {queueing.hold:g} s: {why}"
    )


def answer(
    refusal: Refusal, request_id: str, *, close: bool, bodiless: bool, requeue_secret: str = ""
) -> bytes:
    """Build the whole response.

    ``bodiless``: the request was a HEAD. ``requeue_secret``: the secret by which the gateway recognises a
    requeue in pools where it believes no other.
    """
    kind = refusal.kind
    instance = f"urn:gyrus:request:{request_id}"
    problem = Problem(
        type=kind.type, title=kind.title, status=kind.status, detail=refusal.detail, instance=instance
    )
    body = json.dumps(asdict(problem), ensure_ascii=False).encode()
    lines = [
        f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        f"x-request-id: {request_id}",
    ]
    if kind.status == 503 and refusal.retry_after is not None:
        lines.append(f"retry-after: {refusal.retry_after}")
    if refusal.requeue:
        lines.append(f"{REQUEUE_HEADER}: 1")
        if requeue_secret:
            lines.append(f"{PLATFORM_REQUEUE_HEADER}: {requeue_secret}")
    if close:
        lines.append("connection: close")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return head if bodiless else head + body


def _clause(sentence: str) -> str:
    return sentence.rstrip(". ")

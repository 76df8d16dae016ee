"""The steps that all runners share: the arguments of ``predict`` and the answer to a failure."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gyrus.contract.problem import BAD_ANSWER, HANDLER_FAILED
from gyrus.contract.replica import PRIVATE_HEADERS
from gyrus.runtime.calls.call import Call
from gyrus.runtime.handler.content_coding import CODING, decode_body
from gyrus.runtime.handler.failure import type_name, user_traceback
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.handler.parameters import Headers, query_fields
from gyrus.runtime.handler.signature import Signature
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.problems import RequestRefused, problem_answer
from gyrus.runtime.telemetry.runtime_log import runtime_log

PRIVATE = PRIVATE_HEADERS.encode()

CANCELLATIONS = (asyncio.CancelledError, concurrent.futures.CancelledError)
RECURSION_LIMIT = sys.getrecursionlimit()
UNEXPLAINED = problem_answer(
    HANDLER_FAILED,
    "predict() failed, and left the process in a state in which its error cannot be reported.",
    b"",
)
"""The answer to a failure of which nothing can be reported. It is built before any handler runs."""


def arguments(handler: LoadedHandler, call: Call, max_body: int) -> dict[str, Any]:
    """Build the arguments of ``predict`` for one request. Raises RequestRefused."""
    signature, request = handler.signature, call.request
    if CODING in request.headers:
        decode_body(request, max_body)
    if signature.names == ("payload",) and request.body:
        return {"payload": handler.read_payload(request)}
    given = environment(signature, call)
    if signature.wants("payload") and (request.body or "payload" not in signature.optional):
        given["payload"] = handler.read_payload(request)
    if signature.wants("cancelled"):
        given["cancelled"] = call.is_cancelled
    return given


def environment(signature: Signature, call: Call) -> dict[str, Any]:
    """Build the arguments other than the payload that the signature names."""
    request, given = call.request, dict[str, Any]()
    if signature.wants("query_params"):
        given["query_params"] = query_fields(request.query)
    if signature.wants("headers"):
        given["headers"] = Headers(_of_client(request.headers))
    if signature.wants("request_id"):
        given["request_id"] = request.id.decode("latin-1")
    if signature.wants("path"):
        given["path"] = request.path
    return given


def _of_client(headers: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the headers without those that the platform's parts send to each other."""
    return {name: value for name, value in headers.items() if not name.startswith(PRIVATE)}


def afterwards(signature: Signature, given: dict[str, Any], response: Any, call: Call) -> dict[str, Any]:
    """Build the arguments of ``post_predict``: the response, and the arguments that ``predict`` can take."""
    wanted = environment(signature, call) | {"response": response, "payload": given.get("payload")}
    return {name: wanted[name] for name in signature.names}


def failure(error: BaseException, request_id: bytes, name: str = "predict") -> Answer:
    """Build the client's answer to a failure, and log its traceback under the current request's id.

    It never raises, whatever state the handler has left the process in.
    """
    try:
        _restore_recursion_limit()
        return _failure(error, request_id, name)
    except BaseException:
        return UNEXPLAINED


def _failure(error: BaseException, request_id: bytes, name: str) -> Answer:
    if isinstance(error, RequestRefused):
        return error.answer(request_id)
    if isinstance(error, BadAnswer):
        runtime_log.error(f"the answer of {name} cannot be sent: {error}")
        return problem_answer(BAD_ANSWER, f"The answer of {name}() cannot be sent: {error}.", request_id)
    log_failure(error, name)
    detail = (
        f"{name}() raised {type_name(error)}; the log has its traceback under this request's id, "
        f"{request_id.decode('latin-1')}."
    )
    return problem_answer(HANDLER_FAILED, detail, request_id)


def failure_unless_cancelled(error: BaseException, call: Call) -> Answer | None:
    """Build the answer to a failure. Returns None if the call was cancelled, so that no client waits."""
    # Not isinstance(): the error may have a __class__ of its own, which raises.
    if call.cancelled and issubclass(type(error), CANCELLATIONS):
        return None
    return failure(error, call.request.id)


def batch_failure(error: BaseException, request_ids: Sequence[bytes]) -> list[Answer]:
    """Build the same answer for every request of a batch, and log the failure once. It never raises."""
    try:
        _restore_recursion_limit()
        return _batch_failure(error, request_ids)
    except BaseException:
        return [UNEXPLAINED] * len(request_ids)


def _batch_failure(error: BaseException, request_ids: Sequence[bytes]) -> list[Answer]:
    if isinstance(error, BadAnswer):
        runtime_log.error(f"the answer of predict cannot be sent: {error}")
        detail = f"The answer of predict() cannot be sent: {error}."
        return [problem_answer(BAD_ANSWER, detail, request_id) for request_id in request_ids]
    ids = ", ".join(request_id.decode("latin-1") for request_id in request_ids)
    log_failure(error, f"predict, for a batch of the requests {ids},")
    detail = f"predict() raised {type_name(error)} for the whole batch; the log has its traceback."
    return [problem_answer(HANDLER_FAILED, detail, request_id) for request_id in request_ids]


def log_failure(error: BaseException, name: str) -> None:
    """Log the traceback. It never raises."""
    try:
        runtime_log.error(f"{name} failed\n" + "\n".join(user_traceback(error)))
    except BaseException:
        runtime_log.error("a method of the handler failed, and its traceback cannot be shown")


def _restore_recursion_limit() -> None:
    """Undo a lower limit that the handler has left: it holds for the event loop and all threads."""
    if sys.getrecursionlimit() < RECURSION_LIMIT:
        sys.setrecursionlimit(RECURSION_LIMIT)

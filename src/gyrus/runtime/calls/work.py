"""The steps of one call that are the same wherever it runs: what is given, and what a failure is told as."""

from __future__ import annotations

import logging
from typing import Any

from gyrus.contract.problem import BAD_ANSWER, HANDLER_FAILED
from gyrus.runtime.calls.call import Call
from gyrus.runtime.handler.answers import BadAnswer
from gyrus.runtime.handler.failure import user_traceback
from gyrus.runtime.handler.handler import Handler
from gyrus.runtime.handler.parameters import Headers, query_fields
from gyrus.runtime.handler.signature import Signature
from gyrus.runtime.server.answer import Answer
from gyrus.runtime.server.problems import Refused, problem_answer

log = logging.getLogger("gyrus")


def arguments(handler: Handler, call: Call) -> dict[str, Any]:
    """What ``predict`` is given for one request. Raises Refused."""
    signature, request = handler.signature, call.request
    if signature.names == ("payload",) and request.body:
        return {"payload": handler.read_payload(request)}
    given = environment(signature, call)
    if signature.wants("payload") and (request.body or "payload" not in signature.optional):
        given["payload"] = handler.read_payload(request)
    if signature.wants("cancelled"):
        given["cancelled"] = call.is_cancelled
    return given


def environment(signature: Signature, call: Call) -> dict[str, Any]:
    """What there is besides the payload, as far as it is wanted."""
    request, given = call.request, dict[str, Any]()
    if signature.wants("query_params"):
        given["query_params"] = query_fields(request.query)
    if signature.wants("headers"):
        given["headers"] = Headers(request.headers)
    if signature.wants("request_id"):
        given["request_id"] = request.id.decode("latin-1")
    if signature.wants("path"):
        given["path"] = request.path
    return given


def afterwards(signature: Signature, given: dict[str, Any], response: Any, call: Call) -> dict[str, Any]:
    """What ``post_predict`` is given: what ``predict`` returned, and was given or could have been."""
    wanted = environment(signature, call) | {"response": response, "payload": given.get("payload")}
    return {name: wanted[name] for name in signature.names}


def failure(error: BaseException, request_id: bytes, name: str = "predict") -> Answer:
    """What the client is told; the traceback goes to the log, for the present request."""
    if isinstance(error, Refused):
        return error.answer(request_id)
    if isinstance(error, BadAnswer):
        log.error("the answer of %s cannot be sent: %s", name, error)
        return problem_answer(BAD_ANSWER, f"{name}() returned what cannot be sent: {error}.", request_id)
    log_failure(error, name)
    detail = (
        f"{name}() raised {type(error).__name__}; the log has its traceback under this request's id, "
        f"{request_id.decode('latin-1')}."
    )
    return problem_answer(HANDLER_FAILED, detail, request_id)


def log_failure(error: BaseException, name: str) -> None:
    log.error("%s failed\n%s", name, "\n".join(user_traceback(error)))

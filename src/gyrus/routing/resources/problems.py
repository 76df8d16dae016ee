"""Envoy's own error answers, as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence

from gyrus.contract import problem
from gyrus.contract.problem import ProblemType
from gyrus.contract.replica import BROKEN_HEADER
from gyrus.routing.resources.kinds import Json, header

RETRY_AFTER = "1"
"""Seconds."""
REQUEST_ID = "%REQ(X-REQUEST-ID)%"
PATH = "%PATH(NQ):200%"
API = "%ROUTE_NAME%"
"""Routes carry the name of their API."""
NAMESPACE, API_KEY = "gyrus", "api"
"""Place of the API's name in the metadata of a second pass. All APIs share the route of second passes."""
API_OF_SECOND = f"%DYNAMIC_METADATA({NAMESPACE}:{API_KEY})%"
BROKEN = ["UC", "UR", "LR", "UPE"]
"""Flags of a connection that broke after the request was sent."""


def local_replies() -> Json:
    """Build the error answers. gRPC clients get the detail as their status message."""
    return _replies(API, [_grpc()], [])


def second_replies() -> Json:
    """Build the error answers of a second pass. It marks those to a request that a replica may have begun."""
    mark = [header(BROKEN_HEADER, "1")]
    flags = {"response_flag_filter": {"flags": BROKEN}}
    broken = {"and_filter": {"filters": [_grpc()["filter"], flags]}}
    return _replies(API_OF_SECOND, [{**_grpc(), "filter": broken, "headers_to_add": mark}, _grpc()], mark)


def _replies(api: str, first: list[Json], mark: list[Json]) -> Json:
    return {
        # Envoy takes the first mapper that matches: flags name the cause, so they come before status codes.
        "mappers": [
            *first,
            _by_flags(
                ["NR"],
                problem.UNKNOWN_API,
                f"There is no API at {PATH}. `gyrus get` lists the endpoints of the deployed APIs.",
            ),
            _by_flags(
                ["UH", "NC"],
                problem.NO_REPLICA,
                f"API {api} has no replica that is ready. `gyrus describe {api}` shows why.",
            ),
            _by_flags(
                ["UF"],
                problem.NO_REPLICA,
                f"No replica of API {api} accepts connections. `gyrus describe {api}` shows why.",
            ),
            # The clusters of replicas have no limit, so only that of long bodies overflows.
            _by_flags(
                ["UO"],
                problem.BODIES_FULL,
                "The gateway has as many requests with long bodies as it has memory for. Try again.",
            ),
            _by_flags(
                ["UT"],
                problem.TIMEOUT,
                f"API {api} did not start its answer within its timeout.",
            ),
            _by_flags(
                BROKEN,
                problem.UPSTREAM_FAILED,
                f"A replica of API {api} ended the request without an answer. "
                f"`gyrus describe {api}` or `gyrus logs {api}` shows why.",
                mark,
            ),
            _by_code(400, problem.BAD_REQUEST, "The request is not well-formed HTTP."),
            _by_code(
                403,
                problem.ORIGIN_NOT_ALLOWED,
                "A web page of another origin may call API "
                f"{api} only if the API's networking.cors allows its origin (%REQ(ORIGIN):200%).",
            ),
            _by_code(
                421,
                problem.UNKNOWN_HOST,
                "This gateway answers requests to localhost and 127.0.0.1, not to %REQ(:AUTHORITY):200%. "
                "`gyrus up --host NAME` adds a name.",
            ),
            _by_code(408, problem.BODY_TIMEOUT, "The request stopped arriving before it was complete."),
            _by_code(413, problem.BODY_TOO_LARGE, "The request's body is larger than the limit."),
            _by_code(
                431, problem.HEADER_TOO_LARGE, "The request's header is larger than the limit of 64 KiB."
            ),
            _by_code(504, problem.TIMEOUT, "The request had no data in either direction for too long."),
            _by_code(
                404, problem.NOT_FOUND, f"{PATH} is internal to the replica and is not served to clients."
            ),
        ],
        "body_format": _document(
            problem.INTERNAL,
            "The gateway could not pass the request on (%RESPONSE_CODE_DETAILS%).",
            exact=False,
        ),
    }


def _by_flags(flags: list[str], kind: ProblemType, detail: str, headers: Sequence[Json] = ()) -> Json:
    return _mapper({"response_flag_filter": {"flags": flags}}, kind, detail, headers)


def _by_code(code: int, kind: ProblemType, detail: str) -> Json:
    return _mapper({"status_code_filter": _equals(code)}, kind, detail)


def _mapper(condition: Json, kind: ProblemType, detail: str, headers: Sequence[Json] = ()) -> Json:
    return {
        "filter": condition,
        "status_code": kind.status,
        "body_format_override": _document(kind, detail),
        "headers_to_add": [*(_retry_after() if kind.status == 503 else []), *headers],
    }


def _equals(code: int) -> Json:
    return {"comparison": {"op": "EQ", "value": {"default_value": code, "runtime_key": "gyrus.unset"}}}


def _retry_after() -> list[Json]:
    return [header("retry-after", RETRY_AFTER)]


def _document(kind: ProblemType, detail: str, *, exact: bool = True) -> Json:
    return {
        "content_type": problem.MEDIA_TYPE,
        "json_format": {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status if exact else "%RESPONSE_CODE%",
            "detail": detail,
            "instance": f"urn:gyrus:request:{REQUEST_ID}",
        },
    }


def _grpc() -> Json:
    """Keep the message plain text for gRPC, whose status has no place for a document."""
    header = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
    return {
        "filter": {"header_filter": {"header": header}},
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }

"""Checks of the status and the headers that a handler chooses.

The limits are those of the gateway, less the headers that the server and the gateway add: Envoy discards an
answer with more, and the client would get 502 without a reason.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, cast

from gyrus.contract.replica import PRIVATE_HEADERS
from gyrus.runtime.handler.json_encoding import BadAnswer
from gyrus.runtime.response import Response
from gyrus.runtime.server.answer import WRITTEN_BY_SERVER, check_header

MOST_HEADERS = 90
MOST_HEADER_BYTES = 48 * 1024
"""Bytes of all names and values, and of the media type."""

AnswerHeaders = tuple[tuple[str, str], ...]


def status_of(response: Response) -> int:
    """Return the status as an int. Raises BadAnswer."""
    status: Any = response.status
    if type(status) is not int:
        status = _integer(status)
    if not 200 <= status < 600:
        raise BadAnswer(f"the status {response.status!r} is not a number from 200 to 599")
    return status


def headers_of(response: Response) -> tuple[str | None, AnswerHeaders]:
    """Return the media type, if one is chosen, and the other headers. Raises BadAnswer."""
    media_type = response.media_type
    if not response.headers and media_type is None:
        return None, ()
    headers: list[tuple[str, str]] = []
    kinds: list[str] = []
    for name, value in _lines(response.headers):
        if name.startswith(PRIVATE_HEADERS):
            continue  # the gateway would take it for the platform's
        if name not in WRITTEN_BY_SERVER:
            headers.append((name, value))
        elif name == "content-type":
            kinds.append(value)
        else:
            raise BadAnswer(f"the header {name} is written by the server; leave it out")
    if media_type is not None:
        kinds = [_checked("content-type", media_type)[1]]
    if len(kinds) > 1:
        raise BadAnswer("the header content-type has several values; give it one")
    media_type = kinds[0] if kinds else None
    _check_size(headers, media_type)
    return media_type, tuple(headers)


def _integer(status: Any) -> int:
    """Return the int of a status of another type, as of HTTPStatus or numpy."""
    try:
        return int(operator.index(status))
    except TypeError:
        kind = type(status).__name__
        raise BadAnswer(f"the status {status!r} is not a number from 200 to 599, but a {kind}") from None


def _lines(headers: Any) -> list[tuple[str, str]]:
    """Return a line for each value of each header. Raises BadAnswer."""
    if not isinstance(headers, Mapping):
        raise BadAnswer(f"the headers are a {type(headers).__name__}; give a dict of names and values")
    lines: list[tuple[str, str]] = []
    for name, value in cast("Mapping[Any, Any]", headers).items():
        if isinstance(value, (list, tuple)):
            lines.extend(_checked(name, each) for each in cast("Sequence[Any]", value))
        else:
            lines.append(_checked(name, value))
    return lines


def _checked(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str):
        raise BadAnswer(f"the name {name!r} of a header is a {type(name).__name__}; it must be text")
    try:
        return check_header(name, value if type(value) is str else _text(name, value))
    except ValueError as error:
        raise BadAnswer(str(error)) from error


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if not isinstance(value, bool):
        if isinstance(value, float):
            return repr(float(value))
        try:
            return str(operator.index(value))
        except TypeError:
            pass
    raise BadAnswer(
        f"the header {name.lower()} has a value of type {type(value).__name__}; "
        "it must be text, a number, or a list of these"
    )


def _check_size(headers: list[tuple[str, str]], media_type: str | None) -> None:
    if len(headers) > MOST_HEADERS:
        raise BadAnswer(f"it has {len(headers)} headers, and the limit is {MOST_HEADERS}; send fewer")
    size = len(media_type or "")
    for name, value in headers:
        size += len(name) + len(value)
    if size > MOST_HEADER_BYTES:
        raise BadAnswer(
            f"its headers have {size} bytes, and the limit is {MOST_HEADER_BYTES}; send less, or in the body"
        )

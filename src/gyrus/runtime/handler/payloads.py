"""Decoding of a request's body into the payload, by its Content-Type and the handler's annotation.

=====================================  ============================================================
Content-Type                           Payload
=====================================  ============================================================
``application/json``, ``…+json``       the decoded JSON
``text/…``                             str
``application/x-www-form-urlencoded``  dict; a name that is sent several times has a list
``multipart/form-data``                the same; files are :class:`~gyrus.runtime.handler.forms.File`
none                                   the decoded JSON if the body is JSON, else bytes
any other                              bytes
=====================================  ============================================================

A body with a Content-Encoding has been decompressed before (see :mod:`gyrus.runtime.handler.content_coding`).

An empty body is None. A form that is a JSON object or array counts as JSON, because ``curl -d`` sends JSON
with the Content-Type of a form. ``payload: bytes`` receives the body of any type, ``payload: str`` text of
any type.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import msgspec

from gyrus.contract.problem import UNSUPPORTED_MEDIA
from gyrus.contract.replica import Reason
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.faults import json_refusal
from gyrus.runtime.handler.forms import parse_form, parse_multipart
from gyrus.runtime.handler.signature import Signature, admits_none
from gyrus.runtime.handler.text import decode_text
from gyrus.runtime.handler.validation import Check, check_for, fault_of
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.request import Request

PayloadReader = Callable[[Request], Any]
"""Function that reads the payload of a request. Raises RequestRefused."""

JSON = b"application/json"
_decode = msgspec.json.Decoder().decode


def payload_reader(hint: Any) -> PayloadReader:
    """Return the reader of one payload with this annotation."""
    if hint is bytes:
        return lambda request: request.body
    if hint is str:
        return _read_text
    check = check_for(hint)
    return read_any if check is None else _Checked(check, none=admits_none(hint))


def payload_hint(signature: Signature, *, batched: bool) -> Any:
    """Return the annotation of one payload. Returns Any if there is none.

    Raises LoadFailed if the annotation contradicts the configuration.
    """
    hint = signature.hints.get("payload", Any)
    if not batched or hint is Any:
        return hint
    if typing.get_origin(hint) is not list and hint is not list:
        raise LoadFailed(
            Reason.IMPORT,
            "with handler.batching, predict() receives a list of payloads; "
            f"annotate it as payload: list[{getattr(hint, '__name__', 'Payload')}]",
        )
    return next(iter(typing.get_args(hint)), Any)


def unchecked(signature: Signature, hint: Any) -> str:
    """Return the reason why payloads with this annotation cannot be checked. Returns "" if they can be."""
    if "payload" in signature.unresolved:
        return (
            f"the annotation of payload cannot be resolved ({signature.unresolved['payload']}); "
            "import its type outside of TYPE_CHECKING, at the top of the file"
        )
    return "" if hint in (bytes, str) else fault_of(hint)


def read_any(request: Request) -> Any:
    """Decode the body by its Content-Type, without checking it against an annotation."""
    body = request.body
    if not body:
        return None
    content_type = request.headers.get(b"content-type")
    if content_type == JSON:  # the usual case, without parsing the header
        return read_json(body)
    kind, parameters = media_type(content_type)
    if kind == "":
        return _json_or_bytes(body)
    if is_json(kind):
        return read_json(body)
    if kind.startswith("text/"):
        return decode_text(body, parameters.get("charset", "utf-8"))
    if kind == "application/x-www-form-urlencoded":
        return _read_form(body, parameters.get("charset", "utf-8"))
    if kind == "multipart/form-data":
        return parse_multipart(body, parameters.get("boundary", ""))
    return body


def read_json(body: bytes) -> Any:
    """Decode JSON of any type; integers of any size stay integers. Raises RequestRefused."""
    try:
        return _decode(body)
    except (ValueError, RecursionError) as error:
        raise json_refusal(error, body) from None


def is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")


def media_type(content_type: bytes | None) -> tuple[str, dict[str, str]]:
    """Return the media type in lower case and its parameters. Returns ``("", {})`` if there is none."""
    if not content_type:
        return "", {}
    kind, *rest = _split_parameters(content_type.decode("latin-1"))
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1].replace('\\"', '"')
        parameters.setdefault(name.strip().lower(), value)
    return kind.strip().lower(), parameters


class _Checked:
    """A reader that checks the payload against an annotation."""

    def __init__(self, check: Check, *, none: bool) -> None:
        self._check = check
        self._none = none

    def __call__(self, request: Request) -> Any:
        if not request.body:
            return None if self._none else self._check.missing()
        kind = request.headers.get(b"content-type")
        if kind == JSON:
            return self._check.json(request.body)
        name = media_type(kind)[0]
        if not name or is_json(name):
            return self._check.json(request.body)
        plain = read_any(request)
        if isinstance(plain, (bytes, str)) and not self._check.takes_text:
            message = f"The body is of type {name}; send JSON, with Content-Type: application/json."
            raise RequestRefused(UNSUPPORTED_MEDIA, message)
        return self._check.plain(plain)


def _read_text(request: Request) -> str:
    kind, parameters = media_type(request.headers.get(b"content-type"))
    if is_json(kind) and isinstance(text := read_json(request.body), str):
        return text
    return decode_text(request.body, parameters.get("charset", "utf-8"))


def _read_form(body: bytes, charset: str) -> Any:
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return _decode(body)
        except (ValueError, RecursionError):
            pass
    return parse_form(body, charset)


def _json_or_bytes(body: bytes) -> Any:
    try:
        return _decode(body)
    except (ValueError, RecursionError):
        return body


def _split_parameters(text: str) -> list[str]:
    """Split the text at semicolons that are not quoted."""
    parts: list[str] = []
    quoted, start = False, 0
    for position, char in enumerate(text):
        if char == '"' and (position == 0 or text[position - 1] != "\\"):
            quoted = not quoted
        elif char == ";" and not quoted:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
